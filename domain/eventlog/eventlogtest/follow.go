package eventlogtest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// follow opens a subscription that is closed with the test.
func (l fixture) follow(t *testing.T, after eventlog.Position, f eventlog.Filter) eventlog.Subscription {
	t.Helper()
	sub, err := l.Follow(l.ctx, after, f)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sub.Close()) })
	return sub
}

// next takes batches until done says so and returns all of their events.
func (l fixture) next(t *testing.T, sub eventlog.Subscription, done func(all []eventlog.Recorded, b eventlog.Batch) bool) (all []eventlog.Recorded, last eventlog.Batch) {
	t.Helper()
	var checkpoint eventlog.Position
	for {
		b, err := sub.Next(l.ctx)
		require.NoError(t, err)
		require.GreaterOrEqual(t, b.Checkpoint.Compare(checkpoint), 0, "the checkpoint went back")
		checkpoint = b.Checkpoint
		all = append(all, b.Events...)
		if n := len(b.Events); n > 0 {
			require.GreaterOrEqual(t, b.Checkpoint.Compare(b.Events[n-1].Position), 0, "the checkpoint does not cover the batch")
		}
		if done(all, b) {
			return all, b
		}
	}
}

func count(n int) func([]eventlog.Recorded, eventlog.Batch) bool {
	return func(all []eventlog.Recorded, _ eventlog.Batch) bool { return len(all) >= n }
}

func caughtUp(_ []eventlog.Recorded, b eventlog.Batch) bool { return b.CaughtUp }

func followLive(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	old := propose(20)
	l.append(t, stream, eventlog.NoStream(), old...)
	sub := l.follow(t, l.start, l.mine("ledger"))
	got, _ := l.next(t, sub, count(20))
	requireRecorded(t, stream, 0, old, got)

	// What comes later arrives, also after a wait at the end.
	for i := range 5 {
		live := propose(3)
		l.append(t, stream, eventlog.Exactly(uint64(19+3*i)), live...)
		got, _ := l.next(t, sub, count(3))
		requireRecorded(t, stream, uint64(20+3*i), live, got)
	}
	again := l.follow(t, l.start, l.mine("ledger"))
	got, last := l.next(t, again, caughtUp)
	require.Len(t, got, 35, "caught up before everything was delivered")
	require.True(t, last.CaughtUp)
}

func followResume(t *testing.T, l fixture) {
	all := scatter(t, l, "ledger", 3, 12)
	for i, e := range all {
		sub, err := l.Follow(l.ctx, e.Position, l.mine("ledger"))
		require.NoError(t, err)
		got, last := l.next(t, sub, caughtUp)
		require.Equal(t, ids(all[i+1:]), ids(got), "after event %d", i)
		require.NoError(t, sub.Close())

		resumed := l.follow(t, last.Checkpoint, l.mine("ledger"))
		got, _ = l.next(t, resumed, caughtUp)
		require.Empty(t, got, "a checkpoint that covers everything")
	}
}

func followFilter(t *testing.T, l fixture) {
	sub := l.follow(t, l.start, l.mine("areas", "facility"))
	scatter(t, l, "ledger", 2, 10)
	facilities := scatter(t, l, "facility", 2, 4)
	scatter(t, l, "ledger-x", 2, 4)
	areas := scatter(t, l, "areas", 1, 2)
	want := append(ids(facilities), ids(areas)...)
	got, _ := l.next(t, sub, count(len(want)))
	require.Equal(t, want, ids(got))

	nothing := l.follow(t, l.start, l.mine("nothing"))
	none, _ := l.next(t, nothing, caughtUp)
	require.Empty(t, none)
}

func followWriters(t *testing.T, l fixture) {
	const writers, appends = 8, 25
	sub := l.follow(t, l.start, l.mine("ledger"))
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			expected := eventlog.NoStream()
			for range appends {
				done, err := l.Append(l.ctx, l.stream("ledger", w), expected, propose(2))
				if err != nil {
					errs <- err
					return
				}
				expected = eventlog.Exactly(done.Revision)
			}
		})
	}
	got, _ := l.next(t, sub, count(writers*appends*2))
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
	requireOrdered(t, got)
	require.Equal(t, ids(collect(t, l.ReadAll(l.ctx, l.start, l.mine("ledger")))), ids(got))
}

func followNextContext(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	sub := l.follow(t, l.start, l.mine("ledger"))
	l.next(t, sub, caughtUp)
	ctx, cancel := context.WithCancel(l.ctx)
	waiting := make(chan error, 1)
	go func() {
		for {
			if _, err := sub.Next(ctx); err != nil {
				waiting <- err
				return
			}
		}
	}()
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)

	events := propose(2)
	l.append(t, stream, eventlog.NoStream(), events...)
	got, _ := l.next(t, sub, count(2))
	requireRecorded(t, stream, 0, events, got)
}

func followEnds(t *testing.T, l fixture) {
	l.append(t, l.stream("ledger", 202601), eventlog.NoStream(), propose(1)...)
	sub, err := l.Follow(l.ctx, l.start, l.mine("ledger"))
	require.NoError(t, err)
	waiting := make(chan error, 1)
	go func() {
		for {
			if _, err := sub.Next(l.ctx); err != nil {
				waiting <- err
				return
			}
		}
	}()
	require.NoError(t, sub.Close())
	require.NoError(t, sub.Close())
	require.ErrorIs(t, <-waiting, eventlog.ErrClosed)
	_, err = sub.Next(l.ctx)
	require.ErrorIs(t, err, eventlog.ErrClosed)

	ctx, cancel := context.WithCancel(l.ctx)
	bound, err := l.Follow(ctx, l.start, l.mine("ledger"))
	require.NoError(t, err)
	cancel()
	for err == nil {
		_, err = bound.Next(l.ctx)
	}
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, bound.Close())
	_, err = l.Follow(ctx, l.start, l.mine("ledger"))
	require.ErrorIs(t, err, context.Canceled)
}

func bigStream(t *testing.T, l fixture) {
	const appends, each = 40, 250
	stream := l.stream("ledger", 202601)
	var sent []eventlog.Proposed
	expected := eventlog.NoStream()
	for range appends {
		events := propose(each)
		sent = append(sent, events...)
		expected = eventlog.Exactly(l.append(t, stream, expected, events...).Revision)
	}
	requireRecorded(t, stream, 0, sent, l.read(t, stream))
	sub := l.follow(t, l.start, l.mine("ledger"))
	got, _ := l.next(t, sub, count(len(sent)))
	requireRecorded(t, stream, 0, sent, got)
}
