package intake_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/register"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when the tests take place.
var now = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)

// log is a log in memory that counts appends and can be made to fail.
type log struct {
	*memory.Log
	appends atomic.Int64
	events  atomic.Int64
	before  func(ctx context.Context, stream string, events []eventlog.Proposed) error // nil: nothing
	after   func(stream string, events []eventlog.Proposed) error                      // nil: nothing
	held    atomic.Pointer[chan struct{}]                                              // while set and open, nothing is delivered
}

// Follow delivers what the log delivers, unless it is held.
func (l *log) Follow(ctx context.Context, after eventlog.Position, f eventlog.Filter) (eventlog.Subscription, error) {
	sub, err := l.Log.Follow(ctx, after, f)
	return &heldSubscription{sub, l}, err
}

type heldSubscription struct {
	eventlog.Subscription
	log *log
}

func (h *heldSubscription) Next(ctx context.Context) (eventlog.Batch, error) {
	batch, err := h.Subscription.Next(ctx)
	if gate := h.log.held.Load(); gate != nil && err == nil {
		select {
		case <-*gate:
		case <-ctx.Done():
			return eventlog.Batch{}, ctx.Err()
		}
	}
	return batch, err
}

func (l *log) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if l.before != nil {
		if err := l.before(ctx, stream, events); err != nil {
			return eventlog.Appended{}, err
		}
	}
	done, err := l.Log.Append(ctx, stream, expected, events)
	if err != nil {
		return done, err
	}
	l.appends.Add(1)
	l.events.Add(int64(len(events)))
	if l.after != nil {
		if err := l.after(stream, events); err != nil {
			return eventlog.Appended{}, err
		}
	}
	return done, nil
}

// world is a running service over a log.
type world struct {
	*intake.Service
	t        testing.TB
	log      *log
	register *register.Register
	index    *index.Index
	metrics  *prometheus.Registry
	stop     func()
}

type options struct {
	log    *log
	dir    string
	config intake.Config
	logger *slog.Logger
	blocks int64 // cache of the index, in bytes
}

func newLog() *log { return &log{Log: memory.New(memory.Config{})} }

// start makes a world and waits until it is ready. It stops with the test at
// the latest.
func start(t testing.TB, o options) *world {
	t.Helper()
	if o.log == nil {
		o.log = newLog()
	}
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	if o.config.RetryLog == 0 {
		o.config.RetryLog = time.Millisecond
	}
	ix, err := index.Open(index.Config{Dir: o.dir, Logger: o.logger, CacheBytes: o.blocks})
	require.NoError(t, err)
	w := &world{t: t, log: o.log, index: ix, metrics: prometheus.NewRegistry()}
	w.register = register.New(register.Config{}, register.Deps{Log: o.log, Append: o.log})
	w.Service = intake.New(o.config, intake.Deps{
		Log: o.log, Append: o.log, Register: w.register, Index: ix,
		Now: func() time.Time { return now }, Logger: o.logger, Metrics: intake.NewMetrics(w.metrics),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-ended)
			require.NoError(t, ix.Close())
		})
	}
	t.Cleanup(w.stop)
	select {
	case <-w.Ready():
	case err := <-ended:
		require.NoError(t, err, "the service ended before it was ready")
		t.FailNow()
	}
	return w
}

// plants registers n facilities, named plant(0) to plant(n-1).
func (w *world) plants(n int) {
	w.t.Helper()
	all := make([]facility.Facility, n)
	for i := range all {
		all[i] = facility.Facility{ID: plant(i), Name: fmt.Sprintf("Plant %d", i), Area: "dk-0101", TimeZone: "Europe/Copenhagen"}
	}
	for _, o := range w.register.PutFacilities(w.t.Context(), all, register.Source{Kind: register.Curated, Name: "test"}, event.Meta{Actor: "test"}) {
		require.NoError(w.t, o.Err)
	}
}

func plant(i int) facility.ID { return facility.ID(fmt.Sprintf("dk-p-10%05d", i)) }

// load is a load of some kilograms, ticket n, received at plant p.
func load(p, ticket int, kg int64) flow.Fact {
	return flow.Fact{
		Kind:      flow.Received,
		Identity:  flow.Identity{Reporter: "org-1", Source: "weighbridge", ExternalID: fmt.Sprintf("ticket-%d", ticket)},
		Facility:  plant(p),
		When:      flow.When{Occurred: time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)},
		Material:  flow.Material{Waste: "200301"},
		Mass:      flow.Mass{Net: mass.Grams(kg * 1000), Method: flow.Weighed},
		Origin:    flow.Place{Area: "dk-0101"},
		Operation: "R1",
	}
}

