package profile

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/mass"
)

func (b *builder) areas() {
	for i, doc := range b.doc.Areas {
		key := fmt.Sprintf("areas[%d]", i)
		if doc.Key == "" {
			b.fail(key+".key", "is missing")
		}
		if doc.BuiltIn {
			b.builtInArea(key, doc)
			b.areaKeys[doc.Key] = i
			continue
		}
		if _, ok := b.areaKeys[doc.Key]; ok {
			b.fail(key+".key", "%q stands twice", doc.Key)
		}
		switch area.Level(doc.Level) {
		case area.Country, area.Region, area.Municipality:
		default:
			b.fail(key+".level", "%q is not country, region or municipality", doc.Level)
		}
		parent := -1
		if doc.Parent != "" {
			if at, ok := b.areaKeys[doc.Parent]; ok {
				parent = at
			} else {
				b.fail(key+".parent", "%q is no area above this one", doc.Parent)
			}
		} else if area.Level(doc.Level) != area.Country {
			b.fail(key+".parent", "is missing: only a country has none")
		}
		if len(doc.Country) != 2 {
			b.fail(key+".country", "%q is no ISO 3166-1 code of two letters", doc.Country)
		}
		a := areaPlan{
			level: area.Level(doc.Level), country: doc.Country, parent: parent,
			optional: doc.Optional,
			id:       b.required(key+".id", doc.ID),
			name:     b.required(key+".name", doc.Name),
			code:     b.text(key+".code", doc.Code),
		}
		a.columns = columnsOf(a.id, a.name, a.code)
		if parent >= 0 {
			a.columns = append(a.columns, b.plan.areas[parent].columns...)
		}
		b.areaKeys[doc.Key] = i
		b.plan.areas = append(b.plan.areas, a)
	}
}

// builtInArea compiles an area that rows name, by name or official code, among
// those that come with the program.
func (b *builder) builtInArea(key string, doc areaDoc) {
	a := areaPlan{level: area.Level(doc.Level), country: doc.Country, parent: -1, optional: doc.Optional, id: b.required(key+".id", doc.ID)}
	if a.builtIn = builtInAreas(a.level, doc.Country); len(a.builtIn) == 0 {
		b.fail(key+".built_in", "there are no areas of level %q in country %q", doc.Level, doc.Country)
	}
	if _, ok := b.areaKeys[doc.Key]; ok || doc.Key == "" {
		b.fail(key+".key", "%q is empty or stands twice", doc.Key)
	}
	if doc.Name.given || doc.Code.given || doc.Parent != "" {
		b.fail(key, "an area that is built in has no name, code or parent here: it is registered with them")
	}
	a.columns = columnsOf(a.id)
	b.plan.areas = append(b.plan.areas, a)
}

