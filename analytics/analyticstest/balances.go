package analyticstest

import (
	"bytes"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/export"
	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/facility"
)

// RunBalances holds a home of the tables to what the balance question
// promises: golden answers over the seed, and random worlds in which every
// answer is what a book of the facts themselves says.
func RunBalances(t *testing.T, o Options) {
	t.Helper()
	t.Run("OK golden answers over the seed", func(t *testing.T) { goldenBalances(t, o) })
	for seed := range o.Worlds {
		w := RandomReports(uint64(seed), o.Facts) //nolint:gosec // a small number
		s, err := analytics.New(analytics.DefaultConfig(), analytics.Deps{Conn: o.Open(t, w)})
		require.NoError(t, err)
		for _, q := range []analytics.BalanceQuery{
			{}, {From: "2024-01-01", To: "2025-01-01"}, {From: "2024-03-01", To: "2024-04-01"}, {To: "2024-06-15"},
			{From: "2024-01-01", To: "2025-01-01", Facilities: []string{"aa-f-1"}},
			{From: "2024-01-01", To: "2024-12-31", Facilities: []string{"Plant aa-f-2", "aa-f-3"}, Uncertainty: []string{"volume:3"}},
			{From: "2024-01-01", To: "2025-01-01", Materials: []string{"19 12 04"}},
		} {
			sameBalances(t, s, w, q)
		}
	}
}

// sameBalances compares an answer with a book of the facts.
func sameBalances(t *testing.T, s *analytics.Service, w World, q analytics.BalanceQuery) {
	t.Helper()
	got, err := s.Balances(t.Context(), q)
	require.NoError(t, err, "%+v", q)
	require.Equal(t, w.Committed, got.Position)
	entries, err := balance.Entries(w.signed(), q.From, q.To)
	require.NoError(t, err)
	asked := map[facility.ID]bool{}
	for _, f := range w.Facilities {
		if len(q.Facilities) == 0 || slices.Contains(q.Facilities, f.ID) || slices.Contains(q.Facilities, f.Name) {
			asked[facility.ID(f.ID)] = true
		}
	}
	complete := map[facility.ID]bool{}
	for _, e := range entries {
		complete[e.Facility] = complete[e.Facility] || asked[e.Facility] || e.BothSides && asked[e.Other]
	}
	book := balance.NewBook(q.From, q.To, func(id facility.ID) bool { return complete[id] })
	for _, e := range entries {
		if complete[e.Facility] || e.BothSides && complete[e.Other] {
			require.NoError(t, book.Add(e))
		}
	}
	rules, err := balance.DefaultUncertainties().With(q.Uncertainty)
	require.NoError(t, err)
	require.Contains(t, got.Rules, rules.ID)
	want, err := book.Close(rules, balance.Options{})
	require.NoError(t, err)
	require.Equal(t, want.LeftOut, got.LeftOut, "%+v", q)
	require.Equal(t, want.Result.DegreesOfFreedom, got.Test.DegreesOfFreedom)
	require.InEpsilon(t, 1+want.Result.ChiSquare, 1+got.Test.ChiSquare, 1e-9)
	shows := func(m balance.Material) bool { return len(q.Materials) == 0 || m.Waste == "191204" }
	var balances []balance.Balance
	for _, b := range want.Balances {
		if b.Whole && len(q.Materials) == 0 || !b.Whole && shows(b.Material) {
			balances = append(balances, b)
		}
	}
	require.Len(t, got.Balances, len(balances), "%+v", q)
	for i, b := range balances {
		b.Lines = slices.DeleteFunc(b.Lines, func(l balance.Line) bool { return l.Streams == 0 && l.Term != balance.Gap })
		g := got.Balances[i]
		require.Equal(t, []any{b.Facility, b.Whole, b.Material, b.Counted}, []any{g.Facility, g.Whole, g.Material, g.Counted})
		require.Equal(t, !asked[b.Facility], g.Neighbour)
		require.Len(t, g.Lines, len(b.Lines))
		for j, l := range b.Lines {
			require.Equal(t, []any{l.Term, l.Measured, l.Known}, []any{g.Lines[j].Term, g.Lines[j].Measured, g.Lines[j].Known}, "%s %v of %+v", b.Facility, b.Material, q)
			nearly(t, l.Reconciled.Value, g.Lines[j].Reconciled.Value)
			nearly(t, l.Reconciled.SD, g.Lines[j].Reconciled.SD)
		}
	}
	i := 0
	for k, f := range want.Flows {
		if !shows(f.Material) {
			continue
		}
		nearly(t, f.SD, got.Flows[i].SD)
		got.Flows[i].SD = f.SD
		require.Equal(t, f, got.Flows[i].Flow)
		require.Equal(t, want.Result.Streams[k].Status, got.Flows[i].Status)
		nearly(t, want.Result.Streams[k].Value, got.Flows[i].Value)
		i++
	}
	require.Len(t, got.Flows, i)
}

// nearly holds two estimates in grams to a hundredth of one, or nine digits:
// engines may add squares up in another order.
func nearly(t *testing.T, want, got float64) {
	t.Helper()
	require.LessOrEqual(t, math.Abs(want-got), 0.01+1e-9*math.Abs(want), "want %v, got %v", want, got)
}

// goldenBalances asks the questions of the golden files over the seed.
func goldenBalances(t *testing.T, o Options) {
	t.Helper()
	w := Seed()
	w.Facts, w.Segments = nil, nil
	s, err := analytics.New(analytics.DefaultConfig(), analytics.Deps{Conn: o.Open(t, w)})
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(o.Golden, "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			question, _, _ := strings.Cut(string(want), "\n")
			got := question + "\n" + balanceText(t, s, question)
			if o.Update != nil && o.Update.Value.String() == "true" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				return
			}
			require.Equal(t, string(want), got)
		})
	}
}

// balanceText is an answer as a table and as JSON, or the refusal.
func balanceText(t *testing.T, s *analytics.Service, question string) string {
	t.Helper()
	values, err := url.ParseQuery(question)
	require.NoError(t, err)
	q, err := analytics.ParseBalanceQuery(values)
	if err != nil {
		return err.Error() + "\n"
	}
	answer, err := s.Balances(t.Context(), q)
	if err != nil {
		return err.Error() + "\n"
	}
	require.True(t, answer.From == q.From && answer.To == q.To)
	var b bytes.Buffer
	require.NoError(t, export.WriteBalancesJSON(&b, answer))
	text := jsontext.Value(bytes.Clone(b.Bytes()))
	form, err := export.ReadBalancesJSON(&b)
	require.NoError(t, err)
	var table bytes.Buffer
	require.NoError(t, export.WriteBalancesTable(&table, form, 0))
	require.NoError(t, text.Indent(jsontext.WithIndent("  ")))
	return table.String() + "\n" + string(text) + "\n"
}
