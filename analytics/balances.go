package analytics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// BalanceQuery asks whether what came in went out.
type BalanceQuery struct {
	// From and To bound the time half-open, as local days at the facility; ""
	// is open. A period total counts when its whole period lies within. The
	// change of stock is known only between two ends.
	From, To flow.Date
	// Facilities by id or name; none asks for all. Neighbours with which they
	// share consignments that both sides report are balanced beside them.
	Facilities []string
	// Materials to show, as waste codes, fractions or products; none shows all,
	// and each facility as a whole. Everything is reconciled together whatever
	// is shown.
	Materials []string
	// Uncertainty overrides methods, as balance.Uncertainties.With reads it.
	Uncertainty []string
}

// BalanceAnswer is the answer to a BalanceQuery.
type BalanceAnswer struct {
	From, To flow.Date
	// Balances and Flows are those shown; Flows lists a stream's result beside it.
	Balances []FacilityBalance
	Flows    []BalanceFlow
	LeftOut  []balance.LeftOut // period totals beside something finer, of every facility balanced
	Test     balance.Result    // over everything; its streams are not those of Flows
	Position uint64            // commit position of the log at which everything was read
	AsOf     time.Time         // when the event at Position was recorded; zero before the first
	Rules    []string          // ids of the rule sets and registers that made the answer, sorted
}

// FacilityBalance is one balance with the name of its facility. Lines that
// nothing was reported of, and that are zero, are left out; the gap is not.
type FacilityBalance struct {
	balance.Balance
	Name      Value
	Neighbour bool // balanced because it shares consignments with a facility asked for
}

// BalanceFlow is one stream, measured and reconciled.
type BalanceFlow struct {
	balance.Flow
	balance.Reconciled
	Name Value // of the facility
}

// ParseBalanceQuery reads a balance question from URL parameters: from, to (as
// of flows), and facility, material and uncertainty, each repeatable.
//
// Errors are faults of kind Invalid that carry a violation for everything
// that is wrong.
func ParseBalanceQuery(values map[string][]string) (BalanceQuery, error) {
	p := parser{query: FlowQuery{Filters: map[Dimension][]string{}}}
	var q BalanceQuery
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch name {
		case "from":
			q.From = p.date(name, values[name])
		case "to":
			q.To = p.date(name, values[name])
		case "facility":
			q.Facilities = p.texts(name, values[name])
		case "material":
			q.Materials = p.texts(name, values[name])
		case "uncertainty":
			q.Uncertainty = p.texts(name, values[name])
			if _, err := balance.DefaultUncertainties().With(q.Uncertainty); err != nil {
				p.violate("question-uncertainty", name, strings.Join(q.Uncertainty, ","), "%s", err)
			}
		default:
			p.violate("question-parameter", name, strings.Join(values[name], ","),
				"is no parameter of this question; allowed: facility, from, to, material, uncertainty, format")
		}
	}
	if len(p.violations) == 0 && q.From != "" && q.To != "" && q.From >= q.To {
		p.violate("question-period", "to", string(q.To), "ends before it begins: from %s, to (exclusive) %s", q.From, q.To)
	}
	return q, invalid(p.violations)
}

// texts takes the values of one parameter, under the limits of a filter.
func (p *parser) texts(name string, values []string) []string {
	p.filter(Dimension(name), values)
	return p.query.Filters[Dimension(name)]
}

// Balances answers a question as of now. Errors are faults as of Flows; those
// of balance.Reconcile as well.
func (s *Service) Balances(ctx context.Context, q BalanceQuery) (BalanceAnswer, error) {
	m, err := s.Now(ctx)
	if err != nil {
		return BalanceAnswer{}, err
	}
	return s.BalancesAt(ctx, q, m)
}

// BalancesAt answers a question at a moment.
func (s *Service) BalancesAt(ctx context.Context, q BalanceQuery, m Moment) (BalanceAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	if m.register == nil {
		return BalanceAnswer{}, fault.New(fault.Internal, "the moment was not found by Now")
	}
	b := balancing{service: s, query: q, moment: m}
	if err := b.plan(); err != nil {
		return BalanceAnswer{}, err
	}
	if m.Position > 0 && !b.nothing {
		if err := b.read(ctx); err != nil {
			return BalanceAnswer{}, fmt.Errorf("ask for balances: %w", err)
		}
	}
	answer, err := b.answer()
	if err != nil {
		return BalanceAnswer{}, err
	}
	s.answeredAt(m.Position)
	return answer, nil
}