// on is the same fact on another day.
func on(f flow.Fact, year int, month time.Month, day int) flow.Fact {
	f.When.Occurred = time.Date(year, month, day, 8, 0, 0, 0, time.UTC)
	return f
}

func record(f flow.Fact) intake.Item {
	return intake.Item{Command: ledger.Record{Fact: f}, Meta: event.Meta{Actor: "test"}}
}

func correct(f flow.Fact, reason string) intake.Item {
	return intake.Item{Command: ledger.Correct{Fact: f, Reason: reason}, Meta: event.Meta{Actor: "test"}}
}

func cancelItem(f flow.Fact, reason string) intake.Item {
	return intake.Item{Command: ledger.Cancel{Identity: f.Identity, Reason: reason}, Meta: event.Meta{Actor: "test"}}
}

// metric scrapes one metric: the sum over its series whose labels include
// those given as name=value; of a histogram the sum of what was observed.
func (w *world) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	require.NoError(w.t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := true
			for _, want := range labels {
				matches = matches && slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool {
					return l.GetName()+"="+l.GetValue() == want
				})
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
			}
		}
	}
	return sum
}

// eventually waits for something that other goroutines bring about.
func (w *world) eventually(holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			w.t.Fatal("it did not happen within 20 s")
		}
	}
}

// submit submits one item.
func (w *world) submit(item intake.Item) intake.Result {
	w.t.Helper()
	return w.Submit(w.t.Context(), []intake.Item{item})[0]
}

// ok submits one item that is to have a status.
func (w *world) ok(item intake.Item, status ledger.Status) intake.Result {
	w.t.Helper()
	r := w.submit(item)
	require.NoError(w.t, r.Err)
	require.Equal(w.t, status, r.Status)
	return r
}

// refused submits one item that is to be refused.
func (w *world) refused(item intake.Item, kind fault.Kind) *fault.Fault {
	w.t.Helper()
	r := w.submit(item)
	require.Error(w.t, r.Err, "got status %s", r.Status)
	var f *fault.Fault
	require.ErrorAs(w.t, r.Err, &f)
	require.Equal(w.t, kind.String(), f.Kind.String(), f.Error())
	return f
}

// books is a fold of the whole log of its own: how often each identity is
// live, and the mass that counts.
type books struct {
	live map[flow.Identity]int
	mass map[flow.Identity]mass.Grams
	sum  mass.Grams
	kind map[string]int // events by type
}

func read(t testing.TB, l eventlog.Reader) books {
	t.Helper()
	b := books{live: map[flow.Identity]int{}, mass: map[flow.Identity]mass.Grams{}, kind: map[string]int{}}
	add := func(f flow.Fact, sign int) {
		b.live[f.Identity] += sign
		b.mass[f.Identity] += mass.Grams(sign) * f.Mass.Net
		b.sum += mass.Grams(sign) * f.Mass.Net
	}
	for rec, err := range l.ReadAll(context.Background(), eventlog.Position{}, eventlog.Filter{StreamPrefixes: []string{"ledger-"}}) {
		require.NoError(t, err)
		ev, err := event.Decode(rec.Type, rec.Data)
		require.NoError(t, err)
		b.kind[rec.Type]++
		switch e := ev.(type) {
		case event.Recorded:
			add(e.Fact, 1)
		case event.Corrected:
			add(e.Was, -1)
			add(e.Is, 1)
		case event.Moved:
			add(e.Was, -1)
			add(e.Is, 1)
		case event.Cancelled:
			add(e.Was, -1)
		case event.Arrived, event.LedgerClosed, event.FacilityRegistered, event.AreaRegistered:
		}
	}
	return b
}

// flaky makes appends fail at random, before or after they are stored.
func flaky(l *log, seed uint64, rate float64) (failures *atomic.Int64) {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, seed))
	failures = &atomic.Int64{}
	fail := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if rng.Float64() < rate {
			failures.Add(1)
			return true
		}
		return false
	}
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		if fail() {
			return fmt.Errorf("%w: before storing", eventlog.ErrUnavailable)
		}
		return nil
	}
	l.after = func(string, []eventlog.Proposed) error {
		if fail() {
			return fmt.Errorf("%w: after storing", eventlog.ErrUnavailable)
		}
		return nil
	}
	return failures
}
