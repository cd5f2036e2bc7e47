package profile

import (
	"strconv"
	"strings"
	"time"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// fact reads every field of a row; what is wrong stands in r.bad.
func (d *Decoder) fact(r *row) flow.Fact {
	p := &d.plan.fact
	f := flow.Fact{
		Kind:         flow.Kind(p.kind.of(r)),
		Measure:      flow.Measure(p.measure.of(r)),
		Facility:     d.facility(r),
		When:         p.when(r),
		Operation:    operation.Code(p.parsed(r, p.operation, parseOperation)),
		Origin:       d.place(r, p.origin),
		Target:       d.place(r, p.target),
		SiteCategory: p.siteCategory.of(r),
		Fate:         p.fate.of(r),
		Consignment:  p.consignment.of(r),
		Rejects:      p.rejects.of(r),
		Displaces:    p.displaces.of(r),
		Items:        integer(r, p.items),
		EnergyKWh:    integer(r, p.energy),
	}
	f.Material = flow.Material{
		Waste:     waste.Code(p.parsed(r, p.waste, parseWaste)),
		Fraction:  p.fraction.of(r),
		Product:   p.product.of(r),
		Form:      p.form.of(r),
		Hazardous: p.flag(r),
	}
	f.Mass = flow.Mass{
		Net:    p.grams(r, p.net, true),
		Gross:  p.grams(r, p.gross, false),
		Tare:   p.grams(r, p.tare, false),
		Method: flow.Method(p.method.of(r)),
	}
	if len(p.tags) > 0 {
		f.Tags = make(map[string]string, len(p.tags))
		for _, t := range p.tags {
			if value := t.text.of(r); value != "" {
				f.Tags[t.key] = value
			}
		}
	}
	return f
}

// parsed reads a text whose spelling is a code of the domain. The memo of the
// text holds what the code became.
func (p *factPlan) parsed(r *row, t *text, parse func(string) (string, error)) string {
	value := t.of(r)
	if value == "" {
		return ""
	}
	code, err := parse(value)
	if err == nil {
		return code
	}
	if t.column != nil {
		value = string(t.raw(r))
	}
	r.violate(*violation(flow.ReadRule(err), t.shown(), value, ""))
	return ""
}

func parseOperation(s string) (string, error) {
	c, err := operation.Parse(s)
	return string(c), err
}

func parseWaste(s string) (string, error) {
	c, err := waste.ParseCode(s)
	return string(c), err
}

// grams reads a mass exactly.
func (p *factPlan) grams(r *row, c *column, required bool) mass.Grams {
	if c == nil {
		return 0
	}
	raw := r.raw(c)
	if len(raw) == 0 {
		if required {
			r.violate(*violation(RuleValueMissing, c, "", ""))
		}
		return 0
	}
	text, ok := r.plain(c, raw)
	if !ok {
		r.violate(*violation(flow.RuleMassMalformed, c, string(raw), "%s", r.plan.numberForm()))
		return 0
	}
	g, err := mass.Parse(text, p.unit)
	if err != nil {
		r.violate(*violation(flow.ReadRule(err), c, string(raw), ""))
	}
	return g
}

func integer(r *row, c *column) int64 {
	if c == nil {
		return 0
	}
	raw := r.raw(c)
	if len(raw) == 0 {
		return 0
	}
	text, ok := r.plain(c, raw)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !ok {
		r.violate(*violation(RuleNumberSyntax, c, string(raw), "It must be a whole number."))
	}
	return n
}

func (p *factPlan) flag(r *row) *bool {
	if p.hazardous == nil {
		return nil
	}
	raw := r.raw(p.hazardous)
	if len(raw) == 0 {
		return nil
	}
	is, ok := p.flags[string(raw)]
	if !ok {
		r.violate(*violation(RuleFlagUnknown, p.hazardous, string(raw), ""))
		return nil
	}
	return &is
}

func (p *factPlan) when(r *row) flow.When {
	if len(p.occurred) > 0 {
		return flow.When{Occurred: p.instant(r)}
	}
	if p.from != nil {
		return flow.When{Period: flow.Period{From: flow.Date(p.from.of(r)), To: flow.Date(p.to.of(r))}}
	}
	t, read, form := p.year, yearPeriod, "a year such as 2019"
	if p.month != nil {
		t, read, form = p.month, monthPeriod, "a month such as 2019-03"
	}
	known := len(r.bad)
	value := t.of(r)
	if len(r.bad) > known {
		return flow.When{}
	}
	period, ok := read(value)
	if !ok {
		r.violate(*violation(RuleTimeSyntax, t.shown(), value, "It must be %s.", form))
	}
	return flow.When{Period: period}
}

// instant reads date and time, joined by blanks when they stand in several
// columns, in the profile's time zone. The hour that is repeated when clocks
// go back is read as its first pass; a time that clocks skip is none.
func (p *factPlan) instant(r *row) time.Time {
	parts := make([]string, len(p.occurred))
	for i := range p.occurred {
		parts[i] = p.clock(r, i)
	}
	value := strings.Join(parts, " ")
	t, err := time.ParseInLocation(p.layout, value, p.zone)
	if err != nil {
		r.violate(*violation(RuleTimeSyntax, p.occurred[0], value, ""))
		return time.Time{}
	}
	if p.zoned {
		return t.UTC()
	}
	wall, err := time.Parse(p.layout, value)
	if err != nil || !sameWall(t, wall) {
		r.violate(*violation(RuleTimeSyntax, p.occurred[0], value, "The clocks of %s skip this time.", p.zone))
		return time.Time{}
	}
	for _, d := range [...]time.Duration{time.Hour, 30 * time.Minute} {
		if earlier := t.Add(-d); sameWall(earlier, wall) {
			return earlier.UTC()
		}
	}
	return t.UTC()
}

// sameWall tells whether a clock in t's zone shows what wall shows.
func sameWall(t, wall time.Time) bool {
	return t.Format(time.DateTime) == wall.Format(time.DateTime)
}

func yearPeriod(s string) (flow.Period, bool) {
	t, err := time.Parse("2006", s)
	if err != nil {
		return flow.Period{}, false
	}
	return flow.Period{From: flow.Date(t.Format(time.DateOnly)), To: flow.Date(t.AddDate(1, 0, 0).Format(time.DateOnly))}, true
}

func monthPeriod(s string) (flow.Period, bool) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return flow.Period{}, false
	}
	return flow.Period{From: flow.Date(t.Format(time.DateOnly)), To: flow.Date(t.AddDate(0, 1, 0).Format(time.DateOnly))}, true
}

func (d *Decoder) place(r *row, p placePlan) flow.Place {
	place := flow.Place{Facility: facility.ID(p.facility.of(r)), Sector: p.sector.of(r)}
	if p.area >= 0 {
		place.Area = d.area(r, p.area)
	}
	return place
}
