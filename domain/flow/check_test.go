package flow_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// now is a Friday.
var now = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

func world() flow.Context {
	return flow.Context{
		Now:           now,
		Facility:      &facility.Facility{ID: "dk-p-1003412345", Name: "Nordværk", TimeZone: "Europe/Copenhagen"},
		KnownArea:     func(id area.ID) bool { return id == "dk-0101" || id == "se-0114" || id == "de" },
		KnownFacility: func(id facility.ID) bool { return id == "dk-p-2" },
		Location:      time.FixedZone("CET", 3600),
	}
}

// sound is a fact of a kind that breaks no rule.
func sound(k flow.Kind) flow.Fact {
	no := false
	f := flow.Fact{Kind: k, Facility: "dk-p-1003412345",
		Identity:     flow.Identity{Reporter: "dk-p-1003412345", Source: "weighbridge", ExternalID: "010124-0042"},
		When:         flow.When{Occurred: now.Add(-time.Hour)},
		Material:     flow.Material{Waste: "200301", Fraction: "residual", Hazardous: &no, Form: "solid"},
		Mass:         flow.Mass{Net: 12_340_000, Gross: 24_340_000, Tare: 12_000_000, Method: flow.Weighed},
		SiteCategory: "Transfer", Tags: map[string]string{"permit_type": "A11 : Household, Commercial & Industrial"}}
	switch k {
	case flow.Collected:
		f.Origin = flow.Place{Area: "dk-0101", Sector: "household"}
	case flow.Received:
		f.Origin, f.Operation, f.Fate = flow.Place{Area: "dk-0101", Facility: "dk-p-2"}, "R12", "Recovery"
	case flow.Dispatched:
		f.Target, f.Consignment = flow.Place{Facility: "dk-p-2"}, "DK 0012345"
	case flow.Exported:
		f.Target = flow.Place{Area: "de"}
	case flow.Rejected:
		f.Rejects = "41"
	case flow.Sorted:
		f.Operation = "R12"
		f.Outputs = []flow.Output{{Role: flow.RoleOutput, Material: flow.Material{Waste: "191204"}, Net: 12_000_000},
			{Role: flow.RoleLoss, Net: 340_000}}
	case flow.Reused:
		f.Items, f.Displaces, f.Material.Product = 17, "chairs", "furniture"
	case flow.Recycled:
		f.Operation = "R3"
		f.Outputs = []flow.Output{{Role: flow.RoleOutput, Material: flow.Material{Product: "compost"}, Net: 5_000_000}}
	case flow.Incinerated:
		f.Operation, f.EnergyKWh = "R1", 30_000
		f.Outputs = []flow.Output{{Role: flow.RoleBottomAsh, Material: flow.Material{Waste: "190112"}, Net: 2_000_000},
			{Role: flow.RoleFlyAsh, Material: flow.Material{Waste: "190114"}, Net: 300_000},
			{Role: flow.RoleMetals, Material: flow.Material{Waste: "190102"}, Net: 200_000}}
	case flow.Landfilled:
		f.Operation = "D5"
	case flow.PeriodReported:
		f.When = flow.When{Period: flow.Period{From: "2023-01-01", To: "2024-01-01"}}
		f.Measure = flow.MeasureReceived
		f.Mass = flow.Mass{Net: 1_546_611_515_000, Method: flow.Declared}
		f.Origin = flow.Place{Area: "dk-0101"}
	case flow.StockCounted:
	}
	return f
}

func TestSoundFactsBreakNoRule(t *testing.T) {
	for _, k := range flow.Kinds() {
		require.Empty(t, flow.Check(sound(k), world()), k)
	}
	f := sound(flow.StockCounted)
	f.Mass = flow.Mass{Method: flow.Weighed}
	require.Empty(t, flow.Check(f, world()), "a count can find nothing")
}

// breach is a fact that breaks one rule and no other.
type breach struct {
	name  string
	kind  flow.Kind
	spoil func(*flow.Fact, *flow.Context)
	rule  string
	field string
	value string
}

