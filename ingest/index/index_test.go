package index_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/ingest/index"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const march, february = "ledger-dk-p-1-2-202603", "ledger-dk-p-1-2-202602"

func fact(source, ticket string, kg int64) flow.Fact {
	return flow.Fact{
		Kind: flow.Received, Identity: flow.Identity{Reporter: "org-1", Source: source, ExternalID: ticket},
		Facility: "dk-p-1-2", When: flow.When{Occurred: time.Date(2026, time.March, 9, 8, 0, 0, 0, time.UTC)},
		Material: flow.Material{Waste: "200301"}, Mass: flow.Mass{Net: mass.Grams(kg * 1000), Method: flow.Weighed},
		Origin: flow.Place{Area: "dk-0101"}, Operation: "R1",
	}
}

func recorded(f flow.Fact) event.Event { return event.WithID(event.Recorded{Revision: 1, Fact: f}) }

// book is a log with helpers to write events that nobody decided.
type book struct {
	*memory.Log
	t    testing.TB
	last map[string]eventlog.Expected
}

func newBook(t testing.TB) *book {
	return &book{Log: memory.New(memory.Config{}), t: t, last: map[string]eventlog.Expected{}}
}

// write appends events and returns them as the follower sees them.
func (b *book) write(stream string, events ...event.Event) []index.Followed {
	b.t.Helper()
	proposed := make([]eventlog.Proposed, len(events))
	for i, ev := range events {
		p, err := event.Encode(ev)
		require.NoError(b.t, err)
		proposed[i] = p
	}
	expected, ok := b.last[stream]
	if !ok {
		expected = eventlog.NoStream()
	}
	done, err := b.Append(context.Background(), stream, expected, proposed)
	require.NoError(b.t, err)
	b.last[stream] = eventlog.Exactly(done.Revision)
	var followed []index.Followed
	for rec, err := range b.ReadStream(context.Background(), stream, done.Revision-uint64(len(events)-1)) {
		require.NoError(b.t, err)
		ev, err := event.Decode(rec.Type, rec.Data)
		require.NoError(b.t, err)
		followed = append(followed, index.Followed{Recorded: rec, Event: ev})
	}
	return followed
}

func open(t testing.TB, dir string, logger *slog.Logger) *index.Index {
	t.Helper()
	ix, err := index.Open(index.Config{Dir: dir, Logger: logger})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ix.Close()) })
	return ix
}

func lookup(t testing.TB, ix *index.Index, f flow.Fact) (index.Entry, bool) {
	t.Helper()
	e, found, err := ix.Lookup(f.Identity)
	require.NoError(t, err)
	return e, found
}

func scope(t testing.TB, ix *index.Index, source string) map[string]index.Status {
	t.Helper()
	all := map[string]index.Status{}
	for e, err := range ix.Scope("org-1", source) {
		require.NoError(t, err)
		require.NotContains(t, all, e.ExternalID, "each once")
		all[e.ExternalID] = e.Status
	}
	return all
}

