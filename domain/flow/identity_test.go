package flow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/flow"
)

func TestIdentityHashKeepsFieldsApart(t *testing.T) {
	a := flow.Identity{Reporter: "plant-1", Source: "s", ExternalID: "42"}
	b := flow.Identity{Reporter: "plant", Source: "1-s", ExternalID: "42"}
	c := flow.Identity{Reporter: "plant-1", Source: "s4", ExternalID: "2"}
	require.NotEqual(t, a.Hash(), b.Hash())
	require.NotEqual(t, a.Hash(), c.Hash())
	require.Equal(t, a.Hash(), a.Hash())
	require.True(t, flow.Identity{}.IsZero())
	require.Contains(t, a.String(), "plant-1")
}

// changes are one change of every field of a fact, by the name Diff gives it.
func changes() map[string]func(*flow.Fact) {
	yes := true
	return map[string]func(*flow.Fact){
		"kind":                func(f *flow.Fact) { f.Kind = flow.Recycled },
		"facility":            func(f *flow.Fact) { f.Facility = "dk-p-9" },
		"occurred":            func(f *flow.Fact) { f.When.Occurred = f.When.Occurred.Add(time.Nanosecond) },
		"period.from":         func(f *flow.Fact) { f.When.Period.From = "2024-01-01" },
		"period.to":           func(f *flow.Fact) { f.When.Period.To = "2024-01-01" },
		"measure":             func(f *flow.Fact) { f.Measure = "received" },
		"material.waste_code": func(f *flow.Fact) { f.Material.Waste = "191212" },
		"material.fraction":   func(f *flow.Fact) { f.Material.Fraction = "paper" },
		"material.product":    func(f *flow.Fact) { f.Material.Product = "x" },
		"material.hazardous":  func(f *flow.Fact) { f.Material.Hazardous = &yes },
		"material.form":       func(f *flow.Fact) { f.Material.Form = "liquid" },
		"mass.value":          func(f *flow.Fact) { f.Mass.Net++ },
		"mass.gross":          func(f *flow.Fact) { f.Mass.Gross++ },
		"mass.tare":           func(f *flow.Fact) { f.Mass.Tare++ },
		"mass.method":         func(f *flow.Fact) { f.Mass.Method = flow.Declared },
		"operation":           func(f *flow.Fact) { f.Operation = "D15" },
		"origin.area":         func(f *flow.Fact) { f.Origin.Area = "dk-0147" },
		"origin.facility":     func(f *flow.Fact) { f.Origin.Facility = "dk-p-4" },
		"origin.sector":       func(f *flow.Fact) { f.Origin.Sector = "industry" },
		"target.area":         func(f *flow.Fact) { f.Target.Area = "dk-0147" },
		"target.facility":     func(f *flow.Fact) { f.Target.Facility = "dk-p-4" },
		"target.sector":       func(f *flow.Fact) { f.Target.Sector = "industry" },
		"site_category":       func(f *flow.Fact) { f.SiteCategory = "MRS" },
		"fate":                func(f *flow.Fact) { f.Fate = "Landfill" },
		"consignment":         func(f *flow.Fact) { f.Consignment = "8" },
		"rejects":             func(f *flow.Fact) { f.Rejects = "8" },
		"items":               func(f *flow.Fact) { f.Items = 8 },
		"displaces":           func(f *flow.Fact) { f.Displaces = "tables" },
		"energy_kwh":          func(f *flow.Fact) { f.EnergyKWh = 8 },
		"outputs[0]":          func(f *flow.Fact) { f.Outputs[0].Net++ },
		"outputs[1]":          func(f *flow.Fact) { f.Outputs = f.Outputs[:1] },
		"outputs[2]":          func(f *flow.Fact) { f.Outputs = append(f.Outputs, f.Outputs[0]) },
		"tags.permit_type":    func(f *flow.Fact) { delete(f.Tags, "permit_type") },
		"tags.new":            func(f *flow.Fact) { f.Tags["new"] = "x" },
	}
}

