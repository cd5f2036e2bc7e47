package event

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// reading turns the texts of a payload into the domain's types and keeps the
// first text that the type cannot hold. It checks form, not rules: the rules
// of the day an event was recorded need not be those of today, so that a code
// is checked to be six digits, not to be on the list.
type reading struct{ err error }

func (r *reading) fail(field, value, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %q is not %s", field, value[:min(len(value), 200)], want)
	}
}

func (r *reading) require(field, value string) string {
	if value == "" {
		r.fail(field, value, "given")
	}
	return value
}

func (r *reading) revision(n uint32) uint32 {
	if n == 0 {
		r.fail("revision", "0", "1 or more")
	}
	return n
}

func (r *reading) id(field, s string) uuid.UUID {
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s || id == uuid.Nil {
		r.fail(field, s, "a UUID in lower case with dashes")
	}
	return id
}

func (r *reading) identity(p IdentityV1) flow.Identity {
	r.require("identity.reporter", p.Reporter)
	r.require("identity.source", p.Source)
	r.require("identity.external_id", p.ExternalID)
	return flow.Identity{Reporter: p.Reporter, Source: p.Source, ExternalID: p.ExternalID}
}

func (r *reading) facility(field, s string) facility.ID {
	if !facility.ID(s).Valid() {
		r.fail(field, s, "a facility id (3 to 80 of a-z, 0-9 and dash)")
	}
	return facility.ID(s)
}

func (r *reading) optionalFacility(field, s string) facility.ID {
	if s == "" {
		return ""
	}
	return r.facility(field, s)
}

func (r *reading) area(field, s string) area.ID {
	if s != "" && !area.ID(s).Valid() {
		r.fail(field, s, "an area id (2 to 80 of a-z, 0-9 and dash)")
	}
	return area.ID(s)
}

// maxOffset is the largest distance of a clock from UTC.
const maxOffset = 14 * 60 * 60 // seconds

func (r *reading) time(field, s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	_, offset := t.Zone()
	if err != nil || offset > maxOffset || offset < -maxOffset || timeOut(t) != s {
		r.fail(field, s, "a time with its offset from UTC, such as 2024-03-01T10:30:00+01:00 or 2024-03-01T09:30:00Z")
		return time.Time{}
	}
	if offset == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", offset))
}

func (r *reading) month(field, s string, alsoYear bool) string {
	switch {
	case s == "":
	case len(s) == 6 && isDigits(s) && s[4:] >= "01" && s[4:] <= "12":
	case len(s) == 4 && isDigits(s) && alsoYear:
	default:
		r.fail(field, s, "a month such as 202403")
	}
	return s
}

func (r *reading) period(p PeriodV1) flow.Period {
	out := flow.Period{From: flow.Date(p.From), To: flow.Date(p.To)}
	if _, ok := out.Days(); !ok {
		r.fail("period", p.From+" to "+p.To, "two days YYYY-MM-DD in order")
	}
	return out
}

func (r *reading) material(field string, p MaterialV1) flow.Material {
	if p.Waste != "" && (len(p.Waste) != 6 || !isDigits(p.Waste)) {
		r.fail(field+".waste", p.Waste, "a code of six digits")
	}
	return flow.Material{Waste: waste.Code(p.Waste), Fraction: p.Fraction, Product: p.Product, Hazardous: p.Hazardous, Form: p.Form}
}

func (r *reading) mass(p MassV1) flow.Mass {
	if p.Method != "" && !flow.Method(p.Method).Valid() {
		r.fail("mass.method", p.Method, "a method of measurement")
	}
	return flow.Mass{Net: mass.Grams(p.Net), Gross: mass.Grams(p.Gross), Tare: mass.Grams(p.Tare), Method: flow.Method(p.Method)}
}

func (r *reading) operation(s string) operation.Code {
	if s != "" && !operation.Code(s).Valid() {
		r.fail("operation", s, "R1 to R13, D1 to D15, NS or OF")
	}
	return operation.Code(s)
}

func (r *reading) place(field string, p PlaceV1) flow.Place {
	return flow.Place{Area: r.area(field+".area", p.Area), Facility: r.optionalFacility(field+".facility", p.Facility), Sector: p.Sector}
}