func TestFollowsTheLifeOfAnIdentity(t *testing.T) {
	b, ix := newBook(t), open(t, t.TempDir(), nil)
	a, other := fact("s", "1", 5), fact("s", "2", 6)
	first, ok := recorded(a).(event.Recorded)
	require.True(t, ok)

	require.NoError(t, ix.Apply(b.write(march, first)))
	e, found := lookup(t, ix, a)
	require.True(t, found)
	require.Equal(t, index.Live, e.Status)
	require.Equal(t, march, e.Ledger)
	require.Equal(t, first.ID, e.FactID)
	require.Equal(t, a.ContentHash(), e.Content)

	corrected, ok := event.WithID(event.Corrected{FactID: first.ID, Corrects: first.ID, Revision: 1, Reason: "r", Was: a, Is: other}).(event.Corrected)
	require.True(t, ok)
	require.NoError(t, ix.Apply(b.write(march, corrected)))
	e, _ = lookup(t, ix, a)
	require.Equal(t, index.Replaced, e.Status)
	e, _ = lookup(t, ix, other)
	require.Equal(t, index.Live, e.Status)
	require.Equal(t, first.ID, e.FactID, "the fact keeps its id")
	require.Equal(t, corrected.ID, e.EventID)

	moved, ok := event.WithID(event.Moved{FactID: first.ID, Corrects: corrected.ID, Revision: 2, Reason: "r", Was: other, Is: other, To: february}).(event.Moved)
	require.True(t, ok)
	require.NoError(t, ix.Apply(b.write(march, moved)))
	e, _ = lookup(t, ix, other)
	require.Equal(t, february, e.Ledger)
	require.Equal(t, []index.Arrival{{Moved: moved.ID, At: index.Place{Stream: march, Revision: 2}, Target: february}}, arrivals(t, ix))

	arrived, ok := event.WithID(event.Arrived{FactID: first.ID, Moved: moved.ID, From: march, Revision: 2, Fact: other}).(event.Arrived)
	require.True(t, ok)
	require.NoError(t, ix.Apply(b.write(february, arrived)))
	require.Empty(t, arrivals(t, ix))

	gone := event.WithID(event.Cancelled{FactID: first.ID, Cancels: arrived.ID, Revision: 3, Reason: "r", Was: other})
	require.NoError(t, ix.Apply(b.write(february, gone)))
	e, _ = lookup(t, ix, other)
	require.Equal(t, index.Cancelled, e.Status)
	require.Equal(t, map[string]index.Status{"1": index.Replaced, "2": index.Cancelled}, scope(t, ix, "s"))

	at, found, err := ix.Event(moved.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, index.Place{Stream: march, Revision: 2}, at)
	_, found, err = ix.Event(uuid.New())
	require.NoError(t, err)
	require.False(t, found)
}

func arrivals(t testing.TB, ix *index.Index) []index.Arrival {
	t.Helper()
	var all []index.Arrival
	for a, err := range ix.Arrivals() {
		require.NoError(t, err)
		all = append(all, a)
	}
	return all
}

func TestScopesDoNotMix(t *testing.T) {
	b, ix := newBook(t), open(t, t.TempDir(), nil)
	var events []event.Event
	for i := range 3000 { // more than a page
		events = append(events, recorded(fact("s", fmt.Sprint(i), 1)))
	}
	events = append(events, recorded(fact("s2", "x", 1)), recorded(fact("S", "y", 1)))
	for start := 0; start < len(events); start += 500 {
		require.NoError(t, ix.Apply(b.write(march, events[start:min(start+500, len(events))]...)))
	}
	require.Len(t, scope(t, ix, "s"), 3000)
	require.Len(t, scope(t, ix, "s2"), 1)
	require.Empty(t, scope(t, ix, "s3"))
}

func TestOwnAppendsAreSeenBeforeTheLogDeliversThem(t *testing.T) {
	b, ix := newBook(t), open(t, t.TempDir(), nil)
	one := b.write(march, recorded(fact("s", "1", 1)), recorded(fact("s", "2", 1)))
	end := one[1].Recorded.Position
	ix.Note(end, one)
	e, found := lookup(t, ix, fact("s", "1", 1))
	require.True(t, found)
	require.Equal(t, march, e.Ledger)
	require.Len(t, scope(t, ix, "s"), 2)
	_, found, err := ix.Event(one[0].Recorded.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, ix.Position().IsStart(), "the store is still empty")
	require.Equal(t, 4, ix.Unfollowed())

	// The log delivers the append in two halves.
	require.NoError(t, ix.Apply(one[:1]))
	require.Len(t, scope(t, ix, "s"), 2)
	require.NoError(t, ix.Apply(one[1:]))
	require.Len(t, scope(t, ix, "s"), 2)
	require.Zero(t, ix.Unfollowed(), "memory is given back")
}

