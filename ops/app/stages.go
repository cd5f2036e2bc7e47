package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// stage is one part of the program that runs until it is stopped. Stages
// start in order, each when the one before is ready, and stop in the opposite
// order, so that nothing loses what it stands on.
type stage struct {
	name string
	// start makes the part; it may block until the part can be run. It
	// returns what to run and when it is ready (nil: at once).
	start func(ctx context.Context) (running, error)
}

// running is a part that was made.
type running struct {
	run   func(ctx context.Context) error
	ready <-chan struct{}
	// patient parts may take longer to be ready than the start may: what they
	// wait for is work that goes on by itself.
	patient bool
	close   func() // called after run has returned; may be nil
}

// errStageEnded is how a part that returned without being asked is told apart
// from one that failed.
var errStageEnded = errors.New("ended without being asked to")

type ended struct {
	name string
	err  error
}

type started struct {
	running
	name   string
	cancel context.CancelFunc
	done   chan struct{}
}

// runStages runs the stages until ctx ends or one of them ends, and then stops
// them all, latest first. What does not stop within the timeout is left
// behind and named in the error.
func runStages(ctx context.Context, logger *slog.Logger, startTimeout, stopTimeout time.Duration, stages []stage) error {
	ends := make(chan ended, len(stages))
	var up []*started
	err := startStages(ctx, logger, startTimeout, stages, ends, &up)
	if err == nil {
		select {
		case <-ctx.Done():
			logger.Info("stopping")
		case e := <-ends:
			err = stageError(e)
		}
	}
	return errors.Join(err, stopStages(logger, stopTimeout, up, ends))
}

func startStages(ctx context.Context, logger *slog.Logger, timeout time.Duration, stages []stage, ends chan<- ended, up *[]*started) error {
	startCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	watch := make(chan ended, len(stages))
	for _, s := range stages {
		r, err := s.start(startCtx)
		if err != nil {
			if ctx.Err() != nil {
				return nil // asked to stop while starting
			}
			return fmt.Errorf("%s: %w", s.name, err)
		}
		stageCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		st := &started{running: r, name: s.name, cancel: stop, done: make(chan struct{})}
		*up = append(*up, st)
		go func() {
			err := st.run(stageCtx)
			close(st.done)
			e := ended{name: st.name, err: err}
			watch <- e
			ends <- e
		}()
		begun := time.Now()
		if r.ready == nil {
			continue
		}
		late := startCtx.Done()
		if r.patient {
			late = nil
		}
		select {
		case <-r.ready:
			logger.Debug("ready", "part", s.name, "after", time.Since(begun).Round(time.Millisecond))
		case e := <-watch:
			return stageError(e)
		case <-ctx.Done():
			return nil
		case <-late:
			return fmt.Errorf("%s: not ready after %s", s.name, timeout)
		}
	}
	return nil
}

func stageError(e ended) error {
	if e.err == nil {
		e.err = errStageEnded
	}
	return fmt.Errorf("%s: %w", e.name, e.err)
}

func stopStages(logger *slog.Logger, timeout time.Duration, up []*started, ends chan ended) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	var errs []error
	for i := len(up) - 1; i >= 0; i-- {
		st := up[i]
		st.cancel()
		select {
		case <-st.done:
			if st.close != nil {
				st.close()
			}
			logger.Debug("stopped", "part", st.name)
		case <-deadline.C:
			deadline.Reset(0) // the others are asked to stop, but not waited for
			errs = append(errs, fmt.Errorf("%s: did not stop within %s", st.name, timeout))
		}
	}
	// What failed while stopping is told as well; what failed before was.
	for {
		select {
		case e := <-ends:
			if e.err != nil && !errors.Is(e.err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", e.name, e.err))
			}
		default:
			return errors.Join(errs...)
		}
	}
}