// breaches are the cases of every rule of stage "check".
func breaches() []breach {
	type F = *flow.Fact
	fact := func(change func(F)) func(F, *flow.Context) { return func(f F, _ *flow.Context) { change(f) } }
	long := strings.Repeat("x", 201)
	return []breach{
		{"kind", flow.Received, fact(func(f F) { f.Kind = "burnt" }), flow.RuleKindUnknown, "kind", "burnt"},
		{"no reporter", flow.Received, fact(func(f F) { f.Identity.Reporter = "" }), flow.RuleFieldRequired, "reporter", ""},
		{"no source", flow.Received, fact(func(f F) { f.Identity.Source = "" }), flow.RuleFieldRequired, "source", ""},
		{"no id", flow.Received, fact(func(f F) { f.Identity.ExternalID = "" }), flow.RuleFieldRequired, "id", ""},
		{"long id", flow.Received, fact(func(f F) { f.Identity.ExternalID = long }), flow.RuleTextTooLong, "id", long[:200]},
		{"mail as id", flow.Received, fact(func(f F) { f.Identity.ExternalID = "a@b.dk" }), flow.RulePersonalData, "id", "a@b.dk"},
		{"mail as document", flow.Received, fact(func(f F) { f.Consignment = "a@b.dk" }), flow.RulePersonalData, "consignment", "a@b.dk"},
		{"no facility", flow.Received, fact(func(f F) { f.Facility = "" }), flow.RuleFieldRequired, "facility", ""},
		{"facility not registered", flow.Received, func(_ F, c *flow.Context) { c.Facility = nil }, flow.RuleFacilityUnknown, "facility", "dk-p-1003412345"},
		{"entry of another facility", flow.Received, func(_ F, c *flow.Context) { c.Facility = &facility.Facility{ID: "dk-p-2"} }, flow.RuleFacilityUnknown, "facility", "dk-p-1003412345"},
		{"other side not registered", flow.Received, fact(func(f F) { f.Origin.Facility = "dk-p-3" }), flow.RuleFacilityUnknown, "origin.facility", "dk-p-3"},
		{"other side malformed", flow.Dispatched, func(f F, c *flow.Context) { f.Target.Facility, c.KnownFacility = "DK P 3", nil }, flow.RuleFacilityUnknown, "target.facility", "DK P 3"},
		{"area not registered", flow.Collected, fact(func(f F) { f.Origin.Area = "dk-0999" }), flow.RuleAreaUnknown, "origin.area", "dk-0999"},
		{"no register of areas", flow.Collected, func(_ F, c *flow.Context) { c.KnownArea = nil }, flow.RuleAreaUnknown, "origin.area", "dk-0101"},
		{"target area", flow.Exported, fact(func(f F) { f.Target.Area = "xx" }), flow.RuleAreaUnknown, "target.area", "xx"},
		{"collected from nowhere", flow.Collected, fact(func(f F) { f.Origin.Area = "" }), flow.RuleFieldRequired, "origin.area", ""},
		{"dispatched to nowhere", flow.Dispatched, fact(func(f F) { f.Target = flow.Place{} }), flow.RuleFieldRequired, "target", ""},
		{"exported to nowhere", flow.Exported, fact(func(f F) { f.Target = flow.Place{} }), flow.RuleFieldRequired, "target", ""},
		{"received with target", flow.Received, fact(func(f F) { f.Target.Area = "de" }), flow.RuleFieldForbidden, "target", "de"},
		{"stock with origin", flow.StockCounted, fact(func(f F) { f.Origin.Area = "dk-0101" }), flow.RuleFieldForbidden, "origin", "dk-0101"},
		{"stock with operation", flow.StockCounted, fact(func(f F) { f.Operation = "R13" }), flow.RuleFieldForbidden, "operation", "R13"},
		{"stock with fate", flow.StockCounted, fact(func(f F) { f.Fate = "Recovery" }), flow.RuleFieldForbidden, "fate", "Recovery"},
		{"stock with document", flow.StockCounted, fact(func(f F) { f.Consignment = "1" }), flow.RuleFieldForbidden, "consignment", "1"},
		{"received rejects", flow.Received, fact(func(f F) { f.Rejects = "41" }), flow.RuleFieldForbidden, "rejects", "41"},
		{"rejected what", flow.Rejected, fact(func(f F) { f.Rejects = "" }), flow.RuleFieldRequired, "rejects", ""},
		{"received with outputs", flow.Received, fact(func(f F) { f.Outputs = sound(flow.Sorted).Outputs }), flow.RuleFieldForbidden, "outputs", "2"},
		{"sorted into nothing", flow.Sorted, fact(func(f F) { f.Outputs = nil }), flow.RuleFieldRequired, "outputs", ""},
		{"received items", flow.Received, fact(func(f F) { f.Items = 3 }), flow.RuleFieldForbidden, "items", "3"},
		{"received displaces", flow.Received, fact(func(f F) { f.Displaces = "chairs" }), flow.RuleFieldForbidden, "displaces", "chairs"},
		{"landfilled with energy", flow.Landfilled, fact(func(f F) { f.EnergyKWh = 3 }), flow.RuleFieldForbidden, "energy_kwh", "3"},
		{"received measure", flow.Received, fact(func(f F) { f.Measure = flow.MeasureReceived }), flow.RuleFieldForbidden, "measure", "received"},
		{"received over a period", flow.Received, fact(func(f F) { f.When.Period = flow.Period{From: "2024-01-01", To: "2024-02-01"} }), flow.RuleFieldForbidden, "period", "2024-01-01 to 2024-02-01"},
		{"no time", flow.Received, fact(func(f F) { f.When.Occurred = time.Time{} }), flow.RuleFieldRequired, "occurred", ""},
		{"total at an instant", flow.PeriodReported, fact(func(f F) { f.When.Occurred = now }), flow.RuleFieldForbidden, "occurred", "2024-03-01T12:00:00Z"},
		{"no operation", flow.Incinerated, fact(func(f F) { f.Operation = "" }), flow.RuleFieldRequired, "operation", ""},

		{"future", flow.Received, fact(func(f F) { f.When.Occurred = now.Add(301 * time.Second) }), flow.RuleTimeInFuture, "occurred", "2024-03-01T12:05:01Z"},
		{"total not over", flow.PeriodReported, fact(func(f F) { f.When.Period = flow.Period{From: "2024-01-01", To: "2024-03-02"} }), flow.RuleTimeInFuture, "period.to", "2024-03-02"},
		{"long ago", flow.Received, fact(func(f F) { f.When.Occurred = time.Date(24, 3, 1, 0, 0, 0, 0, time.UTC) }), flow.RuleTimeOutOfRange, "occurred", "0024-03-01T00:00:00Z"},
		{"total long ago", flow.PeriodReported, fact(func(f F) { f.When.Period = flow.Period{From: "1924-01-01", To: "1924-02-01"} }), flow.RuleTimeOutOfRange, "period", "1924-01-01 to 1924-02-01"},
		{"period backwards", flow.PeriodReported, fact(func(f F) { f.When.Period = flow.Period{From: "2024-02-01", To: "2024-01-01"} }), flow.RulePeriodMalformed, "period", "2024-02-01 to 2024-01-01"},
		{"empty period", flow.PeriodReported, fact(func(f F) { f.When.Period = flow.Period{From: "2024-02-01", To: "2024-02-01"} }), flow.RulePeriodMalformed, "period", "2024-02-01 to 2024-02-01"},
		{"no such day", flow.PeriodReported, fact(func(f F) { f.When.Period = flow.Period{From: "2023-02-30", To: "2023-03-01"} }), flow.RulePeriodMalformed, "period", "2023-02-30 to 2023-03-01"},
		{"no period", flow.PeriodReported, fact(func(f F) { f.When.Period = flow.Period{} }), flow.RulePeriodMalformed, "period", " to "},
		{"367 days", flow.PeriodReported, fact(func(f F) { f.When.Period = flow.Period{From: "2022-01-01", To: "2023-01-03"} }), flow.RulePeriodTooLong, "period", "2022-01-01 to 2023-01-03"},
		{"no measure", flow.PeriodReported, fact(func(f F) { f.Measure = "" }), flow.RuleMeasureUnknown, "measure", ""},
		{"measure of outputs", flow.PeriodReported, fact(func(f F) { f.Measure = "loss" }), flow.RuleMeasureUnknown, "measure", "loss"},

		{"no material", flow.Received, fact(func(f F) { f.Material = flow.Material{} }), flow.RuleMaterialMissing, "material", ""},
		{"code not listed", flow.Received, fact(func(f F) { f.Material.Waste = "209999" }), flow.RuleWasteUnknown, "material.waste_code", "209999"},
		{"output code not listed", flow.Sorted, fact(func(f F) { f.Outputs[0].Material.Waste = "209999" }), flow.RuleWasteUnknown, "outputs[0].material.waste_code", "209999"},
		{"fraction", flow.Received, fact(func(f F) { f.Material.Fraction = "mad affald" }), flow.RuleFractionMalformed, "material.fraction", "mad affald"},
		{"form", flow.Received, fact(func(f F) { f.Material.Form = "User left blank" }), flow.RuleFormUnknown, "material.form", "User left blank"},
		{"sector", flow.Collected, fact(func(f F) { f.Origin.Sector = "Husholdning!" }), flow.RuleSectorMalformed, "origin.sector", "Husholdning!"},

		{"nothing", flow.Received, fact(func(f F) { f.Mass = flow.Mass{Method: flow.Weighed} }), flow.RuleMassNotPositive, "mass.value", "0.000000 t"},
		{"less than nothing", flow.StockCounted, fact(func(f F) { f.Mass = flow.Mass{Net: -1, Method: flow.Weighed} }), flow.RuleMassNotPositive, "mass.value", "-0.000001 t"},
		{"a year's total as a load", flow.Received, fact(func(f F) { f.Mass = flow.Mass{Net: 10_000_000_001, Method: flow.Declared} }), flow.RuleMassAboveLimit, "mass.value", "10000.000001 t"},
		{"a total beyond the earth", flow.PeriodReported, fact(func(f F) { f.Mass.Net = flow.MaxTotal + 1 }), flow.RuleTotalAboveLimit, "mass.value", "1000000000.000001 t"},
		{"net is not gross minus tare", flow.Received, fact(func(f F) { f.Mass.Net++ }), flow.RuleNetDiffers, "mass.value", "12.340001 t"},
		{"tare alone", flow.Received, fact(func(f F) { f.Mass.Gross = 0 }), flow.RuleNetDiffers, "mass.value", "12.340000 t"},
		{"negative tare", flow.Received, fact(func(f F) { f.Mass.Gross, f.Mass.Tare = 12_000_000, -340_000 }), flow.RuleNetDiffers, "mass.value", "12.340000 t"},
		{"method", flow.Received, fact(func(f F) { f.Mass.Method = "guessed" }), flow.RuleMethodUnknown, "mass.method", "guessed"},
		{"no method", flow.Received, fact(func(f F) { f.Mass.Method = "" }), flow.RuleMethodUnknown, "mass.method", ""},

		{"operation", flow.Received, fact(func(f F) { f.Operation = "R14" }), flow.RuleOperation, "operation", "R14"},
		{"recycled by burning", flow.Recycled, fact(func(f F) { f.Operation = "R1" }), flow.RuleOperationForKind, "operation", "R1"},
		{"recycled by storing", flow.Recycled, fact(func(f F) { f.Operation = "R12" }), flow.RuleOperationForKind, "operation", "R12"},
		{"incinerated by recycling", flow.Incinerated, fact(func(f F) { f.Operation = "R3" }), flow.RuleOperationForKind, "operation", "R3"},
		{"landfilled by blending", flow.Landfilled, fact(func(f F) { f.Operation = "D13" }), flow.RuleOperationForKind, "operation", "D13"},
		{"sorted by burning", flow.Sorted, fact(func(f F) { f.Operation = "D10" }), flow.RuleOperationForKind, "operation", "D10"},
		{"reused by dumping", flow.Reused, fact(func(f F) { f.Operation = "D1" }), flow.RuleOperationForKind, "operation", "D1"},
		{"not permitted", flow.Received, func(_ F, c *flow.Context) { c.Facility.Operations = []string{"R3", "D15"} }, flow.RuleOperationPermitted, "operation", "R12"},
		{"total not permitted", flow.PeriodReported, func(f F, c *flow.Context) { f.Operation, c.Facility.Operations = "R3", []string{"D15"} }, flow.RuleOperationPermitted, "operation", "R3"},

		{"bottom ash of sorting", flow.Sorted, fact(func(f F) { f.Outputs[0].Role = flow.RoleBottomAsh }), flow.RuleOutputRole, "outputs[0].role", "bottom_ash"},
		{"output of burning", flow.Incinerated, fact(func(f F) { f.Outputs[2].Role = flow.RoleOutput }), flow.RuleOutputRole, "outputs[2].role", "output"},
		{"output without mass", flow.Sorted, fact(func(f F) { f.Outputs[1].Net = 0 }), flow.RuleOutputMass, "outputs[1].mass.value", "0.000000 t"},
		{"output without material", flow.Sorted, fact(func(f F) { f.Outputs[0].Material = flow.Material{} }), flow.RuleMaterialMissing, "outputs[0].material", ""},
		{"more out than in", flow.Sorted, fact(func(f F) { f.Outputs[1].Net++ }), flow.RuleOutputsExceed, "outputs", "12.340001 t"},
		{"far more out than in", flow.Sorted, fact(func(f F) { f.Outputs[0].Net, f.Outputs[1].Net = 1<<63-1, 1<<63-1 }), flow.RuleOutputsExceed, "outputs", "1000000000.000001 t"},
		{"101 outputs", flow.Sorted, fact(func(f F) { f.Outputs = make([]flow.Output, 101) }), flow.RuleOutputsTooMany, "outputs", "101"},
		{"items below zero", flow.Reused, fact(func(f F) { f.Items = -1 }), flow.RuleAmountNegative, "items", "-1"},
		{"too many items", flow.Reused, fact(func(f F) { f.Items = 1_000_000_001 }), flow.RuleItemsAboveLimit, "items", "1000000001"},
		{"too much energy", flow.Incinerated, fact(func(f F) { f.EnergyKWh = 1<<63 - 1 }), flow.RuleEnergyAboveLimit, "energy_kwh", "9223372036854775807"},
		{"energy below zero", flow.Incinerated, fact(func(f F) { f.EnergyKWh = -1 }), flow.RuleAmountNegative, "energy_kwh", "-1"},

		{"long fate", flow.Received, fact(func(f F) { f.Fate = long }), flow.RuleTextTooLong, "fate", long[:200]},
		{"control characters", flow.Received, fact(func(f F) { f.SiteCategory = "a\x00b" }), flow.RuleTextNotClean, "site_category", "a\x00b"},
		{"not UTF-8", flow.Received, fact(func(f F) { f.SiteCategory = "a\xffb" }), flow.RuleTextNotClean, "site_category", "a\uFFFDb"},
		{"long tag", flow.Received, fact(func(f F) { f.Tags["a"] = long }), flow.RuleTextTooLong, "tags.a", long[:200]},
		{"empty tag", flow.Received, fact(func(f F) { f.Tags["a"] = "" }), flow.RuleFieldRequired, "tags.a", ""},
		{"tag key", flow.Received, fact(func(f F) { f.Tags["Permit Type"] = "x" }), flow.RuleTagKey, "tags", "Permit Type"},
		{"17 tags", flow.Received, fact(func(f F) {
			for i := range 16 {
				f.Tags[fmt.Sprintf("t%d", i)] = "x"
			}
		}), flow.RuleTagsTooMany, "tags", "17"},
		{"driver as tag", flow.Received, fact(func(f F) { f.Tags["driver"] = "x" }), flow.RulePersonalData, "tags.driver", "driver"},
		{"name in a tag", flow.Received, fact(func(f F) { f.Tags["note"] = "hr. Jensen" }), flow.RulePersonalData, "tags.note", "hr. Jensen"},
		{"plate in fate", flow.Received, fact(func(f F) { f.Fate = "by AB 12 345" }), flow.RulePersonalData, "fate", "by AB 12 345"},
		{"phone in product", flow.Received, fact(func(f F) { f.Material.Product = "ring 12 34 56 78" }), flow.RulePersonalData, "material.product", "ring 12 34 56 78"},

		{"above a lorry", flow.Received, fact(func(f F) { f.Mass = flow.Mass{Net: 40_000_001, Method: flow.Weighed} }), flow.RuleRoadLoad, "mass.value", "40.000001 t"},
		{"estimate burnt", flow.Incinerated, fact(func(f F) { f.Mass.Method = flow.Estimated }), flow.RuleEstimateFinal, "mass.method", "estimated"},
		{"estimate dumped", flow.Landfilled, fact(func(f F) { f.Mass.Method = flow.Estimated }), flow.RuleEstimateFinal, "mass.method", "estimated"},
		{"estimate received to burn", flow.Received, fact(func(f F) { f.Operation, f.Mass.Method = "D10", flow.Estimated }), flow.RuleEstimateFinal, "mass.method", "estimated"},
		{"hazard declared", flow.Received, fact(func(f F) { f.Material.Waste = "170503" }), flow.RuleHazard, "material.hazardous", "false"},
		{"late", flow.Received, fact(func(f F) { f.When.Occurred = now.Add(-3 * 24 * time.Hour) }), flow.RuleReportedLate, "occurred", "2024-02-27T12:00:00Z"},
		{"very late", flow.Received, fact(func(f F) { f.When.Occurred = now.AddDate(-5, 0, 0) }), flow.RuleReportedLate, "occurred", "2019-03-01T12:00:00Z"},
	}
}

