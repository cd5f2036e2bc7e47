package store

import (
	"errors"
	"fmt"
)

// acknowledge waits for each group's sync, in order, then shows its events to
// readers and answers its requests. After the first failure it answers all
// that follows with an unknown outcome, since those groups rest on it.
func (s *Store) acknowledge(groups <-chan *group, under *syncs, broken chan<- error) {
	var failed error
	for g := range groups {
		if failed == nil {
			if failed = s.makeDurable(g); failed != nil {
				broken <- failed
			}
		} else if g.batch != nil {
			// Already handed to an engine that lost its log; its memory goes with it.
			g.batch = nil
		}
		under.end()
		for _, r := range g.requests {
			if failed != nil && r.err == nil {
				r.err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, failed)
			}
			s.count(r)
			s.answer(r)
		}
	}
}

func (s *Store) makeDurable(g *group) error {
	if g.batch == nil {
		return nil
	}
	if err := g.batch.SyncWait(); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	if err := g.batch.Close(); err != nil {
		return fmt.Errorf("release a batch: %w", err)
	}
	if err := s.head.write(g.position); err != nil {
		return err
	}
	s.metrics.commitSeconds.Observe(s.cfg.Now().Sub(g.start).Seconds())
	s.metrics.groupAppends.Observe(float64(len(g.requests)))
	s.metrics.events.Add(float64(g.events))
	s.metrics.bytes.Add(float64(g.bytes))
	s.metrics.position.Set(float64(g.position))
	s.durable.Store(g.position)
	s.hub.publish(g.touched)
	return nil
}

func (s *Store) count(r *request) {
	var full *DiskFullError
	if errors.As(r.err, &full) {
		s.metrics.diskFull.Set(1)
	} else if r.err == nil {
		s.metrics.diskFull.Set(0)
	}
	var conflict *WrongRevisionError
	switch {
	case errors.As(r.err, &conflict):
		s.metrics.appends.WithLabelValues(resultConflict).Inc()
	case r.err != nil:
		s.metrics.appends.WithLabelValues(resultFailed).Inc()
	case r.result.Idempotent:
		s.metrics.appends.WithLabelValues(resultIdempotent).Inc()
	default:
		s.metrics.appends.WithLabelValues(resultWritten).Inc()
	}
}