func (r *reading) outputs(ps []OutputV1) []flow.Output {
	if len(ps) == 0 {
		return nil
	}
	out := make([]flow.Output, len(ps))
	for i, p := range ps {
		field := fmt.Sprintf("outputs[%d]", i)
		if !flow.OutputRole(p.Role).Valid() {
			r.fail(field+".role", p.Role, "a role of an output")
		}
		out[i] = flow.Output{Role: flow.OutputRole(p.Role), Material: r.material(field+".material", p.Material), Net: mass.Grams(p.Net)}
	}
	return out
}

func (r *reading) measure(s string) flow.Measure {
	if !flow.Measure(s).Valid() {
		r.fail("measure", s, "a measure")
	}
	return flow.Measure(s)
}

func (r *reading) warnings(ps []WarningV1) []fault.Violation {
	if len(ps) == 0 {
		return nil
	}
	out := make([]fault.Violation, len(ps))
	for i, p := range ps {
		r.require("warnings.rule", p.Rule)
		out[i] = fault.Violation{Rule: p.Rule, Field: p.Field, Value: p.Value, Message: p.Message, Line: p.Line, Severity: fault.Warning}
	}
	return out
}

func (r *reading) tags(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

func (r *reading) point(field string, p *PointV1) area.Point {
	if p == nil {
		return area.Point{}
	}
	out := area.Point{Lat: p.Lat, Lon: p.Lon}
	if !out.Valid() {
		r.fail(field, fmt.Sprintf("%g, %g", p.Lat, p.Lon), "a place on the earth in degrees")
	}
	return out
}

func (r *reading) common(kind flow.Kind, p CommonV1) flow.Fact {
	return flow.Fact{Kind: kind, Identity: r.identity(p.Identity), Facility: r.facility("facility", p.Facility),
		When: flow.When{Occurred: r.time("occurred", p.Occurred)}, Material: r.material("material", p.Material),
		Mass: r.mass(p.Mass), Operation: r.operation(p.Operation), Origin: r.place("origin", p.Origin),
		SiteCategory: p.SiteCategory, Fate: p.Fate, Consignment: p.Consignment, Tags: r.tags(p.Tags)}
}

func (r *reading) fact(field string, p FactV1) flow.Fact {
	before := r.err
	f := flow.Fact{Kind: flow.Kind(p.Kind), Identity: r.identity(p.Identity), Facility: r.facility("facility", p.Facility),
		Material: r.material("material", p.Material), Mass: r.mass(p.Mass), Operation: r.operation(p.Operation),
		Origin: r.place("origin", p.Origin), Target: r.place("target", p.Target), SiteCategory: p.SiteCategory, Fate: p.Fate,
		Consignment: p.Consignment, Rejects: p.Rejects, Outputs: r.outputs(p.Outputs), Items: p.Items,
		Displaces: p.Displaces, EnergyKWh: p.EnergyKWh, Tags: r.tags(p.Tags)}
	if !f.Kind.Valid() {
		r.fail("kind", p.Kind, "a kind of fact")
	}
	if f.Kind == flow.PeriodReported {
		f.When.Period, f.Measure = r.period(p.Period), r.measure(p.Measure)
		if p.Occurred != "" {
			r.fail("occurred", p.Occurred, "for period totals")
		}
	} else {
		f.When.Occurred = r.time("occurred", p.Occurred)
		if p.Period != (PeriodV1{}) || p.Measure != "" {
			r.fail("measure", p.Measure, "for single facts, nor is a period")
		}
	}
	if before == nil && r.err != nil {
		r.err = fmt.Errorf("%s.%w", field, r.err)
	}
	return f
}

// record makes a Recorded of a fact and the end of its payload.
func (r *reading) record(f flow.Fact, revision uint32, end RecordV1) (Event, error) {
	e := Recorded{Revision: r.revision(revision), Reason: end.Reason, Fact: f,
		BookedIn: r.month("booked_in", end.BookedIn, false), Warnings: r.warnings(end.Warnings)}
	if r.err != nil {
		return nil, r.err
	}
	e.ID = IDOf(e)
	return e, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
