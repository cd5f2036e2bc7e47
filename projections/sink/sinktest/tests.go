package sinktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/projections/flows"
	"github.com/stofstrom/stofstrom/projections/runner"
	"github.com/stofstrom/stofstrom/projections/sink"
)

const (
	events = 150
	seed   = 20
	limit  = 2 * time.Minute
)

// watcher looks at a store as readers do, at every fault point and between.
type watcher struct {
	tb    testing.TB
	store Store
	h     *history
	last  Snapshot
	looks int
}

// look checks everything a reader may rely on. It may be called from any
// goroutine, and therefore does not end the test.
func (w *watcher) look(ctx context.Context) {
	w.tb.Helper()
	s, err := w.store.Reader.Snapshot(ctx)
	if !assert.NoError(w.tb, err) {
		return
	}
	assert.GreaterOrEqual(w.tb, s.Committed, w.last.Committed, "the committed position went back")
	assert.GreaterOrEqual(w.tb, s.Watermark, w.last.Watermark, "the watermark went back")
	assert.LessOrEqual(w.tb, s.Watermark, s.Committed)
	truth, ok := w.h.at(s.Committed)
	assert.True(w.tb, ok, "no event stands at the committed position %d", s.Committed)
	want := truth.sums()
	facts, err := w.store.Reader.FactSums(ctx, s)
	assert.NoError(w.tb, err)
	assert.Equal(w.tb, want, facts, "facts up to %d", s.Committed)
	rolled, err := w.store.Reader.Sums(ctx, s)
	assert.NoError(w.tb, err)
	assert.Equal(w.tb, want, rolled, "rollup up to %d and facts up to %d", s.Watermark, s.Committed)
	for table, n := range map[string]int{
		flows.FacilitiesTable: truth.facilities, flows.AreasTable: truth.areas, sink.QuarantineTable: truth.poison,
	} {
		found, err := w.store.Reader.Count(ctx, table, s.Committed)
		assert.NoError(w.tb, err)
		assert.Equal(w.tb, uint64(n), found, "%s up to %d", table, s.Committed) //nolint:gosec // a count
	}
	w.last = s
	w.looks++
}

// complete checks that the whole history is there.
func (w *watcher) complete(ctx context.Context) {
	w.tb.Helper()
	w.look(ctx)
	require.Equal(w.tb, w.h.end().Commit, w.last.Committed)
}

// epochs is runner.Epochs in memory.
type epochs struct{ last atomic.Uint64 }

func (e *epochs) Take(context.Context) (uint64, error) { return e.last.Add(1), nil }

func (e *epochs) Check(_ context.Context, epoch uint64) error {
	if last := e.last.Load(); last != epoch {
		return &runner.Fenced{Epoch: epoch, By: last}
	}
	return nil
}

// scene is a store, a history, and who looks at it.
type scene struct {
	*watcher
	epochs *epochs
}

func newScene(tb testing.TB, store Store) *scene {
	tb.Helper()
	h := newHistory(tb, seed, events)
	return &scene{watcher: &watcher{tb: tb, store: store, h: h}, epochs: &epochs{}}
}

// projector is a running runner.
type projector struct {
	*runner.Runner
	cancel context.CancelFunc
	ended  chan error
}

// start runs a projector on s until stop.
func (sc *scene) start(ctx context.Context, s sink.Sink, rows int, fault runner.Fault) *projector {
	sc.tb.Helper()
	r, err := runner.New(runner.Config{
		MaxRows: rows, Interval: time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond, Fault: fault,
	}, runner.Deps{Feed: sc.h, Sink: s, Projection: flows.Projection(), Epochs: sc.epochs})
	require.NoError(sc.tb, err)
	ctx, cancel := context.WithCancel(ctx)
	p := &projector{Runner: r, cancel: cancel, ended: make(chan error, 1)}
	go func() { p.ended <- r.Run(ctx) }()
	sc.tb.Cleanup(cancel)
	return p
}

// finish runs a projector to the end of the history and checks everything.
func (sc *scene) finish(ctx context.Context, s sink.Sink, rows int, fault runner.Fault) {
	sc.tb.Helper()
	p := sc.start(ctx, s, rows, fault)
	require.NoError(sc.tb, p.WaitFor(ctx, sc.h.end()))
	<-p.CaughtUp()
	p.cancel()
	require.NoError(sc.tb, <-p.ended)
	sc.complete(ctx)
}

func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	tb.Cleanup(cancel)
	return ctx
}

func testHistory(t *testing.T, store Store) {
	ctx := deadline(t)
	sc := newScene(t, store)
	sc.look(ctx) // nothing is there
	points := map[string]int{}
	sc.finish(ctx, store.Open(t), 30, func(ctx context.Context, step runner.Step, when runner.When) error {
		points[string(step)+" "+string(when)]++
		sc.look(ctx)
		return nil
	})
	require.Len(t, points, 2*len(runner.Steps()))
	require.Greater(t, points["position after"], 3, "too few flushes to show anything")
	require.Positive(t, sc.last.Watermark, "nothing was rolled up")
	require.Less(t, len(sc.last.Builds), events/SegmentEvents/2, "small segments were not merged into larger ones")
}