func TestEveryBreachIsFoundAndNothingElse(t *testing.T) {
	for _, b := range breaches() {
		t.Run(b.name, func(t *testing.T) {
			f, ctx := sound(b.kind), world()
			b.spoil(&f, &ctx)
			found := flow.Check(f, ctx)
			require.Len(t, found, 1)
			rule, ok := flow.RuleOf(b.rule)
			require.True(t, ok)
			require.Equal(t, b.rule, found[0].Rule)
			require.Equal(t, b.field, found[0].Field)
			require.Equal(t, b.value, found[0].Value)
			require.Equal(t, rule.Severity, found[0].Severity)
			require.True(t, strings.HasPrefix(found[0].Message, rule.Text))
		})
	}
}

func TestKilogramsAsTonnesWarnTwice(t *testing.T) {
	f := sound(flow.Received)
	f.Mass = flow.Mass{Net: 60_000_001, Method: flow.Weighed}
	found := flow.Check(f, world())
	require.Len(t, found, 2)
	require.Equal(t, flow.RuleLikelyKilograms, found[0].Rule)
	require.Equal(t, flow.RuleRoadLoad, found[1].Rule)
	require.Equal(t, fault.Warning, found[0].Severity)
}

// readBreaches are the cases of every rule of stage "read".
func readBreaches() map[string]error {
	_, noUnit := mass.Parse("1", "")
	_, badUnit := mass.Parse("1", "stone")
	_, bad := mass.Parse("1,546,611.515", mass.Tonne)
	_, fine := mass.Parse("0.0000001", mass.Tonne)
	_, far := mass.Parse("99999999999999", mass.Tonne)
	_, code := waste.ParseCode("20 99 99")
	_, star := waste.ParseCode("20 03 01*")
	_, op := operation.Parse("R14")
	return map[string]error{flow.RuleUnitMissing: noUnit, flow.RuleUnitUnknown: badUnit, flow.RuleMassMalformed: bad, flow.RuleMassTooFine: fine,
		flow.RuleMassOutOfRange: far, flow.RuleWasteUnknown: code, flow.RuleWasteStar: star, flow.RuleOperation: op}
}

