package runner_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/projections/flows"
	"github.com/stofstrom/stofstrom/projections/runner"
	"github.com/stofstrom/stofstrom/projections/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ledger = "ledger-dk-p-1003412345-202403"
	limit  = 30 * time.Second
)

// world is a log, a sink, and what runs between them.
type world struct {
	tb   testing.TB
	ctx  context.Context
	log  *memory.Log
	sink *sink.Memory
	next int
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	tb.Cleanup(cancel)
	return &world{tb: tb, ctx: ctx, log: memory.New(memory.Config{}), sink: sink.NewMemory(flows.MemorySchema(4, 2))}
}

// receive records n loads and returns the last position.
func (w *world) receive(n int) eventlog.Position {
	w.tb.Helper()
	var proposed []eventlog.Proposed
	for range n {
		w.next++
		p, err := event.Encode(event.WithID(event.Recorded{Revision: 1, Fact: flow.Fact{
			Kind: flow.Received, Facility: "dk-p-1003412345",
			Identity: flow.Identity{Reporter: "r", Source: "s", ExternalID: strconv.Itoa(w.next)},
			When:     flow.When{Occurred: time.Date(2024, 3, 1, 9, 30, 0, 0, time.UTC)},
			Material: flow.Material{Waste: "200301"}, Mass: flow.Mass{Net: 1000, Method: flow.Weighed},
		}}))
		require.NoError(w.tb, err)
		p.Meta = []byte("{}")
		proposed = append(proposed, p)
	}
	return w.append(ledger, proposed...)
}

func (w *world) append(stream string, proposed ...eventlog.Proposed) eventlog.Position {
	w.tb.Helper()
	a, err := w.log.Append(w.ctx, stream, eventlog.Any(), proposed)
	require.NoError(w.tb, err)
	return a.Position
}

func poison() eventlog.Proposed {
	return eventlog.Proposed{ID: uuid.New(), Type: "dk.stofstrom.flow.received.v9", Data: []byte("{}"), Meta: []byte("{}")}
}

type running struct {
	*runner.Runner
	cancel context.CancelFunc
	ended  chan error
}

func (r *running) stop(tb testing.TB) {
	tb.Helper()
	r.cancel()
	require.NoError(tb, <-r.ended)
}

func (w *world) run(cfg runner.Config, change func(*runner.Deps)) *running {
	w.tb.Helper()
	if cfg.Interval == 0 {
		cfg.Interval = time.Millisecond
	}
	cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, time.Millisecond
	deps := runner.Deps{Feed: w.log, Sink: w.sink, Projection: flows.Projection()}
	if change != nil {
		change(&deps)
	}
	r, err := runner.New(cfg, deps)
	require.NoError(w.tb, err)
	ctx, cancel := context.WithCancel(w.ctx)
	out := &running{Runner: r, cancel: cancel, ended: make(chan error, 1)}
	go func() { out.ended <- r.Run(ctx) }()
	w.tb.Cleanup(cancel)
	return out
}

func TestAnEmptyLogIsCaughtUpAtOnce(t *testing.T) {
	w := newWorld(t)
	r := w.run(runner.Config{}, nil)
	<-r.CaughtUp()
	require.NoError(t, r.WaitFor(w.ctx, eventlog.Position{}))
	r.stop(t)
	require.ErrorIs(t, r.WaitFor(w.ctx, eventlog.Position{Commit: 1}), runner.ErrStopped)
}

func TestWhatComesLaterIsShownToo(t *testing.T) {
	w := newWorld(t)
	w.receive(3)
	r := w.run(runner.Config{}, nil)
	<-r.CaughtUp()
	for range 3 {
		require.NoError(t, r.WaitFor(w.ctx, w.receive(2)))
	}
	// An event of another stream moves the position as well.
	require.NoError(t, r.WaitFor(w.ctx, w.append("other-1", poison())))
	r.stop(t)
	p := r.Position()
	require.Equal(t, [2]uint64{9, 9}, [2]uint64{p.Events, p.Facts})
	require.Len(t, w.sink.Rows(flows.FactsTable), 9)
	require.Empty(t, w.sink.Rows(sink.QuarantineTable))
}

