package flows

import (
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/projections/sink"
)

// entry is what all legs of an event share.
type entry struct {
	rec      *eventlog.Recorded
	meta     *event.Meta
	first    uuid.UUID // of the fact's first event; nil when this is it
	revision uint32
	bookedIn string
	reason   string
	warnings []fault.Violation
}

// factColumns are the columns of flow_facts, one slice each.
type factColumns struct {
	position                                                         []uint64
	prepareLag                                                       []int64
	leg, year                                                        []uint16
	sign, events                                                     []int8
	eventID, firstEventID                                            []uuid.UUID
	revision, line                                                   []uint32
	eventType, kind, measure, facility                               []string
	originArea, originFacility, targetArea, targetFacility           []string
	sector, wasteCode, fraction, product, form                       []string
	hazardous                                                        []*bool
	operation, siteCategory, fate, method, displaces                 []string
	mass                                                             sink.Millionths
	items, energy                                                    []int64
	month                                                            []uint8
	period, bookedIn, reporter, source, external, importID, document []string
	occurredOn, untilOn, occurredAt, recordedAt                      []time.Time
	reason                                                           []string
	tags                                                             []map[string]string
	warnings                                                         [][]string
}

// noWarnings and noTags stand in for empty values, so that they cost nothing.
// They are never written to.
var (
	noWarnings = []string{}
	noTags     = map[string]string{}
)

func (c *factColumns) add(at entry, legs []leg) {
	rec := at.rec
	warned := false
	for i := range legs {
		l := &legs[i]
		f := l.fact
		c.position = append(c.position, rec.Position.Commit)
		c.prepareLag = append(c.prepareLag, int64(rec.Position.Commit-rec.Position.Prepare)) //nolint:gosec // wraps back when read
		c.leg = append(c.leg, uint16(i))                                                     //nolint:gosec // at most maxLegs
		c.sign = append(c.sign, l.sign)
		c.eventID = append(c.eventID, rec.ID)
		c.firstEventID = append(c.firstEventID, at.first)
		c.revision = append(c.revision, at.revision)
		c.eventType = append(c.eventType, rec.Type)
		c.kind = append(c.kind, string(f.Kind))
		c.measure = append(c.measure, l.measure)
		c.facility = append(c.facility, string(f.Facility))
		c.addPlaces(l)
		c.wasteCode = append(c.wasteCode, string(l.material.Waste))
		c.fraction = append(c.fraction, l.material.Fraction)
		c.product = append(c.product, l.material.Product)
		c.form = append(c.form, l.material.Form)
		c.hazardous = append(c.hazardous, l.material.Hazardous)
		c.operation = append(c.operation, string(f.Operation))
		c.siteCategory = append(c.siteCategory, f.SiteCategory)
		c.fate = append(c.fate, f.Fate)
		c.addAmounts(l)
		c.addTimes(l)
		c.bookedIn = append(c.bookedIn, at.bookedIn)
		c.recordedAt = append(c.recordedAt, rec.RecordedAt.UTC())
		c.reporter = append(c.reporter, f.Identity.Reporter)
		c.source = append(c.source, f.Identity.Source)
		c.external = append(c.external, f.Identity.ExternalID)
		c.importID = append(c.importID, at.meta.Import)
		c.line = append(c.line, uint32(max(0, at.meta.Line))) //nolint:gosec // lines are counted from 1
		c.document = append(c.document, f.Consignment)
		c.reason = append(c.reason, at.reason)
		tags := f.Tags
		if tags == nil {
			tags = noTags
		}
		c.tags = append(c.tags, tags)
		warnings := noWarnings
		if !warned && l.sign > 0 { // once an event, so that they can be counted
			warned = true
			warnings = rules(at.warnings)
		}
		c.warnings = append(c.warnings, warnings)
	}
}

