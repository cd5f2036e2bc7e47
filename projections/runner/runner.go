// Package runner follows the log and keeps a projection's tables up to date:
// read, make rows, insert, and only then move the position.
//
// It promises that every event of the log ends in the tables exactly once, as
// rows or in quarantine, whatever fails at whatever moment: rows carry their
// own key, so that arriving again is harmless, and the position moves after
// the rows it covers (flush). An event that can never be projected goes to
// quarantine; a store that is away, or a table that is missing, stops the
// projector until it is back, and empties nothing into quarantine. Memory is
// bounded by two batches and what the subscription delivers at a time.
//
// It leaves out what rows are (package flows) and how they are stored
// (package sink).
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/projections/sink"
)

// Config are the limits of a Runner. Zero values take the default.
type Config struct {
	MaxRows     int           // rows of a flush; default 50,000
	MaxBytes    int           // payload and metadata of the events of a flush, bytes; default 32 MiB
	Interval    time.Duration // least time between flushes that are not full; default 500 ms
	StepTimeout time.Duration // one attempt of one step of a flush; default 1 min
	BackoffMin  time.Duration // first wait after a failure; default 100 ms
	BackoffMax  time.Duration // longest wait after failures; default 10 s
	EpochCheck  time.Duration // how often an idle writer asks whether it is fenced, and rolls up; default 5 s
	Fault       Fault         // called around each step; nil in production
}

func (c *Config) complete() error {
	var problems []error
	for _, n := range []struct {
		name  string
		value *int
		def   int
	}{{"MaxRows", &c.MaxRows, 50_000}, {"MaxBytes", &c.MaxBytes, 32 << 20}} {
		if *n.value < 0 {
			problems = append(problems, fmt.Errorf("%s is %d, must not be negative", n.name, *n.value))
		} else if *n.value == 0 {
			*n.value = n.def
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"Interval", &c.Interval, 500 * time.Millisecond}, {"StepTimeout", &c.StepTimeout, time.Minute},
		{"BackoffMin", &c.BackoffMin, 100 * time.Millisecond}, {"BackoffMax", &c.BackoffMax, 10 * time.Second},
		{"EpochCheck", &c.EpochCheck, 5 * time.Second},
	} {
		if *d.value < 0 {
			problems = append(problems, fmt.Errorf("%s is %s, must not be negative", d.name, *d.value))
		} else if *d.value == 0 {
			*d.value = d.def
		}
	}
	if c.BackoffMax < c.BackoffMin {
		problems = append(problems, fmt.Errorf("BackoffMax %s is below BackoffMin %s", c.BackoffMax, c.BackoffMin))
	}
	return errors.Join(problems...)
}

// Deps are what a Runner works with.
type Deps struct {
	Feed       eventlog.Feed
	Sink       sink.Sink
	Projection sink.Projection
	Epochs     Epochs // nil: the caller vouches that there is no other writer
	Logger     *slog.Logger
	Metrics    *Metrics // may be nil
}

// Runner keeps one projection up to date. New makes it, Run runs it once.
type Runner struct {
	cfg  Config
	deps Deps

	caughtUp     chan struct{} // closed when the tables held the whole log once
	caughtUpOnce sync.Once
	done         chan struct{} // closed when Run has returned

	epoch uint64 // set by Run before its goroutines start

	mu      sync.Mutex
	pos     sink.Position // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced when pos moves
	err     error         // guarded by mu; why Run returned
}

// ErrStopped tells that the runner is no longer running, so that the position waited for
// will not come.
var ErrStopped = errors.New("projector stopped")

// New makes a runner that does nothing yet. The error names every limit that
// cannot be.
func New(cfg Config, deps Deps) (*Runner, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("projector %s: %w", deps.Projection.Name, err)
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	deps.Logger = deps.Logger.With(slog.String("projection", deps.Projection.Name))
	return &Runner{
		cfg: cfg, deps: deps,
		caughtUp: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
	}, nil
}

