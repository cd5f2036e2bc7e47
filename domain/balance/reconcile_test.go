package balance_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/fault"
)

// near holds two numbers equal to a part of them; a want of 0 to that part of one.
func near(t testing.TB, want, got, part float64, what string, args ...any) {
	t.Helper()
	if limit := part * math.Max(math.Abs(want), 1e-300); want != 0 && math.Abs(got-want) <= limit || want == 0 && math.Abs(got) <= part {
		return
	}
	require.Failf(t, "numbers differ", "%s: want %v, got %v", fmt.Sprintf(what, args...), want, got)
}

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, into))
}

// dense makes a problem of a matrix and measured values.
func dense(incidence [][]float64, streams []balance.Stream) balance.Problem {
	p := balance.Problem{Streams: streams}
	for k, row := range incidence {
		c := balance.Constraint{Name: fmt.Sprint("node ", k+1)}
		for i, f := range row {
			if f != 0 {
				c.Terms = append(c.Terms, balance.Coefficient{Stream: i, Factor: f})
			}
		}
		p.Constraints = append(p.Constraints, c)
	}
	return p
}

func TestPublishedProblemsAreReproduced(t *testing.T) {
	var problems map[string]struct {
		Streams    []string    `json:"streams"`
		Measured   []float64   `json:"measured"`
		Variance   []float64   `json:"variance"`
		Incidence  [][]float64 `json:"incidence"`
		Reconciled []float64   `json:"expected_wls_reconciled"`
		Published  []float64   `json:"published_reconciled"`
		Chi2       float64     `json:"expected_chi2"`
		DOF        int         `json:"dof"`
	}
	readJSON(t, "reconciliation_wls.json", &problems)
	require.GreaterOrEqual(t, len(problems), 6)
	for _, id := range slices.Sorted(maps.Keys(problems)) {
		t.Run(id, func(t *testing.T) {
			k := problems[id]
			var streams []balance.Stream
			for i := range k.Streams {
				streams = append(streams, balance.Stream{ID: k.Streams[i], Measured: true, Value: k.Measured[i], Variance: k.Variance[i]})
			}
			r, err := balance.Reconcile(dense(k.Incidence, streams), balance.Options{})
			require.NoError(t, err)
			for i, want := range k.Reconciled {
				near(t, want, r.Streams[i].Value, 1e-9, "stream %s", k.Streams[i])
				require.InDelta(t, k.Published[i], r.Streams[i].Value, 0.0051, "stream %s as published", k.Streams[i])
			}
			near(t, k.Chi2, r.ChiSquare, 1e-9, "chi square")
			require.Equal(t, k.DOF, r.DegreesOfFreedom)
			require.Equal(t, r.ChiSquare > r.Critical, r.GrossError)
		})
	}
}

func TestMinimalBalancesAreReproduced(t *testing.T) {
	type expected struct {
		Mean, SD float64
	}
	var file struct {
		Cases []struct {
			Name  string `json:"name"`
			Flows []struct {
				ID, Dir  string
				Mean, SD *float64
			} `json:"flows"`
			Expected struct {
				F1, F2, F3 *expected
				Chi2       float64
				DF         int
				Critical   float64 `json:"critical_95"`
				Flag       string
			} `json:"expected"`
		} `json:"cases"`
	}
	raw, err := os.ReadFile("testdata/mass_balance_minimal.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &file, json.MatchCaseInsensitiveNames(true)))
	require.Len(t, file.Cases, 4)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var edges []balance.Edge
			for _, f := range c.Flows {
				e := balance.Edge{Stream: balance.Stream{ID: f.ID}, To: "process"}
				if f.Dir == "out" {
					e.From, e.To = "process", ""
				}
				if f.Mean != nil {
					e.Measured, e.Value, e.Variance = true, *f.Mean, *f.SD**f.SD
				}
				edges = append(edges, e)
			}
			r, err := balance.Reconcile(balance.Network(edges), balance.Options{Significance: 0.05})
			require.NoError(t, err)
			for i, want := range []*expected{c.Expected.F1, c.Expected.F2, c.Expected.F3} {
				if want != nil {
					near(t, want.Mean, r.Streams[i].Value, 1e-9, "mean of F%d", i+1)
					near(t, want.SD, math.Sqrt(r.Streams[i].Variance), 1e-9, "sd of F%d", i+1)
				}
			}
			near(t, c.Expected.Chi2, r.ChiSquare, 1e-9, "chi square")
			require.Equal(t, c.Expected.DF, r.DegreesOfFreedom)
			if c.Expected.Critical != 0 {
				near(t, c.Expected.Critical, r.Critical, 1e-9, "critical value")
			}
			require.Equal(t, c.Expected.Flag == "gross error", r.GrossError)
		})
	}
}

