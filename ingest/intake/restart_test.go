package intake_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// said is a logger's output, for tests to read.
type said struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func (s *said) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

func TestRestartGoesOnWithTheSameBooks(t *testing.T) {
	for name, between := range map[string]func(t *testing.T, dir string){
		"index kept":    func(*testing.T, string) {},
		"index deleted": func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
		"index damaged": func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
			require.NoError(t, err)
			require.NotEmpty(t, names)
			for _, n := range names {
				require.NoError(t, os.WriteFile(n, []byte("not a table"), 0o600))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, dir := newLog(), t.TempDir()
			w := start(t, options{log: l, dir: dir})
			w.plants(2)
			w.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
			w.ok(record(load(0, 2, 5)), ledger.StatusRecorded)
			w.ok(cancelItem(load(0, 2, 5), "wrong"), ledger.StatusCancelled)
			w.stop()
			between(t, dir)

			w = start(t, options{log: l, dir: dir})
			require.Len(t, w.register.Facilities(), 2)
			retry := func(item intake.Item) intake.Result { return w.untilKnown(item) }
			require.Equal(t, ledger.StatusAlreadyRecorded, retry(record(load(0, 1, 5))).Status)
			require.Equal(t, fault.Conflict, fault.KindOf(retry(record(load(1, 1, 5))).Err))
			require.Equal(t, fault.Cancelled, fault.KindOf(retry(record(load(1, 2, 5))).Err))
			require.EqualValues(t, 5000, read(t, l).sum)
		})
	}
}

func TestIndexOfAnotherLogIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	w := start(t, options{dir: dir})
	w.plants(2)
	w.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
	w.stop()

	var out said
	w = start(t, options{dir: dir, logger: out.logger()}) // a new log
	require.Contains(t, out.String(), "building it anew")
	require.Empty(t, w.register.Facilities())
	w.plants(2)
	w.ok(record(load(1, 1, 5)), ledger.StatusRecorded)
}

func TestIndexDamagedWhileRunningIsBuiltAnew(t *testing.T) {
	l, dir := newLog(), t.TempDir()
	w := start(t, options{log: l, dir: dir})
	w.plants(2)
	items := make([]intake.Item, 4000) // more than any block or buffer holds
	for i := range items {
		items[i] = record(load(0, i, 5))
	}
	for _, r := range w.Submit(t.Context(), items) {
		require.NoError(t, r.Err)
	}
	w.stop() // what is in memory goes to disk

	var out said
	// Without a cache the store reads from disk, where the damage is.
	w = start(t, options{log: l, dir: dir, logger: out.logger(), blocks: 1})
	names, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, n := range names {
		info, err := os.Stat(n)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(n, make([]byte, info.Size()), 0o600))
	}
	// Somebody hits the damage sooner or later, is told to try again, and then
	// finds the books as they were.
	for i := range items {
		r := w.untilKnown(record(load(1, i, 5)))
		require.Equal(t, fault.Conflict, fault.KindOf(r.Err), "ticket %d: %q %v", i, r.Status, r.Err)
	}
	require.Contains(t, out.String(), "building it anew")
	require.EqualValues(t, 4000*5000, read(t, l).sum)
}

func TestUnknownEventStopsOnlyItsLedger(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(2)
	_, err := l.Log.Append(t.Context(), "ledger-dk-p-1000000-202603", eventlog.NoStream(),
		[]eventlog.Proposed{{ID: [16]byte{1}, Type: "dk.stofstrom.flow.teleported.v9", Data: []byte("{}")}})
	require.NoError(t, err)
	f := w.refused(record(load(0, 1, 5)), fault.Internal)
	var unknown *event.UnknownType
	require.ErrorAs(t, f, &unknown)
	w.ok(record(load(1, 1, 5)), ledger.StatusRecorded)
	w.eventually(func() bool { return w.metric("stofstrom_intake_unknown_events_total") == 1 })
}