func (c *factColumns) addPlaces(l *leg) {
	f := l.fact
	c.originArea = append(c.originArea, string(f.Origin.Area))
	c.originFacility = append(c.originFacility, string(f.Origin.Facility))
	c.targetArea = append(c.targetArea, string(f.Target.Area))
	c.targetFacility = append(c.targetFacility, string(f.Target.Facility))
	c.sector = append(c.sector, f.Origin.Sector)
}

func (c *factColumns) addAmounts(l *leg) {
	f := l.fact
	sign := int64(l.sign)
	c.mass = append(c.mass, sign*int64(l.net))
	if !l.main { // an output is no event of its own, and was not weighed by the fact's method
		c.events = append(c.events, 0)
		c.method = append(c.method, "")
		c.items = append(c.items, 0)
		c.energy = append(c.energy, 0)
		c.displaces = append(c.displaces, "")
		return
	}
	c.events = append(c.events, l.sign)
	c.method = append(c.method, string(f.Mass.Method))
	c.items = append(c.items, sign*f.Items)
	c.energy = append(c.energy, sign*f.EnergyKWh)
	c.displaces = append(c.displaces, f.Displaces)
}

func (c *factColumns) addTimes(l *leg) {
	c.year = append(c.year, l.when.year)
	c.month = append(c.month, l.when.month)
	c.period = append(c.period, l.when.period)
	c.occurredOn = append(c.occurredOn, l.when.on)
	c.untilOn = append(c.untilOn, l.when.until)
	c.occurredAt = append(c.occurredAt, l.when.at)
}

func rules(vs []fault.Violation) []string {
	if len(vs) == 0 {
		return noWarnings
	}
	ids := make([]string, len(vs))
	for i, v := range vs {
		ids[i] = v.Rule
	}
	return ids
}

func (c *factColumns) block() sink.Block {
	return sink.Block{Table: FactsTable, Rows: len(c.position), Columns: []sink.Column{
		{Name: "position", Values: c.position}, {Name: "leg", Values: c.leg}, {Name: "prepare_lag", Values: c.prepareLag},
		{Name: "sign", Values: c.sign}, {Name: "event_id", Values: c.eventID}, {Name: "first_event_id", Values: c.firstEventID},
		{Name: "revision", Values: c.revision}, {Name: "event_type", Values: c.eventType}, {Name: "kind", Values: c.kind},
		{Name: "measure", Values: c.measure}, {Name: "facility", Values: c.facility},
		{Name: "origin_area", Values: c.originArea}, {Name: "origin_facility", Values: c.originFacility},
		{Name: "target_area", Values: c.targetArea}, {Name: "target_facility", Values: c.targetFacility},
		{Name: "sector", Values: c.sector},
		{Name: "waste_code", Values: c.wasteCode}, {Name: "fraction", Values: c.fraction}, {Name: "product", Values: c.product},
		{Name: "form", Values: c.form}, {Name: "hazardous_declared", Values: c.hazardous},
		{Name: "operation", Values: c.operation}, {Name: "site_category", Values: c.siteCategory}, {Name: "fate", Values: c.fate},
		{Name: "method", Values: c.method}, {Name: "mass_t", Values: c.mass}, {Name: "events", Values: c.events},
		{Name: "items", Values: c.items}, {Name: "energy_kwh", Values: c.energy}, {Name: "displaces", Values: c.displaces},
		{Name: "year", Values: c.year}, {Name: "month", Values: c.month}, {Name: "period", Values: c.period},
		{Name: "occurred_on", Values: c.occurredOn}, {Name: "until_on", Values: c.untilOn},
		{Name: "occurred_at", Values: c.occurredAt}, {Name: "booked_in", Values: c.bookedIn},
		{Name: "recorded_at", Values: c.recordedAt}, {Name: "reporter", Values: c.reporter}, {Name: "source", Values: c.source},
		{Name: "external_id", Values: c.external}, {Name: "import_id", Values: c.importID}, {Name: "line", Values: c.line},
		{Name: "consignment", Values: c.document}, {Name: "reason", Values: c.reason}, {Name: "tags", Values: c.tags},
		{Name: "warnings", Values: c.warnings},
	}}
}
