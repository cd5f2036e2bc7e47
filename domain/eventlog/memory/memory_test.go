package memory_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/eventlogtest"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
)

func TestLog(t *testing.T) {
	eventlogtest.Run(t, func(*testing.T) eventlog.Log { return memory.New(memory.Config{}) })
}

func one() []eventlog.Proposed {
	return []eventlog.Proposed{{ID: uuid.New(), Type: "t", Data: []byte(`{}`)}}
}

func read(t *testing.T, l *memory.Log, stream string) (all []eventlog.Recorded) {
	t.Helper()
	for e, err := range l.ReadStream(context.Background(), stream, 0) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestInjectedFaults(t *testing.T) {
	ctx, l := context.Background(), memory.New(memory.Config{})
	l.Inject(memory.FailBeforeStoring, memory.LoseAnswer, memory.NoRoom)
	events := one()
	_, err := l.Append(ctx, "a-1", eventlog.NoStream(), events)
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	require.Empty(t, read(t, l, "a-1"))

	_, err = l.Append(ctx, "a-1", eventlog.NoStream(), events)
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	require.Len(t, read(t, l, "a-1"), 1, "stored, but the answer lost")

	_, err = l.Append(ctx, "a-1", eventlog.NoStream(), events)
	require.ErrorIs(t, err, eventlog.ErrNoRoom)

	done, err := l.Append(ctx, "a-1", eventlog.NoStream(), events)
	require.NoError(t, err, "the retry finds its own events")
	require.Equal(t, uint64(0), done.Revision)
	require.Len(t, read(t, l, "a-1"), 1)
}

func TestClockNeverGoesBackwards(t *testing.T) {
	times := []time.Time{time.Unix(100, 0), time.Unix(50, 0), time.Unix(101, 0)}
	i := 0
	l := memory.New(memory.Config{Now: func() time.Time { i++; return times[i-1] }})
	for range times {
		_, err := l.Append(context.Background(), "a-1", eventlog.Any(), one())
		require.NoError(t, err)
	}
	events := read(t, l, "a-1")
	require.Equal(t, []int64{100, 100, 101}, []int64{events[0].RecordedAt.Unix(), events[1].RecordedAt.Unix(), events[2].RecordedAt.Unix()})
}

func TestTombstone(t *testing.T) {
	ctx, l := context.Background(), memory.New(memory.Config{})
	_, err := l.Append(ctx, "a-1", eventlog.Any(), one())
	require.NoError(t, err)
	l.Tombstone("a-1")
	_, err = l.Append(ctx, "a-1", eventlog.Any(), one())
	require.ErrorIs(t, err, eventlog.ErrStreamDeleted)
	for _, err := range l.ReadStream(ctx, "a-1", 0) {
		require.ErrorIs(t, err, eventlog.ErrStreamDeleted)
	}
}

func TestClose(t *testing.T) {
	ctx, l := context.Background(), memory.New(memory.Config{})
	sub, err := l.Follow(ctx, eventlog.Position{}, eventlog.Filter{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = l.Append(ctx, "a-1", eventlog.Any(), one())
	require.ErrorIs(t, err, eventlog.ErrClosed)
	_, err = l.End(ctx)
	require.ErrorIs(t, err, eventlog.ErrClosed)
	_, err = sub.Next(ctx)
	require.ErrorIs(t, err, eventlog.ErrClosed)
}

func TestStoredBytesAreTheLogsOwn(t *testing.T) {
	l := memory.New(memory.Config{})
	events := one()
	_, err := l.Append(context.Background(), "a-1", eventlog.Any(), events)
	require.NoError(t, err)
	events[0].Data[0] = 'x'
	require.Equal(t, `{}`, string(read(t, l, "a-1")[0].Data))
}
