package balance

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// Limits of what counts as nothing, on balances scaled to entries near one.
const (
	roundingTolerance = 4e-15 // a difference this small beside what it was taken from is none
	rankTolerance     = 1e-10 // an entry this small is no pivot
	zeroTolerance     = 1e-9  // an entry this small joins a stream to nothing
	exactTolerance    = 1e-9  // exact values may miss their balance by this part of its largest term
	negativeTolerance = 1e-9  // below zero by less than this part of the largest value, measured or found, is rounding
)

// solver reconciles one component in three steps.
//
//  1. The balances are brought into reduced echelon form, pivots taken from the
//     unmeasured streams first and then from the least certain ones. What is
//     left below are balances among exact values, which must hold.
//  2. Each row then gives one stream, its basis, by more certain ones. Rows of
//     measured streams read z_B + M z_N = d, in adjustments over standard
//     deviations; their least solution is z_B = y, z_N = Mᵀ y with
//     (1 + M Mᵀ) y = d. The entries of M are about one at most, whatever the
//     variances, so that a Cholesky factorisation is safe.
//  3. Rows of unmeasured streams that hold no other unmeasured one give theirs.
type solver struct {
	problem   Problem
	component component
	number    int
	result    *Result

	columns   []int          // stream of each column: unmeasured ones, then uncertain ones
	column    map[int]int    // and back
	open      int            // how many columns are unmeasured
	exact     []int          // streams that have no column
	scale     []float64      // of columns: the power of two each was multiplied by
	sd        []float64      // of columns, in scaled units; 0 when unmeasured
	a         blas64.General // balances, by columns
	b         []float64      // what the measured values miss them by
	largest   float64        // largest term of a balance
	basis     []int          // column that each of the first rows gives
	observed  int            // rows whose basis is not measured
	isBasis   []bool         // of columns
	z         []float64      // of columns: adjustments over standard deviations
	factors   [][]float64    // of columns: rows of the factor of the covariance, in scaled units
	redundant []bool         // of columns
}

func (s *solver) solve() error {
	s.sort()
	s.matrix()
	s.eliminate()
	if err := s.consistent(); err != nil {
		return err
	}
	if err := s.adjust(); err != nil {
		return err
	}
	s.observe()
	return s.finish()
}

// sort gives each stream that has something to be found out a column.
func (s *solver) sort() {
	var uncertain []int
	for _, i := range s.component.streams {
		stream := s.problem.Streams[i]
		switch {
		case !stream.Measured:
			s.columns = append(s.columns, i)
		case math.Sqrt(stream.Variance) == 0:
			s.exact = append(s.exact, i)
		default:
			uncertain = append(uncertain, i)
		}
	}
	s.open = len(s.columns)
	s.columns = append(s.columns, uncertain...)
	n := len(s.columns)
	s.column = make(map[int]int, n)
	for j, i := range s.columns {
		s.column[i] = j
	}
	s.scale, s.sd, s.z = make([]float64, n), make([]float64, n), make([]float64, n)
	s.isBasis, s.redundant, s.factors = make([]bool, n), make([]bool, n), make([][]float64, n)
}

// matrix spreads the balances over a dense matrix. Rows and then columns are
// scaled to largest entries near one, by powers of two, which rounds nothing.
func (s *solver) matrix() {
	rows := len(s.component.constraints)
	s.a, s.b = dense(rows, len(s.columns)), make([]float64, rows)
	for k, number := range s.component.constraints {
		row := map[int]float64{}
		for _, t := range s.problem.Constraints[number].Terms {
			row[t.Stream] += t.Factor
		}
		var length float64
		for _, f := range row {
			length = max(length, math.Abs(f))
		}
		for _, i := range s.component.streams { // in their order: a map's would change how sums are rounded
			f := row[i] * inverseScale(length)
			if f == 0 {
				continue
			}
			if j, ok := s.column[i]; ok {
				s.at(k)[j] = f
			}
			if stream := s.problem.Streams[i]; stream.Measured {
				s.b[k] -= f * stream.Value
				s.largest = max(s.largest, math.Abs(f*stream.Value))
			}
		}
	}
	for j, i := range s.columns {
		var length float64
		for k := range rows {
			length = max(length, math.Abs(s.at(k)[j]))
		}
		s.scale[j] = inverseScale(length)
		for k := range rows {
			s.at(k)[j] *= s.scale[j]
		}
		if j >= s.open {
			s.sd[j] = math.Sqrt(s.problem.Streams[i].Variance) / s.scale[j]
		}
	}
}

