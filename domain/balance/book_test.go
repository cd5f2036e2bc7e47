package balance_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// told makes facts, one line each.
type told struct {
	facts []balance.Signed
	t     testing.TB
}

func (w *told) at(kind flow.Kind, at facility.ID, day string, code waste.Code, tonnes string, change ...func(*flow.Fact)) *told {
	w.t.Helper()
	net, err := mass.ParseTonnes(tonnes)
	require.NoError(w.t, err)
	f := flow.Fact{Kind: kind, Facility: at, Material: flow.Material{Waste: code}, Mass: flow.Mass{Net: net, Method: flow.Weighed}}
	if day != "" {
		f.When.Occurred, err = time.Parse(time.DateOnly, day)
		require.NoError(w.t, err)
	}
	for _, c := range change {
		c(&f)
	}
	w.facts = append(w.facts, balance.Signed{Fact: f, Sign: 1})
	return w
}

func by(m flow.Method) func(*flow.Fact) { return func(f *flow.Fact) { f.Mass.Method = m } }
func to(id facility.ID, document string) func(*flow.Fact) {
	return func(f *flow.Fact) { f.Target.Facility, f.Consignment = id, document }
}
func from(id facility.ID, document string) func(*flow.Fact) {
	return func(f *flow.Fact) { f.Origin.Facility, f.Consignment = id, document }
}
func out(role flow.OutputRole, code waste.Code, tonnes string) func(*flow.Fact) {
	return func(f *flow.Fact) {
		net, _ := mass.ParseTonnes(tonnes)
		f.Outputs = append(f.Outputs, flow.Output{Role: role, Material: flow.Material{Waste: code}, Net: net})
	}
}
func total(measure flow.Measure, from, to flow.Date) func(*flow.Fact) {
	return func(f *flow.Fact) { f.Measure, f.When = measure, flow.When{Period: flow.Period{From: from, To: to}} }
}

func (w *told) close(from, to flow.Date, complete ...facility.ID) balance.Statement {
	w.t.Helper()
	entries, err := balance.Entries(w.facts, from, to)
	require.NoError(w.t, err)
	return closeBook(w.t, entries, from, to, complete...)
}

func closeBook(t testing.TB, entries []balance.Entry, from, to flow.Date, complete ...facility.ID) balance.Statement {
	t.Helper()
	b := balance.NewBook(from, to, func(id facility.ID) bool { return len(complete) == 0 || slices.Contains(complete, id) })
	require.NoError(t, b.Add(entries...))
	s, err := b.Close(balance.DefaultUncertainties(), balance.Options{})
	require.NoError(t, err)
	return s
}

// measuredLines writes a balance's measured side: "in 10.000000, … gap ?" in
// tonnes without the zeros at their end.
func measuredLines(t testing.TB, s balance.Statement, at facility.ID, code waste.Code) (text string) {
	t.Helper()
	for _, b := range s.Balances {
		if b.Facility != at || b.Whole != (code == "") || b.Material.Waste != code {
			continue
		}
		for _, l := range b.Lines {
			value := fmt.Sprint(float64(l.Measured) / 1e6)
			if !l.Known {
				value = "?"
			}
			text += fmt.Sprintf("%s %s · ", l.Term, value)
		}
		return text
	}
	require.Failf(t, "no balance", "of %s at %s", code, at)
	return ""
}

// plant is a year at a sorting plant: mixed waste in, sorted, and out again;
// part is burnt; stock is counted at both ends.
func plant(t testing.TB) *told {
	w := &told{t: t}
	w.at(flow.StockCounted, "p", "2024-01-01", "200301", "10", by(flow.Estimated))
	w.at(flow.StockCounted, "p", "2024-12-31", "200301", "4", by(flow.Estimated))
	w.at(flow.StockCounted, "p", "2024-12-31", "191204", "5", by(flow.Estimated))
	w.at(flow.StockCounted, "p", "2024-07-01", "200301", "77", by(flow.Estimated)) // half-way: an observation
	w.at(flow.Received, "p", "2024-02-01", "200301", "60").at(flow.Collected, "p", "2024-02-02", "200301", "40")
	w.at(flow.Sorted, "p", "2024-03-01", "200301", "100", out(flow.RoleOutput, "191204", "30"), out(flow.RoleResidue, "191212", "65"), out(flow.RoleLoss, "", "3"))
	w.at(flow.Dispatched, "p", "2024-04-01", "191204", "24", to("q", "D1"))
	w.at(flow.Received, "q", "2024-04-01", "191204", "25", from("p", "D1"))
	w.at(flow.Incinerated, "p", "2024-05-01", "191212", "50", out(flow.RoleBottomAsh, "190112", "10"))
	w.at(flow.Rejected, "p", "2024-05-01", "200301", "2")
	w.at(flow.Received, "p", "2025-01-01", "200301", "1000") // another year
	return w
}

