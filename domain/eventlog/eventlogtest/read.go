package eventlogtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

func readStreamFrom(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	events := propose(12)
	l.append(t, stream, eventlog.NoStream(), events...)
	l.append(t, l.stream("ledger", 20260), eventlog.NoStream(), propose(2)...)
	for from := range events {
		got := collect(t, l.ReadStream(l.ctx, stream, uint64(from)))
		requireRecorded(t, stream, uint64(from), events[from:], got)
	}
}

func readStreamNothing(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	require.Empty(t, l.read(t, stream))
	l.append(t, stream, eventlog.NoStream(), propose(2)...)
	require.Empty(t, collect(t, l.ReadStream(l.ctx, stream, 2)))
	require.Empty(t, collect(t, l.ReadStream(l.ctx, stream, 1<<40)))
}

// scatter appends events to several streams in turn, one or a few at a time,
// and returns them in the order of the log.
func scatter(t *testing.T, l fixture, kind string, streams, appends int) []eventlog.Recorded {
	t.Helper()
	last := make([]eventlog.Expected, streams)
	for i := range last {
		last[i] = eventlog.NoStream()
	}
	for i := range appends {
		s := i % streams
		done := l.append(t, l.stream(kind, s), last[s], propose(1+i%3)...)
		last[s] = eventlog.Exactly(done.Revision)
	}
	all := collect(t, l.ReadAll(l.ctx, l.start, l.mine(kind)))
	requireOrdered(t, all)
	return all
}

func readAllAfter(t *testing.T, l fixture) {
	all := scatter(t, l, "ledger", 3, 30)
	require.Len(t, all, 60)
	for i, e := range all {
		rest := collect(t, l.ReadAll(l.ctx, e.Position, l.mine("ledger")))
		require.Equal(t, ids(all[i+1:]), ids(rest), "after event %d", i)
	}
}

func readAllEnds(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	l.append(t, stream, eventlog.NoStream(), propose(3)...)
	seen := 0
	for e, err := range l.ReadAll(l.ctx, l.start, l.mine("ledger")) {
		require.NoError(t, err)
		require.Equal(t, uint64(seen), e.Revision)
		seen++
		l.append(t, stream, eventlog.Exactly(uint64(2*seen+0)), propose(2)...)
	}
	require.Equal(t, 3, seen, "the read ran after its own appends")
}

func readFilters(t *testing.T, l fixture) {
	ledgers := scatter(t, l, "ledger", 2, 6)
	facilities := scatter(t, l, "facility", 2, 6)
	require.Equal(t, ids(ledgers), ids(collect(t, l.ReadAll(l.ctx, l.start, l.mine("ledger")))))
	both := collect(t, l.ReadAll(l.ctx, l.start, l.mine("facility", "ledger")))
	require.Equal(t, append(ids(ledgers), ids(facilities)...), ids(both))
	require.Empty(t, collect(t, l.ReadAll(l.ctx, l.start, l.mine("areas"))))

	one := collect(t, l.ReadAll(l.ctx, l.start, eventlog.Filter{StreamPrefixes: []string{l.stream("ledger", 1)}}))
	require.NotEmpty(t, one)
	for _, e := range one {
		require.Equal(t, l.stream("ledger", 1), e.Stream)
	}
	var mine int
	for _, e := range collect(t, l.ReadAll(l.ctx, l.start, eventlog.Filter{})) {
		if e.Stream == l.stream("ledger", 0) {
			mine++
		}
	}
	require.Len(t, l.read(t, l.stream("ledger", 0)), mine, "no filter passes everything")
}

func readStops(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	l.append(t, stream, eventlog.NoStream(), propose(50)...)
	for range 3 {
		n := 0
		for _, err := range l.ReadStream(l.ctx, stream, 0) {
			require.NoError(t, err)
			if n++; n == 7 {
				break
			}
		}
		require.Equal(t, 7, n)
	}
	for _, err := range l.ReadAll(l.ctx, l.start, l.mine("ledger")) {
		require.NoError(t, err)
		break
	}
}

func readCancelled(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	expected := eventlog.NoStream()
	for range 20 {
		done := l.append(t, stream, expected, propose(200)...)
		expected = eventlog.Exactly(done.Revision)
	}
	reads := map[string]func(ctx context.Context) ([]eventlog.Recorded, []error){
		"stream": func(ctx context.Context) ([]eventlog.Recorded, []error) {
			return drain(l.ReadStream(ctx, stream, 0))
		},
		"all": func(ctx context.Context) ([]eventlog.Recorded, []error) {
			return drain(l.ReadAll(ctx, l.start, l.mine("ledger")))
		},
	}
	for name, read := range reads {
		ctx, cancel := context.WithCancel(l.ctx)
		cancel()
		events, errs := read(ctx)
		require.Less(t, len(events), 4000, name)
		require.Len(t, errs, 1, "%s: an error is yielded once", name)
		require.ErrorIs(t, errs[0], context.Canceled, name)
	}
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	n := 0
	var last error
	for _, err := range l.ReadStream(ctx, stream, 0) {
		if last = err; err == nil {
			n++
		}
		cancel()
	}
	require.Less(t, n, 4000, "cancelled in the middle")
	require.ErrorIs(t, last, context.Canceled)
}

func drain(events func(func(eventlog.Recorded, error) bool)) (all []eventlog.Recorded, errs []error) {
	for e, err := range events {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, e)
	}
	return all, errs
}

func readEnd(t *testing.T, l fixture) {
	stream := l.stream("ledger", 202601)
	before := l.start
	expected := eventlog.NoStream()
	for range 5 {
		done := l.append(t, stream, expected, propose(2)...)
		expected = eventlog.Exactly(done.Revision)
		end, err := l.End(l.ctx)
		require.NoError(t, err)
		require.Positive(t, end.Compare(before))
		require.GreaterOrEqual(t, end.Compare(done.Position), 0, "the end lies before an append that was confirmed")
		before = end
	}
}
