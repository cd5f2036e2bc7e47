package osgb

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Ordnance Survey's worked example (annexe C of its guide): E 651409.903,
// N 313177.270 is 52° 39′ 27.2531″ N, 1° 43′ 4.5177″ E on Airy 1830.
func TestInverseProjectionMatchesThePublishedWorkedExample(t *testing.T) {
	phi, lambda := inverseProjection(651409.903, 313177.270)
	lat, lon := phi*180/math.Pi, lambda*180/math.Pi
	require.InDelta(t, 52+39.0/60+27.2531/3600, lat, 1e-8)
	require.InDelta(t, 1+43.0/60+4.5177/3600, lon, 1e-8)
}

func TestCartesianAndBackIsTheSamePlace(t *testing.T) {
	for _, e := range []ellipsoid{airy1830, wgs84} {
		for lat := 50.0; lat < 61; lat += 2.3 {
			for lon := -8.0; lon < 2; lon += 1.7 {
				x, y, z := cartesian(e, lat*math.Pi/180, lon*math.Pi/180)
				phi, lambda := geodetic(e, x, y, z)
				require.InDelta(t, lat, phi*180/math.Pi, 1e-10)
				require.InDelta(t, lon, lambda*180/math.Pi, 1e-10)
			}
		}
	}
}

// Places whose WGS 84 coordinates are published from the exact grid, while
// the Helmert transformation is good to about 5 metres.
func TestKnownPlacesLieWithinWhatIsPromised(t *testing.T) {
	for _, c := range []struct {
		name              string
		easting, northing float64
		lat, lon          float64
	}{
		// The worked example, transformed by the Ordnance Survey's own OSTN15.
		{"Caister water tower", 651409.903, 313177.270, 52.657979, 1.716052},
		// OSTN15 test point 1, St Mary's, Isles of Scilly.
		{"St Mary's", 91492.146, 11318.804, 49.92226393730, -6.29977752014},
	} {
		t.Run(c.name, func(t *testing.T) {
			lat, lon, err := ToWGS84(c.easting, c.northing)
			require.NoError(t, err)
			north := (lat - c.lat) * 111_200
			east := (lon - c.lon) * 111_200 * math.Cos(lat*math.Pi/180)
			require.Less(t, math.Hypot(north, east), 7.0, "%f %f", lat, lon)
		})
	}
}

func TestErrOutsideTheGrid(t *testing.T) {
	for _, p := range [][2]float64{{-1, 5}, {700_001, 5}, {5, -1}, {5, 1_300_001}, {math.NaN(), 5}, {5, math.Inf(1)}} {
		_, _, err := ToWGS84(p[0], p[1])
		var outside *OutsideGrid
		require.ErrorAs(t, err, &outside)
	}
}
