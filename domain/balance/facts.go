package balance

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Signed is a fact that counts (+1), or is taken back (−1) by a correction, a
// move or a cancellation.
type Signed struct {
	Fact flow.Fact
	Sign int
}

// Entries makes the entries of a book from facts: single facts and stock counts
// by their days, period totals that lie wholly within [from, to). Loads of one
// document, material and pair of facilities that one of them dispatched and
// the other received are flagged as known from both sides.
//
// Errors: mass.ErrOverflow; a period or kind that is none.
func Entries(facts []Signed, from, to flow.Date) ([]Entry, error) {
	g := gatherer{from: from, to: to, sums: map[group]*sum{}, travels: map[travel]*[2]int64{}}
	for pass := range 2 { // first who reports which consignment, then the sums
		for i := range facts {
			if err := g.fact(&facts[i].Fact, int64(facts[i].Sign), pass == 0); err != nil {
				return nil, err
			}
		}
	}
	return g.entries(), nil
}

// group is what an entry tells apart.
type group struct {
	facility    facility.ID
	kind        flow.Kind
	measure     string
	withOutputs bool
	other       facility.ID
	bothSides   bool
	material    Material
	method      flow.Method
	period      flow.Period
}

type sum struct {
	net     mass.Grams
	squares big.Int // exact, so that no order of facts changes it
	legs    int64
	days    map[flow.Date]int64
}

// travel is a consignment of one material.
type travel struct {
	from, to facility.ID
	document string
	material Material
}

type gatherer struct {
	from, to flow.Date
	sums     map[group]*sum
	travels  map[travel]*[2]int64 // loads dispatched and received
}

func (g *gatherer) fact(f *flow.Fact, sign int64, travels bool) error {
	key := group{
		facility: f.Facility, kind: f.Kind, measure: string(flow.MeasureOf(*f)), other: otherEnd(f), method: f.Mass.Method,
		material: materialOf(f.Material), withOutputs: len(f.Outputs) > 0,
	}
	var day flow.Date
	from, until := g.from, g.to
	switch f.Kind {
	case flow.PeriodReported:
		if _, ok := f.When.Period.Days(); !ok {
			return fmt.Errorf("fact %q: %q to %q is no period", f.Identity.ExternalID, f.When.Period.From, f.When.Period.To)
		}
		if from != "" && f.When.Period.From < from || until != "" && f.When.Period.To > until {
			return nil
		}
		key.period = f.When.Period
	default:
		day = flow.Date(f.When.Occurred.Format(time.DateOnly))
		if f.Kind == flow.StockCounted {
			key.measure = measureOf
			key.period = flow.Period{From: day, To: shift(day, 1)}
			span, ok := StockDays(g.from, g.to)
			if !ok {
				return nil
			}
			from, until = span.From, span.To
		}
		if from != "" && day < from || until != "" && day >= until {
			return nil
		}
	}
	if t, ok := travelOf(f, key); ok {
		if g.travels[t] == nil {
			g.travels[t] = &[2]int64{}
		}
		side := 0
		if f.Kind == flow.Received {
			side = 1
		}
		if travels {
			g.travels[t][side] += sign
			return nil
		}
		key.bothSides = g.travels[t][0] > 0 && g.travels[t][1] > 0
	}
	if travels {
		return nil
	}
	if err := g.add(key, f.Mass.Net, sign, day); err != nil {
		return err
	}
	for _, out := range f.Outputs {
		leg := key
		leg.measure, leg.other = string(out.Role), ""
		if out.Role != flow.RoleLoss {
			leg.material = materialOf(out.Material)
		}
		if err := g.add(leg, out.Net, sign, ""); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatherer) add(key group, net mass.Grams, sign int64, day flow.Date) (err error) {
	s := g.sums[key]
	if s == nil {
		s = &sum{days: map[flow.Date]int64{}}
		g.sums[key] = s
	}
	square := big.NewInt(int64(net))
	square.Mul(square, square)
	s.squares.Add(&s.squares, square.Mul(square, big.NewInt(sign)))
	s.legs += sign
	if day != "" {
		s.days[day] += sign
	}
	if s.net, err = s.net.Add(net * mass.Grams(sign)); err != nil {
		return fmt.Errorf("balance of %s: %w", key.facility, err)
	}
	return nil
}

func (g *gatherer) entries() []Entry {
	list := make([]Entry, 0, len(g.sums))
	for key, s := range g.sums {
		e := Entry{
			Facility: key.facility, Kind: key.kind, Measure: key.measure, WithOutputs: key.withOutputs, Other: key.other, BothSides: key.bothSides,
			Material: key.material, Method: key.method, Period: key.period, Net: s.net, Legs: s.legs,
		}
		e.Squares, _ = new(big.Float).SetInt(&s.squares).Float64()
		if key.kind != totalsFrom && key.measure != measureOf {
			for _, d := range slices.Sorted(maps.Keys(s.days)) {
				if s.days[d] > 0 {
					e.Days = append(e.Days, d)
				}
			}
		}
		list = append(list, e)
	}
	sorted(list)
	return list
}

func materialOf(m flow.Material) Material {
	return Material{Waste: m.Waste, Fraction: m.Fraction, Product: m.Product}
}

// otherEnd is the facility at the other end of what goes between facilities.
func otherEnd(f *flow.Fact) facility.ID {
	switch f.Kind {
	case flow.Received:
		return f.Origin.Facility
	case flow.Dispatched, flow.Exported:
		return f.Target.Facility
	case flow.Rejected: // back, unless it says where else
		if f.Target.Area == "" {
			return cmp.Or(f.Target.Facility, f.Origin.Facility)
		}
		return f.Target.Facility
	case flow.Collected, flow.Sorted, flow.Reused, flow.Recycled, flow.Incinerated, flow.Landfilled, flow.StockCounted, flow.PeriodReported:
	}
	return ""
}

// travelOf is the consignment of a load; ok is false when it has no document,
// or does not say where it comes from or goes to.
func travelOf(f *flow.Fact, key group) (t travel, ok bool) {
	if f.Consignment == "" || key.other == "" {
		return t, false
	}
	switch f.Kind {
	case flow.Dispatched:
		return travel{f.Facility, key.other, f.Consignment, key.material}, true
	case flow.Received:
		return travel{key.other, f.Facility, f.Consignment, key.material}, true
	default:
		return t, false
	}
}
