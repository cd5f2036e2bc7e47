package balance

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// Ids of the rules that make a statement. An id never changes its meaning.
const (
	RuleBooks  = "mass-balance/v1"               // which leg is which term (Entry.term)
	RuleTotals = "period-totals/finer-counts-v1" // what counts where reports overlap (Book.finest)
	RuleStock  = "stock-counts/within-3-days-v1" // which count is whose (Book.stock)
	RuleTravel = "consignments/same-document-v1" // which two loads are one (Entries)
)

const (
	stockDays  = 3                     // how far from its boundary a count may lie
	measureOf  = "stock"               // measure of a stock count's leg
	lossOf     = string(flow.RoleLoss) // measure of a loss's leg
	totalsFrom = flow.PeriodReported   // kind of a fact that is a total
)

// Material is what a book tells apart: what stock is kept by.
type Material struct {
	Waste    waste.Code
	Fraction string
	Product  string
}

func (m Material) compare(o Material) int {
	return cmp.Or(cmp.Compare(m.Waste, o.Waste), cmp.Compare(m.Fraction, o.Fraction), cmp.Compare(m.Product, o.Product))
}

func (m Material) key() string {
	return fmt.Sprintf("%q %q %q", m.Waste, m.Fraction, m.Product)
}

// Entry is a sum of legs (docs/legs.md) that a book treats alike.
type Entry struct {
	Facility    facility.ID
	Kind        flow.Kind   // of the facts
	Measure     string      // of the legs: a measure, the role of an output, or stock
	WithOutputs bool        // the facts, treatments, state what came out
	Other       facility.ID // the other end of what was received, dispatched, rejected or exported; "" when not stated
	BothSides   bool        // the other facility reports the same consignment
	Material    Material    // of a loss: the material that was treated
	Method      flow.Method // of the fact, for its outputs too
	// Period of a period total; the one day of a stock count; zero for loads.
	Period flow.Period
	// Days that loads happened on. Needed only where the same facility reports
	// totals of the same measure.
	Days    []flow.Date
	Net     mass.Grams
	Squares float64 // Σ sign·g², grams squared
	Legs    int64   // Σ sign
}

// Term is a part of a balance.
type Term string

// The terms of a balance. For one material of a facility
//
//	in + made = out + treated + loss + stock change + gap
//
// and for the facility as a whole, whatever became of what inside,
//
//	in = out + loss + stock change + gap
const (
	In          Term = "in"           // collected, received
	Made        Term = "made"         // came out of a treatment here
	Out         Term = "out"          // dispatched, rejected, exported, landfilled; treated to an end: no output is stated
	Treated     Term = "treated"      // went into a treatment here and came out as something else
	Loss        Term = "loss"         // stated as lost in a treatment
	StockChange Term = "stock_change" // lies there at the end and did not at the beginning
	Gap         Term = "gap"          // what is missing; below zero, what nobody knows the origin of
)

// Terms lists the terms in the order of the equation.
func Terms() []Term { return []Term{In, Made, Out, Treated, Loss, StockChange, Gap} }

// term tells what an entry counts as; ok is false for counts of stock, and for
// what no book knows.
func (e Entry) term() (t Term, ok bool) {
	switch e.Measure {
	case string(flow.MeasureCollected), string(flow.MeasureReceived):
		return In, true
	case string(flow.MeasureDispatched), string(flow.MeasureRejected), string(flow.MeasureExported), string(flow.MeasureLandfilled):
		return Out, true
	case string(flow.MeasureSorted):
		return Treated, true
	case string(flow.MeasureReused), string(flow.MeasureRecycled), string(flow.MeasureIncinerated):
		if e.WithOutputs {
			return Treated, true
		}
		return Out, true
	case lossOf:
		return Loss, true
	case string(flow.RoleOutput), string(flow.RoleResidue), string(flow.RoleBottomAsh), string(flow.RoleFlyAsh), string(flow.RoleMetals):
		return Made, true
	}
	return "", false
}

