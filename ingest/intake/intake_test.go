package intake_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

func TestRecordedOnceHoweverOftenSent(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	first := w.ok(record(load(0, 1, 500)), ledger.StatusRecorded)
	require.Equal(t, "ledger-dk-p-1000000-202603", first.Ledger)
	require.NotZero(t, first.Position)

	again := w.ok(record(load(0, 1, 500)), ledger.StatusAlreadyRecorded)
	require.Equal(t, first.FactID, again.FactID)
	require.Equal(t, first.EventID, again.EventID)

	both := w.Submit(t.Context(), []intake.Item{record(load(0, 2, 7)), record(load(0, 2, 7))})
	require.Equal(t, ledger.StatusRecorded, both[0].Status)
	require.Equal(t, ledger.StatusAlreadyRecorded, both[1].Status, "twice within one submission")

	b := read(t, w.log)
	require.Equal(t, 2, len(b.live))
	require.EqualValues(t, 507_000, b.sum)
}

func TestErrConflictOnOtherContent(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	w.ok(record(load(0, 1, 500)), ledger.StatusRecorded)
	f := w.refused(record(load(0, 1, 501)), fault.Conflict)
	require.NotEmpty(t, f.Violations)
	require.Contains(t, f.Error(), "mass")
	require.EqualValues(t, 500_000, read(t, w.log).sum)
}

func TestErrConflictNamesTheOtherLedger(t *testing.T) {
	w := start(t, options{})
	w.plants(2)
	w.ok(record(load(0, 1, 500)), ledger.StatusRecorded)

	f := w.refused(record(on(load(0, 1, 500), 2026, time.February, 1)), fault.Conflict)
	require.Contains(t, f.Error(), "ledger-dk-p-1000000-202603", "another month")
	f = w.refused(record(load(1, 1, 500)), fault.Conflict)
	require.Contains(t, f.Error(), "ledger-dk-p-1000000-202603", "another facility")

	both := w.Submit(t.Context(), []intake.Item{record(load(0, 2, 7)), record(load(1, 2, 7))})
	require.NoError(t, both[0].Err)
	require.Equal(t, fault.Conflict, fault.KindOf(both[1].Err), "in two ledgers within one submission")
	require.EqualValues(t, 507_000, read(t, w.log).sum)
}

func TestErrRuleBroken(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	f := w.refused(record(load(0, 1, -1)), fault.Invalid)
	require.Equal(t, flow.RuleMassNotPositive, f.Violations[0].Rule)
	require.Equal(t, "mass.value", f.Violations[0].Field)
	f = w.refused(record(load(7, 1, 1)), fault.Invalid)
	require.Equal(t, flow.RuleFacilityUnknown, f.Violations[0].Rule)
	require.Empty(t, read(t, w.log).live)
}

func TestCorrectedAndCancelledWithAReason(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	w.ok(record(load(0, 1, 500)), ledger.StatusRecorded)
	w.refused(correct(load(0, 1, 600), ""), fault.Invalid)
	w.ok(correct(load(0, 1, 600), "typing error"), ledger.StatusCorrected)
	w.ok(correct(load(0, 1, 600), "typing error"), ledger.StatusAlreadyRecorded)
	require.EqualValues(t, 600_000, read(t, w.log).sum)

	w.ok(cancelItem(load(0, 1, 0), "never came"), ledger.StatusCancelled)
	w.ok(cancelItem(load(0, 1, 0), "never came"), ledger.StatusAlreadyRecorded)
	w.refused(record(load(0, 1, 600)), fault.Cancelled)
	f := w.refused(record(on(load(0, 1, 600), 2026, time.January, 3)), fault.Cancelled)
	require.Contains(t, f.Error(), "202603", "in another month too")
	require.Zero(t, read(t, w.log).sum)
	w.refused(cancelItem(load(0, 99, 0), "unknown"), fault.NotFound)
}