func TestEveryFieldCountsInContentHashAndDiff(t *testing.T) {
	base := sound(flow.Sorted)
	seen := map[[16]byte]string{base.ContentHash(): "nothing"}
	require.Empty(t, flow.Diff(base, sound(flow.Sorted)))
	for field, change := range changes() {
		f := sound(flow.Sorted)
		change(&f)
		require.NotContains(t, seen, f.ContentHash(), field)
		seen[f.ContentHash()] = field
		diff := flow.Diff(base, f)
		require.Len(t, diff, 1, field)
		require.Equal(t, field, diff[0].Field)
		require.NotEqual(t, diff[0].Was, diff[0].Is)
	}
	// The identity is no content.
	f := sound(flow.Sorted)
	f.Identity.ExternalID = "other"
	require.Equal(t, base.ContentHash(), f.ContentHash())
	// The same instant in another zone, and no tags as an empty map, are the same.
	f = sound(flow.StockCounted)
	f.Tags = nil
	g := f
	g.When.Occurred, g.Tags = f.When.Occurred.In(time.FixedZone("x", 7200)), map[string]string{}
	require.Equal(t, f.ContentHash(), g.ContentHash())
	require.Empty(t, flow.Diff(f, g))
}

func TestHashesAreForEver(t *testing.T) {
	require.Equal(t, "db0a8b920d42f074b0a75e382383d31f", hex(flow.Identity{Reporter: "a", Source: "b", ExternalID: "c"}.Hash()))
	f := sound(flow.Sorted)
	require.Equal(t, "1c497e900c618bf93ad437e648ab0590", hex(f.ContentHash()))
	require.Equal(t, "dfa27fe756188c63b95f8033104527a5", hex(sound(flow.PeriodReported).ContentHash()))
}

func hex(b [16]byte) string { return fmt.Sprintf("%x", b) }

func TestOutputsDoNotRunIntoOneAnother(t *testing.T) {
	a, b := sound(flow.Sorted), sound(flow.Sorted)
	a.Outputs = []flow.Output{{Role: flow.RoleOutput}, {Material: flow.Material{Waste: "191204"}, Net: 1}}
	b.Outputs = []flow.Output{{Role: flow.RoleOutput, Material: flow.Material{Waste: "191204"}, Net: 1}}
	require.NotEqual(t, a.ContentHash(), b.ContentHash())
}

func TestMonthIsTakenInTheFacilitysZone(t *testing.T) {
	copenhagen, err := time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	w := flow.When{Occurred: time.Date(2024, 1, 31, 23, 30, 0, 0, time.UTC)}
	require.Equal(t, "202402", flow.Month(w, copenhagen))
	require.Equal(t, "202401", flow.Month(w, time.UTC))
	require.Equal(t, "201904", flow.Month(flow.When{Period: flow.Period{From: "2019-04-01", To: "2020-04-01"}}, copenhagen))
	require.Empty(t, flow.Month(flow.When{}, copenhagen))
	require.Equal(t, flow.Date("2024-02-01"), flow.DateOf(w.Occurred, copenhagen))
}

func TestPeriodsCountDays(t *testing.T) {
	days, ok := flow.Period{From: "2024-01-01", To: "2025-01-01"}.Days()
	require.True(t, ok)
	require.Equal(t, 366, days)
	for _, p := range []flow.Period{{}, {From: "2024-01-01"}, {From: "2024-1-1", To: "2024-02-01"}, {From: "2024-01-02", To: "2024-01-01"}} {
		_, ok := p.Days()
		require.False(t, ok, p)
	}
}

func TestMeasureOf(t *testing.T) {
	for _, k := range flow.Kinds() {
		f := sound(k)
		switch k {
		case flow.StockCounted:
			require.Empty(t, flow.MeasureOf(f))
		case flow.PeriodReported:
			require.Equal(t, flow.MeasureReceived, flow.MeasureOf(f))
		default:
			require.True(t, flow.MeasureOf(f).Valid(), k)
		}
	}
}

func TestMarkdownHoldsEveryRuleAndKind(t *testing.T) {
	var b strings.Builder
	require.NoError(t, flow.WriteMarkdown(&b))
	for _, r := range flow.Catalogue() {
		require.Equal(t, 1, strings.Count(b.String(), "| `"+r.ID+"` |"), r.ID)
	}
	for _, k := range flow.Kinds() {
		require.Contains(t, b.String(), "| "+string(k)+" |")
	}
	require.ErrorIs(t, flow.WriteMarkdown(brokenWriter{}), errBroken)
}

func BenchmarkCheck(b *testing.B) {
	f, ctx := sound(flow.Received), world()
	b.ReportAllocs()
	for b.Loop() {
		if len(flow.Check(f, ctx)) != 0 {
			b.Fatal("not sound")
		}
	}
}

func BenchmarkContentHash(b *testing.B) {
	f := sound(flow.Received)
	b.ReportAllocs()
	for b.Loop() {
		_ = f.ContentHash()
	}
}

var errBroken = errors.New("broken pipe")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
