package intake

import (
	"context"
	"errors"
	"fmt"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// batch is what the waiting tasks of a ledger came to: the results, and the
// one append that makes them true.
type batch struct {
	stream   string
	expected eventlog.Expected
	events   []event.Event
	proposed []eventlog.Proposed
	bytes    int
	tasks    []*task
	results  []Result // of tasks
	ends     []int    // how many events the batch has up to and with each task
	group    *group   // whose batch it is; nil when its tasks go by themselves
	spoilt   bool     // the state was shown events that are not appended
}

// work takes one ledger after the other until the service stops.
func (s *Service) work(ctx context.Context) {
	for {
		q, ok := s.ledgers.next()
		if !ok {
			return
		}
		s.process(ctx, q)
		s.refuse(s.ledgers.giveBack(q), errStopped())
	}
}

// process gives a ledger its turn: what is in doubt is settled first, since
// nothing can be decided on a ledger whose last append is not known.
func (s *Service) process(ctx context.Context, q *ledgerQueue) {
	if q.doubt != nil {
		if err := s.settle(ctx, q); err != nil {
			s.refuse(s.ledgers.take(q, s.cfg.MaxQueued), err)
			return
		}
	}
	tasks := s.claim(q)
	if len(tasks) == 0 {
		return
	}
	if s.breaker.open() {
		s.refuse(tasks, errLogAway(nil))
		return
	}
	s.write(ctx, q, tasks)
}

// claim takes the tasks of one append from the queue, but for those whose
// caller has gone.
func (s *Service) claim(q *ledgerQueue) []*task {
	taken := s.ledgers.take(q, s.cfg.MaxAppendEvents)
	tasks := taken[:0]
	var next []*task
	for _, t := range taken {
		if t.take() {
			tasks = append(tasks, t)
		} else {
			next = append(next, s.finish(t, Result{})...)
		}
	}
	s.dispatch(next)
	return tasks
}

// write decides the tasks on the ledger's state and appends the outcome.
//
// The steps, and what dies if the program does in between:
//  1. state from cache or log         nothing
//  2. decide, on a state that takes the events tentatively
//  3. append with the revision of 1    the caller's answer; a retry finds the facts recorded
//  4. note in the index               nothing: the index folds the log
//  5. answer
func (s *Service) write(ctx context.Context, q *ledgerQueue, tasks []*task) {
	st := s.cache.take(q.stream)
	if st != nil {
		s.metrics.cacheHits.Inc()
	}
	// What an append left in an unknown state is never put back.
	defer func() { s.cache.put(q.stream, st) }()
	for attempt := 1; ; attempt++ {
		if st == nil {
			var err error
			if st, err = s.load(ctx, q.stream); err != nil {
				s.refuse(tasks, s.logFault(err))
				return
			}
		}
		b, rest, err := s.decide(ctx, st, tasks)
		if errors.Is(err, errStale) && attempt < s.cfg.MaxAttempts {
			st = nil
			continue
		}
		if err != nil {
			st = nil
			s.refuse(tasks, s.logFault(err))
			return
		}
		done, err := s.append(ctx, b)
		var wrong *eventlog.WrongRevision
		switch {
		case err == nil:
			st.exists, st.revision = done.Revision != noRevision, done.Revision
			if b.spoilt {
				st = nil
			}
			s.ledgers.putBack(q, rest)
			s.deliver(b, done)
			return
		case errors.As(err, &wrong) && attempt < s.cfg.MaxAttempts:
			s.metrics.conflicts.Inc()
			st = nil
		case errors.As(err, &wrong):
			st = nil
			s.refuse(tasks, fault.Wrap(fault.Unavailable, err, "ledger %s was changed by others %d times in a row; try again", q.stream, attempt))
			return
		case errors.Is(err, eventlog.ErrTooLarge) && len(b.tasks) > 1 && b.group == nil:
			// The log takes less than we are configured to send.
			st = nil
			s.ledgers.putBack(q, tasks[len(b.tasks)/2:])
			tasks = tasks[:len(b.tasks)/2]
		case isRefusal(err):
			st = nil
			s.refuse(tasks, s.logFault(err))
			return
		default:
			st = nil
			s.ledgers.putBack(q, rest)
			s.doubt(q, b, err)
			return
		}
	}
}

// isRefusal tells the errors after which nothing of an append was recorded.
func isRefusal(err error) bool {
	return errors.Is(err, eventlog.ErrTooLarge) || errors.Is(err, eventlog.ErrNoRoom) || errors.Is(err, eventlog.ErrStreamDeleted)
}

// load reads a ledger from the log.
func (s *Service) load(ctx context.Context, stream string) (*loaded, error) {
	s.metrics.cacheLoads.Inc()
	key, err := ledger.ParseStream(stream)
	if err != nil {
		return nil, err
	}
	st := &loaded{stream: stream, state: ledger.NewState(key), fresh: true}
	for rec, err := range s.deps.Log.ReadStream(ctx, stream, 0) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		ev, err := event.Decode(rec.Type, rec.Data)
		if err == nil {
			err = st.state.Apply(ev)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s, revision %d: %w", stream, rec.Revision, err)
		}
		st.exists, st.revision = true, rec.Revision
	}
	s.breaker.succeed()
	return st, nil
}