// twice inserts every block twice, the second time after the next one.
type twice struct {
	sink.Sink
	held []sink.Block
}

func (s *twice) Insert(ctx context.Context, b sink.Block) error {
	for _, old := range append(s.held, b) {
		if err := s.Sink.Insert(ctx, old); err != nil {
			return err
		}
	}
	s.held = []sink.Block{b.Clone()}
	return nil
}

func testTwice(t *testing.T, store Store) {
	ctx := deadline(t)
	sc := newScene(t, store)
	sc.finish(ctx, &twice{Sink: store.Open(t)}, 40, func(ctx context.Context, step runner.Step, when runner.When) error {
		if when == runner.After && (step == runner.StepFacts || step == runner.StepPosition) {
			sc.look(ctx)
		}
		return nil
	})
}

// late keeps every third insert back: it fails now, and happens when asked.
type late struct {
	sink.Sink
	n     int
	held  []sink.Block
	moves []sink.Position
}

var errTimeout = errors.New("i/o timeout")

func (s *late) Insert(ctx context.Context, b sink.Block) error {
	s.n++
	if s.n%3 == 0 {
		s.held = append(s.held, b.Clone())
		return errTimeout
	}
	return s.Sink.Insert(ctx, b)
}

func (s *late) Move(ctx context.Context, projection string, p sink.Position) error {
	if len(s.moves) == 0 || s.moves[len(s.moves)-1] != p {
		s.moves = append(s.moves, p)
		return errTimeout
	}
	return s.Sink.Move(ctx, projection, p)
}

func testLate(t *testing.T, store Store) {
	ctx := deadline(t)
	sc := newScene(t, store)
	first := &late{Sink: store.Open(t)}
	p := sc.start(ctx, first, 25, nil)
	require.NoError(t, p.WaitFor(ctx, sc.h.events[events/3].Position))
	p.cancel()
	require.NoError(t, <-p.ended)
	sc.look(ctx)
	sc.finish(ctx, store.Open(t), 70, nil) // another writer goes on, with other batches
	require.NotEmpty(t, first.held)
	require.NotEmpty(t, first.moves)
	for _, b := range first.held {
		require.NoError(t, first.Sink.Insert(ctx, b))
		sc.complete(ctx)
	}
	for _, m := range first.moves {
		require.NoError(t, first.Sink.Move(ctx, flows.Name, m))
		sc.complete(ctx)
	}
}

func testTwoWriters(t *testing.T, store Store) {
	ctx := deadline(t)
	sc := newScene(t, store)
	var (
		once    sync.Once
		paused  = make(chan struct{})
		resume  = make(chan struct{})
		flushes int
	)
	first := sc.start(ctx, store.Open(t), 20, func(_ context.Context, step runner.Step, when runner.When) error {
		if step != runner.StepPosition || when != runner.Before {
			return nil
		}
		if flushes++; flushes == 2 {
			once.Do(func() { close(paused) })
			<-resume
		}
		return nil
	})
	<-paused
	sc.look(ctx)
	sc.finish(ctx, store.Open(t), 45, func(ctx context.Context, _ runner.Step, when runner.When) error {
		if when == runner.After {
			sc.look(ctx)
		}
		return nil
	})
	close(resume)
	var fenced *runner.Fenced
	require.ErrorAs(t, <-first.ended, &fenced)
	require.Equal(t, runner.Fenced{Epoch: 1, By: 2}, *fenced)
	sc.complete(ctx)
	require.ErrorIs(t, first.WaitFor(ctx, sc.h.end()), runner.ErrStopped)
}

// testStaleRollup has a second sink, which knows only the first segments,
// build all of them again.
func testStaleRollup(t *testing.T, store Store) {
	ctx := deadline(t)
	sc := newScene(t, store)
	stale := store.Open(t)
	p := sc.start(ctx, store.Open(t), 20, nil)
	require.NoError(t, p.WaitFor(ctx, sc.h.events[events/3].Position))
	p.cancel()
	require.NoError(t, <-p.ended)
	sc.look(ctx)
	_, err := stale.Rollup(ctx, sc.last.Committed)
	require.NoError(t, err)
	sc.look(ctx)
	sc.finish(ctx, store.Open(t), 20, nil)
	// It inserts rows that are there already, as a fenced writer would, and
	// then finds that there is something to sum up.
	rows := flows.NewRows()
	for _, rec := range sc.h.events {
		if err := rows.Add(rec); err == nil && rows.Len() > 100 {
			break
		}
	}
	require.NoError(t, stale.Insert(ctx, rows.Facts()))
	made, err := stale.Rollup(ctx, sc.last.Committed)
	require.NoError(t, err)
	if stale != store.Open(t) { // sinks of their own remember on their own
		require.NotEmpty(t, made)
	}
	sc.complete(ctx)
}

// away fails a number of times, whatever it is asked.
type away struct {
	sink.Sink
	left int
}