// Book adds up what facilities reported of a period.
type Book struct {
	from, to flow.Date
	complete func(facility.ID) bool
	entries  []Entry
}

// NewBook opens a book of the days [from, to); "" is open. complete tells of
// which facilities everything will be added; of all others only what they have
// to say of consignments from or to those.
func NewBook(from, to flow.Date, complete func(facility.ID) bool) *Book {
	return &Book{from: from, to: to, complete: complete}
}

// Add adds entries of the book's period (and counts of stock within three days
// of its ends). An entry that sums to nothing is passed over. Errors: a measure
// that is not known.
func (b *Book) Add(entries ...Entry) error {
	for _, e := range entries {
		if _, ok := e.term(); !ok && e.Measure != measureOf {
			return fmt.Errorf("entry of %s: measure %q is not known", e.Facility, e.Measure)
		}
		if e.Net != 0 || e.Legs != 0 {
			b.entries = append(b.entries, e)
		}
	}
	return nil
}

// StockDays is the span of days that counts of stock are wanted from; ok is
// false when the period has no two ends.
func StockDays(from, to flow.Date) (p flow.Period, ok bool) {
	if from == "" || to == "" {
		return flow.Period{}, false
	}
	return flow.Period{From: shift(from, -stockDays), To: shift(to, stockDays+1)}, true
}

func shift(d flow.Date, days int) flow.Date {
	day, ok := d.Day()
	if !ok {
		return d
	}
	return flow.Date(day.AddDate(0, 0, days).Format(time.DateOnly))
}

// LeftOut is a period total that is not counted.
type LeftOut struct {
	Facility facility.ID
	Measure  string
	Period   flow.Period
	Beside   flow.Period // the finer total that counts instead; zero: loads
	Net      mass.Grams
	Facts    int64
}

// Beside names pairs of facility and measure of which there are both loads and
// totals: of these, Entry.Days are needed.
func Beside(entries []Entry) (facilities []facility.ID, measures []string) {
	type key struct {
		facility facility.ID
		measure  string
	}
	loads, totals := map[key]bool{}, map[key]bool{}
	for _, e := range entries {
		if e.Measure == measureOf {
			continue
		}
		if e.Kind == totalsFrom {
			totals[key{e.Facility, e.Measure}] = true
		} else {
			loads[key{e.Facility, e.Measure}] = true
		}
	}
	for k := range totals {
		if loads[k] {
			facilities, measures = append(facilities, k.facility), append(measures, k.measure)
		}
	}
	slices.Sort(facilities)
	slices.Sort(measures)
	return slices.Compact(facilities), slices.Compact(measures)
}