// balancing is the work on one answer.
type balancing struct {
	service       *Service
	query         BalanceQuery
	moment        Moment
	uncertainties balance.Uncertainties
	materials     map[string]string // wanted text → as it stands in rows
	asked         []string          // ids of facilities asked for; empty: all
	balanced      map[string]bool   // ids of facilities balanced; nil: all
	nothing       bool
	entries       []balance.Entry
}

// plan checks what needs the register or a list.
func (b *balancing) plan() (err error) {
	if b.uncertainties, err = b.service.config.Uncertainties.With(b.query.Uncertainty); err != nil {
		return invalid([]fault.Violation{violation("question-uncertainty", "uncertainty", strings.Join(b.query.Uncertainty, ","), "%s", err)})
	}
	p := &plan{query: FlowQuery{Filters: map[Dimension][]string{Facility: b.query.Facilities}}, register: b.moment.register}
	ids := p.ids(Facility, "a facility", p.findFacility)
	b.asked = slices.Sorted(maps.Keys(ids))
	b.nothing = slices.Equal(b.asked, []string{""})
	if sizeOf(b.asked) > b.service.config.MaxBoundBytes {
		return tooMany("bytes of facility ids", b.service.config.MaxBoundBytes)
	}
	b.materials = map[string]string{}
	for _, text := range b.query.Materials {
		b.materials[text] = text
		if code, err := waste.ParseCode(text); err == nil {
			b.materials[text] = string(code)
		}
	}
	return invalid(p.violations)
}

// read reads the entries of the facilities asked for, and then, where others
// report the same consignments, of those as well.
func (b *balancing) read(ctx context.Context) error {
	if err := b.statement(ctx, b.asked); err != nil {
		return err
	}
	if len(b.asked) == 0 {
		return b.days(ctx)
	}
	b.balanced = set(b.asked)
	for _, e := range b.entries {
		if e.BothSides {
			b.balanced[string(e.Facility)] = true
		}
	}
	if len(b.balanced) > len(b.asked) {
		ids := slices.Sorted(maps.Keys(b.balanced))
		if sizeOf(ids) > b.service.config.MaxBoundBytes {
			return tooMany("bytes of facility ids, neighbours counted", b.service.config.MaxBoundBytes)
		}
		if err := b.statement(ctx, ids); err != nil {
			return err
		}
	}
	return b.days(ctx)
}

// period binds the days of the question.
func (b *balancing) period(bind map[string]any) map[string]any {
	bind["committed"] = b.moment.Position
	for name, date := range map[string]flow.Date{"from": b.query.From, "to": b.query.To} {
		bind[name+"_open"], bind[name] = date == "", string(firstDay)
		if date != "" {
			bind[name] = string(date)
		}
	}
	return bind
}

func (b *balancing) statement(ctx context.Context, facilities []string) error {
	span, ok := balance.StockDays(b.query.From, b.query.To)
	bind := b.period(map[string]any{
		"facilities": nonNil(facilities), "stock": ok, "stock_from": string(firstDay), "stock_to": string(firstDay),
		"max_groups": uint64(b.service.config.MaxGroups) + 1, //nolint:gosec // positive, as New has seen
	})
	if ok {
		bind["stock_from"], bind["stock_to"] = string(max(span.From, firstDay)), string(min(span.To, lastDay))
	}
	b.entries = nil
	return each(ctx, b.service.conn, b.service.balances, bind, func(scan func(...any) error) error {
		if len(b.entries) >= b.service.config.MaxGroups {
			return tooMany("sums to balance", b.service.config.MaxGroups)
		}
		var e balance.Entry
		var facilityID, kind, other, code, method, from, to string
		var grams int64
		if err := scan(&facilityID, &kind, &e.Measure, &e.WithOutputs, &other, &e.BothSides, &code, &e.Material.Fraction, &e.Material.Product,
			&method, &from, &to, &grams, &e.Squares, &e.Legs); err != nil {
			return err
		}
		e.Facility, e.Other, e.Kind, e.Method = facility.ID(facilityID), facility.ID(other), flow.Kind(kind), flow.Method(method)
		e.Material.Waste, e.Period, e.Net = waste.Code(code), flow.Period{From: flow.Date(from), To: flow.Date(to)}, mass.Grams(grams)
		b.entries = append(b.entries, e)
		return nil
	})
}

