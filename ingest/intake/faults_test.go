package intake_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// failOnce makes the next append of a ledger fail before or after it is stored.
func failOnce(l *log, stored bool) {
	var once sync.Once
	hook := func() (err error) {
		once.Do(func() { err = fmt.Errorf("%w: injected", eventlog.ErrUnavailable) })
		return err
	}
	if stored {
		l.after = func(string, []eventlog.Proposed) error { return hook() }
		return
	}
	l.before = func(context.Context, string, []eventlog.Proposed) error { return hook() }
}

// untilKnown submits an item again as long as the answer is "try again".
func (w *world) untilKnown(item intake.Item) intake.Result {
	for {
		r := w.Submit(context.Background(), []intake.Item{item})[0]
		if fault.KindOf(r.Err) != fault.Unavailable || r.Err == nil {
			return r
		}
	}
}

func TestUnknownOutcomeIsSettled(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored=%v", stored), func(t *testing.T) {
			l := newLog()
			w := start(t, options{log: l})
			w.plants(2)
			failOnce(l, stored)
			w.refused(record(load(0, 1, 5)), fault.Unavailable)

			// Nobody asks again: the append is settled all the same.
			w.eventually(func() bool {
				_, found, err := w.Lookup(t.Context(), load(0, 1, 5).Identity)
				return err == nil && found
			})
			w.eventually(func() bool { return w.metric("stofstrom_intake_queued_items") == 0 })
			r := w.untilKnown(record(load(0, 1, 5)))
			require.NoError(t, r.Err)
			require.Equal(t, ledger.StatusAlreadyRecorded, r.Status)
			require.EqualValues(t, 5000, read(t, l).sum)
			require.EqualValues(t, 1, w.metric("stofstrom_intake_appends_in_doubt_total"))
		})
	}
}

func TestDoubtThatEndsAsNotRecorded(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	w.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
	// Our append never reaches the log, and another instance's takes its place.
	foreign := encoded(t, load(0, 9, 7))
	var once atomic.Bool
	l.before = func(ctx context.Context, stream string, _ []eventlog.Proposed) error {
		if once.Swap(true) {
			return nil
		}
		if _, err := l.Log.Append(ctx, stream, eventlog.Exactly(0), []eventlog.Proposed{foreign}); err != nil {
			return err
		}
		return fmt.Errorf("%w: injected", eventlog.ErrUnavailable)
	}
	w.refused(record(load(0, 2, 6)), fault.Unavailable)
	r := w.untilKnown(record(load(0, 2, 6)))
	require.NoError(t, r.Err)
	require.Equal(t, ledger.StatusRecorded, r.Status, "the ledger does not believe what it never appended")
	require.EqualValues(t, 18_000, read(t, l).sum)
}

func encoded(t *testing.T, f flow.Fact) eventlog.Proposed {
	t.Helper()
	p, err := event.Encode(event.WithID(event.Recorded{Revision: 1, Fact: f}))
	require.NoError(t, err)
	return p
}

func TestNoOtherLedgerTakesAnIdentityInDoubt(t *testing.T) {
	l := newLog()
	// No pause ends within the test: the append stays in doubt.
	w := start(t, options{log: l, config: intake.Config{RetryLog: time.Hour}})
	w.plants(2)
	failOnce(l, true)
	w.refused(record(load(0, 1, 5)), fault.Unavailable)
	w.refused(record(load(1, 1, 5)), fault.Unavailable)
	b := read(t, l)
	require.EqualValues(t, 5000, b.sum, "stored once, though its answer was lost")
}

func TestTheLogAwayIsToldAtOnce(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l, config: intake.Config{RetryLog: time.Hour}})
	w.plants(2)
	var tries atomic.Int64
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		tries.Add(1)
		return eventlog.ErrUnavailable
	}
	for i := range 20 {
		w.refused(record(load(i%2, i, 5)), fault.Unavailable)
	}
	require.EqualValues(t, 1, tries.Load(), "the log is left alone for a while")
}

func TestAnotherWriterIsOvertaken(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	w.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
	// Somebody else appends to the ledger between our decision and our append.
	p := encoded(t, load(0, 2, 7))
	var once sync.Once
	l.before = func(ctx context.Context, stream string, _ []eventlog.Proposed) (err error) {
		once.Do(func() { _, err = l.Log.Append(ctx, stream, eventlog.Exactly(0), []eventlog.Proposed{p}) })
		return err
	}
	r := w.ok(record(load(0, 3, 9)), ledger.StatusRecorded)
	require.EqualValues(t, 2, r.Revision)
	require.EqualValues(t, 1, w.metric("stofstrom_intake_conflicts_retried_total"))
	w.ok(record(load(0, 2, 7)), ledger.StatusAlreadyRecorded)
	w.refused(record(load(0, 2, 8)), fault.Conflict)
	require.EqualValues(t, 21_000, read(t, l).sum)
}

