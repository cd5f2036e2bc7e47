package balance

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// balances adds the streams of the complete facilities up to lines.
func (n *network) balances(r Result) ([]Balance, error) {
	all := map[yard]*Balance{}
	whole := map[facility.ID]*Balance{}
	for y := range n.yards {
		counted := n.opening[y.facility] != ""
		all[y] = &Balance{Facility: y.facility, Material: y.material, Counted: counted, Lines: lines(Terms(), counted)}
		if whole[y.facility] == nil {
			whole[y.facility] = &Balance{Facility: y.facility, Whole: true, Counted: counted, Lines: lines([]Term{In, Out, Loss, StockChange, Gap}, counted)}
		}
	}
	for i, f := range n.flows {
		if !n.book.complete(f.Facility) {
			continue
		}
		at := all[yard{f.Facility, f.Material}]
		if f.Measure == flueGas {
			// Of which material the gas was nobody can tell: it is of the whole.
			if err := whole[f.Facility].count(f, i, f.Term, 1); err != nil {
				return nil, err
			}
			continue
		}
		for _, b := range []*Balance{at, whole[f.Facility]} {
			if err := b.count(f, i, f.Term, 1); err != nil {
				return nil, err
			}
		}
		if f.Term == Loss { // what is lost was not treated to something else
			if err := at.count(f, i, Treated, -1); err != nil {
				return nil, err
			}
		}
	}
	list := make([]Balance, 0, len(all)+len(whole))
	for _, b := range all {
		list = append(list, *b)
	}
	for _, b := range whole {
		list = append(list, *b)
	}
	for i := range list {
		if err := list[i].close(r); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b Balance) int {
		return cmp.Or(cmp.Compare(a.Facility, b.Facility), flagged(b.Whole, a.Whole), a.Material.compare(b.Material))
	})
	return list, nil
}

func lines(terms []Term, counted bool) []Line {
	list := make([]Line, len(terms))
	for i, t := range terms {
		list[i] = Line{Term: t, Known: t != StockChange || counted}
	}
	return list
}

// Line finds the line of a term; nil when the balance has none.
func (b *Balance) Line(t Term) *Line {
	for i := range b.Lines {
		if b.Lines[i].Term == t {
			return &b.Lines[i]
		}
	}
	return nil
}

// count adds a stream to a line, if the balance has one of that term.
func (b *Balance) count(f Flow, stream int, t Term, factor int) (err error) {
	l := b.Line(t)
	if l == nil {
		return nil
	}
	l.terms = append(l.terms, Coefficient{Stream: stream, Factor: float64(factor)})
	l.Streams++
	if !f.Measured {
		return nil
	}
	if factor < 0 {
		l.Measured, err = l.Measured.Sub(f.Net)
	} else {
		l.Measured, err = l.Measured.Add(f.Net)
	}
	return err
}

// close finds the gap, and what reconciling makes of each line.
func (b *Balance) close(r Result) (err error) {
	gap := b.Line(Gap)
	for i := range b.Lines {
		l := &b.Lines[i]
		var add func(mass.Grams) (mass.Grams, error)
		switch l.Term {
		case In, Made:
			add = gap.Measured.Add
		case Out, Treated, Loss, StockChange:
			add = gap.Measured.Sub
		case Gap:
			continue
		}
		if l.Known {
			if gap.Measured, err = add(l.Measured); err != nil {
				return fmt.Errorf("balance of %s: %w", b.Facility, err)
			}
		}
		var variance float64
		l.Reconciled.Value, variance, l.Reconciled.Known = r.Sum(l.terms)
		l.Reconciled.SD = math.Sqrt(variance)
	}
	return nil
}