func TestReplacedThereAndBack(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	a, b := load(0, 1, 500), load(0, 2, 501)
	replace := func(by, of flow.Fact) intake.Item {
		return intake.Item{Command: ledger.Replace{Fact: by, Replaces: of.Identity, Reason: "the file changed"}}
	}
	w.ok(record(a), ledger.StatusRecorded)
	w.ok(replace(b, a), ledger.StatusCorrected)
	require.EqualValues(t, 501_000, read(t, w.log).sum)
	w.refused(record(a), fault.Conflict)
	w.ok(replace(a, b), ledger.StatusCorrected)
	w.ok(replace(b, a), ledger.StatusCorrected)
	w.ok(replace(a, b), ledger.StatusCorrected)
	books := read(t, w.log)
	require.EqualValues(t, 500_000, books.sum)
	require.Equal(t, 1, books.live[a.Identity])
	require.Equal(t, 0, books.live[b.Identity])

	var live []string
	for l, err := range w.Scope(t.Context(), "org-1", "weighbridge") {
		require.NoError(t, err)
		live = append(live, l.Identity.ExternalID)
	}
	require.Equal(t, []string{"ticket-1"}, live)
}

func TestMovedOnceWithAReason(t *testing.T) {
	w := start(t, options{})
	w.plants(2)
	w.ok(record(load(0, 1, 500)), ledger.StatusRecorded)
	february := on(load(0, 1, 500), 2026, time.February, 1)
	r := w.ok(correct(february, "wrong month"), ledger.StatusMoved)
	require.Equal(t, "ledger-dk-p-1000000-202602", r.Ledger)

	entry, found, err := w.Lookup(t.Context(), february.Identity)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, r.Ledger, entry.Ledger)
	w.ok(record(february), ledger.StatusAlreadyRecorded)
	w.ok(correct(february, "wrong month"), ledger.StatusAlreadyRecorded)
	w.refused(record(load(0, 1, 500)), fault.Conflict)

	// To another facility, corrected there, and back to where it began.
	w.ok(correct(load(1, 1, 510), "wrong facility"), ledger.StatusMoved)
	w.ok(correct(load(1, 1, 520), "typing error"), ledger.StatusCorrected)
	w.ok(correct(load(0, 1, 520), "right after all"), ledger.StatusMoved)
	w.ok(record(load(0, 1, 520)), ledger.StatusAlreadyRecorded)
	b := read(t, w.log)
	require.EqualValues(t, 520_000, b.sum)
	require.Equal(t, 1, b.live[february.Identity])
	require.Equal(t, 3, b.kind["dk.stofstrom.flow.arrived.v1"])
}

func TestClosedMonthTakesLateFactsAndKeepsItsDigest(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	january := func(ticket int) flow.Fact { return on(load(0, ticket, 100), 2026, time.January, 5) }
	w.ok(record(january(1)), ledger.StatusRecorded)
	closing := intake.Item{Command: ledger.Close{}, Ledger: ledger.Key{Facility: plant(0), Period: "202601"}}
	results := w.Submit(t.Context(), []intake.Item{record(january(2)), closing, record(january(3))})
	for _, r := range results {
		require.NoError(t, r.Err)
	}
	require.Equal(t, ledger.StatusClosed, results[1].Status)
	require.NotEmpty(t, results[2].Warnings, "a late fact is recorded with a warning")
	w.ok(closing, ledger.StatusAlreadyRecorded)
	require.EqualValues(t, 300_000, read(t, w.log).sum)
}

func TestManyCallersOfOneLedgerRecordEachTicketOnce(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	const callers, each = 64, 50
	var wg sync.WaitGroup
	recorded := make([]int, callers)
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				// Every ticket is sent by two callers, at about the same time.
				r := w.submit(record(load(0, (c/2)*each+i, 10)))
				if r.Err != nil {
					t.Errorf("ticket %d: %v", i, r.Err)
				}
				if r.Status == ledger.StatusRecorded {
					recorded[c]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range recorded {
		sum += n
	}
	require.Equal(t, callers*each/2, sum, "each ticket is recorded for exactly one of its two callers")
	b := read(t, w.log)
	require.Len(t, b.live, callers*each/2)
	require.EqualValues(t, callers*each/2*10_000, b.sum)
}

func TestWaitingItemsShareAnAppend(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		once.Do(func() { close(entered); <-gate })
		return nil
	}
	before := l.appends.Load()
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			if r := w.submit(record(load(0, c, 1))); r.Err != nil {
				t.Errorf("ticket %d: %v", c, r.Err)
			}
		})
	}
	<-entered
	w.eventually(func() bool { return w.metric("stofstrom_intake_queued_items") == 64 })
	close(gate)
	wg.Wait()
	require.Less(t, l.appends.Load()-before, int64(16), "the first takes what is there, the next take what came meanwhile")
}

