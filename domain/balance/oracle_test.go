package balance_test

import (
	"math/big"

	"github.com/stofstrom/stofstrom/domain/balance"
)

// exactly solves a problem in rational arithmetic by its Lagrange equations
//
//	V⁻¹ x + Aᵀ λ = V⁻¹ m     uncertain streams (times V, so that V = 0 is exact)
//	    Uᵀ λ    = 0          unmeasured streams
//	A x + U u   = 0
//
// without any of the code under test. It is slow, and never rounds.
type exactly struct {
	values []*big.Rat // nil: not determined
	chi2   *big.Rat
	dof    int
	cov    [][]*big.Rat // of streams that are determined
	solves bool
}

func solveExactly(p balance.Problem) exactly {
	n, m := len(p.Streams), len(p.Constraints)
	a := make([][]*big.Rat, m)
	for k, c := range p.Constraints {
		a[k] = zeros(n)
		for _, t := range c.Terms {
			a[k][t.Stream].Add(a[k][t.Stream], rat(t.Factor))
		}
	}
	// One column on the right for the values, and one for each measured value,
	// which gives the derivatives of the solution.
	system := make([][]*big.Rat, 0, n+m)
	for i, s := range p.Streams {
		row := zeros(n + m + 1 + n)
		if s.Measured {
			v := rat(s.Variance)
			row[i].SetInt64(1)
			for k := range m {
				row[n+k].Mul(v, a[k][i])
			}
			row[n+m].Set(rat(s.Value))
			row[n+m+1+i].SetInt64(1)
		} else {
			for k := range m {
				row[n+k].Set(a[k][i])
			}
		}
		system = append(system, row)
	}
	for k := range m {
		row := zeros(n + m + 1 + n)
		for i := range n {
			row[i].Set(a[k][i])
		}
		system = append(system, row)
	}
	pivotOf, consistent := eliminate(system, n+m)
	e := exactly{values: make([]*big.Rat, n), chi2: new(big.Rat), solves: consistent}
	jacobian := make([][]*big.Rat, n)
	for i := range n {
		row, ok := pivotOf[i]
		if !ok {
			continue
		}
		alone := true
		for j := range n {
			alone = alone && (j == i || system[row][j].Sign() == 0)
		}
		for j := n; j < n+m; j++ {
			if _, isPivot := pivotOf[j]; !isPivot && system[row][j].Sign() != 0 {
				alone = false
			}
		}
		if alone {
			e.values[i], jacobian[i] = system[row][n+m], system[row][n+m+1:]
		}
	}
	e.cov = make([][]*big.Rat, n)
	for i := range n {
		e.cov[i] = zeros(n)
		for j := range n {
			if jacobian[i] == nil || jacobian[j] == nil {
				continue
			}
			for k, s := range p.Streams {
				if s.Measured {
					t := new(big.Rat).Mul(jacobian[i][k], jacobian[j][k])
					e.cov[i][j].Add(e.cov[i][j], t.Mul(t, rat(s.Variance)))
				}
			}
		}
	}
	for i, s := range p.Streams {
		if s.Measured && s.Variance > 0 && e.values[i] != nil {
			d := new(big.Rat).Sub(e.values[i], rat(s.Value))
			d.Mul(d, d)
			e.chi2.Add(e.chi2, d.Quo(d, rat(s.Variance)))
		}
	}
	// rank(A without exact streams) − rank(U)
	e.dof = rank(p, a, func(s balance.Stream) bool { return !s.Measured || s.Variance > 0 }) - rank(p, a, func(s balance.Stream) bool { return !s.Measured })
	return e
}

func rank(p balance.Problem, a [][]*big.Rat, keep func(balance.Stream) bool) int {
	rows := make([][]*big.Rat, len(a))
	width := 0
	for k := range a {
		for i, s := range p.Streams {
			if keep(s) {
				rows[k] = append(rows[k], new(big.Rat).Set(a[k][i]))
			}
		}
		width = len(rows[k])
	}
	pivots, _ := eliminate(rows, width)
	return len(pivots)
}

// eliminate brings the first columns of a system into reduced row echelon form
// and tells the row of each pivot column, and whether the next column allows
// a solution.
func eliminate(rows [][]*big.Rat, columns int) (pivotOf map[int]int, consistent bool) {
	pivotOf = map[int]int{}
	next := 0
	for c := 0; c < columns && next < len(rows); c++ {
		found := -1
		for r := next; r < len(rows) && found < 0; r++ {
			if rows[r][c].Sign() != 0 {
				found = r
			}
		}
		if found < 0 {
			continue
		}
		rows[next], rows[found] = rows[found], rows[next]
		inverse := new(big.Rat).Inv(rows[next][c])
		for j := range rows[next] {
			if rows[next][j].Sign() != 0 {
				rows[next][j].Mul(rows[next][j], inverse)
			}
		}
		for r := range rows {
			if r == next || rows[r][c].Sign() == 0 {
				continue
			}
			by := new(big.Rat).Set(rows[r][c])
			for j := range rows[r] {
				if rows[next][j].Sign() != 0 {
					t := new(big.Rat).Mul(by, rows[next][j])
					rows[r][j].Sub(rows[r][j], t)
				}
			}
		}
		pivotOf[c] = next
		next++
	}
	consistent = true
	for r := next; r < len(rows); r++ {
		consistent = consistent && (len(rows[r]) <= columns || rows[r][columns].Sign() == 0)
	}
	return pivotOf, consistent
}

func zeros(n int) []*big.Rat {
	row := make([]*big.Rat, n)
	for i := range row {
		row[i] = new(big.Rat)
	}
	return row
}

func rat(x float64) *big.Rat { return new(big.Rat).SetFloat64(x) }

func float(x *big.Rat) float64 { f, _ := x.Float64(); return f }