func TestReadRuleNamesTheRule(t *testing.T) {
	for rule, err := range readBreaches() {
		require.Equal(t, rule, flow.ReadRule(fmt.Errorf("line 3: %w", err)))
	}
	require.Empty(t, flow.ReadRule(os.ErrNotExist))
	require.Empty(t, flow.ReadRule(nil))
}

func TestTheCatalogueCannotRot(t *testing.T) {
	raised := map[string]bool{}
	for _, b := range breaches() {
		raised[b.rule] = true
	}
	for rule := range readBreaches() {
		raised[rule] = true
	}
	raised[flow.RuleLikelyKilograms] = true // TestKilogramsAsTonnesWarnTwice
	raised[flow.RuleReason] = true          // TestCheckReason
	seen := map[string]bool{}
	for _, r := range flow.Catalogue() {
		require.False(t, seen[r.ID], "%s stands twice", r.ID)
		seen[r.ID] = true
		require.Regexp(t, `^[a-z]+(-[a-z]+)*$`, r.ID)
		for _, text := range []string{r.Text, r.TextDA} {
			require.Regexp(t, `^\p{Lu}.*\.$`, text, r.ID)
		}
		require.NotEmpty(t, r.Source, r.ID)
		require.NotEmpty(t, r.Field, r.ID)
		// Those of the ledger are raised in package ledger, those of form in
		// ingest, whose tests say the same.
		if r.Stage == flow.StageRead || r.Stage == flow.StageCheck {
			require.True(t, raised[r.ID], "no case raises %s", r.ID)
		}
	}
	for rule := range raised {
		require.True(t, seen[rule], "%s is not in the catalogue", rule)
	}
}

