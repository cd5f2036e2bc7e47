package ledger

import (
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// change is what a fact does to the stock of one material.
type change struct {
	material flow.Material // waste, fraction and product only
	net      mass.Grams
}

// legs calls yield with what a fact does to the facility's stock.
//
// What was collected or received comes in; what was dispatched, rejected,
// exported, reused or landfilled goes out, and so does the input of a
// treatment, whose outputs come in again (stated losses do not). A stock count
// taken in the first 24 hours of the month (UTC) is its opening stock; counts
// at other times are observations and move nothing. Period totals move
// nothing: loads may stand beside them.
func (k Key) legs(f *flow.Fact, yield func(flow.Material, mass.Grams)) {
	switch f.Kind {
	case flow.Collected, flow.Received:
		yield(f.Material, f.Mass.Net)
	case flow.Dispatched, flow.Rejected, flow.Exported, flow.Landfilled,
		flow.Sorted, flow.Reused, flow.Recycled, flow.Incinerated:
		yield(f.Material, -f.Mass.Net)
	case flow.StockCounted:
		if k.isOpening(f) {
			yield(f.Material, f.Mass.Net)
		}
	case flow.PeriodReported:
	}
	for _, o := range f.Outputs {
		if o.Role != flow.RoleLoss {
			yield(o.Material, o.Net)
		}
	}
}

func (k Key) isOpening(f *flow.Fact) bool {
	return f.Kind == flow.StockCounted && f.When.Occurred.Before(k.start().Add(24*time.Hour))
}

// changes is what happens to the stock when was is taken out and is put in;
// either may be nil. Materials that do not change may be among them.
func (s *State) changes(was, is *flow.Fact) []change {
	var out []change
	add := func(m flow.Material, g mass.Grams) {
		m.Hazardous, m.Form = nil, ""
		for i := range out {
			if out[i].material == m {
				out[i].net += g // bounded: a fact holds at most 10^15 g in each of 101 masses
				return
			}
		}
		out = append(out, change{m, g})
	}
	if was != nil {
		s.key.legs(was, func(m flow.Material, g mass.Grams) { add(m, -g) })
	}
	if is != nil {
		s.key.legs(is, add)
	}
	return out
}

// addStock applies changes, all or none.
func (s *State) addStock(changes []change) error {
	for _, c := range changes {
		if _, err := s.stock[c.material].Add(c.net); err != nil {
			return fmt.Errorf("stock of %s: %w", materialName(c.material), err)
		}
	}
	for _, c := range changes {
		s.stock[c.material] += c.net
		if s.stock[c.material] == 0 {
			delete(s.stock, c.material)
		}
	}
	return nil
}

// stockWarnings warns of materials whose stock falls below zero.
func (s *State) stockWarnings(changes []change) []fault.Violation {
	var out []fault.Violation
	for _, c := range changes {
		after := s.stock[c.material] + c.net
		if c.net >= 0 || after >= 0 {
			continue
		}
		detail := fmt.Sprintf("Stock of %s in %s: %s t before, %s t after.",
			materialName(c.material), s.key.Stream(), s.stock[c.material].Tonnes(), after.Tonnes())
		out = append(out, flow.Violates(flow.RuleStockNegative, "mass.value", (-c.net).Tonnes(), detail))
	}
	return out
}

func materialName(m flow.Material) string {
	name := m.Waste.Display()
	for _, part := range []string{m.Fraction, m.Product} {
		if part != "" {
			name += " " + part
		}
	}
	return name
}
