package balance

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// DefaultSignificance is the chance that a network without gross errors is
// nevertheless said to have one.
const DefaultSignificance = 0.05

// Options tell how to reconcile. The zero Options are the defaults.
type Options struct {
	Significance float64 // between 0 and 1, exclusive; 0 is DefaultSignificance
}

// Status tells what is known of a stream.
type Status string

// The statuses of a stream.
const (
	Redundant    Status = "redundant"    // measured, and checked by other measurements: reconciled
	Unchecked    Status = "unchecked"    // measured, and nothing else tells what it is: as measured
	Exact        Status = "exact"        // measured without any uncertainty: as measured
	Observable   Status = "observable"   // not measured, and follows from what is
	Unobservable Status = "unobservable" // not measured, and any value would do: none is given
)

// Reconciled is what a reconciliation says of one stream.
type Reconciled struct {
	Status     Status
	Value      float64 // 0 when Unobservable
	Variance   float64 // what uncertainty is left, unit squared; 0 when Exact or Unobservable
	Adjustment float64 // Value minus the measured value; 0 when not measured
	// Test is the size of the adjustment in standard deviations of itself
	// (measurement test); 0 unless Redundant.
	Test     float64
	Suspect  bool // Test is above Result.StreamCritical
	Negative bool // Value is below zero by more than rounding, and the stream is not Signed
}

// Result is a reconciled problem.
type Result struct {
	Streams []Reconciled // in the order of Problem.Streams
	// ChiSquare is the sum of squared adjustments over variances. Without
	// gross errors it is distributed as χ² of DegreesOfFreedom: the number of
	// independent balances among the measured streams (rank).
	ChiSquare        float64
	DegreesOfFreedom int
	Significance     float64
	Critical         float64 // of ChiSquare at Significance; 0 without degrees of freedom
	GrossError       bool    // ChiSquare is above Critical
	// StreamCritical is what one stream's Test must exceed to be suspect: the
	// normal quantile at Significance shared by all redundant streams (Šidák).
	StreamCritical float64
	Suspects       []int // streams whose Test is above StreamCritical, largest first

	factors map[int]factor
}

// factor is a row of a matrix F with covariance = F Fᵀ within a component.
type factor struct {
	component int
	row       []float64
}

// Reconcile finds the values closest to the measured ones, by weight
// 1/variance, that satisfy every balance.
//
// The balances are brought into echelon form, exactly where they are a network,
// unmeasured streams first (Crowe's projection) and then from the least certain
// one on. What is left is solved by a Cholesky factorisation whose condition
// does not depend on the variances. Ranks are decided on the balances alone.
//
// Errors are faults: Invalid with a violation for everything that is wrong
// (rule exact-values-contradict when exact values leave no solution,
// values-too-far-apart when floating point cannot hold the numbers), TooLarge
// beyond MaxComponent.
func Reconcile(p Problem, o Options) (Result, error) {
	if o.Significance == 0 {
		o.Significance = DefaultSignificance
	}
	if !(o.Significance > 0 && o.Significance < 1) {
		return Result{}, invalid("significance", "significance", fmt.Sprint(o.Significance), "does not lie between 0 and 1")
	}
	if err := p.check(); err != nil {
		return Result{}, err
	}
	r := Result{Streams: make([]Reconciled, len(p.Streams)), Significance: o.Significance, factors: map[int]factor{}}
	for number, c := range p.components() {
		if len(c.streams) > MaxComponent || len(c.constraints) > MaxComponent {
			return Result{}, fault.New(fault.TooLarge,
				"%d streams and %d balances hang together; at most %d of each can be reconciled", len(c.streams), len(c.constraints), MaxComponent)
		}
		s := solver{problem: p, component: c, number: number, result: &r}
		if err := s.solve(); err != nil {
			return Result{}, err
		}
	}
	r.test()
	return r, nil
}

// test fills in what is decided over all components together.
func (r *Result) test() {
	if r.DegreesOfFreedom > 0 {
		r.Critical = distuv.ChiSquared{K: float64(r.DegreesOfFreedom)}.Quantile(1 - r.Significance)
		r.GrossError = r.ChiSquare > r.Critical
	}
	redundant := 0
	for _, s := range r.Streams {
		if s.Status == Redundant {
			redundant++
		}
	}
	if redundant == 0 {
		return
	}
	each := -math.Expm1(math.Log1p(-r.Significance) / float64(redundant))
	r.StreamCritical = -distuv.UnitNormal.Quantile(each / 2)
	for i := range r.Streams {
		s := &r.Streams[i]
		if s.Status == Redundant && s.Test > r.StreamCritical {
			s.Suspect = true
			r.Suspects = append(r.Suspects, i)
		}
	}
	slices.SortStableFunc(r.Suspects, func(i, j int) int { return cmp.Compare(r.Streams[j].Test, r.Streams[i].Test) })
}

// Covariance of two reconciled streams; 0 with an exact or unobservable one.
func (r Result) Covariance(i, j int) float64 {
	a, b := r.factors[i], r.factors[j]
	if a.row == nil || b.row == nil || a.component != b.component {
		return 0
	}
	var sum float64
	for k := range a.row {
		sum += a.row[k] * b.row[k]
	}
	return sum
}

// Sum is the value and the variance of a sum of factor × stream. known is
// false when a stream with a factor is unobservable.
func (r Result) Sum(terms []Coefficient) (value, variance float64, known bool) {
	known = true
	rows := map[int][]float64{}
	for _, t := range terms {
		if t.Factor == 0 {
			continue
		}
		if r.Streams[t.Stream].Status == Unobservable {
			known = false
		}
		value += t.Factor * r.Streams[t.Stream].Value
		f := r.factors[t.Stream]
		if f.row == nil {
			continue
		}
		if rows[f.component] == nil {
			rows[f.component] = make([]float64, len(f.row))
		}
		for k, x := range f.row {
			rows[f.component][k] += t.Factor * x
		}
	}
	for _, c := range slices.Sorted(maps.Keys(rows)) {
		variance += squares(rows[c])
	}
	if !known {
		return 0, 0, false
	}
	return value, variance, true
}

func squares(row []float64) (sum float64) {
	for _, x := range row {
		sum += x * x
	}
	return sum
}
