package balance

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Statement is a closed book, measured and reconciled.
type Statement struct {
	Balances []Balance // by facility; each as a whole first, then by material
	Flows    []Flow    // the streams of the network
	LeftOut  []LeftOut
	Result   Result // Streams in the order of Flows
}

// Balance is what came of one material at one facility, or of everything.
type Balance struct {
	Facility facility.ID
	Whole    bool // everything at the facility; Material is zero
	Material Material
	// Counted tells whether stock was counted at both ends. When it was not,
	// the change of stock is not known, and is part of the gap.
	Counted bool
	Lines   []Line // one for each of Terms that the balance has
}

// Line is one term of a balance.
type Line struct {
	Term     Term
	Measured mass.Grams // exact; of no meaning when not Known
	Known    bool       // false for a change of stock that nobody counted
	// Of the sum over the streams behind it; no such numbers of a gap, which
	// reconciling closes.
	Reconciled Estimate
	Streams    int // how many streams are behind it; none makes it zero
	terms      []Coefficient
}

// Estimate is a reconciled number with what uncertainty is left, in grams.
type Estimate struct {
	Known bool // false when no measurement determines it
	Value float64
	SD    float64
}

// Flow is one stream of the network.
type Flow struct {
	Facility  facility.ID
	Term      Term
	Measure   string // as of its entries; "stock"; "flue_gas" of what burning turns into
	Kind      flow.Kind
	Material  Material
	Other     facility.ID
	BothSides bool
	Measured  bool
	Net       mass.Grams // exact, when Measured
	Legs      int64
	SD        float64 // of the measured value, grams
}

// flueGas is the measure of the stream that burning adds when no loss is
// stated: most of what is burnt leaves as gas that nobody weighs.
const flueGas = "flue_gas"

// Close makes the statement of a book, by a rule set of uncertainties. Errors:
// mass.ErrOverflow, and those of Reconcile.
func (b *Book) Close(u Uncertainties, o Options) (Statement, error) {
	entries, left, err := b.finest()
	if err != nil {
		return Statement{}, err
	}
	sorted(entries)
	n := network{book: b, rules: u, at: map[Flow]int{}, yards: map[yard]bool{}}
	n.opening, n.closing = b.stock(entries)
	for _, e := range entries {
		if err := n.add(e); err != nil {
			return Statement{}, fmt.Errorf("balance of %s: %w", e.Facility, err)
		}
	}
	n.close()
	s := Statement{Flows: n.flows, LeftOut: left}
	if s.Result, err = Reconcile(Network(n.edges()), o); err != nil {
		return Statement{}, err
	}
	if s.Balances, err = n.balances(s.Result); err != nil {
		return Statement{}, err
	}
	return s, nil
}

// yard is where a material lies at a facility.
type yard struct {
	facility facility.ID
	material Material
}

// network gathers entries into streams.
type network struct {
	book             *Book
	rules            Uncertainties
	opening, closing map[facility.ID]flow.Date
	flows            []Flow
	at               map[Flow]int // a stream by what makes it one: numbers left out
	yards            map[yard]bool
}

// stream finds a stream, or adds it.
func (n *network) stream(key Flow) *Flow {
	i, ok := n.at[key]
	if !ok {
		i = len(n.flows)
		n.at[key] = i
		n.flows = append(n.flows, key)
	}
	return &n.flows[i]
}

func (n *network) add(e Entry) error {
	variance := n.rules.Of(e.Method).Variance(e.Net, e.Squares, e.Legs)
	term, _ := e.term()
	if e.Measure == measureOf {
		term = StockChange
		switch e.Period.From {
		case "":
			return nil
		case n.closing[e.Facility]:
		case n.opening[e.Facility]:
			e.Net = -e.Net
		default:
			return nil
		}
	}
	if n.book.complete(e.Facility) {
		n.yards[yard{e.Facility, e.Material}] = true
	}
	key := Flow{Facility: e.Facility, Term: term, Measure: e.Measure, Material: e.Material, Other: e.Other, BothSides: e.BothSides}
	if term == Made || term == Loss || term == Treated {
		key.Kind = e.Kind
	}
	f := n.stream(key)
	f.Measured = true
	f.Legs += e.Legs
	f.SD = math.Hypot(f.SD, math.Sqrt(variance))
	var err error
	f.Net, err = f.Net.Add(e.Net)
	return err
}

