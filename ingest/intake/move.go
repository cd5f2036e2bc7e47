package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// A move has two legs. The first, Moved in the ledger that the fact leaves,
// moves the mass; once it is durable the move is done, whatever happens. The
// second, Arrived in the other ledger, lets that one know. It is tried again
// until it is there: at once, when the fact is next touched, and at start.

// complete ends a task whose events, if any, are durable.
func (s *Service) complete(t *task, r Result) []*task {
	if t.moved != nil {
		return s.finishMove(t, r)
	}
	if t.arrive == nil {
		s.answer(t, r)
		return s.release(t)
	}
	if r.Err != nil {
		return s.finish(t, r)
	}
	t.moved = &r
	t.command, t.stream, t.arrive = *t.arrive, r.Ledger, nil
	return []*task{t}
}

// finishMove ends a task whose first leg is durable; r is what became of the
// second.
func (s *Service) finishMove(t *task, r Result) []*task {
	if r.Err != nil {
		s.logger.Warn("move is recorded but its arrival is not noted yet", "ledger", t.stream, "event", t.moved.EventID, "error", r.Err)
		if fault.KindOf(r.Err) == fault.Unavailable || fault.KindOf(r.Err) == fault.NoRoom {
			s.arriveLater(t)
		}
	}
	s.answer(t, *t.moved)
	return s.release(t)
}

// arriveLater tries the second leg of a move again after a pause.
func (s *Service) arriveLater(t *task) {
	arrive, ok := t.command.(ledger.Arrive)
	if !ok {
		return
	}
	again := &task{command: arrive, meta: t.meta, key: t.key, keyed: true, alone: true, stream: t.stream,
		moved: &Result{EventID: arrive.Moved}}
	time.AfterFunc(16*s.cfg.RetryLog, func() {
		select {
		case <-s.stopped:
		default:
			s.request([]*task{again})
		}
	})
}

// arriveAll notes the arrivals that the index misses, after a start.
func (s *Service) arriveAll(ctx context.Context) error {
	var due []index.Arrival
	for a, err := range s.deps.Index.Arrivals() {
		if err != nil {
			return err
		}
		due = append(due, a)
	}
	var tasks []*task
	for _, a := range due {
		arrive, err := s.readMove(ctx, a.At)
		if err != nil {
			return fmt.Errorf("note the arrival of move %s: %w", a.Moved, err)
		}
		meta, err := event.EncodeMeta(event.Meta{Actor: "stofstrom", CausationID: a.Moved.String()})
		if err != nil {
			return err
		}
		tasks = append(tasks, &task{command: arrive, meta: meta, key: index.KeyOf(arrive.Fact.Identity), keyed: true, alone: true,
			stream: a.Target, moved: &Result{EventID: a.Moved}})
	}
	if len(tasks) > 0 {
		s.logger.Info("noting the arrival of moves that were interrupted", "moves", len(tasks))
		s.request(tasks)
	}
	return nil
}
