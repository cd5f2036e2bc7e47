package eventlogtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

func appendRoundTrip(t *testing.T, l fixture) {
	t.Helper()
	stream := l.stream("ledger", 202601)
	events := propose(3)
	events[1].Meta = nil
	events[2].Data = nil
	l.append(t, stream, eventlog.NoStream(), events...)
	requireRecorded(t, stream, 0, events, l.read(t, stream))
}

func appendRun(t *testing.T, l fixture) {
	t.Helper()
	stream := l.stream("ledger", 202601)
	first, second := propose(5), propose(7)
	a := l.append(t, stream, eventlog.NoStream(), first...)
	require.Equal(t, uint64(4), a.Revision)
	b := l.append(t, stream, eventlog.Exactly(4), second...)
	require.Equal(t, uint64(11), b.Revision)
	recorded := l.read(t, stream)
	requireRecorded(t, stream, 0, append(first, second...), recorded)
	require.Equal(t, a.Position, recorded[4].Position)
	require.Equal(t, b.Position, recorded[11].Position)
}

func appendBad(t *testing.T, l fixture) {
	t.Helper()
	stream := l.stream("ledger", 202601)
	noID, noType := propose(2), propose(2)
	noID[1].ID = uuid.Nil
	noType[1].Type = ""
	for name, try := range map[string]struct {
		stream string
		events []eventlog.Proposed
	}{
		"no stream name": {"", propose(1)},
		"no events":      {stream, nil},
		"no id":          {stream, noID},
		"no type":        {stream, noType},
	} {
		_, err := l.Append(l.ctx, try.stream, eventlog.Any(), try.events)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, eventlog.ErrUnavailable, name)
	}
	require.Empty(t, l.read(t, stream))
}

func appendTooLarge(t *testing.T, l fixture) {
	t.Helper()
	stream := l.stream("ledger", 202601)
	one := propose(1)
	one[0].Data = jsonOfSize(2 << 20)
	_, err := l.Append(l.ctx, stream, eventlog.NoStream(), one)
	require.ErrorIs(t, err, eventlog.ErrTooLarge)

	many := propose(40)
	for i := range many {
		many[i].Data = jsonOfSize(10 << 10) // escaped, six times as long
	}
	_, err = l.Append(l.ctx, stream, eventlog.NoStream(), many)
	require.ErrorIs(t, err, eventlog.ErrTooLarge)
	require.Empty(t, l.read(t, stream), "a refused append left something behind")
}

func appendLarge(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	events := propose(2)
	events[0].Data = jsonOfSize(80 << 10) // escaped, six times as long
	l.append(t, stream, eventlog.NoStream(), events...)
	requireRecorded(t, stream, 0, events, l.read(t, stream))
}

func appendCancelled(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	ctx, cancel := context.WithCancel(l.ctx)
	cancel()
	_, err := l.Append(ctx, stream, eventlog.NoStream(), propose(1))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, eventlog.ErrUnavailable, "its outcome is not known")
}

func expectNoStream(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	l.append(t, stream, eventlog.NoStream(), propose(2)...)
	_, err := l.Append(l.ctx, stream, eventlog.NoStream(), propose(1))
	requireWrong(t, err, stream, eventlog.NoStream(), eventlog.Exactly(1))
	require.Len(t, l.read(t, stream), 2)
}

func expectExactly(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	_, err := l.Append(l.ctx, stream, eventlog.Exactly(0), propose(1))
	requireWrong(t, err, stream, eventlog.Exactly(0), eventlog.NoStream())

	l.append(t, stream, eventlog.NoStream(), propose(3)...)
	for _, wrong := range []uint64{0, 1, 3, 4, 1 << 40} {
		_, err := l.Append(l.ctx, stream, eventlog.Exactly(wrong), propose(1))
		requireWrong(t, err, stream, eventlog.Exactly(wrong), eventlog.Exactly(2))
	}
	done := l.append(t, stream, eventlog.Exactly(2), propose(1)...)
	require.Equal(t, uint64(3), done.Revision)
	require.Len(t, l.read(t, stream), 4)
}

func expectAny(t *testing.T, l fixture) {
	stream := l.stream("facility", 1)
	require.Equal(t, uint64(0), l.append(t, stream, eventlog.Any(), propose(1)...).Revision)
	require.Equal(t, uint64(2), l.append(t, stream, eventlog.Any(), propose(2)...).Revision)
	require.Len(t, l.read(t, stream), 3)
}

func retryNoStream(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	events := propose(4)
	done := l.append(t, stream, eventlog.NoStream(), events...)
	require.Equal(t, done, l.append(t, stream, eventlog.NoStream(), events...))
	l.append(t, stream, eventlog.Exactly(3), propose(2)...)
	require.Equal(t, done, l.append(t, stream, eventlog.NoStream(), events...))
	require.Len(t, l.read(t, stream), 6)
}

func retryExactly(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	l.append(t, stream, eventlog.NoStream(), propose(3)...)
	events := propose(2)
	done := l.append(t, stream, eventlog.Exactly(2), events...)
	require.Equal(t, done, l.append(t, stream, eventlog.Exactly(2), events...))
	l.append(t, stream, eventlog.Exactly(4), propose(5)...)
	require.Equal(t, done, l.append(t, stream, eventlog.Exactly(2), events...))
	require.Len(t, l.read(t, stream), 10)
}

func retryPartial(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	events := propose(3)
	l.append(t, stream, eventlog.NoStream(), events...)
	more := append(append([]eventlog.Proposed{}, events...), propose(1)...)
	_, err := l.Append(l.ctx, stream, eventlog.NoStream(), more)
	requireWrong(t, err, stream, eventlog.NoStream(), eventlog.Exactly(2))
	other := append(append([]eventlog.Proposed{}, events[:2]...), propose(1)...)
	_, err = l.Append(l.ctx, stream, eventlog.NoStream(), other)
	requireWrong(t, err, stream, eventlog.NoStream(), eventlog.Exactly(2))
	require.Len(t, l.read(t, stream), 3)
}

func writersApart(t *testing.T, l fixture) {
	const writers, appends = 16, 20
	var wg sync.WaitGroup
	sent := make([][]eventlog.Proposed, writers)
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			expected := eventlog.NoStream()
			for i := range appends {
				events := propose(1 + i%3)
				done, err := l.Append(l.ctx, l.stream("ledger", w), expected, events)
				if err != nil {
					errs[w] = err
					return
				}
				sent[w] = append(sent[w], events...)
				expected = eventlog.Exactly(done.Revision)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	all := collect(t, l.ReadAll(l.ctx, l.start, l.mine("ledger")))
	requireOrdered(t, all)
	byStream := map[string][]eventlog.Recorded{}
	for _, e := range all {
		byStream[e.Stream] = append(byStream[e.Stream], e)
	}
	for w := range writers {
		requireRecorded(t, l.stream("ledger", w), 0, sent[w], byStream[l.stream("ledger", w)])
	}
}

func writersTogether(t *testing.T, l fixture) {
	const writers, rounds = 8, 15
	stream := l.stream("ledger", 202601)
	l.append(t, stream, eventlog.NoStream(), propose(1)...)
	for round := range rounds {
		expected := eventlog.Exactly(uint64(round))
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for w := range writers {
			wg.Go(func() { _, errs[w] = l.Append(l.ctx, stream, expected, propose(1)) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			var wrong *eventlog.WrongRevision
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, expected, wrong.Expected)
		}
		require.Equal(t, 1, won, "winners at revision %d", round+1)
	}
	requireOrdered(t, l.read(t, stream))
	require.Len(t, l.read(t, stream), rounds+1)
}