// Run follows the log until ctx is done, and then returns nil: what is not
// flushed is read again by the next run. Any other return is an error that
// waiting does not cure: *Fenced (another projector took over),
// *sink.LostFacts (rebuild), or a subscription that ended for good.
func (r *Runner) Run(ctx context.Context) error {
	err := r.run(ctx)
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		err = nil
	}
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	close(r.done)
	if err != nil {
		return fmt.Errorf("projector %s: %w", r.deps.Projection.Name, err)
	}
	return nil
}

func (r *Runner) run(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	var sub eventlog.Subscription
	if err := r.retry(ctx, "follow the log", func(ctx context.Context) (err error) {
		sub, err = r.deps.Feed.Follow(ctx, r.Position().Log, r.deps.Projection.Filter)
		return err
	}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	l := newLine(r)
	g.Go(func() error { return l.pull(ctx, sub) })
	g.Go(func() error { return l.assemble(ctx) })
	g.Go(func() error { return l.flushAll(ctx) })
	err := g.Wait()
	if closeErr := sub.Close(); err == nil {
		err = closeErr
	}
	return err
}

// begin takes the epoch, then reads the position: in this order, so that no
// earlier writer moves it unseen for long.
func (r *Runner) begin(ctx context.Context) error {
	if r.deps.Epochs != nil {
		if err := r.retry(ctx, "take epoch", func(ctx context.Context) (err error) {
			r.epoch, err = r.deps.Epochs.Take(ctx)
			return err
		}); err != nil {
			return err
		}
	}
	var pos sink.Position
	if err := r.retry(ctx, "read position", func(ctx context.Context) (err error) {
		pos, err = r.deps.Sink.Position(ctx, r.deps.Projection.Name)
		return err
	}); err != nil {
		return err
	}
	if err := r.retry(ctx, "check facts", func(ctx context.Context) error {
		return r.deps.Sink.Check(ctx, pos)
	}); err != nil {
		return err
	}
	r.setPosition(pos)
	r.deps.Metrics.started(pos, r.epoch)
	r.deps.Logger.InfoContext(ctx, "projector starts", slog.String("position", pos.Log.String()),
		slog.Uint64("events", pos.Events), slog.Uint64("epoch", r.epoch))
	return nil
}

// Position is the committed position: the zero Position before the first.
func (r *Runner) Position() sink.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pos
}

// CaughtUp is closed once the tables have held everything that was in the log
// at that moment.
func (r *Runner) CaughtUp() <-chan struct{} { return r.caughtUp }

// WaitFor waits until everything up to p is in the tables. The error is ctx's,
// or ErrStopped.
func (r *Runner) WaitFor(ctx context.Context, p eventlog.Position) error {
	for {
		r.mu.Lock()
		reached, changed := r.pos.Log.Compare(p) >= 0, r.changed
		r.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
			r.mu.Lock()
			reached, err := r.pos.Log.Compare(p) >= 0, r.err
			r.mu.Unlock()
			switch {
			case reached:
				return nil
			case err != nil:
				return fmt.Errorf("%w: %w", ErrStopped, err)
			}
			return ErrStopped
		}
	}
}

func (r *Runner) setPosition(p sink.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos = p
	close(r.changed)
	r.changed = make(chan struct{})
}

// permanent tells whether trying again cannot help.
func permanent(err error) bool {
	var fenced *Fenced
	var lost *sink.LostFacts
	return errors.As(err, &fenced) || errors.As(err, &lost) || errors.Is(err, eventlog.ErrClosed) ||
		errors.Is(err, eventlog.ErrStreamDeleted)
}

// retry does something until it succeeds, fails for good, or ctx is done.
func (r *Runner) retry(ctx context.Context, what string, do func(context.Context) error) error {
	wait := r.cfg.BackoffMin
	for {
		err := do(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case permanent(err):
			return fmt.Errorf("%s: %w", what, err)
		}
		r.deps.Logger.WarnContext(ctx, "projector waits", slog.String("for", what), slog.Duration("wait", wait), slog.Any("error", err))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, r.cfg.BackoffMax)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
