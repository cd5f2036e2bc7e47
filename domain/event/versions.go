package event

import (
	"slices"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// payload is a payload type of some version. The payload of the current
// version makes the event itself; that of an older one upcasts: it builds the
// payload of the next version and asks that one. A new version is therefore
// a struct, its event method, one changed method on the version before, and
// one line in versions.
type payload interface {
	event() (Event, error)
}

// version is one event type of the log: its name and its payload type.
type version struct {
	name string
	new  func() payload
	doc  string
}

// versions lists every event type that was ever written, oldest version
// first within a name. Nothing is ever taken out.
func versions() []version { return slices.Clone(allVersions[:]) }

var allVersions = [...]version{
	{FactType(flow.Collected), func() payload { return new(CollectedV1) }, "waste was collected in an area"},
	{FactType(flow.Received), func() payload { return new(ReceivedV1) }, "a load came in"},
	{FactType(flow.Dispatched), func() payload { return new(DispatchedV1) }, "a load went out"},
	{FactType(flow.Rejected), func() payload { return new(RejectedV1) }, "a load, or part of one, was refused on reception"},
	{FactType(flow.Sorted), func() payload { return new(SortedV1) }, "one input was sorted into outputs, residue and loss"},
	{FactType(flow.Reused), func() payload { return new(ReusedV1) }, "waste was prepared for reuse"},
	{FactType(flow.Recycled), func() payload { return new(RecycledV1) }, "waste entered a recycling operation"},
	{FactType(flow.Incinerated), func() payload { return new(IncineratedV1) }, "waste was incinerated"},
	{FactType(flow.Landfilled), func() payload { return new(LandfilledV1) }, "waste was disposed of on land for good"},
	{FactType(flow.Exported), func() payload { return new(ExportedV1) }, "a load left the country"},
	{FactType(flow.StockCounted), func() payload { return new(StockCountedV1) }, "the stock of a material was counted"},
	{FactType(flow.PeriodReported), func() payload { return new(PeriodReportedV1) }, "the total of a period was reported"},
	{TypeCorrected, func() payload { return new(CorrectedV1) }, "a fact is otherwise than recorded, within its ledger"},
	{TypeMoved, func() payload { return new(MovedV1) }, "a fact belongs to another month or facility; moves its mass"},
	{TypeArrived, func() payload { return new(ArrivedV1) }, "a fact was moved into this ledger; carries no mass of its own"},
	{TypeCancelled, func() payload { return new(CancelledV1) }, "a fact did not happen"},
	{TypeLedgerClosed, func() payload { return new(LedgerClosedV1) }, "the books of a ledger were closed"},
	{TypeFacility, func() payload { return new(FacilityRegisteredV1) }, "what is known of a facility from now on"},
	{TypeArea, func() payload { return new(AreaRegisteredV1) }, "what is known of an area from now on"},
}

func (p *CollectedV1) event() (Event, error) {
	var r reading
	return r.record(r.common(flow.Collected, p.CommonV1), p.Revision, p.RecordV1)
}

func (p *ReceivedV1) event() (Event, error) {
	var r reading
	return r.record(r.common(flow.Received, p.CommonV1), p.Revision, p.RecordV1)
}

func (p *DispatchedV1) event() (Event, error) {
	var r reading
	f := r.common(flow.Dispatched, p.CommonV1)
	f.Target = r.place("target", p.Target)
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *RejectedV1) event() (Event, error) {
	var r reading
	f := r.common(flow.Rejected, p.CommonV1)
	f.Target, f.Rejects = r.place("target", p.Target), r.require("rejects", p.Rejects)
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *SortedV1) event() (Event, error) {
	var r reading
	f := r.common(flow.Sorted, p.CommonV1)
	f.Outputs = r.outputs(p.Outputs)
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *ReusedV1) event() (Event, error) {
	var r reading
	f := r.common(flow.Reused, p.CommonV1)
	f.Target, f.Outputs = r.place("target", p.Target), r.outputs(p.Outputs)
	f.Items, f.Displaces = p.Items, p.Displaces
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *RecycledV1) event() (Event, error) {
	var r reading
	f := r.common(flow.Recycled, p.CommonV1)
	f.Outputs = r.outputs(p.Outputs)
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *IncineratedV1) event() (Event, error) {
	var r reading
	f := r.common(flow.Incinerated, p.CommonV1)
	f.Outputs, f.EnergyKWh = r.outputs(p.Outputs), p.EnergyKWh
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *LandfilledV1) event() (Event, error) {
	var r reading
	return r.record(r.common(flow.Landfilled, p.CommonV1), p.Revision, p.RecordV1)
}

func (p *ExportedV1) event() (Event, error) {
	var r reading
	f := r.common(flow.Exported, p.CommonV1)
	f.Target = r.place("target", p.Target)
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *StockCountedV1) event() (Event, error) {
	var r reading
	f := flow.Fact{Kind: flow.StockCounted, Identity: r.identity(p.Identity), Facility: r.facility("facility", p.Facility),
		When: flow.When{Occurred: r.time("occurred", p.Occurred)}, Material: r.material("material", p.Material),
		Mass: r.mass(p.Mass), SiteCategory: p.SiteCategory, Tags: r.tags(p.Tags)}
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *PeriodReportedV1) event() (Event, error) {
	var r reading
	f := flow.Fact{Kind: flow.PeriodReported, Identity: r.identity(p.Identity), Facility: r.facility("facility", p.Facility),
		When: flow.When{Period: r.period(p.Period)}, Measure: r.measure(p.Measure), Material: r.material("material", p.Material),
		Mass: r.mass(p.Mass), Operation: r.operation(p.Operation), Origin: r.place("origin", p.Origin),
		Target: r.place("target", p.Target), SiteCategory: p.SiteCategory, Fate: p.Fate, Tags: r.tags(p.Tags)}
	return r.record(f, p.Revision, p.RecordV1)
}

func (p *CorrectedV1) event() (Event, error) {
	var r reading
	e := Corrected{FactID: r.id("fact_id", p.FactID), Corrects: r.id("corrects", p.Corrects), Revision: r.revision(p.Revision),
		Reason: r.require("reason", p.Reason), Was: r.fact("was", p.Was), Is: r.fact("is", p.Is),
		BookedIn: r.month("booked_in", p.BookedIn, false), Warnings: r.warnings(p.Warnings)}
	e.ID = IDOf(e)
	return e, r.err
}

func (p *MovedV1) event() (Event, error) {
	var r reading
	e := Moved{FactID: r.id("fact_id", p.FactID), Corrects: r.id("corrects", p.Corrects), Revision: r.revision(p.Revision),
		Reason: r.require("reason", p.Reason), Was: r.fact("was", p.Was), Is: r.fact("is", p.Is), To: r.require("to", p.To),
		BookedIn: r.month("booked_in", p.BookedIn, false), Warnings: r.warnings(p.Warnings)}
	e.ID = IDOf(e)
	return e, r.err
}

func (p *ArrivedV1) event() (Event, error) {
	var r reading
	e := Arrived{FactID: r.id("fact_id", p.FactID), Moved: r.id("moved", p.Moved), From: r.require("from", p.From),
		Revision: r.revision(p.Revision), Fact: r.fact("fact", p.Fact)}
	e.ID = IDOf(e)
	return e, r.err
}

func (p *CancelledV1) event() (Event, error) {
	var r reading
	e := Cancelled{FactID: r.id("fact_id", p.FactID), Cancels: r.id("cancels", p.Cancels), Revision: r.revision(p.Revision),
		Reason: r.require("reason", p.Reason), Was: r.fact("was", p.Was), BookedIn: r.month("booked_in", p.BookedIn, false)}
	e.ID = IDOf(e)
	return e, r.err
}

func (p *LedgerClosedV1) event() (Event, error) {
	var r reading
	e := LedgerClosed{Facility: r.facility("facility", p.Facility), Month: r.month("month", r.require("month", p.Month), true),
		Digest: p.Digest, Events: p.Events}
	if len(p.Digest) != 64 || !isHex(p.Digest) {
		r.fail("digest", p.Digest, "64 hexadecimal digits in lower case")
	}
	for _, l := range p.Stock {
		e.Stock = append(e.Stock, StockLine{Material: r.material("stock.material", l.Material), Net: mass64(l.Net)})
	}
	e.ID = IDOf(e)
	return e, r.err
}

func (p *FacilityRegisteredV1) event() (Event, error) {
	var r reading
	e := FacilityRegistered{Revision: r.revision(p.Revision), Source: r.require("source", p.Source),
		Facility: facility.Facility{ID: r.facility("id", p.ID), Name: p.Name, Area: r.area("area", p.Area), Locality: p.Locality,
			Location: r.point("location", p.Location), TimeZone: r.require("time_zone", p.TimeZone), Permit: p.Permit}}
	if len(p.Operations) > 0 {
		e.Facility.Operations = p.Operations
	}
	e.ID = IDOf(e)
	return e, r.err
}

func (p *AreaRegisteredV1) event() (Event, error) {
	var r reading
	e := AreaRegistered{Revision: r.revision(p.Revision), Source: r.require("source", p.Source),
		Area: area.Area{ID: r.area("id", r.require("id", p.ID)), Level: area.Level(p.Level), Name: r.require("name", p.Name),
			Country: p.Country, Code: p.Code, Parent: r.area("parent", p.Parent), NUTS: p.NUTS, Centre: r.point("centre", p.Centre)}}
	if !e.Area.Level.Valid() {
		r.fail("level", p.Level, "country, region or municipality")
	}
	e.ID = IDOf(e)
	return e, r.err
}