// columnsOf are the columns that some texts come from.
func columnsOf(texts ...*text) []*column {
	var all []*column
	for _, t := range texts {
		if t == nil {
			continue
		}
		for _, c := range []*column{t.column, t.or} {
			if c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// area finds an area of the document by its key; -1 when none is named.
func (b *builder) area(key, name string) int {
	if name == "" {
		return -1
	}
	at, ok := b.areaKeys[name]
	if !ok {
		b.fail(key, "%q is no key of areas", name)
		return -1
	}
	return at
}

func (b *builder) facility() {
	doc := b.doc.Facility
	f := facilityPlan{
		id:       b.required("facility.id", doc.ID),
		name:     b.text("facility.name", doc.Name),
		locality: b.text("facility.locality", doc.Locality),
		permit:   b.text("facility.permit", doc.Permit),
		area:     b.area("facility.area", doc.Area),
		timeZone: doc.TimeZone,
	}
	// A facility that is only named, not described, must be registered already.
	if f.name != nil {
		if doc.Area == "" {
			b.fail("facility.area", "is missing: a facility that is registered lies somewhere")
		}
		if doc.TimeZone == "" {
			b.fail("facility.time_zone", "is missing")
		} else if _, err := time.LoadLocation(doc.TimeZone); err != nil {
			b.fail("facility.time_zone", "%q is no IANA time zone", doc.TimeZone)
		}
	}
	if l := doc.Location; l != nil {
		switch l.System {
		case "EPSG:27700":
			f.grid = true
			f.east, f.north = b.column("facility.location.easting", l.Easting), b.column("facility.location.northing", l.Northing)
		case "EPSG:4326":
			f.east, f.north = b.column("facility.location.lon", l.Lon), b.column("facility.location.lat", l.Lat)
		default:
			b.fail("facility.location.system", "%q is neither EPSG:27700 (easting, northing) nor EPSG:4326 (lat, lon)", l.System)
		}
		f.unknown = l.Unknown
		if f.east == nil || f.north == nil {
			b.fail("facility.location", "needs the two columns of its system")
		}
	}
	f.columns = columnsOf(f.id, f.name, f.locality, f.permit)
	if f.east != nil && f.north != nil {
		f.columns = append(f.columns, f.east, f.north)
	}
	if f.area >= 0 {
		f.columns = append(f.columns, b.plan.areas[f.area].columns...)
	}
	b.plan.facility = f
}

func (b *builder) fact() {
	doc := b.doc.Fact
	f := factPlan{
		kind:         b.required("fact.kind", doc.Kind),
		measure:      b.text("fact.measure", doc.Measure),
		waste:        b.text("fact.waste_code", doc.WasteCode),
		fraction:     b.text("fact.fraction", doc.Fraction),
		product:      b.text("fact.product", doc.Product),
		form:         b.text("fact.form", doc.Form),
		net:          b.column("fact.mass.net", doc.Mass.Net),
		gross:        b.column("fact.mass.gross", doc.Mass.Gross),
		tare:         b.column("fact.mass.tare", doc.Mass.Tare),
		unit:         mass.Unit(doc.Mass.Unit),
		method:       b.required("fact.mass.method", doc.Mass.Method),
		operation:    b.text("fact.operation", doc.Operation),
		origin:       b.place("fact.origin", doc.Origin),
		target:       b.place("fact.target", doc.Target),
		siteCategory: b.text("fact.site_category", doc.SiteCategory),
		fate:         b.text("fact.fate", doc.Fate),
		consignment:  b.text("fact.consignment", doc.Consignment),
		rejects:      b.text("fact.rejects", doc.Rejects),
		displaces:    b.text("fact.displaces", doc.Displaces),
		items:        b.column("fact.items", doc.Items),
		energy:       b.column("fact.energy_kwh", doc.EnergyKWh),
	}
	if f.net == nil {
		b.fail("fact.mass.net", "is missing")
	}
	if !slices.Contains(mass.Units(), f.unit) {
		b.fail("fact.mass.unit", "%q is none of %v: a unit is never guessed", doc.Mass.Unit, mass.Units())
	}
	b.when(&f)
	if doc.Hazardous != nil {
		f.hazardous = b.column("fact.hazardous.column", doc.Hazardous.Column)
		f.flags = map[string]bool{}
		for _, word := range doc.Hazardous.False {
			f.flags[word] = false
		}
		for _, word := range doc.Hazardous.True {
			f.flags[word] = true
		}
		if f.hazardous == nil || len(f.flags) != len(doc.Hazardous.True)+len(doc.Hazardous.False) || len(f.flags) == 0 {
			b.fail("fact.hazardous", "needs a column and the words for true and false, each once")
		}
	}
	if len(doc.Tags) > 16 {
		b.fail("fact.tags", "has more than 16 keys")
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Tags)) {
		if !tagName.MatchString(name) {
			b.fail("fact.tags."+name, "is no key: at most 40 small letters, digits and underscores")
		}
		f.tags = append(f.tags, tagPlan{key: name, text: b.text("fact.tags."+name, doc.Tags[name])})
	}
	b.plan.fact = f
}

// when compiles the time of a fact: an instant or a period, exactly one.
func (b *builder) when(f *factPlan) {
	occurred, period := b.doc.Fact.Occurred, b.doc.Fact.Period
	if (occurred == nil) == (period == nil) {
		b.fail("fact", "needs either occurred or period, not both")
		return
	}
	if occurred != nil {
		for _, name := range occurred.Columns {
			f.occurred = append(f.occurred, b.column("fact.occurred.columns", name))
		}
		if len(f.occurred) == 0 {
			b.fail("fact.occurred.columns", "is missing")
		}
		var err error
		if f.layout, err = layoutOf(occurred.Layout); err != nil {
			b.fail("fact.occurred.layout", "%v", err)
		}
		f.zoned = occurred.Layout == "rfc3339"
		if occurred.TimeZone == "" && !f.zoned {
			b.fail("fact.occurred.time_zone", "is missing")
		}
		if f.zone, err = time.LoadLocation(occurred.TimeZone); err != nil {
			b.fail("fact.occurred.time_zone", "%q is no IANA time zone", occurred.TimeZone)
		}
		return
	}
	f.year, f.month = b.text("fact.period.year", period.Year), b.text("fact.period.month", period.Month)
	f.from, f.to = b.text("fact.period.from", period.From), b.text("fact.period.to", period.To)
	given := 0
	for _, is := range []bool{f.year != nil, f.month != nil, f.from != nil && f.to != nil} {
		if is {
			given++
		}
	}
	if given != 1 || (f.from == nil) != (f.to == nil) {
		b.fail("fact.period", "needs exactly one of year, month, or from and to")
	}
	if t := f.year; t != nil && t.column == nil && !b.open(t.constant) {
		if _, ok := yearPeriod(t.constant); !ok {
			b.fail("fact.period.year", "%q is no year", t.constant)
		}
	}
}

func (b *builder) place(key string, doc placeDoc) placePlan {
	return placePlan{
		area:     b.area(key+".area", doc.Area),
		facility: b.text(key+".facility", doc.Facility),
		sector:   b.text(key+".sector", doc.Sector),
	}
}
