package intake

import (
	"context"
	"errors"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// doubt answers the tasks of an append whose outcome is not known, and keeps
// the append until the log tells. Until then the ledger decides nothing, and
// the identities of the append stay reserved, so that no other ledger records
// them meanwhile.
func (s *Service) doubt(q *ledgerQueue, b *batch, cause error) {
	b.settleGroup()
	s.metrics.doubts.Inc()
	q.pause = s.breaker.fail()
	err := errLogAway(cause)
	kept := &batch{stream: b.stream, expected: b.expected, events: b.events, proposed: b.proposed, bytes: b.bytes}
	var next, waiting []*task
	start := 0
	for i, t := range b.tasks {
		if b.ends[i] == start {
			next = append(next, s.finish(t, Result{Err: err})...)
			continue
		}
		if t.keyed {
			waiting = append(waiting, s.reserved.suspect(t.key)...)
		}
		if t.moved != nil { // in doubt is only that the other ledger knows
			s.answer(t, *t.moved)
		}
		s.answer(t, Result{Err: err})
		kept.tasks = append(kept.tasks, t)
		kept.results = append(kept.results, b.results[i])
		kept.ends = append(kept.ends, b.ends[i])
		start = b.ends[i]
	}
	q.doubt = kept
	for _, t := range waiting {
		t.held = false
		next = append(next, s.finish(t, Result{Err: err})...)
	}
	s.dispatch(next)
	s.logger.Warn("append in doubt, it is repeated until the log tells", "ledger", q.stream, "events", len(b.events),
		"expected", b.expected.String(), "pause", q.pause, "error", cause)
}

// settle repeats the append in doubt, with the same expectation and ids. It
// returns nil when the log told, one way or the other, and else a *fault.Fault.
func (s *Service) settle(ctx context.Context, q *ledgerQueue) error {
	if s.breaker.open() {
		return errLogAway(nil)
	}
	b := q.doubt
	done, err := s.append(ctx, b)
	var wrong *eventlog.WrongRevision
	switch {
	case err == nil:
		s.logger.Info("append in doubt is recorded", "ledger", q.stream, "revision", done.Revision)
	case errors.As(err, &wrong), isRefusal(err):
		// Somebody else's event stands where ours would, or the log refused:
		// ours was not recorded and cannot be any more.
		s.breaker.succeed()
		s.logger.Info("append in doubt was not recorded", "ledger", q.stream, "reason", err)
	default:
		q.pause = s.breaker.fail()
		return errLogAway(err)
	}
	q.doubt = nil
	var next []*task
	for i, t := range b.tasks {
		if err == nil {
			next = append(next, s.complete(t, b.results[i])...)
		} else {
			next = append(next, s.finish(t, Result{Err: errLogAway(err)})...)
		}
	}
	s.dispatch(next)
	return nil
}