func TestABookNamesTheGap(t *testing.T) {
	s := plant(t).close("2024-01-01", "2025-01-01", "p")
	// 100 in − 2 out − 100 sorted, of which 3 lost, and 6 less in stock.
	require.Equal(t, "in 100 · made 0 · out 2 · treated 97 · loss 3 · stock_change -6 · gap 4 · ", measuredLines(t, s, "p", "200301"))
	require.Equal(t, "in 0 · made 30 · out 24 · treated 0 · loss 0 · stock_change 5 · gap 1 · ", measuredLines(t, s, "p", "191204"))
	require.Equal(t, "in 0 · made 65 · out 0 · treated 50 · loss 0 · stock_change 0 · gap 15 · ", measuredLines(t, s, "p", "191212"))
	require.Equal(t, "in 0 · made 10 · out 0 · treated 0 · loss 0 · stock_change 0 · gap 10 · ", measuredLines(t, s, "p", "190112"))
	// The gaps of the materials (30), of sorting (100−30−65−3 = 2) and of burning (40).
	require.Equal(t, "in 100 · out 26 · loss 3 · stock_change -1 · gap 72 · ", measuredLines(t, s, "p", ""))
	require.Empty(t, s.LeftOut)
}

func TestUncountedStockIsNotGuessed(t *testing.T) {
	s := plant(t).close("2024-01-01", "2024-12-01", "p")
	require.Equal(t, "in 100 · made 0 · out 2 · treated 97 · loss 3 · stock_change ? · gap -2 · ", measuredLines(t, s, "p", "200301"))
	for _, b := range s.Balances {
		require.False(t, b.Counted)
		require.True(t, b.Line(balance.StockChange).Reconciled.Known, "it follows from the rest")
	}
	s = plant(t).close("", "2025-01-01", "p")
	require.Contains(t, measuredLines(t, s, "p", "200301"), "stock_change ?")
}

func TestReconcilingClosesEveryBalance(t *testing.T) {
	s := plant(t).close("2024-01-01", "2025-01-01", "p")
	for _, b := range s.Balances {
		var sum float64
		for _, l := range b.Lines {
			if l.Term == balance.Gap {
				continue
			}
			require.True(t, l.Reconciled.Known, "%+v", l)
			if l.Term == balance.In || l.Term == balance.Made {
				sum += l.Reconciled.Value
			} else {
				sum -= l.Reconciled.Value
			}
		}
		require.InDelta(t, 0, sum, 1e-3, "%s %v", b.Facility, b.Material)
	}
	var sent, came, gas balance.Reconciled
	for i, f := range s.Flows {
		switch {
		case f.Measure == "dispatched":
			sent = s.Result.Streams[i]
		case f.Facility == "q":
			came = s.Result.Streams[i]
		case f.Measure == "flue_gas":
			gas = s.Result.Streams[i]
		}
	}
	require.InDelta(t, sent.Value, came.Value, 1e-6, "what left is what arrived")
	require.Greater(t, sent.Value, 24e6)
	require.Less(t, sent.Value, 25e6)
	require.Equal(t, balance.Observable, gas.Status)
	require.Positive(t, gas.Value)
	require.Positive(t, s.Result.DegreesOfFreedom)
}