func TestTheLogMayDeliverBeforeTheAppendAnswers(t *testing.T) {
	b, ix := newBook(t), open(t, t.TempDir(), nil)
	one := b.write(march, recorded(fact("s", "1", 1)), recorded(fact("s", "2", 1)))
	end := one[1].Recorded.Position
	require.NoError(t, ix.Apply(one[:1]))
	ix.Note(end, one) // half of it was delivered
	require.NoError(t, ix.Apply(one[1:]))
	require.Zero(t, ix.Unfollowed())
	ix.Note(end, one) // all of it was
	require.Zero(t, ix.Unfollowed())
	require.Len(t, scope(t, ix, "s"), 2)
}

func TestAnOlderDeliveryDoesNotHideANewerAppend(t *testing.T) {
	b, ix := newBook(t), open(t, t.TempDir(), nil)
	f := fact("s", "1", 1)
	rec := recorded(f)
	first := b.write(march, rec)
	gone := b.write(march, event.WithID(event.Cancelled{FactID: rec.EventID(), Cancels: rec.EventID(), Revision: 2, Reason: "r", Was: f}))
	ix.Note(first[0].Recorded.Position, first)
	ix.Note(gone[0].Recorded.Position, gone)
	require.NoError(t, ix.Apply(first))
	e, _ := lookup(t, ix, f)
	require.Equal(t, index.Cancelled, e.Status)
	require.Equal(t, map[string]index.Status{"1": index.Cancelled}, scope(t, ix, "s"))
	require.NoError(t, ix.Apply(gone))
	require.Zero(t, ix.Unfollowed())
}

func TestReopenedWhereItWas(t *testing.T) {
	b, dir := newBook(t), t.TempDir()
	ix, err := index.Open(index.Config{Dir: dir})
	require.NoError(t, err)
	followed := b.write(march, recorded(fact("s", "1", 1)))
	require.NoError(t, ix.Apply(followed))
	plant := event.WithID(event.FacilityRegistered{Revision: 1, Source: "api:x",
		Facility: facility.Facility{ID: "dk-p-1-2", Name: "Plant", Area: "dk-0101", TimeZone: "Europe/Copenhagen"}})
	require.NoError(t, ix.Apply(b.write("facility-dk-p-1-2", plant)))
	at := ix.Position()
	require.NoError(t, ix.Close())

	ix = open(t, dir, nil)
	require.Equal(t, at, ix.Position())
	require.NoError(t, ix.Verify(t.Context(), b))
	require.Equal(t, at, ix.Position(), "it fits its log")
	_, found := lookup(t, ix, fact("s", "1", 1))
	require.True(t, found)
	var kept []event.Event
	for rec, err := range ix.Registers() {
		require.NoError(t, err)
		ev, err := event.Decode(rec.Type, rec.Data)
		require.NoError(t, err)
		kept = append(kept, ev)
		require.Equal(t, "facility-dk-p-1-2", rec.Stream)
		require.False(t, rec.RecordedAt.IsZero())
	}
	require.Equal(t, []event.Event{plant}, kept)
}

func TestAnotherLogMeansAnEmptyIndex(t *testing.T) {
	for name, other := range map[string]func(*testing.T) *book{
		"shorter": newTB,
		"longer": func(t *testing.T) *book {
			t.Helper()
			b := newBook(t)
			for i := range 20 {
				b.write(march, recorded(fact("other", fmt.Sprint(i), 1)))
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			b, ix := newBook(t), open(t, t.TempDir(), slog.New(slog.NewTextHandler(&out, nil)))
			require.NoError(t, ix.Apply(b.write(march, recorded(fact("s", "1", 1)), recorded(fact("s", "2", 1)))))
			require.NoError(t, ix.Verify(t.Context(), other(t)))
			require.True(t, ix.Position().IsStart())
			_, found := lookup(t, ix, fact("s", "1", 1))
			require.False(t, found)
			require.Contains(t, out.String(), "building it anew")
		})
	}
}

