package event

import (
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// payloadOf writes an event as its payload of the current version. What a
// payload has no place for is lost here and found by Encode, which reads the
// payload back and compares.
func payloadOf(e Event) payload {
	switch e := e.(type) {
	case Recorded:
		return recordOut(e)
	case Corrected:
		return &CorrectedV1{FactID: idOut(e.FactID), Corrects: idOut(e.Corrects), Revision: e.Revision, Reason: e.Reason,
			Was: factOut(e.Was), Is: factOut(e.Is), BookedIn: e.BookedIn, Warnings: warningsOut(e.Warnings)}
	case Moved:
		return &MovedV1{FactID: idOut(e.FactID), Corrects: idOut(e.Corrects), Revision: e.Revision, Reason: e.Reason,
			Was: factOut(e.Was), Is: factOut(e.Is), To: e.To, BookedIn: e.BookedIn, Warnings: warningsOut(e.Warnings)}
	case Arrived:
		return &ArrivedV1{FactID: idOut(e.FactID), Moved: idOut(e.Moved), From: e.From, Revision: e.Revision, Fact: factOut(e.Fact)}
	case Cancelled:
		return &CancelledV1{FactID: idOut(e.FactID), Cancels: idOut(e.Cancels), Revision: e.Revision, Reason: e.Reason,
			Was: factOut(e.Was), BookedIn: e.BookedIn}
	case LedgerClosed:
		p := &LedgerClosedV1{Facility: string(e.Facility), Month: e.Month, Digest: e.Digest, Events: e.Events}
		for _, l := range e.Stock {
			p.Stock = append(p.Stock, StockLineV1{Material: materialOut(l.Material), Net: int64(l.Net)})
		}
		return p
	case FacilityRegistered:
		f := e.Facility
		return &FacilityRegisteredV1{ID: string(f.ID), Revision: e.Revision, Name: f.Name, Area: string(f.Area), Locality: f.Locality,
			Location: pointOut(f.Location), TimeZone: f.TimeZone, Permit: f.Permit, Operations: f.Operations, Source: e.Source}
	case AreaRegistered:
		a := e.Area
		return &AreaRegisteredV1{ID: string(a.ID), Revision: e.Revision, Level: string(a.Level), Name: a.Name, Country: a.Country,
			Code: a.Code, Parent: string(a.Parent), NUTS: a.NUTS, Centre: pointOut(a.Centre), Source: e.Source}
	}
	return nil
}

// FactPayload writes a fact as events about facts carry it, for answers that
// show one beside others.
func FactPayload(f flow.Fact) FactV1 { return factOut(f) }

// recordOut writes the first report of a fact; nil for a kind that does not exist.
func recordOut(e Recorded) payload {
	f := e.Fact
	end := RecordV1{Reason: e.Reason, BookedIn: e.BookedIn, Warnings: warningsOut(e.Warnings)}
	switch f.Kind {
	case flow.Collected:
		return &CollectedV1{CommonV1: commonOut(e), RecordV1: end}
	case flow.Received:
		return &ReceivedV1{CommonV1: commonOut(e), RecordV1: end}
	case flow.Dispatched:
		return &DispatchedV1{CommonV1: commonOut(e), Target: placeOut(f.Target), RecordV1: end}
	case flow.Rejected:
		return &RejectedV1{CommonV1: commonOut(e), Target: placeOut(f.Target), Rejects: f.Rejects, RecordV1: end}
	case flow.Sorted:
		return &SortedV1{CommonV1: commonOut(e), Outputs: outputsOut(f.Outputs), RecordV1: end}
	case flow.Reused:
		return &ReusedV1{CommonV1: commonOut(e), Target: placeOut(f.Target), Outputs: outputsOut(f.Outputs),
			Items: f.Items, Displaces: f.Displaces, RecordV1: end}
	case flow.Recycled:
		return &RecycledV1{CommonV1: commonOut(e), Outputs: outputsOut(f.Outputs), RecordV1: end}
	case flow.Incinerated:
		return &IncineratedV1{CommonV1: commonOut(e), Outputs: outputsOut(f.Outputs), EnergyKWh: f.EnergyKWh, RecordV1: end}
	case flow.Landfilled:
		return &LandfilledV1{CommonV1: commonOut(e), RecordV1: end}
	case flow.Exported:
		return &ExportedV1{CommonV1: commonOut(e), Target: placeOut(f.Target), RecordV1: end}
	case flow.StockCounted:
		return &StockCountedV1{Identity: identityOut(f.Identity), Revision: e.Revision, Facility: string(f.Facility),
			Occurred: timeOut(f.When.Occurred), Material: materialOut(f.Material), Mass: massOut(f.Mass),
			SiteCategory: f.SiteCategory, Tags: f.Tags, RecordV1: end}
	case flow.PeriodReported:
		return &PeriodReportedV1{Identity: identityOut(f.Identity), Revision: e.Revision, Facility: string(f.Facility),
			Period: PeriodV1{From: string(f.When.Period.From), To: string(f.When.Period.To)}, Measure: string(f.Measure),
			Material: materialOut(f.Material), Mass: massOut(f.Mass), Operation: string(f.Operation),
			Origin: placeOut(f.Origin), Target: placeOut(f.Target), SiteCategory: f.SiteCategory, Fate: f.Fate,
			Tags: f.Tags, RecordV1: end}
	}
	return nil
}

func commonOut(e Recorded) CommonV1 {
	f := e.Fact
	return CommonV1{Identity: identityOut(f.Identity), Revision: e.Revision, Facility: string(f.Facility),
		Occurred: timeOut(f.When.Occurred), Material: materialOut(f.Material), Mass: massOut(f.Mass),
		Operation: string(f.Operation), Origin: placeOut(f.Origin), SiteCategory: f.SiteCategory, Fate: f.Fate,
		Consignment: f.Consignment, Tags: f.Tags}
}

func factOut(f flow.Fact) FactV1 {
	return FactV1{Kind: string(f.Kind), Identity: identityOut(f.Identity), Facility: string(f.Facility),
		Occurred: timeOut(f.When.Occurred), Period: PeriodV1{From: string(f.When.Period.From), To: string(f.When.Period.To)},
		Measure: string(f.Measure), Material: materialOut(f.Material), Mass: massOut(f.Mass), Operation: string(f.Operation),
		Origin: placeOut(f.Origin), Target: placeOut(f.Target), SiteCategory: f.SiteCategory, Fate: f.Fate,
		Consignment: f.Consignment, Rejects: f.Rejects, Outputs: outputsOut(f.Outputs), Items: f.Items,
		Displaces: f.Displaces, EnergyKWh: f.EnergyKWh, Tags: f.Tags}
}

func identityOut(id flow.Identity) IdentityV1 {
	return IdentityV1{Reporter: id.Reporter, Source: id.Source, ExternalID: id.ExternalID}
}

func materialOut(m flow.Material) MaterialV1 {
	return MaterialV1{Waste: string(m.Waste), Fraction: m.Fraction, Product: m.Product, Hazardous: m.Hazardous, Form: m.Form}
}

func massOut(m flow.Mass) MassV1 {
	return MassV1{Net: int64(m.Net), Gross: int64(m.Gross), Tare: int64(m.Tare), Method: string(m.Method)}
}

func placeOut(p flow.Place) PlaceV1 {
	return PlaceV1{Area: string(p.Area), Facility: string(p.Facility), Sector: p.Sector}
}

func outputsOut(outputs []flow.Output) []OutputV1 {
	if len(outputs) == 0 {
		return nil
	}
	out := make([]OutputV1, len(outputs))
	for i, o := range outputs {
		out[i] = OutputV1{Role: string(o.Role), Material: materialOut(o.Material), Net: int64(o.Net)}
	}
	return out
}

func warningsOut(warnings []fault.Violation) []WarningV1 {
	if len(warnings) == 0 {
		return nil
	}
	out := make([]WarningV1, len(warnings))
	for i, w := range warnings {
		out[i] = WarningV1{Rule: w.Rule, Field: w.Field, Value: w.Value, Message: w.Message, Line: w.Line}
	}
	return out
}

func pointOut(p area.Point) *PointV1 {
	if p == (area.Point{}) {
		return nil
	}
	return &PointV1{Lat: p.Lat, Lon: p.Lon}
}

func idOut(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// timeOut writes an instant with its offset from UTC, which RFC 3339 has in
// whole minutes; one with seconds is written in UTC.
func timeOut(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return t.Format(time.RFC3339Nano)
}