func TestMethodsReallyDiffer(t *testing.T) {
	u := balance.DefaultUncertainties()
	seen := map[float64]flow.Method{}
	for _, m := range balance.Methods() {
		sd := math.Sqrt(u.Of(m).Variance(100e6, 1e15, 10)) // ten loads of 10 t
		require.NotContains(t, seen, sd)
		seen[sd] = m
	}
	sd := func(m flow.Method) float64 { return math.Sqrt(u.Of(m).Variance(100e6, 1e15, 10)) }
	require.Less(t, sd(flow.Weighed), sd(flow.Declared))
	require.Less(t, sd(flow.Declared), sd(flow.Volume))
	require.Less(t, sd(flow.Volume), sd(flow.Estimated))
	require.Equal(t, u.Of(flow.Estimated), u.Of("guessed"))
	// The same masses, estimated at one end: the weighed end hardly moves.
	w := (&told{t: t}).at(flow.Dispatched, "a", "2024-03-01", "191204", "20", to("b", "X"))
	w.at(flow.Received, "b", "2024-03-01", "191204", "30", from("a", "X"), by(flow.Estimated))
	s := w.close("2024-01-01", "2025-01-01")
	require.InDelta(t, 20e6, s.Result.Streams[indexOf(s, "a")].Value, 2e4)
	// Weighed ten times more often, known better in proportion: shared error stays.
	one, ten := u.Of(flow.Volume).Variance(100e6, 1e16, 1), u.Of(flow.Volume).Variance(100e6, 1e15, 10)
	require.InDelta(t, 0.04*1e16+0.01*1e16, one, 1e9)
	require.InDelta(t, 0.04*1e15+0.01*1e16, ten, 1e9)
}

func indexOf(s balance.Statement, at facility.ID) int {
	return slices.IndexFunc(s.Flows, func(f balance.Flow) bool { return f.Facility == at && f.BothSides })
}

func TestUncertaintiesCanBeOverridden(t *testing.T) {
	u, err := balance.DefaultUncertainties().With([]string{"volume:20", "weighed:0"})
	require.NoError(t, err)
	require.Equal(t, "uncertainty/v1+volume:20+weighed:0", u.ID)
	require.InDelta(t, 0.04*1e12, u.Of(flow.Volume).Variance(1e6, 1e12, 1), 1)
	require.Zero(t, u.Of(flow.Weighed).Variance(1e6, 1e12, 1))
	require.Equal(t, balance.DefaultUncertainties().Of(flow.Estimated), u.Of(flow.Estimated))
	require.NotZero(t, balance.DefaultUncertainties().Of(flow.Weighed).Single, "the defaults are not changed")
	for _, wrong := range [][]string{{"weighed"}, {"guess:3"}, {"weighed:-1"}, {"weighed:NaN"}, {"weighed:1001"}, {"weighed:1", "weighed:2"}} {
		_, err := balance.DefaultUncertainties().With(wrong)
		require.ErrorContains(t, err, wrong[len(wrong)-1])
	}
}

func TestTotalsAndLoadsAreNeverCountedTogether(t *testing.T) {
	w := &told{t: t}
	w.at(flow.PeriodReported, "p", "", "200301", "500", total(flow.MeasureReceived, "2024-01-01", "2025-01-01"))
	w.at(flow.PeriodReported, "p", "", "200301", "30", total(flow.MeasureReceived, "2024-02-01", "2024-03-01"))
	w.at(flow.PeriodReported, "p", "", "191212", "7", total(flow.MeasureReceived, "2024-02-01", "2024-03-01")) // same period: adds up
	w.at(flow.PeriodReported, "p", "", "200301", "40", total(flow.MeasureReceived, "2024-05-01", "2024-06-01"))
	w.at(flow.PeriodReported, "p", "", "200301", "9", total(flow.MeasureDispatched, "2024-01-01", "2025-01-01")) // another measure
	w.at(flow.PeriodReported, "q", "", "200301", "5", total(flow.MeasureReceived, "2024-01-01", "2025-01-01"))   // another facility
	w.at(flow.Received, "p", "2024-05-17", "200301", "41")
	w.at(flow.Received, "p", "2024-04-30", "200301", "1")
	s := w.close("2024-01-01", "2025-01-01")
	require.Contains(t, measuredLines(t, s, "p", "200301"), "in 72 · made 0 · out 9 ·")
	require.Contains(t, measuredLines(t, s, "p", "191212"), "in 7 ·")
	require.Contains(t, measuredLines(t, s, "q", "200301"), "in 5 ·")
	require.Empty(t, cmp.Diff([]balance.LeftOut{
		{Facility: "p", Measure: "received", Period: flow.Period{From: "2024-01-01", To: "2025-01-01"}, Net: 500e6, Facts: 1},
		{Facility: "p", Measure: "received", Period: flow.Period{From: "2024-05-01", To: "2024-06-01"}, Net: 40e6, Facts: 1},
	}, s.LeftOut))
	// Without loads within the year: the month is finer than the year.
	w.facts = slices.DeleteFunc(w.facts, func(s balance.Signed) bool { return s.Fact.Kind == flow.Received })
	s = w.close("2024-01-01", "2025-01-01")
	require.Contains(t, measuredLines(t, s, "p", "200301"), "in 70 ·")
	require.Empty(t, cmp.Diff([]balance.LeftOut{
		{Facility: "p", Measure: "received", Period: flow.Period{From: "2024-01-01", To: "2025-01-01"}, Beside: flow.Period{From: "2024-02-01", To: "2024-03-01"}, Net: 500e6, Facts: 1},
	}, s.LeftOut))
	entries, err := balance.Entries(w.facts, "", "")
	require.NoError(t, err)
	facilities, measures := balance.Beside(entries)
	require.Empty(t, facilities)
	require.Empty(t, measures)
}

