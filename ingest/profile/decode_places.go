package profile

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/profile/osgb"
)

// placesSize bounds how many distinct areas and facilities a decoder
// remembers; beyond, it starts anew and names them again.
const placesSize = 50_000

type areaEntry struct {
	area area.Area
	bad  []fault.Violation
	none bool // an optional area that the row leaves empty
}

type facilityEntry struct {
	facility facility.Facility
	bad      []fault.Violation
}

// rawKey is the raw bytes of some columns, each with its length, in a buffer
// that the next call reuses.
func (d *Decoder) rawKey(r *row, columns []*column) []byte {
	d.scratch = d.scratch[:0]
	for _, c := range columns {
		raw := r.raw(c)
		d.scratch = binary.AppendUvarint(d.scratch, uint64(len(raw)))
		d.scratch = append(d.scratch, raw...)
	}
	return d.scratch
}

// area returns the id of an area that the row names and, the first time,
// hands the area out for registration, its parent before it.
func (d *Decoder) area(r *row, at int) area.ID {
	p := &d.plan.areas[at]
	entry, ok := d.areas[at][string(d.rawKey(r, p.columns))]
	if !ok {
		entry = d.newArea(r, at)
		if d.areas[at] == nil || len(d.areas[at]) >= placesSize {
			d.areas[at] = map[string]*areaEntry{}
		}
		d.areas[at][string(d.rawKey(r, p.columns))] = entry
		if len(entry.bad) == 0 && !entry.none && p.builtIn == nil {
			r.areas = append(r.areas, entry.area)
		}
	}
	for _, v := range entry.bad {
		r.violate(v)
	}
	return entry.area.ID
}

func (d *Decoder) newArea(r *row, at int) *areaEntry {
	p := &d.plan.areas[at]
	if p.optional && p.id.column != nil && len(p.id.raw(r)) == 0 {
		return &areaEntry{none: true}
	}
	// Violations of this area alone, so that they are noted with it.
	outer := r.bad
	r.bad = nil
	defer func() { r.bad = outer }()

	if p.builtIn != nil {
		return &areaEntry{area: area.Area{ID: p.lookUp(r)}, bad: r.bad}
	}
	a := area.Area{Level: p.level, Country: p.country, Name: p.name.of(r), Code: p.code.of(r)}
	a.ID = area.ID(p.id.of(r))
	if a.ID != "" && !a.ID.Valid() {
		r.violate(idViolation(r, p.id, RuleAreaID, string(a.ID)))
	}
	if p.parent >= 0 {
		a.Parent = d.area(r, p.parent)
	}
	return &areaEntry{area: a, bad: r.bad}
}

// facility returns the id of the row's facility and, the first time, hands it
// out for registration when the profile describes it.
func (d *Decoder) facility(r *row) facility.ID {
	p := &d.plan.facility
	entry, ok := d.facilities[string(d.rawKey(r, p.columns))]
	if !ok {
		entry = d.newFacility(r)
		if d.facilities == nil || len(d.facilities) >= placesSize {
			d.facilities = map[string]*facilityEntry{}
		}
		d.facilities[string(d.rawKey(r, p.columns))] = entry
		if p.name != nil && len(entry.bad) == 0 {
			f := entry.facility
			r.facility = &f
		}
	}
	if p.name != nil && len(entry.bad) == 0 {
		r.described = &entry.facility
	}
	for _, v := range entry.bad {
		r.violate(v)
	}
	return entry.facility.ID
}

func (d *Decoder) newFacility(r *row) *facilityEntry {
	p := &d.plan.facility
	outer := r.bad
	r.bad = nil
	defer func() { r.bad = outer }()

	f := facility.Facility{
		ID:       facility.ID(p.id.of(r)),
		Name:     p.name.of(r),
		Locality: p.locality.of(r),
		Permit:   p.permit.of(r),
		TimeZone: p.timeZone,
	}
	if f.ID != "" && !f.ID.Valid() {
		r.violate(idViolation(r, p.id, RuleFacilityID, string(f.ID)))
	}
	if p.area >= 0 {
		f.Area = d.area(r, p.area)
	}
	f.Location = p.point(r)
	return &facilityEntry{facility: f, bad: r.bad}
}

func idViolation(r *row, t *text, rule, id string) fault.Violation {
	value := id
	if t.column != nil {
		value = string(t.raw(r))
	}
	return *violation(rule, t.shown(), value, "It would be %q.", fault.Clip(id))
}

// point reads the location; zero when both columns are empty or either says
// that it is not known. Degrees are
// rounded to the seventh place, about a centimetre, so that the same
// coordinates make the same bytes on every machine.
func (p *facilityPlan) point(r *row) area.Point {
	if p.east == nil || p.north == nil || len(r.raw(p.east))+len(r.raw(p.north)) == 0 {
		return area.Point{}
	}
	if slices.Contains(p.unknown, string(r.raw(p.east))) || slices.Contains(p.unknown, string(r.raw(p.north))) {
		return area.Point{}
	}
	east, okEast := r.coordinate(p.east)
	north, okNorth := r.coordinate(p.north)
	if !okEast || !okNorth {
		return area.Point{}
	}
	lat, lon := north, east
	if p.grid {
		var err error
		if lat, lon, err = osgb.ToWGS84(east, north); err != nil {
			r.violate(*violation(RuleOutsideGrid, p.east, string(r.raw(p.east)), ""))
			return area.Point{}
		}
	} else if !(lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180) {
		r.violate(*violation(RuleOutsideGrid, p.north, string(r.raw(p.north)), "Latitude and longitude are not on the earth."))
		return area.Point{}
	}
	return area.Point{Lat: seventh(lat), Lon: seventh(lon)}
}

func seventh(degrees float64) float64 { return math.Round(degrees*1e7) / 1e7 }

func (r *row) coordinate(c *column) (float64, bool) {
	raw := r.raw(c)
	text, ok := r.plain(c, raw)
	if ok {
		if x, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(x, 0) && !math.IsNaN(x) {
			return x, true
		}
	}
	r.violate(*violation(RuleNumberSyntax, c, string(raw), ""))
	return 0, false
}