func TestAFlushStaysWithinItsLimits(t *testing.T) {
	w := newWorld(t)
	end := w.receive(100)
	for name, cfg := range map[string]runner.Config{"rows": {MaxRows: 10}, "bytes": {MaxBytes: 2000}} {
		w.sink = sink.NewMemory(flows.MemorySchema(1000, 2))
		var sizes sizes
		r := w.run(cfg, func(d *runner.Deps) { sizes.Sink = d.Sink; d.Sink = &sizes })
		require.NoError(t, r.WaitFor(w.ctx, end))
		r.stop(t)
		require.GreaterOrEqual(t, len(sizes.rows), 10, name)
		for _, n := range sizes.rows {
			require.LessOrEqual(t, n, 10, name)
		}
	}
}

func TestTheLastFlushIsRolledUpThoughNothingFollows(t *testing.T) {
	w := newWorld(t)
	end := w.receive(9) // two segments of four, made in one flush
	rolled := make(chan struct{}, 1)
	r := w.run(runner.Config{EpochCheck: time.Millisecond, Fault: func(_ context.Context, step runner.Step, when runner.When) error {
		if step == runner.StepRollup && when == runner.After && len(w.sink.Cover(end.Commit)) > 0 {
			select {
			case rolled <- struct{}{}:
			default:
			}
		}
		return nil
	}}, nil)
	select {
	case <-rolled:
	case <-w.ctx.Done():
		require.FailNow(t, "never rolled up")
	}
	r.stop(t)
	cover := w.sink.Cover(end.Commit)
	require.Len(t, cover, 1)
	require.EqualValues(t, 8, cover[0].Facts)
}

// sizes notes the rows of each insert of facts.
type sizes struct {
	sink.Sink
	rows []int
}

func (s *sizes) Insert(ctx context.Context, b sink.Block) error {
	if b.Table == flows.FactsTable {
		s.rows = append(s.rows, b.Rows)
	}
	return s.Sink.Insert(ctx, b)
}

func TestWaitingForTheStoreFlushesGrow(t *testing.T) {
	w := newWorld(t)
	first := w.receive(1)
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var sizes sizes
	r := w.run(runner.Config{Fault: func(context.Context, runner.Step, runner.When) error {
		once.Do(func() { close(held); <-release })
		return nil
	}}, func(d *runner.Deps) { sizes.Sink = d.Sink; d.Sink = &sizes })
	<-held
	var end eventlog.Position
	for range 20 {
		end = w.receive(1)
	}
	close(release)
	require.NoError(t, r.WaitFor(w.ctx, end))
	require.Negative(t, first.Compare(end))
	r.stop(t)
	require.Less(t, len(sizes.rows), 15, "each event was a flush of its own")
}

// panicking is a batch whose projection has a fault.
type panicking struct{ *flows.Rows }

func (panicking) Add(eventlog.Recorded) error { panic("nil map") }

func TestAPanicOfTheProjectionIsQuarantined(t *testing.T) {
	w := newWorld(t)
	end := w.receive(2)
	r := w.run(runner.Config{}, func(d *runner.Deps) {
		d.Projection.NewBatch = func() sink.Batch { return panicking{flows.NewRows()} }
	})
	require.NoError(t, r.WaitFor(w.ctx, end))
	r.stop(t)
	rows := w.sink.Rows(sink.QuarantineTable)
	require.Len(t, rows, 2)
	require.Equal(t, "projection panicked: nil map", rows[0]["error"])
}

