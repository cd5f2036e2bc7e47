package intake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// Followed is what Run follows of the log: every stream of the product.
func Followed() eventlog.Filter {
	return eventlog.Filter{StreamPrefixes: []string{ledger.StreamPrefix, facility.StreamPrefix, area.StreamPrefix}}
}

// Run follows the log, keeps index and register current, and writes what is
// submitted, until ctx ends. It returns nil then, and an error when the index
// or the log fails for good. Appends under way are finished, within
// Config.Drain. It is to be called once.
func (s *Service) Run(ctx context.Context) error {
	// Appends outlive ctx: what has begun is finished, so that its callers and
	// the index learn the outcome.
	writing, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var writers sync.WaitGroup
	for range s.cfg.Writers {
		writers.Go(func() { s.work(writing) })
	}

	err := s.follow(ctx)

	close(s.stopped)
	s.refuse(s.ledgers.stop(), errStopped())
	drain := time.AfterFunc(s.cfg.Drain, cut)
	writers.Wait()
	drain.Stop()
	if ctx.Err() != nil {
		return nil // being told to stop is how Run ends
	}
	return err
}

// rebuild is a request to drop the index, from whoever found it wrong.
type rebuild struct {
	mu     sync.Mutex
	reason string
	cancel context.CancelFunc // ends following; nil while nobody follows
}

// requestRebuild makes Run drop the index and fold it anew. Until then nothing
// is decided.
func (s *Service) requestRebuild(reason string) {
	s.serving.Store(false)
	s.rebuild.mu.Lock()
	defer s.rebuild.mu.Unlock()
	if s.rebuild.reason == "" {
		s.rebuild.reason = reason
	}
	if s.rebuild.cancel != nil {
		s.rebuild.cancel()
	}
}

func (r *rebuild) follow(cancel context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel = cancel
	if cancel != nil && r.reason != "" {
		cancel()
	}
}

func (r *rebuild) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	reason := r.reason
	r.reason = ""
	return reason
}

// lookup asks the index about an identity. It refuses while the index is
// rebuilt: it would not know what it does not hold yet.
func (s *Service) lookup(k index.Key) (index.Entry, bool, error) {
	generation := s.generation.Load()
	before := s.serving.Load()
	entry, found, err := s.deps.Index.LookupKey(k)
	if err != nil {
		return index.Entry{}, false, s.indexFault(err)
	}
	if !before || !s.serving.Load() || s.generation.Load() != generation {
		return index.Entry{}, false, errRebuilding(nil)
	}
	return entry, found, nil
}

func errRebuilding(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "the identity index is being rebuilt; try again later")
}

// indexFault tells the caller what an error of the index means, and has a
// damaged one rebuilt.
func (s *Service) indexFault(err error) error {
	switch {
	case err == nil, isFault(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, index.ErrDamaged):
		s.requestRebuild(err.Error())
		return errRebuilding(err)
	}
	return fault.Wrap(fault.Internal, err, "the identity index cannot be read")
}

// follow follows the log until ctx ends; when the index turns out to be wrong,
// it starts over with an empty one.
func (s *Service) follow(ctx context.Context) error {
	for {
		following, cancel := context.WithCancel(ctx)
		s.rebuild.follow(cancel)
		err := s.followFrom(following)
		s.rebuild.follow(nil)
		cancel()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // being told to stop is how following ends
		}
		reason := s.rebuild.take()
		if reason == "" && errors.Is(err, index.ErrDamaged) {
			reason = err.Error()
		}
		if reason == "" {
			return err
		}
		s.serving.Store(false)
		s.generation.Add(1)
		if err := s.deps.Index.Reset(reason); err != nil {
			return fmt.Errorf("rebuild identity index: %w", err)
		}
		s.cache.clear()
	}
}

// followFrom follows the log from the index's position.
func (s *Service) followFrom(ctx context.Context) error {
	if err := s.patiently(ctx, "verify the identity index", func() error {
		return s.deps.Index.Verify(ctx, s.deps.Log)
	}); err != nil {
		return err
	}
	for rec, err := range s.deps.Index.Registers() {
		if err != nil {
			return err
		}
		ev, err := event.Decode(rec.Type, rec.Data)
		if err != nil {
			return fmt.Errorf("%w: register entry of %s: %w", index.ErrDamaged, rec.Stream, err)
		}
		s.deps.Register.Apply(rec, ev)
	}
	sub, err := s.deps.Log.Follow(ctx, s.deps.Index.Position(), Followed())
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	err = s.fold(ctx, sub)
	return errors.Join(err, sub.Close())
}

// fold folds what the log delivers.
func (s *Service) fold(ctx context.Context, sub eventlog.Subscription) error {
	unread := map[string]bool{} // types already complained of
	for {
		batch, err := sub.Next(ctx)
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		followed := make([]index.Followed, len(batch.Events))
		for i, rec := range batch.Events {
			ev, err := event.Decode(rec.Type, rec.Data)
			if err != nil {
				// Its ledger cannot be written by this program; the rest goes on.
				s.metrics.unknown.Inc()
				if !unread[rec.Type] {
					unread[rec.Type] = true
					s.logger.Error("event cannot be read, its ledger cannot be written by this program",
						"stream", rec.Stream, "revision", rec.Revision, "type", rec.Type, "error", err)
				}
				ev = nil
			}
			followed[i] = index.Followed{Recorded: rec, Event: ev}
		}
		if err := s.deps.Index.Apply(followed); err != nil {
			return err
		}
		for _, f := range followed {
			s.deps.Register.Apply(f.Recorded, f.Event)
			s.cache.see(f.Recorded.Stream, f.Recorded.Revision)
		}
		s.metrics.unfollowed.Set(float64(s.deps.Index.Unfollowed()))
		if batch.CaughtUp && !s.serving.Load() {
			if err := s.open(ctx); err != nil {
				return err
			}
		}
	}
}

// open lets items in, once index and register are current.
func (s *Service) open(ctx context.Context) error {
	if err := s.patiently(ctx, "register the built-in areas", func() error {
		return s.deps.Register.RegisterBuiltIn(ctx, area.BuiltIn())
	}); err != nil {
		return err
	}
	s.serving.Store(true)
	select {
	case <-s.ready:
		s.logger.Info("identity index is current again", "position", s.deps.Index.Position().String())
	default:
		s.logger.Info("write path is ready", "position", s.deps.Index.Position().String())
		close(s.ready)
	}
	return s.patiently(ctx, "look for interrupted moves", func() error { return s.arriveAll(ctx) })
}

// patiently does something until the log is there for it.
func (s *Service) patiently(ctx context.Context, what string, do func() error) error {
	for pause := s.cfg.RetryLog; ; pause = min(2*pause, 16*s.cfg.RetryLog) {
		err := do()
		if err == nil || !errors.Is(err, eventlog.ErrUnavailable) {
			return err
		}
		s.logger.Warn("waiting for the event log", "to", what, "pause", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
