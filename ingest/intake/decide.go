package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// errStale means that a cached ledger lacks what the index knows to be in it:
// another instance wrote it. The ledger is read again.
var errStale = errors.New("cached ledger is behind the log")

// decideOne decides a task on a state. The error is errStale, errNextAppend, a
// *fault.Fault for this task alone, or that of log or index.
func (s *Service) decideOne(ctx context.Context, st *loaded, b *batch, t *task) (Result, []event.Event, error) {
	now, err := s.localNow(st.state.Key().Facility)
	if err != nil {
		return Result{}, nil, err
	}
	var arrived []event.Event
	if t.keyed {
		var stands *Result
		if arrived, stands, err = s.place(ctx, st, t); err != nil {
			return Result{}, nil, err
		}
		if stands != nil {
			return *stands, nil, nil
		}
	}
	if len(arrived) > 0 {
		if err := b.addEvents(arrived, t.meta, s.cfg); err != nil {
			return Result{}, nil, err
		}
		// Shown to the ledger at once: the command is about the fact that arrives.
		if err := st.apply(arrived); err != nil {
			return Result{}, nil, err
		}
	}
	command := t.command
	switch c := command.(type) {
	case ledger.Move:
		if c.ToClosed, err = s.target(ctx, st, c); err != nil {
			return Result{}, nil, err
		}
		command, t.command = c, c
	case ledger.Close:
		if len(b.events) > 0 {
			return Result{}, nil, errNextAppend
		}
		if command, err = s.digest(ctx, st.stream); err != nil {
			return Result{}, nil, err
		}
	case ledger.Record, ledger.Replace, ledger.Correct, ledger.Cancel, ledger.Arrive:
	}
	d, err := ledger.Decide(st.state, command, now)
	if err != nil {
		return Result{}, nil, err
	}
	result := Result{Status: d.Status, FactID: d.FactID, EventID: d.EventID, Ledger: st.stream, Warnings: d.Warnings}
	if m, ok := command.(ledger.Move); ok {
		arrive := ledger.ArriveAfter(m, st.state.Key(), d)
		t.arrive = &arrive
		result.Ledger = m.To.Stream()
	}
	return result, d.Events, nil
}

// place makes sure that the identity of a task may be decided in this ledger.
// A new fact whose identity stands in another one is refused, unless it stands
// there with the very same content: then stands is the answer. That happens when
// the facility was given another time zone since, and only the month that the
// same instant falls in has changed. When the fact was moved here and its
// arrival is not noted yet (the process that moved it died in between), arrived
// is the event that notes it.
func (s *Service) place(ctx context.Context, st *loaded, t *task) (arrived []event.Event, stands *Result, err error) {
	if _, ok := t.command.(ledger.Arrive); ok {
		return nil, nil, nil
	}
	id := ledger.Subject(t.command)
	if standing, known := st.state.Lookup(id); known && standing.Standing != ledger.Away {
		return nil, nil, nil
	}
	entry, found, err := s.lookup(t.key)
	if err != nil || !found {
		return nil, nil, err
	}
	if entry.Ledger != st.stream {
		switch c := t.command.(type) {
		case ledger.Record:
			stands, err = standsElsewhere(c.Fact, entry)
		case ledger.Replace:
			stands, err = standsElsewhere(c.Fact, entry)
		default: // the ledger answers
		}
		return nil, stands, err
	}
	at, found, err := s.deps.Index.Event(entry.EventID)
	if err != nil {
		return nil, nil, err
	}
	if found && at.Stream != st.stream {
		arrived, err = s.dueArrival(ctx, st, at)
		return arrived, nil, err
	}
	if !st.fresh {
		return nil, nil, errStale
	}
	s.requestRebuild(fmt.Sprintf("it places %s in %s, which does not hold it", id, st.stream))
	return nil, nil, errRebuilding(nil)
}

// standsElsewhere answers a new fact whose identity another ledger holds: with
// the same content it is recorded already, there; otherwise it is refused.
func standsElsewhere(f flow.Fact, e index.Entry) (*Result, error) {
	if e.Status == index.Live && e.Content == f.ContentHash() {
		return &Result{Status: ledger.StatusAlreadyRecorded, FactID: e.FactID, EventID: e.EventID, Ledger: e.Ledger}, nil
	}
	return nil, elsewhere(f.Identity, e)
}