func TestOneIdentityManyLedgersAtOnce(t *testing.T) {
	w := start(t, options{})
	w.plants(8)
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := range 40 {
				r := w.submit(record(load(c, i, 10)))
				if r.Err != nil && fault.KindOf(r.Err) != fault.Conflict {
					t.Errorf("ticket %d at plant %d: %v", i, c, r.Err)
				}
			}
		})
	}
	wg.Wait()
	b := read(t, w.log)
	require.EqualValues(t, 40*10_000, b.sum)
	for id, n := range b.live {
		require.Equal(t, 1, n, id)
	}
}

func TestAnIdentityUnderWayIsWaitedForElsewhere(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(2)
	entered, gate := make(chan struct{}), make(chan struct{})
	l.before = func(_ context.Context, stream string, _ []eventlog.Proposed) error {
		if stream == "ledger-dk-p-1000000-202603" {
			close(entered)
			<-gate
			return nil
		}
		return errors.New("the other ledger decided while the first append was under way")
	}
	first, second := make(chan intake.Result, 1), make(chan []intake.Result, 1)
	go func() { first <- w.Submit(context.Background(), []intake.Item{record(load(0, 1, 1))})[0] }()
	<-entered
	// The second caller also sends another ticket, whose answer shows that
	// the ledger has had its turn.
	go func() {
		second <- w.Submit(context.Background(), []intake.Item{record(load(1, 1, 1)), record(load(7, 2, 1))})
	}()
	w.eventually(func() bool { return w.metric("stofstrom_intake_items_total", "result=invalid") == 1 })
	close(gate)
	require.NoError(t, (<-first).Err)
	require.Equal(t, fault.Conflict, fault.KindOf((<-second)[0].Err))
}

func TestCancelledCallerLeavesNothingHalfDone(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		once.Do(func() { close(entered); <-gate })
		return nil
	}
	first := make(chan intake.Result, 1)
	go func() { first <- w.Submit(context.Background(), []intake.Item{record(load(0, 1, 1))})[0] }()
	<-entered

	// The second waits behind the first append; the caller goes away.
	ctx, cancel := context.WithCancel(context.Background())
	second := make(chan intake.Result, 1)
	go func() { second <- w.Submit(ctx, []intake.Item{record(load(0, 2, 1))})[0] }()
	cancel()
	require.ErrorIs(t, (<-second).Err, context.Canceled)

	// The first caller goes away as well: its append is under way and is waited for.
	close(gate)
	r := <-first
	require.NoError(t, r.Err)
	require.Equal(t, ledger.StatusRecorded, r.Status)
	w.ok(record(load(0, 1, 1)), ledger.StatusAlreadyRecorded)
	w.ok(record(load(0, 2, 1)), ledger.StatusRecorded)
}

func TestErrBusyWhenTheQueueIsFull(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l, config: intake.Config{MaxQueued: 2}})
	w.plants(1)
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		once.Do(func() { close(entered); <-gate })
		return nil
	}
	done := make(chan []intake.Result, 1)
	go func() {
		done <- w.Submit(context.Background(), []intake.Item{record(load(0, 1, 1)), record(load(0, 2, 1))})
	}()
	<-entered
	w.refused(record(load(0, 3, 1)), fault.Unavailable)
	close(gate)
	for _, r := range <-done {
		require.NoError(t, r.Err)
	}
	w.ok(record(load(0, 3, 1)), ledger.StatusRecorded)
	require.Equal(t, fault.TooLarge, fault.KindOf(w.Submit(t.Context(), make([]intake.Item, 3))[0].Err))
}