// randomProblem makes a network with everything that real ones have: streams
// measured well, badly, exactly and not at all, parts that do not hang
// together, balances that follow from others, loops.
func randomProblem(r *rand.Rand, spread float64) balance.Problem {
	nodes := make([]string, 1+r.IntN(5))
	for i := range nodes {
		nodes[i] = fmt.Sprint("n", i)
	}
	end := func() string {
		if r.IntN(4) == 0 {
			return ""
		}
		return nodes[r.IntN(len(nodes))]
	}
	var edges []balance.Edge
	for i := range 2 + r.IntN(9) {
		e := balance.Edge{From: end(), To: end(), Stream: balance.Stream{ID: fmt.Sprint("s", i)}}
		if r.IntN(3) > 0 {
			sd := math.Exp2(float64(r.IntN(1+int(spread))) - spread/2)
			e.Measured, e.Value, e.Variance = true, 100+float64(r.IntN(1000))/8, sd*sd
		}
		edges = append(edges, e)
	}
	p := balance.Network(edges)
	if len(p.Constraints) > 1 && r.IntN(3) == 0 { // a balance that follows from two others
		c := balance.Constraint{Name: "sum"}
		c.Terms = append(append(c.Terms, p.Constraints[0].Terms...), p.Constraints[1].Terms...)
		p.Constraints = append(p.Constraints, c)
	}
	if r.IntN(4) == 0 { // factors as of losses in transfer
		for k := range p.Constraints {
			for j := range p.Constraints[k].Terms {
				p.Constraints[k].Terms[j].Factor *= []float64{1, 0.5, 0.875, 3}[r.IntN(4)]
			}
		}
	}
	if r.IntN(4) == 0 && p.Streams[0].Measured {
		p.Streams[0].Variance = 0
	}
	return p
}

func TestRandomProblemsAreSolvedAsInRationalArithmetic(t *testing.T) {
	statuses := map[balance.Status]int{}
	for _, spread := range []float64{0, 8, 40} { // standard deviations up to 10^12 apart
		for seed := range uint64(400) {
			r := rand.New(rand.NewPCG(seed, uint64(spread)))
			p := randomProblem(r, spread)
			want := solveExactly(p)
			got, err := balance.Reconcile(p, balance.Options{})
			require.Equal(t, want.solves, err == nil, "seed %d: %v", seed, err)
			if err != nil {
				continue
			}
			require.Equal(t, want.dof, got.DegreesOfFreedom, "seed %d spread %g", seed, spread)
			chi2 := float(want.chi2)
			if chi2 < 1e-12 {
				require.Less(t, got.ChiSquare, 1e-9)
			} else {
				near(t, chi2, got.ChiSquare, 1e-8, "chi square of seed %d, spread %g", seed, spread)
			}
			var widest float64
			for _, s := range p.Streams {
				widest = max(widest, s.Variance)
			}
			for i, s := range got.Streams {
				statuses[s.Status]++
				require.Equal(t, want.values[i] == nil, s.Status == balance.Unobservable, "stream %d of seed %d: %+v", i, seed, p)
				if want.values[i] == nil {
					continue
				}
				near(t, float(want.values[i]), s.Value, 1e-9, "stream %d (%s) of seed %d, spread %g", i, s.Status, seed, spread)
				require.Equal(t, float(want.values[i]) < 0 && s.Value < 0, s.Negative, "stream %d of seed %d: want %v, got %+v in %+v", i, seed, float(want.values[i]), s, got)
				for j := range got.Streams {
					if want.values[j] == nil {
						continue
					}
					scale := math.Sqrt(float(want.cov[i][i]) * float(want.cov[j][j]))
					if limit := 1e-7*scale + 1e-14*widest; math.Abs(float(want.cov[i][j])-got.Covariance(i, j)) > limit {
						require.Failf(t, "covariance", "of %d and %d, seed %d, spread %g: want %g, got %g", i, j, seed, spread, float(want.cov[i][j]), got.Covariance(i, j))
					}
				}
				if want := float(want.cov[i][i]); want > 0 {
					near(t, want, s.Variance, 1e-7, "variance of %d, seed %d, spread %g", i, seed, spread)
				}
			}
		}
	}
	for _, s := range []balance.Status{balance.Redundant, balance.Unchecked, balance.Exact, balance.Observable, balance.Unobservable} {
		require.Greater(t, statuses[s], 30, "%s is among what was tried", s)
	}
}