// decide decides tasks one after the other, each on what the earlier ones came
// to. It stops where the append would become too large; rest are the tasks
// from there on.
func (s *Service) decide(ctx context.Context, st *loaded, tasks []*task) (b *batch, rest []*task, err error) {
	b = &batch{stream: st.stream, expected: st.expected()}
	for i, t := range tasks {
		if t.group != nil {
			if len(b.tasks) > 0 {
				return b, tasks[i:], nil
			}
			err := s.decideGroup(ctx, st, b, t.group)
			return b, tasks[i+1:], err
		}
		result, events, err := s.decideOne(ctx, st, b, t)
		if err == nil {
			err = b.addEvents(events, t.meta, s.cfg)
		}
		if isNextAppend(err) {
			return b, tasks[i:], nil
		}
		if isFault(err) {
			b.add(t, Result{Err: err})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if err := st.apply(events); err != nil {
			return nil, nil, err
		}
		b.add(t, result)
	}
	return b, nil, nil
}

func (b *batch) add(t *task, r Result) {
	b.tasks = append(b.tasks, t)
	b.results = append(b.results, r)
	b.ends = append(b.ends, len(b.events))
}

func isFault(err error) bool {
	var f *fault.Fault
	return errors.As(err, &f)
}

// errNextAppend means that a task does not fit into the append any more, or
// must be the first of one.
var errNextAppend = errors.New("left for the next append")

func isNextAppend(err error) bool { return errors.Is(err, errNextAppend) }

// addEvents puts the events of one task into the append; event.Encode makes
// sure that each can be read back. The error is errNextAppend or a
// *fault.Fault, and nothing was added then.
func (b *batch) addEvents(events []event.Event, meta []byte, c Config) error {
	proposed, size := b.proposed, 0
	for _, ev := range events {
		p, err := event.Encode(ev)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "it cannot be written as an event")
		}
		p.Meta = meta
		proposed = append(proposed, p)
		size += len(p.Data) + len(p.Meta) + len(p.Type) + bytesPerEvent
	}
	if b.bytes+size > c.MaxAppendBytes || len(proposed) > c.MaxAppendEvents {
		if len(b.events) > 0 {
			return errNextAppend
		}
		return fault.New(fault.TooLarge, "its events have %d bytes, at most %d are allowed", size, c.MaxAppendBytes)
	}
	b.events, b.proposed, b.bytes = append(b.events, events...), proposed, b.bytes+size
	return nil
}

// bytesPerEvent is what the log counts for each event beside its texts.
const bytesPerEvent = 256

// noRevision stands for the revision of a stream that does not exist.
const noRevision = ^uint64(0)

// append appends a batch. A batch without events changes nothing and stands
// where the ledger stood.
func (s *Service) append(ctx context.Context, b *batch) (eventlog.Appended, error) {
	if len(b.proposed) == 0 {
		revision, ok := b.expected.Revision()
		if !ok {
			revision = noRevision
		}
		return eventlog.Appended{Revision: revision}, nil
	}
	done, err := s.deps.Append.Append(ctx, b.stream, b.expected, b.proposed)
	if err != nil {
		return eventlog.Appended{}, err
	}
	s.breaker.succeed()
	s.noteAppend(b, done)
	return done, nil
}

// noteAppend makes a durable batch known to index and metrics.
func (s *Service) noteAppend(b *batch, done eventlog.Appended) {
	followed := make([]index.Followed, len(b.events))
	for i, ev := range b.events {
		followed[i] = index.Followed{Event: ev, Recorded: eventlog.Recorded{
			Stream: b.stream, Revision: done.Revision - uint64(len(b.events)-1-i), Position: done.Position,
			ID: ev.EventID(), Type: ev.Type(),
		}}
		s.metrics.recorded(ev)
	}
	s.deps.Index.Note(done.Position, followed)
	s.metrics.appendEvents.Observe(float64(len(b.events)))
	s.metrics.unfollowed.Set(float64(s.deps.Index.Unfollowed()))
}

// deliver answers the tasks of a batch that is durable.
func (s *Service) deliver(b *batch, done eventlog.Appended) {
	b.settleGroup()
	var next []*task
	start := 0
	for i, t := range b.tasks {
		r := b.results[i]
		if b.ends[i] > start {
			r.Revision = done.Revision - uint64(len(b.events)-b.ends[i])
			r.Position = done.Position
		}
		next = append(next, s.complete(t, r)...)
		start = b.ends[i]
	}
	s.dispatch(next)
}

// settleGroup lets the tasks of a group go their own ways.
func (b *batch) settleGroup() {
	if b.group != nil {
		b.group.settled = true
	}
}

// refuse answers tasks with an error.
func (s *Service) refuse(tasks []*task, err error) {
	var next []*task
	for _, t := range tasks {
		next = append(next, s.finish(t, Result{Err: err})...)
	}
	s.dispatch(next)
}

// logFault tells the caller what an error of the log or the index means.
func (s *Service) logFault(err error) error {
	switch {
	case isFault(err):
		return err
	case errors.Is(err, eventlog.ErrNoRoom):
		return fault.Wrap(fault.NoRoom, err, "the log's disk is full; nothing was recorded")
	case errors.Is(err, eventlog.ErrTooLarge):
		return fault.Wrap(fault.TooLarge, err, "it is too large for the log")
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.breaker.fail()
		return errLogAway(err)
	case errors.Is(err, index.ErrDamaged):
		return s.indexFault(err)
	}
	return fault.Wrap(fault.Internal, err, "the ledger cannot be worked on")
}
