package analyticstest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// Report is an event about a fact: recorded (Is), corrected (both) or
// cancelled (Was).
type Report struct {
	Position uint64
	Was, Is  *flow.Fact
}

// signed lists what a world reports up to its committed position.
func (w World) signed() (facts []balance.Signed) {
	for _, r := range w.Reports {
		if r.Position > w.Committed {
			continue
		}
		if r.Was != nil {
			facts = append(facts, balance.Signed{Fact: *r.Was, Sign: -1})
		}
		if r.Is != nil {
			facts = append(facts, balance.Signed{Fact: *r.Is, Sign: 1})
		}
	}
	return facts
}

func balances(w World, b binding) (out [][]any) {
	for _, e := range entriesOf(w, b) {
		keep := get[[]string](b, "facilities")
		if len(keep) > 0 && !slices.Contains(keep, string(e.Facility)) && (!e.BothSides || !slices.Contains(keep, string(e.Other))) {
			continue
		}
		if e.Kind == flow.StockCounted && (!get[bool](b, "stock") || string(e.Period.From) < get[string](b, "stock_from") || string(e.Period.From) >= get[string](b, "stock_to")) {
			continue
		}
		out = append(out, []any{
			string(e.Facility), string(e.Kind), e.Measure, e.WithOutputs, string(e.Other), e.BothSides, string(e.Material.Waste), e.Material.Fraction,
			e.Material.Product, string(e.Method), string(e.Period.From), string(e.Period.To), int64(e.Net), e.Squares, e.Legs,
		})
	}
	return out
}

func balanceDays(w World, b binding) (out [][]any) {
	for _, e := range entriesOf(w, b) {
		if e.Kind == flow.PeriodReported || e.Kind == flow.StockCounted ||
			!slices.Contains(get[[]string](b, "facilities"), string(e.Facility)) || !slices.Contains(get[[]string](b, "measures"), e.Measure) {
			continue
		}
		for _, d := range e.Days {
			out = append(out, []any{string(e.Facility), e.Measure, string(d)})
		}
	}
	return out
}

func entriesOf(w World, b binding) []balance.Entry {
	var from, to flow.Date
	if !get[bool](b, "from_open") {
		from = flow.Date(get[string](b, "from"))
	}
	if !get[bool](b, "to_open") {
		to = flow.Date(get[string](b, "to"))
	}
	entries, err := balance.Entries(w.signed(), from, to)
	if err != nil {
		panic(fmt.Sprintf("analyticstest: %v", err)) // a world is written by hand or made here
	}
	return entries
}

// reporter makes reports, one line each.
type reporter struct {
	reports []Report
	next    uint64
}

func (r *reporter) put(kind flow.Kind, at facility.ID, day string, code waste.Code, grams mass.Grams, change ...func(*flow.Fact)) *flow.Fact {
	r.next++
	f := &flow.Fact{
		Kind: kind, Facility: at, Identity: flow.Identity{Reporter: "analyticstest", Source: "reports", ExternalID: fmt.Sprint(r.next)},
		Material: flow.Material{Waste: code}, Mass: flow.Mass{Net: grams, Method: flow.Weighed},
	}
	if day != "" {
		f.When.Occurred = dayAt(day).Add(9 * time.Hour)
	}
	for _, c := range change {
		c(f)
	}
	r.reports = append(r.reports, Report{Position: r.next, Is: f})
	return f
}

func dayAt(text string) time.Time { return day(text) }

func (r *reporter) cancel(f *flow.Fact) {
	r.next++
	r.reports = append(r.reports, Report{Position: r.next, Was: f})
}

func (r *reporter) correct(f *flow.Fact, grams mass.Grams) {
	r.next++
	is := *f
	is.Mass.Net = grams
	r.reports = append(r.reports, Report{Position: r.next, Was: f, Is: &is})
}

func method(m flow.Method) func(*flow.Fact) { return func(f *flow.Fact) { f.Mass.Method = m } }

func sentTo(id facility.ID, document string) func(*flow.Fact) {
	return func(f *flow.Fact) { f.Target.Facility, f.Consignment = id, document }
}

func cameFrom(id facility.ID, document string) func(*flow.Fact) {
	return func(f *flow.Fact) { f.Origin.Facility, f.Consignment = id, document }
}

func output(role flow.OutputRole, code waste.Code, grams mass.Grams) func(*flow.Fact) {
	return func(f *flow.Fact) {
		f.Outputs = append(f.Outputs, flow.Output{Role: role, Material: flow.Material{Waste: code}, Net: grams})
	}
}

func over(measure flow.Measure, from, to flow.Date) func(*flow.Fact) {
	return func(f *flow.Fact) {
		f.Measure, f.When, f.Mass.Method = measure, flow.When{Period: flow.Period{From: from, To: to}}, flow.Declared
	}
}