func TestWhatIsTakenBackIsGone(t *testing.T) {
	w := plant(t)
	want := w.close("2024-01-01", "2025-01-01")
	n := len(w.facts)
	w.at(flow.Received, "p", "2024-06-01", "200301", "999", from("q", "D9")).at(flow.Dispatched, "q", "2024-06-01", "200301", "999", to("p", "D9"))
	w.at(flow.PeriodReported, "p", "", "200301", "500", total(flow.MeasureReceived, "2024-01-01", "2024-02-01"))
	w.at(flow.StockCounted, "p", "2025-01-01", "200301", "900")
	for _, s := range slices.Clone(w.facts[n:]) {
		s.Sign = -1
		w.facts = append(w.facts, s)
	}
	require.Empty(t, cmp.Diff(want.Balances, w.close("2024-01-01", "2025-01-01").Balances, cmp.AllowUnexported(balance.Line{})))
}

// randomFacts is a network of facilities that report everything there is.
func randomFacts(t testing.TB, seed uint64, n int) []balance.Signed {
	r := rand.New(rand.NewPCG(seed, 3))
	w := &told{t: t}
	codes := []waste.Code{"200301", "191204", "191212", "190112"}
	sites := []facility.ID{"a", "b", "c", "d"}
	methods := []flow.Method{flow.Weighed, flow.Volume, flow.Estimated, flow.Declared}
	for i := range n {
		site, other := sites[r.IntN(4)], sites[r.IntN(4)]
		tonnes := fmt.Sprintf("%d.%06d", 1+r.IntN(30), r.IntN(1e6))
		day := time.Date(2023, 12, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(430)).Format(time.DateOnly)
		method := by(methods[r.IntN(4)])
		code := codes[r.IntN(4)]
		switch kind := flow.Kinds()[r.IntN(len(flow.Kinds()))]; kind {
		case flow.Dispatched:
			w.at(kind, site, day, code, tonnes, to(other, fmt.Sprint("D", i)), method)
			if r.IntN(3) > 0 {
				w.at(flow.Received, other, day, code, tonnes, from(site, fmt.Sprint("D", i)))
			}
		case flow.Sorted, flow.Recycled, flow.Reused, flow.Incinerated:
			var outs []func(*flow.Fact)
			if kind == flow.Sorted || r.IntN(2) == 0 {
				outs = append(outs, out(flow.RoleResidue, codes[r.IntN(4)], "0.25"), out(flow.RoleLoss, "", "0.000001"))
			}
			w.at(kind, site, day, code, tonnes, append(outs, method)...)
		case flow.PeriodReported:
			year := []flow.Date{"2024-01-01", "2025-01-01"}
			if r.IntN(2) == 0 {
				year = []flow.Date{"2024-03-01", "2024-04-01"}
			}
			w.at(kind, site, "", code, tonnes, total([]flow.Measure{flow.MeasureReceived, flow.MeasureSorted, flow.MeasureExported}[r.IntN(3)], year[0], year[1]), by(flow.Declared))
		case flow.StockCounted:
			w.at(kind, site, []string{"2024-01-01", "2023-12-31", "2024-12-30", "2025-01-02", day}[r.IntN(5)], code, tonnes, method)
		default:
			w.at(kind, site, day, code, tonnes, method)
		}
		if r.IntN(6) == 0 {
			back := w.facts[r.IntN(len(w.facts))]
			back.Sign = -back.Sign
			w.facts = append(w.facts, back)
		}
	}
	return w.facts
}