// residual is the largest miss of any balance that holds no unobservable
// stream, beside the largest measured value.
func residual(p balance.Problem, r balance.Result) (worst float64) {
	var largest float64
	for _, s := range p.Streams {
		largest = max(largest, math.Abs(s.Value))
	}
	for _, c := range p.Constraints {
		if sum, _, known := r.Sum(c.Terms); known {
			worst = max(worst, math.Abs(sum)/largest)
		}
	}
	return worst
}

func TestEveryBalanceHoldsAfterwards(t *testing.T) {
	for seed := range uint64(20) {
		p := large(seed, 60, 200, 0.2)
		r, err := balance.Reconcile(p, balance.Options{})
		require.NoError(t, err)
		require.Less(t, residual(p, r), 1e-11, "seed %d", seed)
		var chi2 float64
		for i, s := range r.Streams {
			if s.Status == balance.Redundant {
				near(t, s.Value-p.Streams[i].Value, s.Adjustment, 1e-6, "adjustment %d", i)
				chi2 += s.Adjustment * s.Adjustment / p.Streams[i].Variance
				require.LessOrEqual(t, s.Variance, p.Streams[i].Variance*(1+1e-12), "nothing is known worse afterwards")
			}
		}
		near(t, chi2, r.ChiSquare, 1e-10, "chi square is the quadratic form")
	}
}

func TestOrderAndUnitChangeNothing(t *testing.T) {
	for seed := range uint64(40) {
		p := large(seed, 12, 40, 0.25)
		r, err := balance.Reconcile(p, balance.Options{})
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(seed, 99))
		to := rng.Perm(len(p.Streams))
		unit := []float64{1e-6, 1e6, 1.0 / 3}[seed%3]
		q := balance.Problem{Streams: make([]balance.Stream, len(to))}
		for i, s := range p.Streams {
			s.Value *= unit
			s.Variance *= unit * unit
			q.Streams[to[i]] = s
		}
		for _, k := range rng.Perm(len(p.Constraints)) {
			c := balance.Constraint{Name: p.Constraints[k].Name}
			for _, term := range p.Constraints[k].Terms {
				c.Terms = append(c.Terms, balance.Coefficient{Stream: to[term.Stream], Factor: -4.5 * term.Factor})
			}
			slices.Reverse(c.Terms)
			q.Constraints = append(q.Constraints, c)
		}
		again, err := balance.Reconcile(q, balance.Options{})
		require.NoError(t, err)
		require.Equal(t, r.DegreesOfFreedom, again.DegreesOfFreedom)
		near(t, r.ChiSquare, again.ChiSquare, 1e-9, "chi square")
		var widest float64
		for _, s := range p.Streams {
			widest = max(widest, s.Variance)
		}
		for i, s := range r.Streams {
			o := again.Streams[to[i]]
			require.Equal(t, s.Status, o.Status)
			require.InDelta(t, s.Value*unit, o.Value, 1e-9*unit*1e6, "stream %d", i)
			require.InDelta(t, s.Variance, o.Variance/unit/unit, 1e-7*s.Variance+1e-15*widest, "variance of %d", i)
			require.InDelta(t, s.Test, o.Test, 1e-6)
		}
	}
}