func TestEndlessConflictsEnd(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l, config: intake.Config{MaxAttempts: 3}})
	w.plants(1)
	l.before = func(_ context.Context, stream string, _ []eventlog.Proposed) error {
		return &eventlog.WrongRevision{Stream: stream, Expected: eventlog.NoStream(), Actual: eventlog.Exactly(0)}
	}
	f := w.refused(record(load(0, 1, 5)), fault.Unavailable)
	require.Contains(t, f.Error(), "3 times")
	require.EqualValues(t, 2, w.metric("stofstrom_intake_conflicts_retried_total"))
}

func TestMoveKilledInBetween(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l, config: intake.Config{RetryLog: time.Hour}})
	w.plants(1)
	fact := load(0, 1, 500)
	w.ok(record(fact), ledger.StatusRecorded)
	february := on(fact, 2026, time.February, 1)
	l.before = func(_ context.Context, stream string, _ []eventlog.Proposed) error {
		if stream == "ledger-dk-p-1000000-202602" {
			return fmt.Errorf("%w: killed in between", eventlog.ErrUnavailable)
		}
		return nil
	}
	w.ok(correct(february, "wrong month"), ledger.StatusMoved)
	w.stop()
	require.Zero(t, read(t, l).kind["dk.stofstrom.flow.arrived.v1"])

	l.before = nil
	dir := t.TempDir()
	w = start(t, options{log: l, dir: dir})
	w.ok(record(february), ledger.StatusAlreadyRecorded)
	w.ok(correct(on(load(0, 1, 510), 2026, time.February, 1), "typing error"), ledger.StatusCorrected)
	b := read(t, l)
	require.Equal(t, 1, b.kind["dk.stofstrom.flow.arrived.v1"])
	require.EqualValues(t, 510_000, b.sum)
}

func TestAFactRecordedTwiceIsNotMovedOntoItself(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(2)
	w.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
	// Another instance let the same ticket through, in another ledger.
	done, err := l.Log.Append(t.Context(), "ledger-dk-p-1000001-202603", eventlog.NoStream(), []eventlog.Proposed{encoded(t, load(1, 1, 5))})
	require.NoError(t, err)
	w.eventually(func() bool { return w.index.Position().Compare(done.Position) >= 0 })
	f := w.refused(correct(load(0, 1, 5), "wrong facility"), fault.Conflict)
	require.Contains(t, f.Error(), "recorded twice")
	w.ok(record(load(0, 1, 5)), ledger.StatusAlreadyRecorded)
	w.ok(record(load(1, 1, 5)), ledger.StatusAlreadyRecorded)
	w.ok(cancelItem(load(1, 1, 5), "recorded twice"), ledger.StatusCancelled)
	require.EqualValues(t, 5000, read(t, l).sum)
}

func TestMoveOfAnInstanceThatDied(t *testing.T) {
	l := newLog()
	a, b := start(t, options{log: l, config: intake.Config{RetryLog: time.Hour}}), start(t, options{log: l})
	a.plants(1)
	a.ok(record(load(0, 1, 500)), ledger.StatusRecorded)
	l.before = func(_ context.Context, stream string, _ []eventlog.Proposed) error {
		if stream == "ledger-dk-p-1000000-202602" {
			return fmt.Errorf("%w: dies in between", eventlog.ErrUnavailable)
		}
		return nil
	}
	r := a.ok(correct(on(load(0, 1, 500), 2026, time.February, 1), "wrong month"), ledger.StatusMoved)
	l.before = nil
	b.eventually(func() bool { return b.index.Position().Compare(r.Position) >= 0 })
	// The other instance, which was up all the time, notes the arrival when
	// the fact is touched.
	b.ok(correct(on(load(0, 1, 510), 2026, time.February, 1), "typing error"), ledger.StatusCorrected)
	books := read(t, l)
	require.Equal(t, 1, books.kind["dk.stofstrom.flow.arrived.v1"])
	require.EqualValues(t, 510_000, books.sum)
}

func TestArrivalIsNotedAtStart(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l, config: intake.Config{RetryLog: time.Hour}})
	w.plants(1)
	w.ok(record(load(0, 1, 500)), ledger.StatusRecorded)
	l.before = func(_ context.Context, stream string, _ []eventlog.Proposed) error {
		if stream == "ledger-dk-p-1000000-202602" {
			return eventlog.ErrUnavailable
		}
		return nil
	}
	w.ok(correct(on(load(0, 1, 500), 2026, time.February, 1), "wrong month"), ledger.StatusMoved)
	w.stop()
	l.before = nil
	w = start(t, options{log: l})
	w.eventually(func() bool { return w.metric("stofstrom_intake_events_total", "kind=arrived") == 1 })
	require.Equal(t, 1, read(t, l).kind["dk.stofstrom.flow.arrived.v1"])
}