func TestQuarantineKeepsTheWholeEvent(t *testing.T) {
	w := newWorld(t)
	p := poison()
	end := w.append(ledger, p)
	r := w.run(runner.Config{}, nil)
	require.NoError(t, r.WaitFor(w.ctx, end))
	r.stop(t)
	rows := w.sink.Rows(sink.QuarantineTable)
	require.Len(t, rows, 1)
	for column, want := range map[string]any{
		"projection": "flows", "position": end.Commit, "prepare": end.Prepare, "stream": ledger, "revision": uint64(0),
		"event_id": p.ID, "event_type": p.Type, "data": "{}", "meta": "{}",
	} {
		require.Equal(t, want, rows[0][column], column)
	}
	require.NotEmpty(t, rows[0]["error"])
}

func TestALogThatEndsForGoodEndsTheProjector(t *testing.T) {
	w := newWorld(t)
	r := w.run(runner.Config{}, nil)
	<-r.CaughtUp()
	require.NoError(t, w.log.Close())
	require.ErrorIs(t, <-r.ended, eventlog.ErrClosed)
	require.ErrorIs(t, r.WaitFor(w.ctx, eventlog.Position{Commit: 1}), eventlog.ErrClosed)
}

func TestAllWrongLimitsAreNamed(t *testing.T) {
	_, err := runner.New(runner.Config{MaxRows: -1, Interval: -1, BackoffMin: time.Hour}, runner.Deps{Projection: flows.Projection()})
	for _, want := range []string{"MaxRows is -1", "Interval is -1ns", "BackoffMax 10s is below BackoffMin 1h0m0s"} {
		require.ErrorContains(t, err, want)
	}
}

func TestEpochs(t *testing.T) {
	t.Run("each is greater than the last and fences it", func(t *testing.T) {
		w := newWorld(t)
		e := runner.NewLogEpochs(w.log, w.log, "flows", "a")
		for want := uint64(1); want <= 3; want++ {
			got, err := e.Take(w.ctx)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.NoError(t, e.Check(w.ctx, got))
		}
		var fenced *runner.Fenced
		require.ErrorAs(t, e.Check(w.ctx, 1), &fenced)
		require.Equal(t, runner.Fenced{Epoch: 1, By: 2}, *fenced)
	})
	t.Run("two at once get two", func(t *testing.T) {
		w := newWorld(t)
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex
			got = map[uint64]bool{}
		)
		for i := range 8 {
			wg.Go(func() {
				epoch, err := runner.NewLogEpochs(w.log, w.log, "flows", fmt.Sprint(i)).Take(w.ctx)
				mu.Lock()
				defer mu.Unlock()
				got[epoch] = err == nil
			})
		}
		wg.Wait()
		require.Len(t, got, 8)
		for epoch := uint64(1); epoch <= 8; epoch++ {
			require.True(t, got[epoch])
		}
	})
	t.Run("a lost answer is repeated by the projector", func(t *testing.T) {
		w := newWorld(t)
		end := w.receive(1)
		w.log.Inject(memory.FailBeforeStoring, memory.LoseAnswer)
		r := w.run(runner.Config{}, func(d *runner.Deps) { d.Epochs = runner.NewLogEpochs(w.log, w.log, "flows", "a") })
		require.NoError(t, r.WaitFor(w.ctx, end))
		r.stop(t)
		require.EqualValues(t, 2, r.Position().Epoch) // the first was ours without our knowing
	})
	t.Run("an idle writer finds out too", func(t *testing.T) {
		w := newWorld(t)
		e := runner.NewLogEpochs(w.log, w.log, "flows", "a")
		r := w.run(runner.Config{EpochCheck: time.Millisecond}, func(d *runner.Deps) { d.Epochs = e })
		<-r.CaughtUp()
		_, err := e.Take(w.ctx)
		require.NoError(t, err)
		var fenced *runner.Fenced
		require.ErrorAs(t, <-r.ended, &fenced)
	})
}

var errPlanted = errors.New("planted")

// forgetful does not know whether it is fenced.
type forgetful struct{ runner.Epochs }