func measured(id string, value, sd float64) balance.Stream {
	return balance.Stream{ID: id, Measured: true, Value: value, Variance: sd * sd}
}

func TestTheTestPointsAtTheCulprit(t *testing.T) {
	// Three nodes in a row, each with one outlet; the second outlet was typed
	// with one zero too many.
	edges := []balance.Edge{
		{Stream: measured("in", 1000, 5), To: "a"},
		{Stream: measured("a-out", 300, 5), From: "a"},
		{Stream: measured("a-b", 702, 5), From: "a", To: "b"},
		{Stream: measured("b-out", 1000, 5), From: "b"},
		{Stream: measured("b-c", 601, 5), From: "b", To: "c"},
		{Stream: measured("c-out", 600, 5), From: "c"},
	}
	r, err := balance.Reconcile(balance.Network(edges), balance.Options{})
	require.NoError(t, err)
	require.True(t, r.GrossError)
	require.NotEmpty(t, r.Suspects)
	require.Equal(t, "b-out", edges[r.Suspects[0]].ID)
	edges[3].Value = 100
	r, err = balance.Reconcile(balance.Network(edges), balance.Options{})
	require.NoError(t, err)
	require.False(t, r.GrossError)
	require.Empty(t, r.Suspects)
}

func TestTheTestRaisesAsManyFalseAlarmsAsItSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alarms, suspects := 0, 0
	const tries = 4000
	for range tries {
		edges := []balance.Edge{
			{Stream: measured("in", 100+3*rng.NormFloat64(), 3), To: "a"},
			{Stream: measured("ab", 70+5*rng.NormFloat64(), 5), From: "a", To: "b"},
			{Stream: measured("x", 30+2*rng.NormFloat64(), 2), From: "a"},
			{Stream: measured("y", 50+1*rng.NormFloat64(), 1), From: "b"},
			{Stream: measured("z", 20+4*rng.NormFloat64(), 4), From: "b"},
		}
		r, err := balance.Reconcile(balance.Network(edges), balance.Options{Significance: 0.1})
		require.NoError(t, err)
		require.Equal(t, 2, r.DegreesOfFreedom)
		if r.GrossError {
			alarms++
		}
		if len(r.Suspects) > 0 {
			suspects++
		}
	}
	require.InDelta(t, 0.1, float64(alarms)/tries, 0.02)
	require.Less(t, float64(suspects)/tries, 0.12, "the test of streams shares one significance")
	require.Greater(t, suspects, 0)
}

func TestNegativeResultsAreFlagged(t *testing.T) {
	edges := []balance.Edge{
		{Stream: measured("in", 10, 1), To: "a"}, {Stream: measured("out", 30, 1), From: "a"}, {Stream: balance.Stream{ID: "rest"}, From: "a"},
	}
	r, err := balance.Reconcile(balance.Network(edges), balance.Options{})
	require.NoError(t, err)
	require.Equal(t, balance.Observable, r.Streams[2].Status)
	near(t, -20, r.Streams[2].Value, 1e-12, "rest")
	require.True(t, r.Streams[2].Negative)
	edges[2].Signed = true
	r, err = balance.Reconcile(balance.Network(edges), balance.Options{})
	require.NoError(t, err)
	require.False(t, r.Streams[2].Negative)
}