// inverseScale is the power of two that brings a length near one.
func inverseScale(length float64) float64 {
	if length == 0 {
		return 1
	}
	_, exponent := math.Frexp(length)
	return math.Ldexp(1, -exponent)
}

func (s *solver) at(row int) []float64 {
	return s.a.Data[row*s.a.Stride : row*s.a.Stride+s.a.Cols]
}

// eliminate brings the balances into reduced echelon form by Gauss and Jordan.
// The pivot is the largest entry of an unmeasured stream, and when there is
// none, the largest entry times standard deviation of a measured one.
//
// On a network this rounds nothing: entries stay 0 or ± a power of two. An
// orthogonal elimination would leave noise where there is nothing, which the
// variances of badly known streams blow up beyond those of well known ones.
func (s *solver) eliminate() {
	for k := range s.a.Rows {
		row, column := s.pivot(k, 0, s.open, false)
		if column < 0 {
			row, column = s.pivot(k, s.open, len(s.columns), true)
		} else {
			s.observed++
		}
		if column < 0 {
			return
		}
		if row != k {
			blas64.Swap(s.vector(k), s.vector(row))
			s.b[k], s.b[row] = s.b[row], s.b[k]
		}
		s.basis = append(s.basis, column)
		s.isBasis[column] = true
		s.clear(k, column)
	}
}

// pivot looks for the best entry of the rows from k on, in a range of columns.
func (s *solver) pivot(k, from, to int, weighted bool) (row, column int) {
	row, column = -1, -1
	best := 0.0
	for i := k; i < s.a.Rows; i++ {
		for j, x := range s.at(i)[from:to] {
			x = math.Abs(x)
			if x <= rankTolerance {
				continue
			}
			if weighted {
				x *= s.sd[from+j]
			}
			if x > best {
				best, row, column = x, i, from+j
			}
		}
	}
	return row, column
}

// clear takes a column out of all rows but row k, where it becomes one.
func (s *solver) clear(k, column int) {
	top := s.at(k)
	inverse := 1 / top[column]
	blas64.Scal(inverse, s.vector(k))
	s.b[k] *= inverse
	top[column] = 1
	for i := range s.a.Rows {
		row := s.at(i)
		by := row[column]
		if i == k || by == 0 {
			continue
		}
		for j, f := range top {
			if f == 0 {
				continue
			}
			was := row[j]
			row[j] -= by * f
			if math.Abs(row[j]) <= roundingTolerance*math.Abs(was) {
				row[j] = 0 // all rounding
			}
		}
		row[column] = 0
		s.b[i] -= by * s.b[k]
	}
}

func (s *solver) vector(row int) blas64.Vector {
	return blas64.Vector{N: s.a.Cols, Inc: 1, Data: s.at(row)}
}

// consistent holds what is left when every stream that can give way is gone:
// balances among exact values.
func (s *solver) consistent() error {
	if len(s.exact) == 0 {
		return nil // the rest follows from the other balances, up to rounding
	}
	var miss float64
	for _, b := range s.b[len(s.basis):] {
		miss = max(miss, math.Abs(b))
	}
	if miss <= exactTolerance*s.largest {
		return nil
	}
	const named = 10
	ids := make([]string, 0, named+1)
	for _, i := range s.exact {
		if len(ids) == named {
			ids = append(ids, "…")
			break
		}
		ids = append(ids, s.problem.Streams[i].ID)
	}
	return invalid("exact-values-contradict", "streams", strings.Join(ids, ", "),
		fmt.Sprintf("are exact, and miss a balance by %g (scaled): give one of them a variance", miss))
}

func invalid(rule, field, value, message string) error {
	f := fault.New(fault.Invalid, "the problem cannot be reconciled")
	f.Violations = []fault.Violation{{Rule: rule, Field: field, Value: value, Message: message}}
	return f
}

// adjust solves the rows of measured streams.
func (s *solver) adjust() error {
	rank := len(s.basis) - s.observed
	s.result.DegreesOfFreedom += rank
	var others []int // uncertain streams that are no basis
	for j := s.open; j < len(s.columns); j++ {
		if !s.isBasis[j] {
			others = append(others, j)
		}
	}
	m, d := dense(rank, len(others)), make([]float64, rank)
	for k := range rank {
		row, basis := s.at(s.observed+k), s.basis[s.observed+k]
		s.redundant[basis] = true
		d[k] = s.b[s.observed+k] / s.sd[basis]
		for c, j := range others {
			if math.Abs(row[j]) > zeroTolerance {
				s.redundant[j] = true
				m.Data[k*m.Stride+c] = row[j] * (s.sd[j] / s.sd[basis])
			}
		}
	}
	if err := s.least(m, d, others); err != nil {
		return err
	}
	return s.spread(m, others)
}