func newTB(t *testing.T) *book {
	t.Helper()
	return newBook(t)
}

func TestADamagedStoreIsBuiltAnew(t *testing.T) {
	for _, victim := range []string{"MANIFEST-*", "*.sst", "*.sst delete"} {
		t.Run(victim, func(t *testing.T) {
			var pattern, how string
			_, err := fmt.Sscanf(victim+" flip", "%s %s", &pattern, &how)
			require.NoError(t, err)
			b, dir := newBook(t), t.TempDir()
			ix, err := index.Open(index.Config{Dir: dir})
			require.NoError(t, err)
			followed := b.write(march, recorded(fact("s", "1", 1)))
			require.NoError(t, ix.Apply(followed))
			require.NoError(t, ix.Close())
			spoil(t, filepath.Join(dir, "store", pattern), how == "delete")

			var out bytes.Buffer
			ix = open(t, dir, slog.New(slog.NewTextHandler(&out, nil)))
			// What is damaged may show when it is opened or when it is read.
			if _, _, err := ix.Lookup(fact("s", "1", 1).Identity); err != nil {
				require.ErrorIs(t, err, index.ErrDamaged)
				require.NoError(t, ix.Reset(err.Error()))
			}
			require.Contains(t, out.String(), "building it anew")
			require.True(t, ix.Position().IsStart())
			require.NoError(t, ix.Apply(followed))
			_, found := lookup(t, ix, fact("s", "1", 1))
			require.True(t, found)
		})
	}
}

func spoil(t *testing.T, pattern string, remove bool) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		if remove {
			require.NoError(t, os.Remove(name))
			continue
		}
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for i := range data {
			data[i] ^= 0x5a
		}
		require.NoError(t, os.WriteFile(name, data, 0o600))
	}
}

func TestAnotherLayoutIsBuiltAnew(t *testing.T) {
	b, dir := newBook(t), t.TempDir()
	ix, err := index.Open(index.Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, ix.Apply(b.write(march, recorded(fact("s", "1", 1)))))
	require.NoError(t, ix.Close())
	db, err := pebble.Open(filepath.Join(dir, "store"), &pebble.Options{Logger: quiet{}})
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("ml"), []byte{255}, pebble.Sync))
	require.NoError(t, db.Close())

	var out bytes.Buffer
	ix = open(t, dir, slog.New(slog.NewTextHandler(&out, nil)))
	require.True(t, ix.Position().IsStart())
	require.Contains(t, out.String(), "layout")
}

// quiet keeps the store's own words out of the test's output.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func TestErrInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil)
	_, err := index.Open(index.Config{Dir: dir})
	require.ErrorIs(t, err, index.ErrInUse)
}

func TestErrFolderCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := index.Open(index.Config{Dir: filepath.Join(file, "index")})
	require.Error(t, err)
	require.NotErrorIs(t, err, index.ErrInUse)
}

func TestUnknownEventsAreIndexedByPlaceOnly(t *testing.T) {
	ix := open(t, t.TempDir(), nil)
	rec := eventlog.Recorded{Stream: march, Revision: 3, Position: eventlog.Position{Commit: 9, Prepare: 9}, ID: uuid.New(), Type: "dk.stofstrom.flow.teleported.v9"}
	require.NoError(t, ix.Apply([]index.Followed{{Recorded: rec}}))
	at, found, err := ix.Event(rec.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 3, at.Revision)
	require.Equal(t, rec.Position, ix.Position())
}

func BenchmarkApply(b *testing.B) {
	ix := open(b, b.TempDir(), nil)
	events := make([]index.Followed, 500)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range events {
			n++
			ev := recorded(fact("s", fmt.Sprint(n), 1))
			events[i] = index.Followed{Event: ev, Recorded: eventlog.Recorded{Stream: march, Revision: uint64(n), Position: eventlog.Position{Commit: uint64(n)}, ID: ev.EventID()}}
		}
		if err := ix.Apply(events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
