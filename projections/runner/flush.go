package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/projections/sink"
)

// Step is a numbered step of a flush, and the name of a fault point.
type Step string

// The steps of a flush, in order. Each comment says what dies if the step is
// left out, or done too early.
const (
	// StepFacts, 1: insert the facts. Without it, sums lack what the position
	// says is there: "nothing vanishes" dies.
	StepFacts Step = "facts"
	// StepRegisters, 2: insert facilities and areas. Without it, facts stand
	// in no region: totals by region no longer add up to the whole.
	StepRegisters Step = "registers"
	// StepQuarantine, 3: keep what could not be projected. Without it, the
	// position passes over events that nobody can find again.
	StepQuarantine Step = "quarantine"
	// StepRollup, 4: sum up segments of what earlier flushes committed, never
	// more: rows beyond may be another writer's, and not yet all of them, so
	// that a segment would be complete in name only and sums be short for
	// ever. Without the step, answers stay right and become slow.
	StepRollup Step = "rollup"
	// StepPosition, 5: move the position. Before any other step, a crash
	// between the two would lose the rows for ever, and readers would see
	// half a flush; without it, rows stay invisible, but nothing is lost.
	StepPosition Step = "position"
)

// Steps lists the steps in their order.
func Steps() []Step {
	return []Step{StepFacts, StepRegisters, StepQuarantine, StepRollup, StepPosition}
}

// When tells on which side of a step a fault point lies.
type When string

// The sides of a step. An error of a Fault Before a step means: failed and
// not stored; After it: stored, but the answer was lost.
const (
	Before When = "before"
	After  When = "after"
)

// Fault is called on both sides of every attempt of every step. It may return
// an error, block, or end the process.
type Fault func(ctx context.Context, step Step, when When) error

