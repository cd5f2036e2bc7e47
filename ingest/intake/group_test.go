package intake_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

func TestAGroupIsRecordedInOneAppendOrNotAtAll(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	before := w.log.appends.Load()
	group := []intake.Item{record(load(0, 3, 1)), record(load(0, 1, 1)), record(load(0, 2, 1))}
	for i, r := range w.SubmitAtomic(t.Context(), group) {
		require.NoError(t, r.Err)
		require.Equal(t, ledger.StatusRecorded, r.Status)
		require.NotZero(t, r.Position, i)
	}
	require.Equal(t, before+1, w.log.appends.Load())
	for _, r := range w.SubmitAtomic(t.Context(), group) {
		require.NoError(t, r.Err)
		require.Equal(t, ledger.StatusAlreadyRecorded, r.Status)
	}

	// The last one contradicts what is recorded: nothing of the group is.
	results := w.SubmitAtomic(t.Context(), []intake.Item{record(load(0, 4, 1)), cancelItem(load(0, 2, 1), "x"), record(load(0, 1, 7))})
	require.ErrorIs(t, results[0].Err, intake.ErrWithOthers)
	require.ErrorIs(t, results[1].Err, intake.ErrWithOthers)
	require.Equal(t, fault.Conflict, fault.KindOf(results[2].Err))
	require.Equal(t, before+1, w.log.appends.Load())
	// The ledger has forgotten what it was shown.
	for i, kg := range []int64{1, 9} {
		r := w.Submit(t.Context(), []intake.Item{record(load(0, []int{2, 4}[i], kg))})[0]
		require.NoError(t, r.Err)
		require.Equal(t, []ledger.Status{ledger.StatusAlreadyRecorded, ledger.StatusRecorded}[i], r.Status)
	}
}

func TestErrAGroupThatCannotBeOneAppend(t *testing.T) {
	w := start(t, options{config: intake.Config{MaxAppendEvents: 3}})
	w.plants(2)
	before := w.log.appends.Load()
	bad := load(0, 2, 0)
	for name, c := range map[string]struct {
		items []intake.Item
		kind  fault.Kind
		says  string
	}{
		"two months":     {[]intake.Item{record(load(0, 1, 1)), record(on(load(0, 2, 1), 2026, time.February, 3))}, fault.Invalid, "202602, ledger-dk-p-1000000-202603"},
		"two facilities": {[]intake.Item{record(load(0, 1, 1)), record(load(1, 2, 1))}, fault.Invalid, "ledger-dk-p-1000001-202603"},
		"twice the same": {[]intake.Item{record(load(0, 1, 1)), record(load(0, 1, 1))}, fault.Invalid, "about one fact"},
		"one is wrong":   {[]intake.Item{record(load(0, 1, 1)), record(bad)}, fault.Invalid, flow.RuleMassNotPositive},
		"too many":       {[]intake.Item{record(load(0, 1, 1)), record(load(0, 2, 1)), record(load(0, 3, 1)), record(load(0, 4, 1))}, fault.TooLarge, "at most 3"},
	} {
		t.Run(name, func(t *testing.T) {
			var all error
			for _, r := range w.SubmitAtomic(t.Context(), c.items) {
				require.Error(t, r.Err)
				require.Equal(t, c.kind, fault.KindOf(r.Err))
				all = errors.Join(all, r.Err)
			}
			require.ErrorContains(t, all, c.says)
		})
	}
	require.Equal(t, before, w.log.appends.Load())
}

// A correction that moves its fact needs two ledgers, and is refused with
// both named.
func TestErrAGroupMovesNothing(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	require.NoError(t, w.Submit(t.Context(), []intake.Item{record(load(0, 1, 1))})[0].Err)
	results := w.SubmitAtomic(t.Context(), []intake.Item{correct(on(load(0, 1, 1), 2026, time.February, 3), "wrong day")})
	require.ErrorContains(t, results[0].Err, "202602")
	require.ErrorContains(t, results[0].Err, "202603")
}

// Groups about the same facts, in any order, beside single items, never wait
// for each other for ever.
func TestGroupsAboutTheSameFactsAtOnce(t *testing.T) {
	w := start(t, options{})
	w.plants(2)
	var wg sync.WaitGroup
	for n := range 40 {
		wg.Go(func() {
			var items []intake.Item
			for i := range 10 {
				ticket := (i*7 + n) % 10
				items = append(items, record(load(n%2, ticket, 1)))
			}
			results := w.SubmitAtomic(t.Context(), items)
			for _, r := range results[1:] {
				require.Equal(t, results[0].Err == nil, r.Err == nil)
			}
			for _, r := range w.Submit(t.Context(), items[:1]) {
				require.True(t, r.Err == nil || fault.KindOf(r.Err) == fault.Conflict, "%v", r.Err)
			}
		})
	}
	wg.Wait()
	// All of them stand in the ledger of whoever came first.
	ledgers := map[string]bool{}
	for ticket := range 10 {
		e, found, err := w.Lookup(t.Context(), load(0, ticket, 1).Identity)
		require.NoError(t, err)
		require.True(t, found)
		ledgers[e.Ledger] = true
	}
	require.Len(t, ledgers, 1)
}

// The answer of the log is lost: nobody is told that the group is recorded,
// and sent again it is.
func TestAGroupInDoubtIsRecordedOnce(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	lost := make(chan struct{}, 1)
	lost <- struct{}{}
	l.after = func(string, []eventlog.Proposed) error {
		select {
		case <-lost:
			return eventlog.ErrUnavailable
		default:
			return nil
		}
	}
	group := []intake.Item{record(load(0, 1, 1)), record(load(0, 2, 1))}
	for _, r := range w.SubmitAtomic(t.Context(), group) {
		require.Equal(t, fault.Unavailable, fault.KindOf(r.Err))
	}
	require.Eventually(t, func() bool {
		for _, r := range w.SubmitAtomic(t.Context(), group) {
			if r.Err != nil {
				require.Equal(t, fault.Unavailable, fault.KindOf(r.Err))
				return false
			}
			require.Equal(t, ledger.StatusAlreadyRecorded, r.Status)
		}
		return true
	}, 10*time.Second, time.Millisecond)
}

func TestAGroupWhoseCallerHasGoneIsAllOrNothing(t *testing.T) {
	l := newLog()
	w := start(t, options{log: l})
	w.plants(1)
	entered, let := make(chan struct{}, 10), make(chan struct{})
	l.before = func(context.Context, string, []eventlog.Proposed) error {
		entered <- struct{}{}
		<-let
		return nil
	}
	done := make(chan []intake.Result, 2)
	go func() { done <- w.Submit(context.Background(), []intake.Item{record(load(0, 1, 1))}) }()
	<-entered // the ledger is busy: the group waits behind it
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- w.SubmitAtomic(ctx, []intake.Item{record(load(0, 2, 1)), record(load(0, 3, 1))}) }()
	cancel()
	for _, r := range <-done {
		require.ErrorIs(t, r.Err, context.Canceled)
	}
	close(let)
	require.NoError(t, (<-done)[0].Err)
	l.before = nil
	require.Equal(t, ledger.StatusRecorded, w.Submit(t.Context(), []intake.Item{record(load(0, 2, 1))})[0].Status)
}