func (s *away) down() error {
	if s.left--; s.left >= 0 {
		return fmt.Errorf("connection refused, %d more times", s.left)
	}
	s.left = 2 // and goes away again after each success
	return nil
}

func (s *away) Position(ctx context.Context, projection string) (sink.Position, error) {
	if err := s.down(); err != nil {
		return sink.Position{}, err
	}
	return s.Sink.Position(ctx, projection)
}

func (s *away) Insert(ctx context.Context, b sink.Block) error {
	if err := s.down(); err != nil {
		return err
	}
	return s.Sink.Insert(ctx, b)
}

func (s *away) Rollup(ctx context.Context, committed uint64) ([]sink.Segment, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	return s.Sink.Rollup(ctx, committed)
}

func (s *away) Move(ctx context.Context, projection string, p sink.Position) error {
	if err := s.down(); err != nil {
		return err
	}
	return s.Sink.Move(ctx, projection, p)
}

func testAway(t *testing.T, store Store) {
	ctx := deadline(t)
	sc := newScene(t, store)
	// complete counts the quarantine: only what cannot be projected is there.
	sc.finish(ctx, &away{Sink: store.Open(t), left: 5}, 60, nil)
}

// testMissingTable hides a table and tells, of the history, whether it fills it
// by then.
func testMissingTable(t *testing.T, store Store, table string, fills func(mark) bool) {
	ctx := deadline(t)
	restore := store.Hide(t, table)
	sc := newScene(t, store)
	needed := slices.IndexFunc(sc.h.marks, fills) // the first event that has a row there
	require.GreaterOrEqual(t, needed, 0)
	var failed atomic.Int32
	p := sc.start(ctx, &counting{Sink: store.Open(t), failed: &failed}, 1000, nil)
	require.Eventually(t, func() bool { return failed.Load() >= 3 }, limit, time.Millisecond)
	require.Less(t, p.Position().Log.Commit, sc.h.marks[needed].position, "the position passed what %s misses", table)
	restore()
	require.NoError(t, p.WaitFor(ctx, sc.h.end())) // it goes on alone
	p.cancel()
	require.NoError(t, <-p.ended)
	sc.complete(ctx)
}

func hidden() map[string]func(mark) bool {
	return map[string]func(mark) bool{
		flows.FactsTable:      func(m mark) bool { return len(m.live) > 0 },
		flows.FacilitiesTable: func(m mark) bool { return m.facilities > 0 },
		sink.QuarantineTable:  func(m mark) bool { return m.poison > 0 },
	}
}

// counting counts what fails.
type counting struct {
	sink.Sink
	failed *atomic.Int32
}

func (s *counting) Insert(ctx context.Context, b sink.Block) error {
	err := s.Sink.Insert(ctx, b)
	if err != nil {
		s.failed.Add(1)
	}
	return err
}

func testLostFacts(t *testing.T, store Store) {
	ctx := deadline(t)
	sc := newScene(t, store)
	sc.finish(ctx, store.Open(t), 1000, nil)
	store.Lose(t)
	p := sc.start(ctx, store.Open(t), 1000, nil)
	var lost *sink.LostFacts
	require.ErrorAs(t, <-p.ended, &lost)
	require.Zero(t, lost.Found)
	require.NotZero(t, lost.Want)
}

// eachPoint runs a test for both sides of every step.
func eachPoint(t *testing.T, open func(*testing.T) Store, test func(*testing.T, Store, runner.Step, runner.When)) {
	for _, step := range runner.Steps() {
		for _, when := range []runner.When{runner.Before, runner.After} {
			t.Run(string(when)+" "+string(step), func(t *testing.T) { test(t, open(t), step, when) })
		}
	}
}

var errFault = errors.New("planted")

// testCrash ends the projector at a fault point of its third flush, starts
// another one with other batches, and ends that one at its second.
func testCrash(t *testing.T, store Store, step runner.Step, when runner.When) {
	ctx := deadline(t)
	sc := newScene(t, store)
	for run, flush := range []int{3, 2} {
		n := 0
		var p *projector
		started := make(chan struct{})
		p = sc.start(ctx, store.Open(t), 25+10*run, func(ctx context.Context, s runner.Step, w runner.When) error {
			<-started
			if s == step && w == when {
				if n++; n == flush {
					p.cancel()
					<-ctx.Done()
					return errFault
				}
			}
			return nil
		})
		close(started)
		require.NoError(t, <-p.ended)
		require.Equal(t, flush, n)
		sc.look(ctx)
	}
	sc.finish(ctx, store.Open(t), 33, nil)
}

// testFailure has a step fail three times in a row, in two flushes: before it
// is done, or after, so that it is done again.
func testFailure(t *testing.T, store Store, step runner.Step, when runner.When) {
	ctx := deadline(t)
	sc := newScene(t, store)
	n := 0
	sc.finish(ctx, store.Open(t), 40, func(ctx context.Context, s runner.Step, w runner.When) error {
		if s != step || w != when {
			return nil
		}
		sc.look(ctx)
		if n++; n%5 > 1 {
			return errFault
		}
		return nil
	})
	require.Greater(t, n, 5)
}