func TestCheckReason(t *testing.T) {
	require.Empty(t, flow.CheckReason("vejeseddel tastet forkert"))
	for reason, rule := range map[string]string{"": flow.RuleReason, " \t ": flow.RuleReason, strings.Repeat("x", 501): flow.RuleTextTooLong,
		"a\nb": flow.RuleTextNotClean, "asked by hr. Hansen": flow.RulePersonalData} {
		found := flow.CheckReason(reason)
		require.Len(t, found, 1, reason)
		require.Equal(t, rule, found[0].Rule)
		require.Equal(t, "reason", found[0].Field)
	}
}

func TestNotStatedAndOtherAreNeverRefused(t *testing.T) {
	for _, k := range []flow.Kind{flow.Recycled, flow.Incinerated, flow.Landfilled, flow.Sorted, flow.PeriodReported} {
		for _, op := range []operation.Code{operation.NotStated, operation.OtherFate} {
			f, ctx := sound(k), world()
			f.Operation, ctx.Facility.Operations = op, []string{"R2"}
			require.Empty(t, flow.Check(f, ctx), "%s %s", k, op)
		}
	}
}

func TestWhatIsSentElsewhereNeedsNoPermitHere(t *testing.T) {
	f, ctx := sound(flow.Dispatched), world()
	f.Operation, ctx.Facility.Operations = "R3", []string{"R12"}
	require.Empty(t, flow.Check(f, ctx))
}

