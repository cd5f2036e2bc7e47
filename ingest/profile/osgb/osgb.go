// Package osgb turns British National Grid coordinates (EPSG:27700) into
// WGS 84 latitude and longitude.
//
// It follows the Ordnance Survey's "A guide to coordinate systems in Great
// Britain": the inverse transverse Mercator projection on the Airy 1830
// ellipsoid, then the published seven-parameter Helmert transformation from
// OSGB36 to WGS 84. The first step is exact to well under a millimetre; the
// second is what the Ordnance Survey states as good to about 5 metres over
// the country (OSGB36 is not a rigid frame). It leaves out the OSTN15 grid,
// which would give decimetres: a place on a map of waste facilities needs none.
package osgb

import (
	"fmt"
	"math"
)

// Extent of the grid that has land in it, in metres.
const (
	MaxEasting  = 700_000
	MaxNorthing = 1_300_000
)

// ellipsoid is given by its half axes in metres.
type ellipsoid struct{ a, b float64 }

func (e ellipsoid) e2() float64 { return 1 - (e.b*e.b)/(e.a*e.a) }

// Published constants: ellipsoids, projection, Helmert parameters.
var (
	airy1830 = ellipsoid{a: 6_377_563.396, b: 6_356_256.909}
	wgs84    = ellipsoid{a: 6_378_137.000, b: 6_356_752.314245}
)

const (
	scale         = 0.9996012717 // F0, on the central meridian
	trueLat       = 49.0         // φ0, degrees
	trueLon       = -2.0         // λ0, degrees
	falseNorthing = -100_000.0   // N0, metres
	falseEasting  = 400_000.0    // E0, metres

	arcSecond = math.Pi / 180 / 3600
)

// helmert holds OSGB36 → WGS 84: shifts in metres, scale in parts, rotations
// in radians, position-vector convention. It is the published WGS 84 → OSGB36
// set with its signs turned.
var helmert = struct{ tx, ty, tz, s, rx, ry, rz float64 }{
	tx: 446.448, ty: -125.157, tz: 542.060,
	s:  -20.4894e-6,
	rx: 0.1502 * arcSecond, ry: 0.2470 * arcSecond, rz: 0.8421 * arcSecond,
}

// OutsideGrid refuses coordinates that lie outside the National Grid.
type OutsideGrid struct {
	Easting, Northing float64 // metres
}

func (e *OutsideGrid) Error() string {
	return fmt.Sprintf("easting %g, northing %g lies outside the National Grid (0 to %d, 0 to %d metres)",
		e.Easting, e.Northing, MaxEasting, MaxNorthing)
}

// ToWGS84 returns latitude and longitude in degrees for an easting and a
// northing in metres, good to about 5 metres. Error: *OutsideGrid.
func ToWGS84(easting, northing float64) (lat, lon float64, err error) {
	if !(easting >= 0 && easting <= MaxEasting && northing >= 0 && northing <= MaxNorthing) {
		return 0, 0, &OutsideGrid{Easting: easting, Northing: northing}
	}
	phi, lambda := inverseProjection(easting, northing)
	x, y, z := cartesian(airy1830, phi, lambda)
	x, y, z = shift(x, y, z)
	phi, lambda = geodetic(wgs84, x, y, z)
	return phi * 180 / math.Pi, lambda * 180 / math.Pi, nil
}

// inverseProjection gives OSGB36 latitude and longitude in radians.
func inverseProjection(easting, northing float64) (phi, lambda float64) {
	a, b, e2 := airy1830.a, airy1830.b, airy1830.e2()
	phi0, lambda0 := trueLat*math.Pi/180, trueLon*math.Pi/180
	n := (a - b) / (a + b)

	phi = phi0
	m := 0.0
	// Converges to 0.01 mm in five or six rounds everywhere on the grid.
	for range 32 {
		phi += (northing - falseNorthing - m) / (a * scale)
		m = meridian(b, n, phi, phi0)
		if math.Abs(northing-falseNorthing-m) < 1e-5 {
			break
		}
	}

	sin, cos, tan := math.Sin(phi), math.Cos(phi), math.Tan(phi)
	nu := a * scale / math.Sqrt(1-e2*sin*sin)
	rho := a * scale * (1 - e2) / math.Pow(1-e2*sin*sin, 1.5)
	eta2 := nu/rho - 1
	t2, t4, t6 := tan*tan, math.Pow(tan, 4), math.Pow(tan, 6)

	vii := tan / (2 * rho * nu)
	viii := tan / (24 * rho * math.Pow(nu, 3)) * (5 + 3*t2 + eta2 - 9*t2*eta2)
	ix := tan / (720 * rho * math.Pow(nu, 5)) * (61 + 90*t2 + 45*t4)
	x := 1 / (cos * nu)
	xi := 1 / (cos * 6 * math.Pow(nu, 3)) * (nu/rho + 2*t2)
	xii := 1 / (cos * 120 * math.Pow(nu, 5)) * (5 + 28*t2 + 24*t4)
	xiia := 1 / (cos * 5040 * math.Pow(nu, 7)) * (61 + 662*t2 + 1320*t4 + 720*t6)

	d := easting - falseEasting
	phi += -vii*d*d + viii*math.Pow(d, 4) - ix*math.Pow(d, 6)
	lambda = lambda0 + x*d - xi*math.Pow(d, 3) + xii*math.Pow(d, 5) - xiia*math.Pow(d, 7)
	return phi, lambda
}

// meridian is the developed arc of the meridian from phi0 to phi, in metres.
func meridian(b, n, phi, phi0 float64) float64 {
	n2, n3 := n*n, n*n*n
	minus, plus := phi-phi0, phi+phi0
	return b * scale * ((1+n+5.0/4*n2+5.0/4*n3)*minus -
		(3*n+3*n2+21.0/8*n3)*math.Sin(minus)*math.Cos(plus) +
		(15.0/8*n2+15.0/8*n3)*math.Sin(2*minus)*math.Cos(2*plus) -
		35.0/24*n3*math.Sin(3*minus)*math.Cos(3*plus))
}

// cartesian gives earth-centred coordinates at height 0.
func cartesian(e ellipsoid, phi, lambda float64) (x, y, z float64) {
	nu := e.a / math.Sqrt(1-e.e2()*math.Sin(phi)*math.Sin(phi))
	x = nu * math.Cos(phi) * math.Cos(lambda)
	y = nu * math.Cos(phi) * math.Sin(lambda)
	z = nu * (1 - e.e2()) * math.Sin(phi)
	return x, y, z
}

func shift(x, y, z float64) (float64, float64, float64) {
	h := helmert
	return h.tx + (1+h.s)*x - h.rz*y + h.ry*z,
		h.ty + h.rz*x + (1+h.s)*y - h.rx*z,
		h.tz - h.ry*x + h.rx*y + (1+h.s)*z
}

// geodetic gives latitude and longitude in radians.
func geodetic(e ellipsoid, x, y, z float64) (phi, lambda float64) {
	lambda = math.Atan2(y, x)
	p := math.Hypot(x, y)
	phi = math.Atan2(z, p*(1-e.e2()))
	for range 16 {
		nu := e.a / math.Sqrt(1-e.e2()*math.Sin(phi)*math.Sin(phi))
		next := math.Atan2(z+e.e2()*nu*math.Sin(phi), p)
		done := math.Abs(next-phi) < 1e-13
		phi = next
		if done {
			break
		}
	}
	return phi, lambda
}
