package intake

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// Service is the write path. Make it with New, run it with Run; all other
// methods may be called from any goroutine.
type Service struct {
	cfg     Config
	deps    Deps
	logger  *slog.Logger
	metrics *Metrics

	reserved *reservations
	ledgers  *ledgers
	cache    *cache
	queued   atomic.Int64 // items admitted and not yet released

	ready   chan struct{} // closed after the first catch-up
	stopped chan struct{} // closed when Run ends
	serving atomic.Bool   // false before the first catch-up and while the index is rebuilt
	rebuild rebuild

	generation atomic.Uint64 // of the index; counts rebuilds
	breaker    breaker
}

// New makes an inert service.
func New(cfg Config, deps Deps) *Service {
	cfg = cfg.withDefaults()
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		cfg: cfg, deps: deps, logger: deps.Logger, metrics: deps.Metrics,
		reserved: newReservations(), ledgers: newLedgers(), cache: newCache(cfg.CacheBytes, deps.Metrics),
		ready: make(chan struct{}), stopped: make(chan struct{}),
		breaker: breaker{first: cfg.RetryLog},
	}
}

func (c Config) withDefaults() Config {
	setDefault(&c.MaxQueued, 100_000)
	setDefault(&c.MaxUnfollowed, 2_000_000)
	setDefault(&c.MaxAppendEvents, 500)
	setDefault(&c.MaxAppendBytes, 512<<10)
	setDefault(&c.Writers, 64)
	setDefault(&c.CacheBytes, 256<<20)
	setDefault(&c.MaxAttempts, 8)
	setDefault(&c.RetryLog, 250*time.Millisecond)
	setDefault(&c.Drain, 10*time.Second)
	return c
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Ready is closed once index and register have caught up with the log and the
// built-in areas are registered.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Submit decides and records the items and returns one result per item, in
// their order. It waits until the service is ready, and returns when every
// item has its outcome: durable, refused, or unavailable. When ctx ends,
// items that were not yet taken up answer its error; the others are waited
// for. A queue that has no room for all items answers Unavailable at once for
// every one.
func (s *Service) Submit(ctx context.Context, items []Item) []Result {
	results := make([]Result, len(items))
	if len(items) == 0 {
		return results
	}
	if err := s.admit(ctx, len(items)); err != nil {
		for i := range results {
			results[i].Err = err
			s.metrics.result(results[i])
		}
		return results
	}
	c := &call{results: results, done: make(chan struct{})}
	c.left.Store(int64(len(items)))
	tasks := make([]task, len(items)) // one allocation; the tasks keep it alive
	turns := make([]*task, 0, len(items))
	for i := range items {
		t := &tasks[i]
		t.call, t.slot = c, i
		if err := s.prepare(t, items[i]); err != nil {
			s.finish(t, Result{Err: err}) // holds no identity: nobody comes next
			continue
		}
		turns = append(turns, t)
	}
	s.request(turns)
	s.await(ctx, c, tasks)
	return results
}

// await waits until every task of a call has its result. When ctx ends, those
// that nobody has begun end with its error; the others are waited for.
func (s *Service) await(ctx context.Context, c *call, tasks []task) {
	select {
	case <-c.done:
	case <-ctx.Done():
		for i := range tasks {
			if tasks[i].abandon() {
				c.set(i, Result{Err: ctx.Err()}, s.metrics)
			}
		}
		<-c.done
	}
}

// admit waits until the service is ready and finds room for n items.
func (s *Service) admit(ctx context.Context, n int) error {
	if err := s.awaitReady(ctx); err != nil {
		return err
	}
	if n > s.cfg.MaxQueued {
		return fault.New(fault.TooLarge, "%d items in one submission, at most %d are allowed", n, s.cfg.MaxQueued)
	}
	if s.breaker.open() {
		return errLogAway(nil)
	}
	if s.deps.Index.Unfollowed() > s.cfg.MaxUnfollowed {
		return fault.New(fault.Unavailable, "the log is slow to deliver what was recorded; try again later")
	}
	if s.queued.Add(int64(n)) > int64(s.cfg.MaxQueued) {
		s.queued.Add(int64(-n))
		return errBusy()
	}
	s.metrics.queued.Add(float64(n))
	return nil
}

func (s *Service) awaitReady(ctx context.Context) error {
	select {
	case <-s.stopped:
		return errStopped()
	default:
	}
	select {
	case <-s.ready:
	case <-s.stopped:
		return errStopped()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !s.serving.Load() {
		return errRebuilding(nil)
	}
	return nil
}

func errBusy() error {
	return fault.New(fault.Unavailable, "too many items are waiting; try again later")
}

func errStopped() error {
	return fault.New(fault.Unavailable, "the service is stopping; try again later")
}

func errLogAway(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "the event log is away; send it again, it is recorded once whatever happened")
}

// Lookup tells where an identity stands: its ledger stream and status. found
// is false when the log does not know it. It waits until the service is ready.
func (s *Service) Lookup(ctx context.Context, id flow.Identity) (entry index.Entry, found bool, err error) {
	if err := s.awaitReady(ctx); err != nil {
		return index.Entry{}, false, err
	}
	return s.lookup(index.KeyOf(id))
}

// Event tells where an event stands in the log; found is false when no
// followed stream holds it. It waits until the service is ready.
func (s *Service) Event(ctx context.Context, id uuid.UUID) (place index.Place, found bool, err error) {
	if err := s.awaitReady(ctx); err != nil {
		return index.Place{}, false, err
	}
	place, found, err = s.deps.Index.Event(id)
	return place, found, s.indexFault(err)
}

// Scope yields the live identities of a reporter and source, each with its
// entry, in no particular order. It sees what was durable when it was called.
// An error is yielded once, as the last element.
func (s *Service) Scope(ctx context.Context, reporter, source string) iter.Seq2[Live, error] {
	return func(yield func(Live, error) bool) {
		if err := s.awaitReady(ctx); err != nil {
			yield(Live{}, err)
			return
		}
		for e, err := range s.deps.Index.Scope(reporter, source) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Live{}, s.indexFault(err))
				return
			}
			if e.Status != index.Live {
				continue
			}
			id := flow.Identity{Reporter: reporter, Source: source, ExternalID: e.ExternalID}
			if !yield(Live{Identity: id, Entry: e}, nil) {
				return
			}
		}
	}
}

// Live is an identity that stands in the books.
type Live struct {
	Identity flow.Identity
	Entry    index.Entry
}

// Feed yields what stands in a facility's own streams (its ledgers and its
// register entry), in the order of the log, from the first event after a
// position on, as far as this instance has followed the log. An error is
// yielded once, as the last element.
func (s *Service) Feed(ctx context.Context, id facility.ID, after eventlog.Position) iter.Seq2[index.Placed, error] {
	return s.placed(ctx, s.deps.Index.Feed(id, after))
}

// Booked yields the events of a facility that are booked in a month (yyyymm)
// though they stand in the ledger of another one, in the order of the log, as
// far as this instance has followed it. An error is yielded once, as the last
// element.
func (s *Service) Booked(ctx context.Context, id facility.ID, month string) iter.Seq2[index.Placed, error] {
	return s.placed(ctx, s.deps.Index.Booked(id, month))
}

func (s *Service) placed(ctx context.Context, all iter.Seq2[index.Placed, error]) iter.Seq2[index.Placed, error] {
	return func(yield func(index.Placed, error) bool) {
		if err := s.awaitReady(ctx); err != nil {
			yield(index.Placed{}, err)
			return
		}
		for p, err := range all {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(index.Placed{}, s.indexFault(err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}