func (forgetful) Take(context.Context) (uint64, error) { return 7, nil }
func (forgetful) Check(context.Context, uint64) error  { return errPlanted }

func TestEachMetricMoves(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	m, err := runner.NewMetrics(reg, flows.Name)
	require.NoError(t, err)
	before := scrape(t, reg)
	const label = `{projection="flows"}`

	w.receive(9)
	end := w.append(ledger, poison())
	failed := map[runner.Step]bool{}
	var during map[string]float64
	r := w.run(runner.Config{MaxRows: 5, Fault: func(_ context.Context, step runner.Step, when runner.When) error {
		if when == runner.Before && step == runner.StepPosition && during == nil {
			during = scrape(t, reg)
		}
		if when == runner.Before && !failed[step] {
			failed[step] = true
			return errPlanted
		}
		return nil
	}}, func(d *runner.Deps) { d.Metrics, d.Epochs = m, forgetful{} })
	require.NoError(t, r.WaitFor(w.ctx, end))
	r.stop(t)
	after := scrape(t, reg)

	require.Positive(t, during["stofstrom_projector_lag_seconds"+label])
	require.GreaterOrEqual(t, during["stofstrom_projector_lag_events"+label], 5.0)
	for name, want := range map[string]float64{
		"position" + label:                                            float64(end.Commit),
		"epoch" + label:                                               7,
		"lag_events" + label:                                          0,
		"lag_seconds" + label:                                         0,
		"caught_up" + label:                                           1,
		"events_total" + label:                                        10,
		"quarantined_total" + label:                                   1,
		"rollup_segments_total" + label:                               1,
		`rows_total{projection="flows",table="flow_facts"}`:           9,
		`rows_total{projection="flows",table="quarantine"}`:           1,
		`insert_rows_sum{projection="flows",table="flow_facts"}`:      9,
		`flush_events_sum` + label:                                    10,
		`flush_errors_total{projection="flows",step="facts"}`:         1,
		`flush_errors_total{projection="flows",step="registers"}`:     1,
		`flush_errors_total{projection="flows",step="quarantine"}`:    1,
		`flush_errors_total{projection="flows",step="rollup"}`:        1,
		`flush_errors_total{projection="flows",step="position"}`:      1,
		"fenced_total" + label:                                        0,
		`insert_seconds_count{projection="flows",table="quarantine"}`: 1,
	} {
		require.InDelta(t, want, after["stofstrom_projector_"+name], 0.1, name)
	}
	for _, name := range []string{"payload_bytes_total", "epoch_unknown_total", "flush_seconds_count", "last_flush_timestamp_seconds"} {
		require.Greater(t, after["stofstrom_projector_"+name+label], before["stofstrom_projector_"+name+label], name)
	}

	// What is left: a writer that is fenced.
	e := runner.NewLogEpochs(w.log, w.log, flows.Name, "a")
	fenced := w.run(runner.Config{EpochCheck: time.Millisecond}, func(d *runner.Deps) { d.Metrics, d.Epochs = m, e })
	<-fenced.CaughtUp()
	_, err = e.Take(w.ctx)
	require.NoError(t, err)
	require.Error(t, <-fenced.ended)
	require.InDelta(t, 1, scrape(t, reg)["stofstrom_projector_fenced_total"+label], 0.1)

	_, err = runner.NewMetrics(reg, flows.Name)
	require.Error(t, err, "the same metrics registered twice")
}

var line = regexp.MustCompile(`(?m)^(\w+(?:\{[^}]*\})?) (\S+)$`)

// scrape reads the metrics as Prometheus does.
func scrape(tb testing.TB, reg *prometheus.Registry) map[string]float64 {
	tb.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	found := map[string]float64{}
	for _, m := range line.FindAllStringSubmatch(answer.Body.String(), -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		require.NoError(tb, err)
		found[m[1]] = v
	}
	return found
}