// finest leaves out the totals of which something finer is known: of one
// facility and measure, a total counts only when no load happened within its
// period, and no total over a shorter period (of two as long: the earlier)
// that counts reaches into it. Totals over the same period add up.
func (b *Book) finest() (kept []Entry, left []LeftOut, err error) {
	type key struct {
		facility facility.ID
		measure  string
	}
	loads := map[key]map[flow.Date]bool{}
	periods := map[key][]flow.Period{}
	for _, e := range b.entries {
		k := key{e.Facility, e.Measure}
		switch {
		case e.Measure == measureOf:
		case e.Kind == totalsFrom:
			periods[k] = append(periods[k], e.Period)
		default:
			if loads[k] == nil {
				loads[k] = map[flow.Date]bool{}
			}
			for _, d := range e.Days {
				loads[k][d] = true
			}
		}
	}
	beside := map[key]map[flow.Period]flow.Period{}
	for k, all := range periods {
		slices.SortFunc(all, func(a, b flow.Period) int {
			x, _ := a.Days()
			y, _ := b.Days()
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.From, b.From))
		})
		beside[k] = map[flow.Period]flow.Period{}
		var count []flow.Period
		for _, p := range slices.Compact(all) {
			if within(loads[k], p) {
				beside[k][p] = flow.Period{}
				continue
			}
			if i := slices.IndexFunc(count, func(c flow.Period) bool { return c.From < p.To && p.From < c.To }); i >= 0 {
				beside[k][p] = count[i]
				continue
			}
			count = append(count, p)
		}
	}
	sums := map[key]map[flow.Period]*LeftOut{}
	for _, e := range b.entries {
		k := key{e.Facility, e.Measure}
		other, out := beside[k][e.Period]
		if !out || e.Kind != totalsFrom {
			kept = append(kept, e)
			continue
		}
		if sums[k] == nil {
			sums[k] = map[flow.Period]*LeftOut{}
		}
		l := sums[k][e.Period]
		if l == nil {
			l = &LeftOut{Facility: e.Facility, Measure: e.Measure, Period: e.Period, Beside: other}
			sums[k][e.Period] = l
		}
		if l.Net, err = l.Net.Add(e.Net); err != nil {
			return nil, nil, fmt.Errorf("total of %s: %w", e.Facility, err)
		}
		l.Facts += e.Legs
	}
	for _, of := range sums {
		for _, l := range of {
			left = append(left, *l)
		}
	}
	slices.SortFunc(left, func(a, b LeftOut) int {
		return cmp.Or(cmp.Compare(a.Facility, b.Facility), cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Period.From, b.Period.From), cmp.Compare(a.Period.To, b.Period.To))
	})
	return kept, left, nil
}

func within(days map[flow.Date]bool, p flow.Period) bool {
	for d := range days {
		if p.From <= d && d < p.To {
			return true
		}
	}
	return false
}

// stock picks the counts at the two ends of the period: of each facility the
// day nearest to an end, at most three days from it, the earlier of two as
// near. A count names everything that lies there: what it does not name is
// none. Without a day for each end, the earlier before the later, the change
// of stock is not known.
func (b *Book) stock(entries []Entry) (opening, closing map[facility.ID]flow.Date) {
	opening, closing = map[facility.ID]flow.Date{}, map[facility.ID]flow.Date{}
	if _, ok := StockDays(b.from, b.to); !ok {
		return opening, closing
	}
	days := map[facility.ID][]flow.Date{}
	for _, e := range entries {
		if e.Measure == measureOf && e.Legs > 0 {
			days[e.Facility] = append(days[e.Facility], e.Period.From)
		}
	}
	for f, all := range days {
		slices.Sort(all)
		first, last := nearest(all, b.from), nearest(all, b.to)
		if first != "" && last != "" && first < last {
			opening[f], closing[f] = first, last
		}
	}
	return opening, closing
}

// nearest is the day closest to a boundary; "" when none is close enough.
func nearest(days []flow.Date, boundary flow.Date) (best flow.Date) {
	least := stockDays + 1
	for _, d := range days {
		if n := apart(d, boundary); n < least {
			best, least = d, n
		}
	}
	return best
}

func apart(a, b flow.Date) int {
	x, _ := a.Day()
	y, _ := b.Day()
	return int(x.Sub(y).Abs() / (24 * time.Hour))
}

// sorted puts entries in an order of their own, so that nothing depends on
// the order they were added in.
func sorted(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(
			cmp.Compare(a.Facility, b.Facility), a.Material.compare(b.Material), cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Other, b.Other), cmp.Compare(a.Period.From, b.Period.From), cmp.Compare(a.Period.To, b.Period.To), cmp.Compare(a.Method, b.Method),
			flagged(a.WithOutputs, b.WithOutputs), flagged(a.BothSides, b.BothSides),
			cmp.Compare(a.Net, b.Net), cmp.Compare(a.Squares, b.Squares), cmp.Compare(a.Legs, b.Legs),
		)
	})
}

// flagged puts false before true.
func flagged(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