func TestSumsCarryTheirCovariance(t *testing.T) {
	edges := []balance.Edge{
		{Stream: measured("in", 100, 2), To: "a"}, {Stream: measured("out", 60, 3), From: "a"}, {Stream: balance.Stream{ID: "rest"}, From: "a"},
		{Stream: measured("far", 5, 1), To: "b"}, {Stream: balance.Stream{ID: "x"}, From: "b"}, {Stream: balance.Stream{ID: "y"}, From: "b"},
	}
	r, err := balance.Reconcile(balance.Network(edges), balance.Options{})
	require.NoError(t, err)
	value, variance, known := r.Sum([]balance.Coefficient{{Stream: 1, Factor: 1}, {Stream: 2, Factor: 1}})
	require.True(t, known)
	near(t, 100, value, 1e-12, "out and rest")
	near(t, 4, variance, 1e-12, "together they are as sure as what came in")
	_, _, known = r.Sum([]balance.Coefficient{{Stream: 1, Factor: 1}, {Stream: 4, Factor: 1}})
	require.False(t, known)
	require.Equal(t, balance.Unobservable, r.Streams[4].Status)
	require.Zero(t, r.Covariance(0, 3), "parts that do not hang together know nothing of each other")
}

func TestNothingMeasuredIsNoError(t *testing.T) {
	r, err := balance.Reconcile(balance.Network([]balance.Edge{{Stream: balance.Stream{ID: "a"}, To: "n"}, {Stream: balance.Stream{ID: "b"}, From: "n"}}), balance.Options{})
	require.NoError(t, err)
	require.Zero(t, r.DegreesOfFreedom)
	require.False(t, r.GrossError)
	require.Equal(t, balance.Unobservable, r.Streams[0].Status)
	r, err = balance.Reconcile(balance.Problem{}, balance.Options{})
	require.NoError(t, err)
	require.Empty(t, r.Streams)
	// A node with one unmeasured stream: nothing can flow there.
	r, err = balance.Reconcile(balance.Network([]balance.Edge{{Stream: balance.Stream{ID: "a"}, To: "n"}}), balance.Options{})
	require.NoError(t, err)
	require.Equal(t, balance.Observable, r.Streams[0].Status)
	require.Zero(t, r.Streams[0].Value)
}

func TestErrNamesEverythingThatIsWrong(t *testing.T) {
	node := func(i int, f float64) []balance.Constraint {
		return []balance.Constraint{{Terms: []balance.Coefficient{{Stream: i, Factor: f}}}}
	}
	ok := []balance.Stream{measured("a", 1, 1)}
	for name, c := range map[string]struct {
		p    balance.Problem
		o    balance.Options
		rule string
	}{
		"not a number":        {balance.Problem{Streams: []balance.Stream{measured("a", math.NaN(), 1)}}, balance.Options{}, "stream-value"},
		"endless":             {balance.Problem{Streams: []balance.Stream{measured("a", math.Inf(1), 1)}}, balance.Options{}, "stream-value"},
		"negative variance":   {balance.Problem{Streams: []balance.Stream{{ID: "a", Measured: true, Variance: -1}}}, balance.Options{}, "stream-variance"},
		"variance no number":  {balance.Problem{Streams: []balance.Stream{{ID: "a", Measured: true, Variance: math.NaN()}}}, balance.Options{}, "stream-variance"},
		"twice":               {balance.Problem{Streams: []balance.Stream{{ID: "a"}, {ID: "a"}}}, balance.Options{}, "stream-twice"},
		"no such stream":      {balance.Problem{Streams: ok, Constraints: node(1, 1)}, balance.Options{}, "constraint-stream"},
		"factor no number":    {balance.Problem{Streams: ok, Constraints: node(0, math.NaN())}, balance.Options{}, "constraint-factor"},
		"significance":        {balance.Problem{}, balance.Options{Significance: 1}, "significance"},
		"exact contradiction": {balance.Network([]balance.Edge{{Stream: measured("a", 100, 0), To: "n"}, {Stream: measured("b", 110, 0), From: "n"}}), balance.Options{}, "exact-values-contradict"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := balance.Reconcile(c.p, c.o)
			var f *fault.Fault
			require.True(t, errors.As(err, &f), "%v", err)
			require.Equal(t, fault.Invalid, f.Kind)
			require.Len(t, f.Violations, 1)
			require.Equal(t, c.rule, f.Violations[0].Rule)
			require.NotEmpty(t, f.Violations[0].Message)
		})
	}
}