// flushAll writes flushes one after the other, and finds out when another
// writer has taken over.
func (l *line) flushAll(ctx context.Context) error {
	ticker := time.NewTicker(l.r.cfg.EpochCheck)
	defer ticker.Stop()
	for {
		select {
		case f := <-l.work:
			if err := l.r.flush(ctx, f); err != nil {
				return err
			}
			f.reset()
			l.free <- f
		case <-ticker.C:
			if err := l.r.checkEpoch(ctx); err != nil {
				return err
			}
			l.r.rollUpIdle(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flush writes f and moves the position, step by step. A step is repeated
// until it succeeds; the ones before it are not, since they did.
func (r *Runner) flush(ctx context.Context, f *flush) error {
	begun := time.Now()
	r.deps.Metrics.flushing(f)
	if err := r.checkEpoch(ctx); err != nil {
		return err
	}
	at := r.Position()
	next := at
	if f.to.Compare(at.Log) > 0 {
		facts := f.rows.Facts()
		next = sink.Position{
			Log: f.to, RecordedAt: at.RecordedAt, Events: at.Events + uint64(f.events), //nolint:gosec // counts
			Facts: at.Facts + uint64(facts.Rows), Epoch: r.epoch, FlushedAt: begun, //nolint:gosec // counts
		}
		if f.events > 0 {
			next.RecordedAt = f.recordedAt
		}
		if err := r.write(ctx, f, facts, at, next); err != nil {
			return err
		}
		r.setPosition(next)
	}
	if f.caughtUp {
		r.caughtUpOnce.Do(func() { close(r.caughtUp) })
	}
	r.deps.Metrics.flushed(f, next, time.Since(begun))
	return nil
}

func (r *Runner) write(ctx context.Context, f *flush, facts sink.Block, at, next sink.Position) error {
	if f.events > 0 {
		if err := r.step(ctx, StepFacts, func(ctx context.Context) error { return r.insert(ctx, facts) }); err != nil {
			return err
		}
		registers := f.rows.Registers()
		if err := r.step(ctx, StepRegisters, func(ctx context.Context) error {
			for ; len(registers) > 0; registers = registers[1:] { // what is in stays in when the next one fails
				if err := r.insert(ctx, registers[0]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if err := r.step(ctx, StepQuarantine, func(ctx context.Context) error {
			return r.insert(ctx, sink.QuarantineBlock(r.deps.Projection.Name, f.quarantined))
		}); err != nil {
			return err
		}
		if err := r.step(ctx, StepRollup, func(ctx context.Context) error { return r.rollUp(ctx, at) }); err != nil {
			return err
		}
	}
	return r.step(ctx, StepPosition, func(ctx context.Context) error {
		return r.deps.Sink.Move(ctx, r.deps.Projection.Name, next)
	})
}

func (r *Runner) rollUp(ctx context.Context, committed sink.Position) error {
	segments, err := r.deps.Sink.Rollup(ctx, committed.Log.Commit)
	r.deps.Metrics.rolledUp(len(segments))
	return err
}

// rollUpIdle sums up what the last flush committed, when no next one comes
// that would do it. Answers are right without it, so that a failure waits for
// the next time.
func (r *Runner) rollUpIdle(ctx context.Context) {
	committed := r.Position()
	err := r.attempt(ctx, StepRollup, func(ctx context.Context) error { return r.rollUp(ctx, committed) })
	if err != nil && ctx.Err() == nil {
		r.deps.Metrics.failed(StepRollup)
		r.deps.Logger.WarnContext(ctx, "rollup failed, will be tried again", slog.Any("error", err))
	}
}

func (r *Runner) insert(ctx context.Context, b sink.Block) error {
	if b.Rows == 0 {
		return nil
	}
	begun := time.Now()
	if err := r.deps.Sink.Insert(ctx, b); err != nil {
		return err
	}
	r.deps.Metrics.inserted(b, time.Since(begun))
	return nil
}

// step does one step until it succeeds. Between attempts it asks whether
// somebody else does the work by now.
func (r *Runner) step(ctx context.Context, s Step, do func(context.Context) error) error {
	wait := r.cfg.BackoffMin
	for {
		err := r.attempt(ctx, s, do)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		r.deps.Metrics.failed(s)
		r.deps.Logger.WarnContext(ctx, "flush step failed, will be repeated",
			slog.String("step", string(s)), slog.Duration("wait", wait), slog.Any("error", err))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		if err := r.checkEpoch(ctx); err != nil {
			return err
		}
		wait = min(2*wait, r.cfg.BackoffMax)
	}
}

func (r *Runner) attempt(ctx context.Context, s Step, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.StepTimeout)
	defer cancel()
	if err := r.fault(ctx, s, Before); err != nil {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	return r.fault(ctx, s, After)
}

func (r *Runner) fault(ctx context.Context, s Step, w When) error {
	if r.cfg.Fault == nil {
		return nil
	}
	if err := r.cfg.Fault(ctx, s, w); err != nil {
		return fmt.Errorf("fault %s step %s: %w", w, s, err)
	}
	return nil
}

// checkEpoch stops a writer that another has taken over from. A log that does
// not answer is no reason to stop: rows of a fenced writer do no harm, and
// what is acknowledged should become visible.
func (r *Runner) checkEpoch(ctx context.Context) error {
	if r.deps.Epochs == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, r.cfg.StepTimeout)
	defer cancel()
	err := r.deps.Epochs.Check(limited, r.epoch)
	var fenced *Fenced
	switch {
	case err == nil:
		return nil
	case errors.As(err, &fenced):
		r.deps.Metrics.fenced()
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	r.deps.Metrics.epochUnknown()
	r.deps.Logger.WarnContext(ctx, "cannot ask the log whether another projector took over", slog.Any("error", err))
	return nil
}

func (r *Runner) poisoned(ctx context.Context, rec eventlog.Recorded, err error) {
	r.deps.Metrics.quarantined()
	r.deps.Logger.ErrorContext(ctx, "event quarantined", slog.String("stream", rec.Stream), slog.Uint64("revision", rec.Revision),
		slog.String("position", rec.Position.String()), slog.String("type", rec.Type), slog.Any("error", err))
}
