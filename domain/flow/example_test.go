package flow_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
)

func ExampleCheck() {
	plant := facility.Facility{ID: "dk-p-1003412345", Name: "Nordværk", TimeZone: "Europe/Copenhagen", Operations: []string{"R12", "D15"}}
	fact := flow.Fact{Kind: flow.Received, Facility: plant.ID,
		Identity:  flow.Identity{Reporter: "dk-p-1003412345", Source: "weighbridge", ExternalID: "42"},
		When:      flow.When{Occurred: time.Date(2024, 3, 5, 9, 0, 0, 0, time.UTC)},
		Material:  flow.Material{Waste: "200301"},
		Mass:      flow.Mass{Net: 12_340_000, Gross: 24_000_000, Tare: 12_000_000, Method: flow.Weighed},
		Operation: "R3", Origin: flow.Place{Area: "dk-0999"}, Fate: "hentet af hr. Jensen"}
	known := func(id area.ID) bool {
		return slices.ContainsFunc(area.BuiltIn(), func(a area.Area) bool { return a.ID == id })
	}
	for _, v := range flow.Check(fact, flow.Context{Now: fact.When.Occurred.Add(time.Hour), Facility: &plant, KnownArea: known}) {
		fmt.Printf("%s %s %q\n", v.Rule, v.Field, v.Value)
	}
	// Output:
	// area-unknown origin.area "dk-0999"
	// mass-net-differs mass.value "12.340000 t"
	// operation-not-permitted operation "R3"
	// personal-data fate "hentet af hr. Jensen"
}