// close adds the streams that follow from those there are: changes of stock,
// and what leaves a fire unseen.
func (n *network) close() {
	for y := range n.yards {
		f := n.stream(Flow{Facility: y.facility, Term: StockChange, Measure: measureOf, Material: y.material})
		f.Measured = f.Measured || n.opening[y.facility] != "" // counted, and nothing of it was there
	}
	stated := map[facility.ID]bool{}
	for _, f := range n.flows {
		if f.Kind == flow.Incinerated && f.Term == Loss {
			stated[f.Facility] = true
		}
	}
	for _, f := range slices.Clone(n.flows) {
		if f.Kind == flow.Incinerated && f.Term == Treated && !stated[f.Facility] && n.book.complete(f.Facility) {
			n.stream(Flow{Facility: f.Facility, Term: Loss, Measure: flueGas, Kind: flow.Incinerated})
		}
	}
	slices.SortFunc(n.flows, func(a, b Flow) int {
		return cmp.Or(cmp.Compare(a.Facility, b.Facility), a.Material.compare(b.Material), cmp.Compare(slices.Index(Terms(), a.Term), slices.Index(Terms(), b.Term)),
			cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Other, b.Other), flagged(a.BothSides, b.BothSides))
	})
}

// edges places the streams between their nodes.
func (n *network) edges() []Edge {
	edges := make([]Edge, len(n.flows))
	for i, f := range n.flows {
		e := Edge{Stream: Stream{
			ID:       fmt.Sprintf("%s %s %s %s %s %s %t", f.Facility, f.Term, f.Measure, f.Kind, f.Material.key(), f.Other, f.BothSides),
			Measured: f.Measured, Value: float64(f.Net), Variance: f.SD * f.SD, Signed: f.Term == StockChange,
		}}
		var here string
		treatment := fmt.Sprintf("treatment %q %s", f.Facility, f.Kind)
		if n.book.complete(f.Facility) {
			here = fmt.Sprintf("yard %q %s", f.Facility, f.Material.key())
		}
		switch f.Term {
		case In:
			e.To = here
			if n.travels(f) {
				e.From = consignments(f.Other, f.Facility, f.Material)
			}
		case Out:
			e.From = here
			if n.travels(f) {
				e.To = consignments(f.Facility, f.Other, f.Material)
			}
		case Made:
			e.From, e.To = treatment, here
		case Treated:
			e.From, e.To = here, treatment
			if !n.stated(f) {
				e.To = "" // what came out is not stated: the treatment has no balance
			}
		case Loss:
			e.From = treatment
		case StockChange:
			e.From = here
		case Gap:
		}
		edges[i] = e
	}
	return edges
}

// travels tells whether the other side of a stream is in the book too.
func (n *network) travels(f Flow) bool {
	side := Flow{Facility: f.Other, Term: In, Measure: string(flow.MeasureReceived), Material: f.Material, Other: f.Facility, BothSides: true}
	if f.Term == In {
		side.Term, side.Measure = Out, string(flow.MeasureDispatched)
	}
	_, ok := n.at[side]
	return f.BothSides && ok
}

// stated tells whether anything is known to come out of a treatment.
func (n *network) stated(treated Flow) bool {
	return slices.ContainsFunc(n.of(treated.Facility), func(f Flow) bool {
		return f.Kind == treated.Kind && (f.Term == Made || f.Term == Loss)
	})
}

// of lists the streams of a facility; n.flows are sorted by it.
func (n *network) of(id facility.ID) []Flow {
	from, _ := slices.BinarySearchFunc(n.flows, id, func(f Flow, id facility.ID) int { return cmp.Compare(f.Facility, id) })
	to := from
	for to < len(n.flows) && n.flows[to].Facility == id {
		to++
	}
	return n.flows[from:to]
}

// consignments is the node that loads between two facilities pass: what one
// dispatched is what the other received.
func consignments(from, to facility.ID, m Material) string {
	return fmt.Sprintf("consignments %q %q %s", from, to, m.key())
}