func TestTheOrderOfFactsChangesNothing(t *testing.T) {
	for seed := range uint64(15) {
		facts := randomFacts(t, seed, 150)
		first := (&told{t: t, facts: facts}).close("2024-01-01", "2025-01-01", "a", "b", "c")
		r := rand.New(rand.NewPCG(seed, 8))
		shuffled := slices.Clone(facts)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		entries, err := balance.Entries(shuffled, "2024-01-01", "2025-01-01")
		require.NoError(t, err)
		r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		again := closeBook(t, entries, "2024-01-01", "2025-01-01", "a", "b", "c")
		require.True(t, reflect.DeepEqual(first, again), "seed %d: not the same to the last bit", seed)
	}
}

// Everything a random world reports, folded the plainest way there is.
func TestEveryGramIsInItsTerm(t *testing.T) {
	for seed := range uint64(15) {
		facts := slices.DeleteFunc(randomFacts(t, seed, 150), func(s balance.Signed) bool { return s.Fact.Kind == flow.PeriodReported })
		s := (&told{t: t, facts: facts}).close("2024-01-01", "2025-01-01")
		want := map[facility.ID]map[balance.Term]mass.Grams{}
		for _, f := range facts {
			day := f.Fact.When.Occurred.Format(time.DateOnly)
			if day < "2024-01-01" || day >= "2025-01-01" || f.Fact.Kind == flow.StockCounted {
				continue
			}
			if want[f.Fact.Facility] == nil {
				want[f.Fact.Facility] = map[balance.Term]mass.Grams{}
			}
			sum := want[f.Fact.Facility]
			net := f.Fact.Mass.Net * mass.Grams(f.Sign)
			switch {
			case f.Fact.Kind == flow.Collected || f.Fact.Kind == flow.Received:
				sum[balance.In] += net
			case len(f.Fact.Outputs) == 0:
				sum[balance.Out] += net
			}
			for _, o := range f.Fact.Outputs {
				if o.Role == flow.RoleLoss {
					sum[balance.Loss] += o.Net * mass.Grams(f.Sign)
				}
			}
		}
		for _, b := range s.Balances {
			if !b.Whole {
				continue
			}
			for _, term := range []balance.Term{balance.In, balance.Out, balance.Loss} {
				require.Equal(t, want[b.Facility][term], b.Line(term).Measured, "%s of %s, seed %d", term, b.Facility, seed)
			}
			change := mass.Grams(0)
			if l := b.Line(balance.StockChange); l.Known {
				change = l.Measured
			}
			require.Equal(t, b.Line(balance.In).Measured-b.Line(balance.Out).Measured-b.Line(balance.Loss).Measured-change, b.Line(balance.Gap).Measured)
		}
	}
}

func TestBookRefuses(t *testing.T) {
	b := balance.NewBook("", "", func(facility.ID) bool { return true })
	require.ErrorContains(t, b.Add(balance.Entry{Facility: "p", Measure: "dreamt", Net: 1}), "dreamt")
	require.NoError(t, b.Add(balance.Entry{Facility: "p", Measure: "received", Net: math.MaxInt64, Legs: 1}, balance.Entry{Facility: "p", Measure: "collected", Net: math.MaxInt64, Legs: 1}))
	_, err := b.Close(balance.DefaultUncertainties(), balance.Options{})
	require.True(t, errors.Is(err, mass.ErrOverflow), "%v", err)
	_, err = balance.Entries([]balance.Signed{{Fact: flow.Fact{Kind: flow.PeriodReported}, Sign: 1}}, "", "")
	require.ErrorContains(t, err, "no period")
}