func TestManyItemsAreCutIntoAppends(t *testing.T) {
	w := start(t, options{config: intake.Config{MaxAppendEvents: 10}})
	w.plants(1)
	before := w.log.appends.Load()
	items := make([]intake.Item, 95)
	for i := range items {
		items[i] = record(load(0, i, 1))
	}
	for i, r := range w.Submit(t.Context(), items) {
		require.NoError(t, r.Err)
		require.EqualValues(t, i, r.Revision, "in the order of submission")
	}
	require.EqualValues(t, 10, w.log.appends.Load()-before)
}

func TestErrorsOfTheLogReachTheCaller(t *testing.T) {
	for _, c := range []struct {
		cause error
		kind  fault.Kind
	}{{eventlog.ErrNoRoom, fault.NoRoom}, {eventlog.ErrTooLarge, fault.TooLarge}, {eventlog.ErrStreamDeleted, fault.Internal}} {
		t.Run(c.cause.Error(), func(t *testing.T) {
			l := newLog()
			w := start(t, options{log: l})
			w.plants(1)
			l.before = func(context.Context, string, []eventlog.Proposed) error { return fmt.Errorf("no: %w", c.cause) }
			f := w.refused(record(load(0, 1, 1)), c.kind)
			require.ErrorIs(t, f, c.cause)
			l.before = nil
			w.ok(record(load(0, 1, 1)), ledger.StatusRecorded)
		})
	}
}

func TestStoppedServiceRefuses(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	w.stop()
	w.refused(record(load(0, 1, 1)), fault.Unavailable)
}

func TestLookupOfEvents(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	w.ok(record(load(0, 1, 1)), ledger.StatusRecorded)
	r := w.ok(record(load(0, 2, 1)), ledger.StatusRecorded)
	at, found, err := w.Event(t.Context(), r.EventID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, index.Place{Stream: r.Ledger, Revision: 1}, at)
	_, found, err = w.Lookup(t.Context(), load(0, 3, 1).Identity)
	require.NoError(t, err)
	require.False(t, found)
	require.False(t, errors.Is(err, context.Canceled))
}

func TestAppendsAreCutByBytes(t *testing.T) {
	l := newLog()
	largest := 0
	w := start(t, options{log: l, config: intake.Config{MaxAppendBytes: 8 << 10}})
	w.plants(1)
	l.before = func(_ context.Context, _ string, events []eventlog.Proposed) error {
		size := 0
		for _, e := range events {
			size += len(e.Data) + len(e.Meta) + len(e.Type) + 256
		}
		largest = max(largest, size)
		return nil
	}
	items := make([]intake.Item, 60)
	for i := range items {
		items[i] = record(load(0, i, 1))
	}
	for _, r := range w.Submit(t.Context(), items) {
		require.NoError(t, r.Err)
	}
	require.LessOrEqual(t, largest, 8<<10)
	require.Greater(t, largest, 6<<10, "they are filled")
	require.EqualValues(t, 60_000, read(t, l).sum)
}

func TestALogThatTakesLessGetsSmallerAppends(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	l.before = func(_ context.Context, _ string, events []eventlog.Proposed) error {
		if len(events) > 3 {
			return eventlog.ErrTooLarge
		}
		return nil
	}
	items := make([]intake.Item, 50)
	for i := range items {
		items[i] = record(load(0, i, 1))
	}
	for i, r := range w.Submit(t.Context(), items) {
		require.NoError(t, r.Err)
		require.EqualValues(t, i, r.Revision)
	}
}

func TestStoppingFinishesWhatIsUnderWay(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		once.Do(func() { close(entered); <-gate })
		return nil
	}
	results := make(chan intake.Result, 2)
	submit := func(ticket int) {
		results <- w.Submit(context.Background(), []intake.Item{record(load(0, ticket, 1))})[0]
	}
	go submit(1)
	<-entered
	go submit(2)
	w.eventually(func() bool { return w.metric("stofstrom_intake_queued_items") == 2 })
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	waiting := <-results
	require.Equal(t, fault.Unavailable, fault.KindOf(waiting.Err), "what only waited is refused")
	close(gate)
	finished := <-results
	require.NoError(t, finished.Err)
	<-stopped
	require.EqualValues(t, 1000, read(t, l).sum)
}