func TestRandomFaultsRecordEachIdentityOnce(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			l := newLog()
			w := start(t, options{log: l, config: intake.Config{MaxAppendEvents: 7, CacheBytes: 4 << 10}})
			w.plants(4)
			failures := flaky(l, seed, 0.15)
			const callers, tickets = 16, 120
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, uint64(c)))
					for range tickets {
						ticket := rng.IntN(tickets)
						// The mass follows from the ticket, the ledger does not.
						fact := load(rng.IntN(4), ticket, int64(ticket+1))
						if rng.IntN(4) == 0 {
							fact = on(fact, 2026, time.February, 3)
						}
						items := []intake.Item{record(fact)}
						if rng.IntN(3) == 0 {
							items = append(items, record(load(rng.IntN(4), rng.IntN(tickets), 1000)))
							fact2 := ledger.Subject(items[1].Command)
							items[1] = record(load(rng.IntN(4), number(fact2), int64(number(fact2)+1)))
						}
						for _, r := range w.Submit(context.Background(), items) {
							switch fault.KindOf(r.Err) {
							case fault.Unavailable, fault.Conflict:
							default:
								if r.Err != nil {
									t.Errorf("ticket %d: %v", ticket, r.Err)
								}
							}
						}
					}
				})
			}
			wg.Wait()
			// Every ticket is sent until its outcome is known.
			want := mass.Grams(0)
			for ticket := range tickets {
				r := w.untilKnown(record(load(0, ticket, int64(ticket+1))))
				require.True(t, r.Err == nil || fault.KindOf(r.Err) == fault.Conflict, "%v", r.Err)
				want += mass.Grams(ticket+1) * 1000
			}
			b := read(t, l)
			require.Positive(t, failures.Load())
			require.Len(t, b.live, tickets)
			for id, n := range b.live {
				require.Equal(t, 1, n, id)
			}
			require.Equal(t, want, b.sum)
		})
	}
}

func number(id flow.Identity) int {
	var n int
	if _, err := fmt.Sscanf(id.ExternalID, "ticket-%d", &n); err != nil {
		panic(err)
	}
	return n
}

func TestTwoInstancesOnOneLog(t *testing.T) {
	l := newLog()
	a, b := start(t, options{log: l}), start(t, options{log: l})
	a.plants(3)
	end, err := l.End(t.Context())
	require.NoError(t, err)
	b.eventually(func() bool { return b.index.Position().Compare(end) >= 0 })

	var wg sync.WaitGroup
	var recorded, conflicts atomic.Int64
	for c := range 16 {
		w := a
		if c%2 == 1 {
			w = b
		}
		wg.Go(func() {
			for i := range 60 {
				// Same ledger, same ticket; the two instances do not agree on every mass.
				r := w.untilKnown(record(load(i%3, i, int64(10+i%7*(c%2)))))
				switch {
				case r.Err == nil && r.Status == ledger.StatusRecorded:
					recorded.Add(1)
				case fault.KindOf(r.Err) == fault.Conflict && r.Err != nil:
					conflicts.Add(1)
				case r.Err != nil:
					t.Errorf("ticket %d: %v", i, r.Err)
				}
			}
		})
	}
	wg.Wait()
	books := read(t, l)
	require.Len(t, books.live, 60)
	for id, n := range books.live {
		require.Equal(t, 1, n, id)
	}
	require.Positive(t, conflicts.Load())
	// What an instance answered is what the log holds.
	for i := range 60 {
		for c, w := range []*world{a, b} {
			fact := load(i%3, i, int64(10+i%7*c))
			r := w.untilKnown(record(fact))
			holds := books.mass[fact.Identity] == fact.Mass.Net
			require.Equal(t, holds, r.Err == nil, "ticket %d: %v", i, r.Err)
		}
	}
}

func TestWhatAnInstanceAcknowledgesIsInTheLog(t *testing.T) {
	// Two instances decide the same ticket with different masses on the same
	// revision; the log must not take the second for a repetition of the first.
	l := newLog()
	a, b := start(t, options{log: l}), start(t, options{log: l})
	a.plants(1)
	end, err := l.End(t.Context())
	require.NoError(t, err)
	b.eventually(func() bool { return b.index.Position().Compare(end) >= 0 })
	var other intake.Result
	var overtaken atomic.Bool
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		if !overtaken.Swap(true) {
			other = b.Submit(context.Background(), []intake.Item{record(load(0, 1, 20))})[0]
		}
		return nil
	}
	mine := a.submit(record(load(0, 1, 10)))
	require.NoError(t, other.Err)
	require.Equal(t, fault.Conflict, fault.KindOf(mine.Err), "got status %q", mine.Status)
	require.EqualValues(t, 20_000, read(t, l).sum)
}

func TestKnownToAnotherInstanceIsAConflictHere(t *testing.T) {
	l := newLog()
	a, b := start(t, options{log: l}), start(t, options{log: l})
	a.plants(2)
	r := a.ok(record(load(0, 1, 5)), ledger.StatusRecorded)
	b.eventually(func() bool { return b.index.Position().Compare(r.Position) >= 0 })
	f := b.refused(record(load(1, 1, 5)), fault.Conflict)
	require.Contains(t, f.Error(), r.Ledger)
	b.ok(record(load(0, 1, 5)), ledger.StatusAlreadyRecorded)
	require.False(t, errors.Is(f, context.Canceled))
}