// days reads the days of loads where totals of the same measure stand beside.
func (b *balancing) days(ctx context.Context) error {
	ids, measures := balance.Beside(b.entries)
	if len(ids) == 0 {
		return nil
	}
	if len(ids)*len("''") > b.service.config.MaxBoundBytes || sizeOf(texts(ids)) > b.service.config.MaxBoundBytes {
		return tooMany("bytes of ids of facilities that report totals beside loads", b.service.config.MaxBoundBytes)
	}
	type key struct{ facility, measure string }
	days := map[key][]flow.Date{}
	bind := b.period(map[string]any{"facilities": texts(ids), "measures": measures})
	err := each(ctx, b.service.conn, b.service.balanceDays, bind, func(scan func(...any) error) error {
		var k key
		var day string
		if err := scan(&k.facility, &k.measure, &day); err != nil {
			return err
		}
		days[k] = append(days[k], flow.Date(day))
		return nil
	})
	if err != nil {
		return err
	}
	for i := range b.entries {
		e := &b.entries[i]
		if e.Kind != flow.PeriodReported && e.Kind != flow.StockCounted {
			e.Days = days[key{string(e.Facility), e.Measure}]
		}
	}
	return nil
}

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

// answer closes the book and names what is in it.
func (b *balancing) answer() (BalanceAnswer, error) {
	book := balance.NewBook(b.query.From, b.query.To, func(id facility.ID) bool { return b.balanced == nil || b.balanced[string(id)] })
	if err := book.Add(b.entries...); err != nil {
		return BalanceAnswer{}, fmt.Errorf("balance: %w", err)
	}
	statement, err := book.Close(b.uncertainties, balance.Options{})
	if err != nil {
		return BalanceAnswer{}, fmt.Errorf("balance: %w", err)
	}
	if err := b.reported(statement); err != nil {
		return BalanceAnswer{}, err
	}
	a := BalanceAnswer{
		From: b.query.From, To: b.query.To, LeftOut: statement.LeftOut, Test: statement.Result, Position: b.moment.Position, AsOf: b.moment.AsOf,
		Rules: []string{balance.RuleBooks, balance.RuleStock, balance.RuleTotals, balance.RuleTravel, ruleMeasures, b.uncertainties.ID,
			fmt.Sprintf("register/position-%d", b.moment.register.changed)},
	}
	slices.Sort(a.Rules)
	rows := 0
	for _, one := range statement.Balances {
		if b.shows(one.Material, one.Whole) {
			one.Lines = slices.DeleteFunc(one.Lines, func(l balance.Line) bool { return l.Streams == 0 && l.Term != balance.Gap })
			rows += len(one.Lines)
			a.Balances = append(a.Balances, FacilityBalance{
				Balance: one, Name: b.name(one.Facility), Neighbour: len(b.asked) > 0 && !slices.Contains(b.asked, string(one.Facility)),
			})
		}
	}
	for i, f := range statement.Flows {
		if b.shows(f.Material, false) {
			a.Flows = append(a.Flows, BalanceFlow{Flow: f, Reconciled: statement.Result.Streams[i], Name: b.name(f.Facility)})
		}
	}
	if rows+len(a.Flows) > b.service.config.MaxRows {
		return BalanceAnswer{}, tooMany("rows", b.service.config.MaxRows)
	}
	return a, nil
}

func (b *balancing) name(id facility.ID) Value {
	return stated(b.moment.register.facilities[string(id)].name)
}

// shows tells whether a material is among those wanted. A material without
// code, fraction and product is not_stated.
func (b *balancing) shows(m balance.Material, whole bool) bool {
	if len(b.materials) == 0 {
		return true
	}
	for _, wanted := range b.materials {
		if !whole && (wanted == notStated && m == balance.Material{} ||
			wanted != notStated && slices.Contains([]string{string(m.Waste), m.Fraction, m.Product}, wanted)) {
			return true
		}
	}
	return false
}

// reported refuses a material that is no waste code and that no facility
// balanced has reported: it is misspelt more often than not.
func (b *balancing) reported(s balance.Statement) error {
	known := map[string]bool{notStated: true}
	for _, f := range s.Flows {
		known[f.Material.Fraction], known[f.Material.Product] = true, true
	}
	var violations []fault.Violation
	for _, text := range b.query.Materials {
		if _, err := waste.ParseCode(text); err != nil && !known[text] {
			delete(known, "")
			violations = append(violations, violation("question-value", "material", text,
				"is neither a waste code nor a fraction or product reported in this period; reported: %s", strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		}
	}
	return invalid(violations)
}