func TestMoreOutThanInIsFineWhenSomethingWasAdded(t *testing.T) {
	f := sound(flow.Sorted)
	f.Outputs[0].Net *= 2
	f.Tags[flow.AddedTag] = "water"
	require.Empty(t, flow.Check(f, world()))
}

func TestWorkingDaysLeaveOutWeekends(t *testing.T) {
	ctx := world()
	ctx.Now = time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC) // a Tuesday
	f := sound(flow.Received)
	f.When.Occurred = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC) // the Friday before
	require.Empty(t, flow.Check(f, ctx), "Monday and Tuesday are two working days")
	ctx.Now = ctx.Now.AddDate(0, 0, 1)
	require.Len(t, flow.Check(f, ctx), 1)
}

func TestTheFutureStartsFiveMinutesFromNow(t *testing.T) {
	f := sound(flow.Received)
	f.When.Occurred = now.Add(5 * time.Minute)
	require.Empty(t, flow.Check(f, world()))

	// A period ends at midnight of the facility, not of Greenwich.
	total, ctx := sound(flow.PeriodReported), world()
	total.When.Period = flow.Period{From: "2024-01-01", To: "2024-03-01"}
	ctx.Now = time.Date(2024, 2, 29, 23, 0, 0, 0, time.UTC)
	require.Empty(t, flow.Check(total, ctx))
	ctx.Location = nil
	require.Len(t, flow.Check(total, ctx), 1)
}

func TestTextsOfTheEnglishFileAreNotPersonal(t *testing.T) {
	file, err := os.Open(filepath.Join("testdata", "wdi_texts.txt"))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	n := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text := lines.Text()
		if strings.HasPrefix(text, "#") {
			continue
		}
		n++
		require.Empty(t, flow.LooksPersonal(text), text)
	}
	require.Greater(t, n, 1900)
}
