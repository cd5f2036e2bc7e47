package event_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// TestWhatCheckAcceptsCanBeRecorded spoils sound facts at random, so that
// some pass flow.Check and some do not, and sees that Encode takes every one
// that does: nothing is accepted that the log could not hold.
func TestWhatCheckAcceptsCanBeRecorded(t *testing.T) {
	fac := facility.Facility{ID: "dk-p-1003412345"}
	ctx := flow.Context{Now: time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), Facility: &fac, KnownArea: area.ID.Valid}
	rng := rand.New(rand.NewPCG(3, 4))
	accepted, refused := map[flow.Kind]int{}, 0
	for range 30_000 {
		f := spoiltFact(rng)
		violations := flow.Check(f, ctx)
		var warnings []fault.Violation
		for _, v := range violations {
			if v.Severity == fault.Warning {
				warnings = append(warnings, v)
			}
		}
		if len(warnings) < len(violations) {
			refused++
			continue
		}
		accepted[f.Kind]++
		_, err := event.Encode(event.WithID(event.Recorded{Revision: 1, Fact: f, Warnings: warnings}))
		require.NoError(t, err, "%+v", f)
		_, err = event.Encode(event.WithID(event.Cancelled{FactID: event.IDOf(event.Recorded{Fact: f}), Cancels: event.IDOf(event.Recorded{Fact: f}),
			Revision: 2, Reason: "x", Was: f}))
		require.NoError(t, err, "%+v", f)
	}
	for _, k := range flow.Kinds() {
		require.Greater(t, accepted[k], 100, k)
	}
	require.Greater(t, refused, 5_000)
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// spoiltFact is a fact that every field of which may be right or wrong.
func spoiltFact(rng *rand.Rand) flow.Fact {
	kinds := append(flow.Kinds(), "burnt")
	f := minimalFact(kinds[rng.IntN(len(kinds))])
	f.Material.Waste, f.Mass.Method = "200301", flow.Weighed
	switch f.Kind {
	case flow.Collected:
		f.Origin.Area = "dk-0101"
	case flow.Dispatched, flow.Exported:
		f.Target.Area = "de"
	case flow.Sorted:
		f.Mass.Net, f.Outputs = 10, []flow.Output{{Role: flow.RoleOutput, Material: f.Material, Net: 9}}
	case flow.Recycled:
		f.Operation = "R3"
	case flow.Incinerated:
		f.Operation = "R1"
	case flow.Landfilled:
		f.Operation = "D5"
	case flow.Received, flow.Rejected, flow.Reused, flow.StockCounted, flow.PeriodReported:
	}
	text := func() string {
		return pick(rng, "", "a", "Ærø & co", "\u2028", "a\u00a0b", "a\xff", "\uFFFD", "a\tb", strings.Repeat("å", 100), strings.Repeat("å", 101), "null", `"\`)
	}
	places := func() flow.Place {
		return flow.Place{Area: pick[area.ID](rng, "", "dk-0101", "DK", "d"), Facility: pick[facility.ID](rng, "", "dk-p-2", "x", "A B C"),
			Sector: pick(rng, "", "household", "Hus holdning")}
	}
	for range rng.IntN(4) {
		switch rng.IntN(20) {
		case 0:
			f.Identity.ExternalID = text()
		case 1:
			f.Identity.Source = text()
		case 2:
			f.When.Occurred = pick(rng, time.Time{}, time.Unix(0, 0).UTC(), time.Date(2024, 12, 31, 23, 59, 59, 999_999_999, time.FixedZone("x", 3600)),
				time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC))
		case 3:
			f.When.Period = pick(rng, flow.Period{}, flow.Period{From: "2023-01-01", To: "2024-01-01"}, flow.Period{From: "0000-01-01", To: "0000-02-01"}, flow.Period{From: "x"})
		case 4:
			f.Measure = pick(rng, flow.MeasureReceived, "", "loss")
		case 5:
			f.Material.Waste = pick[waste.Code](rng, "", "170503", "209999", "17 05 03")
		case 6:
			f.Material.Product, f.Material.Fraction = text(), pick(rng, "", "food-waste", "H.01", "mad affald")
		case 7:
			f.Material.Hazardous, f.Material.Form = pick(rng, nil, new(bool)), pick(rng, "", "solid", "Solid")
		case 8:
			f.Mass.Net = pick[mass.Grams](rng, 0, 1, -1, 40_000_001, flow.MaxLoad, flow.MaxTotal, flow.MaxTotal+1, 1<<63-1, -1<<63)
		case 9:
			f.Mass.Gross, f.Mass.Tare = pick[mass.Grams](rng, 0, 3, -1<<63), pick[mass.Grams](rng, 0, 2, 1<<63-1)
		case 10:
			f.Mass.Method = pick(rng, flow.Weighed, flow.Estimated, "", "guessed")
		case 11:
			f.Operation = pick[operation.Code](rng, "", "R1", "R3", "R12", "D5", "D10", "D15", "NS", "OF", "R03", "X")
		case 12:
			f.Origin = places()
		case 13:
			f.Target = places()
		case 14:
			f.SiteCategory, f.Fate = text(), text()
		case 15:
			f.Consignment, f.Rejects = text(), text()
		case 16:
			f.Outputs = append(f.Outputs, flow.Output{Role: pick(rng, append(flow.Roles(), "gain")...), Material: f.Material, Net: pick[mass.Grams](rng, 0, 1, -1, 1<<63-1)})
		case 17:
			f.Items, f.Displaces = pick[int64](rng, 0, 1, -1, 1<<63-1), text()
		case 18:
			f.EnergyKWh = pick[int64](rng, 0, 1, -1, 1<<63-1)
		case 19:
			f.Tags = map[string]string{pick(rng, "a", "permit_type", "Permit", "", "driver"): text()}
		}
	}
	return f
}
