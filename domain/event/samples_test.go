package event_test

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// minimalFact is a fact of a kind with nothing that can be left out.
func minimalFact(k flow.Kind) flow.Fact {
	f := flow.Fact{Kind: k, Facility: "dk-p-1003412345",
		Identity: flow.Identity{Reporter: "dk-p-1003412345", Source: "weighbridge", ExternalID: "42"},
		Mass:     flow.Mass{Net: 1}}
	if k == flow.PeriodReported {
		f.When.Period = flow.Period{From: "2024-01-01", To: "2025-01-01"}
		f.Measure = flow.MeasureReceived
	} else {
		f.When.Occurred = time.Date(2024, 3, 1, 9, 30, 0, 0, time.UTC)
	}
	if k == flow.Rejected {
		f.Rejects = "41"
	}
	return f
}

// fullFact is a fact of a kind with every field that it has a place for.
func fullFact(k flow.Kind) flow.Fact {
	f := minimalFact(k)
	yes := true
	f.Identity = flow.Identity{Reporter: "Renovest I/S", Source: "vægt/nord", ExternalID: "bon-2024-000042"}
	f.Material = flow.Material{Waste: "170503", Fraction: "food-waste", Product: "compost", Hazardous: &yes, Form: "solid"}
	f.Mass = flow.Mass{Net: 12_340_001, Gross: 24_340_001, Tare: 12_000_000, Method: flow.Weighed}
	f.SiteCategory = "Transfer <i> & \"q\" \u2028"
	f.Tags = map[string]string{"permit_type": "A11 : Household, Commercial & Industrial", "b": "2", "a": "1"}
	if k != flow.PeriodReported {
		f.When.Occurred = time.Date(2024, 3, 1, 9, 30, 0, 120_000_000, time.UTC)
	}
	if k == flow.StockCounted {
		return f
	}
	f.Operation, f.Fate = "R12", "Recovery"
	f.Origin = flow.Place{Area: "dk-0101", Facility: "dk-p-1", Sector: "household"}
	switch k {
	case flow.Dispatched, flow.Rejected, flow.Reused, flow.Exported, flow.PeriodReported:
		f.Target = flow.Place{Area: "se-0114", Facility: "se-9-x", Sector: "industry"}
	default: // has no target
	}
	if k == flow.PeriodReported {
		return f
	}
	f.Consignment = "DK0000012345"
	switch k {
	case flow.Sorted, flow.Reused, flow.Recycled, flow.Incinerated:
		f.Outputs = []flow.Output{
			{Role: flow.RoleOutput, Material: flow.Material{Waste: "191204", Product: "pet"}, Net: 7},
			{Role: flow.RoleLoss, Net: 3}}
	default: // is no treatment
	}
	if k == flow.Reused {
		f.Items, f.Displaces = 17, "chairs"
	}
	if k == flow.Incinerated {
		f.EnergyKWh = 9_007_199_254_740_993 // not a float64
	}
	return f
}

func warnings() []fault.Violation {
	return []fault.Violation{{Rule: "hazard-disagrees", Field: "material.hazardous", Value: "true",
		Message: "declared as hazardous", Line: 7, Severity: fault.Warning}, {Rule: "late", Severity: fault.Warning}}
}

