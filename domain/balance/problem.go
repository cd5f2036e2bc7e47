package balance

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// Problem is a set of streams and the linear balances they must satisfy:
// for each constraint, the sum of factor × stream is zero.
type Problem struct {
	Streams     []Stream
	Constraints []Constraint
}

// Stream is one flow, or one change of stock.
type Stream struct {
	ID       string // unique within its problem
	Measured bool
	Value    float64 // measured value, in any unit that all streams share
	Variance float64 // of Value, in that unit squared; 0 is an exact value
	Signed   bool    // may be negative, as a change of stock
}

// Constraint is one balance.
type Constraint struct {
	Name  string
	Terms []Coefficient
}

// Coefficient is the factor that a stream has in a sum.
type Coefficient struct {
	Stream int // index in Problem.Streams
	Factor float64
}

// Edge is a stream of a network: from one node to another. "" is the outside,
// which need not balance.
type Edge struct {
	Stream
	From, To string
}

// Network makes the problem of a network: one constraint for each node, inflow
// minus outflow. Streams keep the order of the edges; constraints are sorted
// by the names of their nodes.
func Network(edges []Edge) Problem {
	var p Problem
	at := map[string][]Coefficient{}
	for i, e := range edges {
		p.Streams = append(p.Streams, e.Stream)
		if e.From == e.To {
			continue // comes back to where it was: no balance feels it
		}
		if e.From != "" {
			at[e.From] = append(at[e.From], Coefficient{i, -1})
		}
		if e.To != "" {
			at[e.To] = append(at[e.To], Coefficient{i, 1})
		}
	}
	for node, terms := range at {
		p.Constraints = append(p.Constraints, Constraint{Name: node, Terms: terms})
	}
	slices.SortFunc(p.Constraints, func(a, b Constraint) int { return cmp.Compare(a.Name, b.Name) })
	return p
}

// MaxComponent bounds the streams and the balances of one connected part of a
// problem; work grows with their third power.
const MaxComponent = 2_000

// check refuses what cannot be a problem, naming everything that is wrong.
func (p Problem) check() error {
	var wrong []fault.Violation
	violate := func(rule, field string, value any, message string) {
		wrong = append(wrong, fault.Violation{Rule: rule, Field: field, Value: fmt.Sprint(value), Message: message})
	}
	seen := map[string]bool{}
	for i, s := range p.Streams {
		field := fmt.Sprintf("streams[%d]", i)
		if seen[s.ID] {
			violate("stream-twice", field+".id", s.ID, "names a second stream")
		}
		seen[s.ID] = true
		if !s.Measured {
			continue
		}
		if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
			violate("stream-value", field+".value", s.Value, "is no finite number")
		}
		if !(s.Variance >= 0) || math.IsInf(s.Variance, 0) {
			violate("stream-variance", field+".variance", s.Variance, "is no finite number of at least 0")
		}
	}
	for i, c := range p.Constraints {
		for j, t := range c.Terms {
			field := fmt.Sprintf("constraints[%d].terms[%d]", i, j)
			if t.Stream < 0 || t.Stream >= len(p.Streams) {
				violate("constraint-stream", field+".stream", t.Stream, "is the number of no stream")
			}
			if math.IsNaN(t.Factor) || math.IsInf(t.Factor, 0) {
				violate("constraint-factor", field+".factor", t.Factor, "is no finite number")
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	f := fault.New(fault.Invalid, "the problem cannot be reconciled")
	f.Violations = wrong
	return f
}

// component is a connected part of a problem: streams that no balance joins
// with any other part's.
type component struct {
	streams     []int
	constraints []int
}

// components splits a problem. Each part is solved by itself, which keeps
// large networks of small parts cheap, and the scales of one part out of the
// rank decisions of another.
func (p Problem) components() []component {
	parent := make([]int, len(p.Streams))
	for i := range parent {
		parent[i] = i
	}
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := func(c Constraint) int {
		for _, t := range c.Terms {
			if t.Factor != 0 {
				return t.Stream
			}
		}
		return -1
	}
	for _, c := range p.Constraints {
		for _, t := range c.Terms {
			if t.Factor != 0 {
				parent[find(t.Stream)] = find(first(c))
			}
		}
	}
	number := map[int]int{}
	var parts []component
	for i := range p.Streams {
		root := find(i)
		n, ok := number[root]
		if !ok {
			n = len(parts)
			number[root] = n
			parts = append(parts, component{})
		}
		parts[n].streams = append(parts[n].streams, i)
	}
	for i, c := range p.Constraints {
		if s := first(c); s >= 0 {
			n := number[find(s)]
			parts[n].constraints = append(parts[n].constraints, i)
		}
	}
	return parts
}