// elsewhere refuses a fact whose identity another ledger holds.
func elsewhere(id flow.Identity, e index.Entry) error {
	kind, what := fault.Conflict, "is recorded in"
	switch e.Status {
	case index.Cancelled:
		kind, what = fault.Cancelled, "was cancelled in"
	case index.Replaced:
		what = "was replaced by another in"
	case index.Live:
	}
	f := fault.New(kind, "the fact %s %s ledger %s; give a reason to move it", id, what, e.Ledger)
	if kind == fault.Cancelled {
		f.Detail = fmt.Sprintf("the fact %s %s ledger %s", id, what, e.Ledger)
	}
	rule := flow.RuleElsewhere
	if kind == fault.Cancelled {
		rule = flow.RuleCancelled
	}
	f.Violations = []fault.Violation{flow.Violates(rule, "id", id.ExternalID,
		fmt.Sprintf("Ledger %s, event %s.", e.Ledger, e.EventID))}
	return f
}

// dueArrival decides the arrival of a move that stands in another ledger.
func (s *Service) dueArrival(ctx context.Context, st *loaded, at index.Place) ([]event.Event, error) {
	arrive, err := s.readMove(ctx, at)
	if err != nil {
		return nil, err
	}
	now, err := s.localNow(st.state.Key().Facility)
	if err != nil {
		return nil, err
	}
	d, err := ledger.Decide(st.state, arrive, now)
	return d.Events, err
}

// readMove reads a Moved event back as the command for its target.
func (s *Service) readMove(ctx context.Context, at index.Place) (ledger.Arrive, error) {
	for rec, err := range s.deps.Log.ReadStream(ctx, at.Stream, at.Revision) {
		if err != nil {
			return ledger.Arrive{}, fmt.Errorf("read %s: %w", at.Stream, err)
		}
		ev, err := event.Decode(rec.Type, rec.Data)
		if err != nil {
			return ledger.Arrive{}, fmt.Errorf("read %s, revision %d: %w", at.Stream, at.Revision, err)
		}
		m, ok := ev.(event.Moved)
		if !ok {
			return ledger.Arrive{}, fmt.Errorf("read %s, revision %d: %s, want a move", at.Stream, at.Revision, rec.Type)
		}
		from, err := ledger.ParseStream(at.Stream)
		if err != nil {
			return ledger.Arrive{}, err
		}
		return ledger.Arrive{Fact: m.Is, FactID: m.FactID, Moved: m.ID, From: from, Revision: m.Revision}, nil
	}
	return ledger.Arrive{}, fmt.Errorf("read %s: no event at revision %d", at.Stream, at.Revision)
}

// target looks at the ledger that a fact is to be moved to: whether it is
// closed, and that it does not hold another fact of the same identity (two
// instances can have recorded one each): a move would leave both there.
func (s *Service) target(ctx context.Context, from *loaded, m ledger.Move) (closed bool, err error) {
	st, err := s.load(ctx, m.To.Stream())
	if err != nil {
		return false, err
	}
	id := m.Fact.Identity
	here, _ := from.state.Lookup(id)
	if there, known := st.state.Lookup(id); known && there.Standing == ledger.Live && there.FactID != here.FactID {
		return false, fault.New(fault.Conflict, "the fact %s is recorded twice, in %s (event %s) and in %s (event %s): cancel one of the two",
			id, from.stream, here.EventID, st.stream, there.EventID)
	}
	return st.state.Closed(), nil
}

// digest reads a ledger that is to be closed.
func (s *Service) digest(ctx context.Context, stream string) (ledger.Close, error) {
	var d ledger.Digester
	for rec, err := range s.deps.Log.ReadStream(ctx, stream, 0) {
		if err != nil {
			return ledger.Close{}, fmt.Errorf("read %s: %w", stream, err)
		}
		// The digest of a closed ledger is over what was there before it was closed.
		if rec.Type == event.TypeLedgerClosed {
			break
		}
		d.Add(rec.ID, rec.Type, rec.Data)
	}
	sum, events := d.Sum()
	return ledger.Close{Digest: sum, Events: events}, nil
}