// least finds the adjustments, their tests, and χ².
func (s *solver) least(m blas64.General, d []float64, others []int) error {
	rank := m.Rows
	if rank == 0 {
		return nil
	}
	lower, ok := rootOf(m, blas.NoTrans)
	if !ok {
		return s.apart()
	}
	y := append([]float64(nil), d...)
	column := blas64.General{Rows: rank, Cols: 1, Stride: 1, Data: y}
	blas64.Trsm(blas.Left, blas.NoTrans, 1, lower, column)
	s.result.ChiSquare += squares(y)
	blas64.Trsm(blas.Left, blas.Trans, 1, lower, column)
	// Adjustments have the covariance [1 M]ᵀ (L Lᵀ)⁻¹ [1 M]: tests need its diagonal.
	spans := dense(rank, rank+len(others))
	for k := range rank {
		spans.Data[k*spans.Stride+k] = 1
		copy(spans.Data[k*spans.Stride+rank:(k+1)*spans.Stride], m.Data[k*m.Stride:k*m.Stride+m.Cols])
	}
	blas64.Trsm(blas.Left, blas.NoTrans, 1, lower, spans)
	variance := make([]float64, spans.Cols)
	for k := range rank {
		for c := range variance {
			x := spans.Data[k*spans.Stride+c]
			variance[c] += x * x
		}
	}
	test := func(j, c int) {
		if s.redundant[j] {
			s.result.Streams[s.columns[j]].Test = math.Abs(s.z[j]) / math.Sqrt(variance[c])
		}
	}
	for c, j := range others {
		for k := range rank {
			s.z[j] += m.Data[k*m.Stride+c] * y[k]
		}
		test(j, rank+c)
	}
	for k := range rank {
		basis := s.basis[s.observed+k]
		s.z[basis] = y[k]
		test(basis, k)
	}
	return nil
}

// spread finds the factor of the covariance: others have (1 + Mᵀ M)⁻¹, and a
// basis follows from them by its row.
func (s *solver) spread(m blas64.General, others []int) error {
	n := len(others)
	if n == 0 {
		return nil
	}
	inverse := dense(n, n)
	for c := range n {
		inverse.Data[c*inverse.Stride+c] = 1
	}
	if m.Rows > 0 {
		lower, ok := rootOf(m, blas.Trans)
		if !ok {
			return s.apart()
		}
		blas64.Trsm(blas.Left, blas.Trans, 1, lower, inverse) // L⁻ᵀ
	}
	for c, j := range others {
		row := inverse.Data[c*inverse.Stride : c*inverse.Stride+n]
		for k := range row {
			row[k] *= s.sd[j]
		}
		s.factors[j] = row
	}
	for k, basis := range s.basis[s.observed:] {
		s.factors[basis] = s.given(s.observed+k, n)
	}
	return nil
}

// given is the factor of a basis: what its row makes of the other streams'.
func (s *solver) given(row, width int) []float64 {
	factor := make([]float64, width)
	for j := s.open; j < len(s.columns); j++ {
		f := s.at(row)[j]
		if f == 0 || s.isBasis[j] {
			continue
		}
		for c, x := range s.factors[j] {
			factor[c] -= f * x
		}
	}
	return factor
}

// apart refuses numbers that floating point cannot hold side by side.
func (s *solver) apart() error {
	return invalid("values-too-far-apart", "streams", s.problem.Streams[s.component.streams[0]].ID,
		"hangs together with values or variances too far apart to be reconciled")
}

// dense makes a matrix of zeros.
func dense(rows, cols int) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Stride: max(cols, 1), Data: make([]float64, rows*max(cols, 1))}
}

// rootOf is the Cholesky factor of 1 + M Mᵀ, or of 1 + Mᵀ M; ok is false when
// there is none, which only overflow can bring about.
func rootOf(m blas64.General, how blas.Transpose) (lower blas64.Triangular, ok bool) {
	n := m.Rows
	if how == blas.Trans {
		n = m.Cols
	}
	gram := dense(n, n)
	for k := range n {
		gram.Data[k*gram.Stride+k] = 1
	}
	symmetric := blas64.Symmetric{Uplo: blas.Lower, N: n, Stride: gram.Stride, Data: gram.Data}
	if m.Rows > 0 && m.Cols > 0 {
		blas64.Syrk(how, 1, m, 1, symmetric)
	}
	return lapack64.Potrf(symmetric)
}
