package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// RuleOneLedger is broken by items that are to be recorded together and do not
// belong in one ledger; RuleTwice by two of them that are about one identity.
const (
	RuleOneLedger = "atomic-one-ledger"
	RuleTwice     = "atomic-identity-twice"
)

// group is items that are recorded in one append, or not at all.
//
// Its tasks take their identities one after the other, in the order of the
// keys, so that two groups never wait for each other. Then its lead, a task
// that is about nothing itself, waits in the ledger's queue for all of them.
// Somebody always has the group alone: whoever holds its pending task.
type group struct {
	lead    *task
	tasks   []*task // in the order of their keys
	asked   int     // how many of them have asked for their identity
	settled bool    // each task goes its own way now: its outcome is known, or in doubt

	state atomic.Uint32 // waiting, taken or abandoned: of all tasks together
}

// SubmitAtomic decides and records the items in one append to one ledger, or
// records none of them. It returns one result per item, in their order: all
// without an error, or each with one. The error of an item that is not to
// blame says that others are. Items are refused together (Invalid) when they
// belong in several ledgers or two are about one identity, and (TooLarge) when
// they do not fit into one append. Otherwise as Submit.
func (s *Service) SubmitAtomic(ctx context.Context, items []Item) []Result {
	results := make([]Result, len(items))
	if len(items) == 0 {
		return results
	}
	refuse := func(err error) []Result {
		for i := range results {
			results[i].Err = err
			s.metrics.result(results[i])
		}
		return results
	}
	if len(items) > s.cfg.MaxAppendEvents {
		return refuse(fault.New(fault.TooLarge, "%d items are to be recorded together, at most %d are allowed", len(items), s.cfg.MaxAppendEvents))
	}
	if err := s.awaitReady(ctx); err != nil {
		return refuse(err)
	}
	tasks, err := s.prepareGroup(items, results)
	if err != nil {
		return refuse(err)
	}
	if tasks == nil {
		return s.blame(results)
	}
	if err := s.admit(ctx, len(items)); err != nil {
		return refuse(err)
	}
	c := &call{results: results, done: make(chan struct{})}
	c.left.Store(int64(len(items)))
	g := &group{lead: &task{}}
	g.lead.group = g
	for i := range tasks {
		tasks[i].call, tasks[i].slot, tasks[i].group = c, i, g
		g.tasks = append(g.tasks, &tasks[i])
	}
	slices.SortFunc(g.tasks, func(a, b *task) int { return slices.Compare(a.key[:], b.key[:]) })
	s.dispatch([]*task{g.lead})
	s.await(ctx, c, tasks)
	return results
}

// prepareGroup checks the items. It returns no tasks when items break rules:
// their results say which. The error is for all of them.
func (s *Service) prepareGroup(items []Item, results []Result) ([]task, error) {
	tasks := make([]task, len(items))
	seen := map[[32]byte]bool{}
	sound := true
	for i := range items {
		t := &tasks[i]
		err := s.prepare(t, items[i])
		switch {
		case err != nil:
		case !t.keyed:
			return nil, fault.New(fault.Internal, "command %T is not for submission with others", items[i].Command)
		case seen[t.key]:
			err = &fault.Fault{Kind: fault.Invalid, Detail: "two items that are to be recorded together are about one fact",
				Violations: []fault.Violation{flow.Violates(RuleTwice, "id", subjectOf(t).ExternalID, "")}}
		}
		seen[t.key] = true
		results[i].Err = err
		sound = sound && err == nil
	}
	if !sound {
		return nil, nil
	}
	return tasks, nil
}

// blame gives an error to the items that have none, because others have.
func (s *Service) blame(results []Result) []Result {
	for i := range results {
		if results[i].Err == nil {
			results[i] = Result{Err: errWithOthers()}
		}
		s.metrics.result(results[i])
	}
	return results
}

// ErrWithOthers marks an item that was refused only because others that it was
// to be recorded with are.
var ErrWithOthers = errors.New("refused with others")

func errWithOthers() error {
	return fault.Wrap(fault.Invalid, ErrWithOthers, "it is not recorded, because others that go with it are refused")
}

// advance asks for the identities that the group does not have yet. It returns
// the lead when it has all, else nil: the group waits, or was refused, and
// next are the tasks whose turn it is then.
func (s *Service) advance(g *group) (lead *task, next []*task) {
	for g.asked < len(g.tasks) {
		t := g.tasks[g.asked]
		g.asked++
		// Set before asking: from then on the group may be with somebody else.
		t.held = true
		switch s.reserved.acquire(t) {
		case granted:
		case waiting:
			return nil, nil
		case inDoubt:
			t.held = false
			return nil, s.finishGroup(g, Result{Err: errLogAway(nil)})
		}
	}
	if err := s.routeGroup(g); err != nil {
		return nil, s.finishGroup(g, Result{Err: err})
	}
	return g.lead, nil
}

// routeGroup finds the one ledger of a group.
func (s *Service) routeGroup(g *group) error {
	streams := map[string]bool{}
	for _, t := range g.tasks {
		asked := t.stream
		if err := s.route(t); err != nil {
			return err
		}
		if t.stream != asked && asked != "" { // a move: out of one, into the other
			streams[asked] = true
		}
		streams[t.stream] = true
		g.lead.stream = t.stream
	}
	if len(streams) == 1 {
		return nil
	}
	var names []string
	for name := range streams {
		names = append(names, name)
	}
	slices.Sort(names)
	list := strings.Join(names[:min(len(names), 20)], ", ")
	return &fault.Fault{Kind: fault.Invalid, Detail: fmt.Sprintf("what is to be recorded together belongs in %d ledgers: %s", len(names), list),
		Violations: []fault.Violation{flow.Violates(RuleOneLedger, "events", list, "")}}
}

// finishGroup ends every task of a group whose outcome is one for all.
func (s *Service) finishGroup(g *group, r Result) []*task {
	if g.settled {
		return nil
	}
	g.settled = true
	var next []*task
	for _, t := range g.tasks {
		next = append(next, s.finish(t, r)...)
	}
	return next
}

// decideGroup decides the tasks of a group into a batch of its own. When one
// is refused, the batch holds no event, and the state is spoilt: it was shown
// what is not going to be appended. The error is for the ledger as a whole.
func (s *Service) decideGroup(ctx context.Context, st *loaded, b *batch, g *group) error {
	b.group = g
	refused := false
	for _, t := range g.tasks {
		result, events, err := s.decideOne(ctx, st, b, t)
		if err == nil {
			err = b.addEvents(events, t.meta, s.cfg)
		}
		if isNextAppend(err) {
			err = fault.New(fault.TooLarge, "its events and those that go with it do not fit into one append of %d events and %d bytes",
				s.cfg.MaxAppendEvents, s.cfg.MaxAppendBytes)
		}
		switch {
		case isFault(err):
			refused, b.spoilt = true, true
			b.add(t, Result{Err: err})
			continue
		case err != nil:
			return err
		}
		if err := st.apply(events); err != nil {
			return err
		}
		b.add(t, result)
	}
	if !refused {
		return nil
	}
	b.events, b.proposed, b.bytes = nil, nil, 0
	for i := range b.results {
		b.ends[i] = 0
		if b.results[i].Err == nil {
			b.results[i] = Result{Err: errWithOthers()}
		}
	}
	return nil
}