// samples are the events of the golden files, by file name: every type with
// every field set, and with nothing that can be left out.
func samples() map[string]event.Event {
	factID := uuid.MustParse("5d6b1c52-3f0e-5a87-9f0a-7f2f7c0b9a11")
	other := uuid.MustParse("0b9f1a34-55cc-5b1e-8d0d-3a8f1be0c2d2")
	all := map[string]event.Event{}
	for _, k := range flow.Kinds() {
		all[string(k)+".v1.full"] = event.Recorded{Revision: 3, Reason: "came back", Fact: fullFact(k), BookedIn: "202405", Warnings: warnings()}
		all[string(k)+".v1.minimal"] = event.Recorded{Revision: 1, Fact: minimalFact(k)}
	}
	was, is, small := fullFact(flow.Incinerated), fullFact(flow.Reused), minimalFact(flow.Received)
	total := fullFact(flow.PeriodReported)
	all["corrected.v1.full"] = event.Corrected{FactID: factID, Corrects: other, Revision: 2, Reason: "typed wrong",
		Was: was, Is: is, BookedIn: "202405", Warnings: warnings()}
	all["corrected.v1.minimal"] = event.Corrected{FactID: factID, Corrects: other, Revision: 2, Reason: "typed wrong", Was: small, Is: small}
	all["corrected.v1.total"] = event.Corrected{FactID: factID, Corrects: other, Revision: 2, Reason: "typed wrong", Was: total, Is: total}
	all["moved.v1.full"] = event.Moved{FactID: factID, Corrects: other, Revision: 2, Reason: "wrong month", Was: was, Is: is,
		To: "ledger-dk-p-1003412345-202402", BookedIn: "202405", Warnings: warnings()}
	all["moved.v1.minimal"] = event.Moved{FactID: factID, Corrects: other, Revision: 2, Reason: "wrong month", Was: small, Is: small,
		To: "ledger-dk-p-1003412345-202402"}
	all["arrived.v1.full"] = event.Arrived{FactID: factID, Moved: other, From: "ledger-dk-p-1003412345-202403", Revision: 2, Fact: was}
	all["arrived.v1.minimal"] = event.Arrived{FactID: factID, Moved: other, From: "ledger-dk-p-1003412345-202403", Revision: 2, Fact: small}
	all["cancelled.v1.full"] = event.Cancelled{FactID: factID, Cancels: other, Revision: 2, Reason: "never came", Was: was, BookedIn: "202405"}
	all["cancelled.v1.minimal"] = event.Cancelled{FactID: factID, Cancels: other, Revision: 2, Reason: "never came", Was: small}
	digest := strings.Repeat("0123456789abcdef", 4)
	all["ledger.closed.v1.full"] = event.LedgerClosed{Facility: "dk-p-1003412345", Month: "202403", Digest: digest, Events: 12,
		Stock: []event.StockLine{{Material: flow.Material{Waste: "200301", Fraction: "residual", Product: "x", Hazardous: was.Material.Hazardous, Form: "solid"}, Net: -5}, {Net: 7}}}
	all["ledger.closed.v1.minimal"] = event.LedgerClosed{Facility: "dk-p-1003412345", Month: "2024", Digest: digest}
	all["register.facility.v1.full"] = event.FacilityRegistered{Revision: 2, Source: "wdi", Facility: facility.Facility{
		ID: "gb-ea-jp3900bt", Name: "Stowmarket HWRC", Area: "gb-wpa-suffolk", Locality: "Mid Suffolk",
		Location: area.Point{Lat: 52.188761, Lon: 0.996}, TimeZone: "Europe/London", Permit: "JP3900BT", Operations: []string{"R3", "D15"}}}
	all["register.facility.v1.minimal"] = event.FacilityRegistered{Revision: 1, Source: "wdi",
		Facility: facility.Facility{ID: "gb-ea-jp3900bt", TimeZone: "Europe/London"}}
	all["register.area.v1.full"] = event.AreaRegistered{Revision: 2, Source: "built-in", Area: area.Area{ID: "dk-0101",
		Level: area.Municipality, Name: "København", Country: "DK", Code: "0101", Parent: "dk-1084", NUTS: "DK011",
		Centre: area.Point{Lat: 55.6568050384522, Lon: 12.6002769470215}}}
	all["register.area.v1.minimal"] = event.AreaRegistered{Revision: 1, Source: "built-in",
		Area: area.Area{ID: "dk", Level: area.Country, Name: "Danmark", Country: "DK"}}
	for name, e := range all {
		all[name] = event.WithID(e)
	}
	return all
}