// seedReports are a year of two sites that share consignments, and one more:
// corrected, cancelled, counted, and reported twice over.
func seedReports() []Report {
	r := &reporter{next: 29}
	r.put(flow.StockCounted, "dk-p-1", "2019-01-01", "200301", 10_000_000, method(flow.Volume))
	r.put(flow.StockCounted, "dk-p-1", "2019-12-31", "200301", 12_000_000, method(flow.Volume))
	in := r.put(flow.Received, "dk-p-1", "2019-02-01", "200301", 64_000_000)
	r.correct(in, 60_000_000)
	r.put(flow.Sorted, "dk-p-1", "2019-03-01", "200301", 57_000_000, output(flow.RoleOutput, "191204", 20_000_000),
		output(flow.RoleResidue, "191212", 35_500_000), output(flow.RoleLoss, "", 1_000_000))
	r.put(flow.Dispatched, "dk-p-1", "2019-04-01", "191204", 20_000_000, sentTo("dk-p-2", "DK1"))
	r.put(flow.Received, "dk-p-2", "2019-04-01", "191204", 19_800_000, cameFrom("dk-p-1", "DK1"))
	r.put(flow.Dispatched, "dk-p-1", "2019-05-01", "191212", 36_000_000, sentTo("se-f-1", "DK2"))
	r.put(flow.Recycled, "dk-p-2", "2019-06-01", "191204", 19_500_000, method(flow.Estimated))
	r.cancel(r.put(flow.Received, "dk-p-2", "2019-07-01", "191212", 99_000_000))
	r.put(flow.PeriodReported, "dk-p-2", "", "191204", 21_000_000, over(flow.MeasureReceived, "2019-01-01", "2020-01-01"))
	r.put(flow.PeriodReported, "se-f-1", "", "191212", 36_000_000, over(flow.MeasureLandfilled, "2019-01-01", "2020-01-01"))
	r.next = 95
	r.put(flow.Received, "dk-p-1", "2019-02-01", "200301", 1_000_000_000) // beyond the committed position
	return r.reports
}

// RandomReports is a world of n facts of facilities that report everything
// there is, each in several ways.
func RandomReports(seed uint64, n int) World {
	rng := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // a repeatable world, no secret
	w := World{RecordedAt: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	codes := []waste.Code{"200301", "191204", "191212", "190112"}
	sites := []facility.ID{"aa-f-0", "aa-f-1", "aa-f-2", "aa-f-3", "aa-f-4"}
	methods := []flow.Method{flow.Weighed, flow.Volume, flow.Estimated, flow.Declared}
	r := &reporter{}
	for _, id := range sites {
		r.next++
		w.Facilities = append(w.Facilities, Facility{Position: r.next, ID: string(id), Name: "Plant " + string(id)})
	}
	for i := range n {
		site, other := sites[rng.IntN(5)], sites[rng.IntN(5)]
		grams := mass.Grams(1 + rng.Int64N(30_000_000))
		on := day("2023-12-20").AddDate(0, 0, rng.IntN(380)).Format(time.DateOnly)
		code := codes[rng.IntN(4)]
		measured := method(methods[rng.IntN(4)])
		var made *flow.Fact
		switch kind := flow.Kinds()[rng.IntN(len(flow.Kinds()))]; kind {
		case flow.Dispatched:
			made = r.put(kind, site, on, code, grams, measured, sentTo(other, fmt.Sprint("D", i%40)))
			if rng.IntN(3) > 0 {
				r.put(flow.Received, other, on, code, grams+mass.Grams(rng.IntN(1000)), cameFrom(site, fmt.Sprint("D", i%40)))
			}
		case flow.Rejected:
			made = r.put(kind, site, on, code, grams, measured, cameFrom(other, ""))
			made.Rejects = "a reception"
			if rng.IntN(2) == 0 {
				made.Target.Area = "dk-0265"
			}
		case flow.Sorted, flow.Recycled, flow.Reused, flow.Incinerated:
			made = r.put(kind, site, on, code, grams, measured)
			if kind == flow.Sorted || rng.IntN(2) == 0 {
				residue := flow.RoleResidue
				output(residue, codes[rng.IntN(4)], 1+grams/2)(made)
				if rng.IntN(2) == 0 {
					output(flow.RoleLoss, "", 1+grams/5)(made)
				}
			}
		case flow.PeriodReported:
			span := [][2]flow.Date{{"2024-01-01", "2025-01-01"}, {"2024-03-01", "2024-04-01"}, {"2024-06-10", "2024-06-20"}}[rng.IntN(3)]
			made = r.put(kind, site, "", code, grams, over([]flow.Measure{flow.MeasureReceived, flow.MeasureSorted, flow.MeasureExported}[rng.IntN(3)], span[0], span[1]))
		case flow.StockCounted:
			made = r.put(kind, site, []string{"2024-01-01", "2023-12-31", "2024-12-30", "2025-01-02", on}[rng.IntN(5)], code, grams, measured)
		default:
			made = r.put(kind, site, on, code, grams, measured)
			if kind == flow.Exported {
				made.Target.Facility = other
			}
		}
		switch rng.IntN(10) {
		case 0:
			r.cancel(made)
		case 1:
			r.correct(made, 1+grams/3)
		}
	}
	w.Reports, w.Committed = r.reports, r.next-uint64(n/10) //nolint:gosec // a small number
	return w
}
