package intake

import (
	"time"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/register"
)

// prepare checks an item and makes the task of it. It runs in the caller's
// goroutine, so that the work of checking is spread over the callers.
func (s *Service) prepare(t *task, item Item) error {
	meta, err := event.EncodeMeta(item.Meta)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "its metadata cannot be written")
	}
	t.meta = meta
	switch c := item.Command.(type) {
	case ledger.Record:
		t.stream, c.Warnings, err = s.check(&c.Fact, c.Warnings)
		t.command = c
	case ledger.Replace:
		t.stream, c.Warnings, err = s.check(&c.Fact, c.Warnings)
		t.command = c
	case ledger.Correct:
		// Where it stands now, and so whether it moves, is asked when the
		// identity is reserved.
		t.alone = true
		t.stream, c.Warnings, err = s.check(&c.Fact, c.Warnings)
		t.command = c
	case ledger.Move:
		t.alone = true
		t.stream, c.Warnings, err = s.check(&c.Fact, c.Warnings)
		t.command = ledger.Correct{Fact: c.Fact, Version: c.Version, Reason: c.Reason, Warnings: c.Warnings}
	case ledger.Cancel:
		t.alone = true
		t.command = c
	case ledger.Close:
		t.stream = item.Ledger.Stream()
		t.command = ledger.Close{}
		_, err = ledger.ParseStream(t.stream)
		if err != nil {
			err = fault.Wrap(fault.Invalid, err, "there is no such ledger")
		}
		return err
	default:
		return fault.New(fault.Internal, "command %T is not for submission", item.Command)
	}
	if err != nil {
		return err
	}
	t.key, t.keyed = index.KeyOf(ledger.Subject(t.command)), true
	return nil
}

// check applies the rule catalogue to a fact and tells the ledger that it
// belongs to, with its warnings added to those given. The fact's time is told
// by the facility's clock afterwards.
func (s *Service) check(f *flow.Fact, warnings []fault.Violation) (string, []fault.Violation, error) {
	known := flow.Context{Now: s.deps.Now(), KnownArea: s.deps.Register.KnownArea, KnownFacility: s.deps.Register.KnownFacility}
	entry, ok := s.deps.Register.Facility(f.Facility)
	if ok {
		known.Facility, known.Location = &entry.Facility, entry.Location
		if entry.Location == nil {
			return "", nil, errNoZone(entry)
		}
	}
	var errs []fault.Violation
	for _, v := range flow.Check(*f, known) {
		if v.Severity == fault.Error {
			errs = append(errs, v)
		} else {
			warnings = append(warnings[:len(warnings):len(warnings)], v)
		}
	}
	if len(errs) > 0 {
		return "", nil, &fault.Fault{Kind: fault.Invalid, Detail: "the fact breaks a rule", Violations: errs}
	}
	if !ok {
		// The catalogue refuses an unknown facility; without one there is no ledger.
		return "", nil, fault.New(fault.Invalid, "facility %q is not registered", f.Facility)
	}
	if !f.When.Occurred.IsZero() {
		f.When.Occurred = flow.LocalTime(f.When.Occurred, entry.Location)
	}
	return ledger.KeyOf(*f, entry.Location).Stream(), warnings, nil
}

func errNoZone(e register.FacilityEntry) error {
	return fault.New(fault.Internal, "the time zone %q of facility %s is not known on this machine", e.Facility.TimeZone, e.Facility.ID)
}

// localNow is the time at a facility, in whose month late facts are booked.
func (s *Service) localNow(id facility.ID) (time.Time, error) {
	entry, ok := s.deps.Register.Facility(id)
	if !ok {
		return time.Time{}, fault.New(fault.NotFound, "facility %q is not registered", id)
	}
	if entry.Location == nil {
		return time.Time{}, errNoZone(entry)
	}
	return s.deps.Now().In(entry.Location), nil
}

// request asks for the identities of new tasks and sends those on that have
// them.
func (s *Service) request(tasks []*task) {
	ready := tasks[:0]
	for _, t := range tasks {
		if !t.keyed {
			ready = append(ready, t)
			continue
		}
		// Set before asking: from then on the task may be with somebody else.
		t.held = true
		switch s.reserved.acquire(t) {
		case granted:
			ready = append(ready, t)
		case waiting:
		case inDoubt:
			t.held = false
			s.finish(t, Result{Err: errLogAway(nil)})
		}
	}
	s.dispatch(ready)
}

// dispatch sends tasks that have their identities to their ledgers.
func (s *Service) dispatch(tasks []*task) {
	for len(tasks) > 0 {
		ready := make([]*task, 0, len(tasks))
		var next []*task
		for _, t := range tasks {
			if t.group != nil && !t.group.settled {
				lead, more := s.advance(t.group)
				next = append(next, more...)
				if lead != nil {
					ready = append(ready, lead)
				}
				continue
			}
			if err := s.route(t); err != nil {
				next = append(next, s.finish(t, Result{Err: err})...)
			} else {
				ready = append(ready, t)
			}
		}
		if len(ready) > 0 && !s.ledgers.add(ready) {
			for _, t := range ready {
				next = append(next, s.finish(t, Result{Err: errStopped()})...)
			}
		}
		tasks = next
	}
}

// route finds the ledger of a command that is about a fact known already. A
// correction whose fact belongs to another ledger than it stands in is a move.
func (s *Service) route(t *task) error {
	switch c := t.command.(type) {
	case ledger.Cancel:
		entry, found, err := s.lookup(t.key)
		if err != nil {
			return err
		}
		if !found {
			return fault.New(fault.NotFound, "nothing is recorded under %s", c.Identity)
		}
		t.stream = entry.Ledger
	case ledger.Correct:
		entry, found, err := s.lookup(t.key)
		if err != nil {
			return err
		}
		if !found || entry.Ledger == t.stream {
			return nil // the ledger decides
		}
		to, err := ledger.ParseStream(t.stream)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "its ledger has no name")
		}
		t.command = ledger.Move{Fact: c.Fact, To: to, Version: c.Version, Reason: c.Reason, Warnings: c.Warnings}
		t.stream = entry.Ledger
	case ledger.Record, ledger.Replace, ledger.Move, ledger.Arrive, ledger.Close:
	}
	return nil
}

// answer gives the caller its result, unless it has one or has gone.
func (s *Service) answer(t *task, r Result) {
	if t.call != nil && !t.answered && t.take() {
		t.call.set(t.slot, r, s.metrics)
	}
	t.answered = true
}

// release frees what a task holds and returns the tasks that hold its
// identity now; they are the caller's to dispatch.
func (s *Service) release(t *task) []*task {
	if t.call != nil {
		s.queued.Add(-1)
		s.metrics.queued.Dec()
	}
	if !t.held {
		return nil
	}
	t.held = false
	return s.reserved.release(t.key)
}

// finish ends a task: answer and release.
func (s *Service) finish(t *task, r Result) []*task {
	if t.group != nil && !t.group.settled {
		return s.finishGroup(t.group, r)
	}
	if t.moved != nil {
		return s.finishMove(t, r)
	}
	s.answer(t, r)
	return s.release(t)
}