func TestOtherInstancesRegisterForUs(t *testing.T) {
	l := newLog()
	a, b := start(t, options{log: l}), start(t, options{log: l})
	a.plants(1)
	b.eventually(func() bool { return b.register.KnownFacility(plant(0)) })
	b.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
}

func TestMetricsMove(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	w.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
	w.Submit(t.Context(), []intake.Item{record(load(0, 2, 5)), record(load(0, 3, 5)), record(load(0, 3, 5))})
	w.ok(correct(load(0, 2, 6), "typing error"), ledger.StatusCorrected)
	w.ok(correct(on(load(0, 2, 6), 2026, time.February, 2), "month"), ledger.StatusMoved)
	w.ok(cancelItem(load(0, 3, 5), "wrong"), ledger.StatusCancelled)
	w.ok(intake.Item{Command: ledger.Close{}, Ledger: ledger.Key{Facility: plant(0), Period: "202602"}}, ledger.StatusClosed)
	w.refused(record(load(0, 4, -1)), fault.Invalid)
	w.refused(record(load(0, 1, 6)), fault.Conflict)

	for _, c := range []struct {
		name, label string
		want        float64
	}{
		{"stofstrom_intake_events_total", "kind=received", 3},
		{"stofstrom_intake_events_total", "kind=corrected", 1},
		{"stofstrom_intake_events_total", "kind=moved", 1},
		{"stofstrom_intake_events_total", "kind=arrived", 1},
		{"stofstrom_intake_events_total", "kind=cancelled", 1},
		{"stofstrom_intake_events_total", "kind=closed", 1},
		{"stofstrom_intake_mass_grams_total", "hierarchy=energy_recovery", 15_000},
		{"stofstrom_intake_rejects_total", "rule=mass-not-positive", 1},
		{"stofstrom_intake_items_total", "result=recorded", 3},
		{"stofstrom_intake_items_total", "result=already_recorded", 1},
		{"stofstrom_intake_items_total", "result=conflict", 1},
		{"stofstrom_intake_append_events", "", 8}, // all events, over all appends
		{"stofstrom_intake_queued_items", "", 0},
	} {
		labels := []string{c.label}
		if c.label == "" {
			labels = nil
		}
		require.Equal(t, c.want, w.metric(c.name, labels...), "%s %s", c.name, c.label)
	}
	require.Positive(t, w.metric("stofstrom_intake_ledger_cache_hits_total"))
	require.Positive(t, w.metric("stofstrom_intake_ledger_cache_loads_total"))
	require.Positive(t, w.metric("stofstrom_intake_ledger_cache_bytes"))
}

func TestASlowLogIsNoticed(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l, config: intake.Config{MaxUnfollowed: 3}})
	w.plants(2)
	gate := make(chan struct{})
	l.held.Store(&gate)
	w.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
	w.refused(record(load(1, 1, 5)), fault.Conflict) // known before the log has delivered it
	w.ok(record(load(0, 2, 5)), ledger.StatusRecorded)
	require.EqualValues(t, 4, w.metric("stofstrom_intake_unfollowed_entries"))
	f := w.refused(record(load(0, 3, 5)), fault.Unavailable)
	require.Contains(t, f.Error(), "slow to deliver")
	close(gate)
	w.eventually(func() bool { return w.metric("stofstrom_intake_unfollowed_entries") == 0 })
	w.ok(record(load(0, 3, 5)), ledger.StatusRecorded)
}

func TestTheCacheKeepsToItsLimit(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l, config: intake.Config{CacheBytes: 8 << 10}})
	w.plants(20)
	for round := range 3 {
		for p := range 20 {
			w.ok(record(load(p, p*10+round, 5)), ledger.StatusRecorded)
			require.LessOrEqual(t, w.metric("stofstrom_intake_ledger_cache_bytes"), 8.0*1024)
		}
	}
	require.Greater(t, w.metric("stofstrom_intake_ledger_cache_loads_total"), 20.0, "some were dropped and read again")
}
