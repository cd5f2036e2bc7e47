package ledger

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

func TestPackedFactsReadBackWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var shared texts
	var arena []byte
	type kept struct {
		fact     flow.Fact
		from, to int
	}
	var all []kept
	for range 500 {
		f := anyFact(rng)
		from := len(arena)
		arena = shared.pack(arena, f)
		all = append(all, kept{f, from, len(arena)})
	}
	for _, k := range all {
		got := shared.unpack(arena[k.from:k.to])
		require.Empty(t, cmp.Diff(k.fact, got))
		require.Equal(t, k.fact.ContentHash(), got.ContentHash())
	}
}

// anyFact sets every field at random, whatever its kind.
func anyFact(rng *rand.Rand) flow.Fact {
	text := func() string { return []string{"", "a", "bb", "æ", "d d"}[rng.IntN(5)] }
	number := func() int64 { return rng.Int64() * int64(rng.IntN(3)-1) }
	material := func() flow.Material {
		m := flow.Material{Waste: waste.Code(text()), Fraction: text(), Product: text(), Form: text()}
		if rng.IntN(2) == 0 {
			declared := rng.IntN(2) == 0
			m.Hazardous = &declared
		}
		return m
	}
	place := func() flow.Place {
		return flow.Place{Area: area.ID(text()), Facility: facility.ID(text()), Sector: text()}
	}
	f := flow.Fact{Kind: flow.Kind(text()), Identity: flow.Identity{Reporter: text(), Source: text(), ExternalID: text()}, Facility: facility.ID(text()),
		When: flow.When{Period: flow.Period{From: flow.Date(text()), To: flow.Date(text())}}, Measure: flow.Measure(text()), Material: material(),
		Mass:      flow.Mass{Net: mass.Grams(number()), Gross: mass.Grams(number()), Tare: mass.Grams(number()), Method: flow.Method(text())},
		Operation: operation.Code(text()), Origin: place(), Target: place(), SiteCategory: text(), Fate: text(), Consignment: text(),
		Rejects: text(), Items: number(), Displaces: text(), EnergyKWh: number()}
	if rng.IntN(2) == 0 {
		f.When.Occurred = time.Unix(number()/1000, rng.Int64N(1e9)).UTC()
	}
	for range rng.IntN(4) {
		f.Outputs = append(f.Outputs, flow.Output{Role: flow.OutputRole(text()), Material: material(), Net: mass.Grams(number())})
	}
	for range rng.IntN(4) {
		if f.Tags == nil {
			f.Tags = map[string]string{}
		}
		f.Tags[text()] = text()
	}
	return f
}
