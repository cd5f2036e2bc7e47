package eventstore

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

func requireCode(t testing.TB, err error, code esdb.ErrorCode) {
	t.Helper()
	require.Error(t, err)
	var target *esdb.Error
	require.ErrorAs(t, err, &target)
	require.Equal(t, code, target.Code(), "%v", err)
}

func expect(e esdb.ExpectedRevision) esdb.AppendToStreamOptions {
	return esdb.AppendToStreamOptions{ExpectedRevision: e}
}

func TestExpectedRevisions(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	cases := []struct {
		name     string
		existing int
		expected esdb.ExpectedRevision
		ok       bool
	}{
		{"any on nothing", 0, esdb.Any{}, true},
		{"any on events", 3, esdb.Any{}, true},
		{"no stream on nothing", 0, esdb.NoStream{}, true},
		{"no stream on events", 3, esdb.NoStream{}, false},
		{"stream exists on nothing", 0, esdb.StreamExists{}, false},
		{"stream exists on events", 3, esdb.StreamExists{}, true},
		{"revision on nothing", 0, esdb.Revision(0), false},
		{"the last revision", 3, esdb.Revision(2), true},
		{"an older revision", 3, esdb.Revision(1), false},
		{"a revision to come", 3, esdb.Revision(3), false},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			stream := fmt.Sprintf("case-%d", i)
			if c.existing > 0 {
				_, err := client.AppendToStream(ctx, stream, expect(esdb.NoStream{}), newEvents(c.existing)...)
				require.NoError(t, err)
			}
			result, err := client.AppendToStream(ctx, stream, expect(c.expected), newEvents(2)...)
			if !c.ok {
				requireCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, c.existing+1, result.NextExpectedVersion)
		})
	}
}

// TestRetries repeats appends in every way the protocol allows.
func TestRetries(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	anyRevision, none := expect(esdb.Any{}), expect(esdb.NoStream{})
	write := func(t *testing.T, stream string, opts esdb.AppendToStreamOptions, events ...esdb.EventData) *esdb.WriteResult {
		t.Helper()
		r, err := client.AppendToStream(ctx, stream, opts, events...)
		require.NoError(t, err)
		return r
	}
	length := func(t *testing.T, stream string, want int) {
		t.Helper()
		require.Len(t, readStream(t, client, stream, esdb.ReadStreamOptions{}), want)
	}

	for name, c := range map[string]struct {
		opts  esdb.AppendToStreamOptions
		setup int
	}{
		"no-stream": {none, 0}, "revision": {expect(esdb.Revision(2)), 3}, "any": {anyRevision, 3}, "exists": {expect(esdb.StreamExists{}), 3},
	} {
		t.Run("with the original expectation "+name, func(t *testing.T) {
			stream := "retry-" + name
			if c.setup > 0 {
				write(t, stream, none, newEvents(c.setup)...)
			}
			events := newEvents(4)
			first := write(t, stream, c.opts, events...)
			// What others wrote meanwhile must not matter.
			write(t, stream, anyRevision, newEvents(2)...)
			require.Equal(t, first, write(t, stream, c.opts, events...))
			length(t, stream, c.setup+6)
		})
	}
	t.Run("with any after an exact one", func(t *testing.T) {
		events := newEvents(3)
		first := write(t, "r2", none, events...)
		require.Equal(t, first, write(t, "r2", anyRevision, events...))
		length(t, "r2", 3)
	})
	t.Run("with any of the tail alone", func(t *testing.T) {
		events := newEvents(3)
		first := write(t, "r3", none, events...)
		require.Equal(t, first, write(t, "r3", anyRevision, events[1:]...))
		length(t, "r3", 3)
	})
	t.Run("partial overlap is a conflict", func(t *testing.T) {
		events := newEvents(3)
		write(t, "r4", none, events...)
		longer := append(append([]esdb.EventData{}, events...), newEvents(1)...)
		for _, opts := range []esdb.AppendToStreamOptions{none, anyRevision, expect(esdb.StreamExists{})} {
			_, err := client.AppendToStream(ctx, "r4", opts, longer...)
			requireCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		}
		mixed := []esdb.EventData{events[0], newEvent(9), events[2]}
		_, err := client.AppendToStream(ctx, "r4", none, mixed...)
		requireCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		length(t, "r4", 3)
	})
	t.Run("at the wrong place is a conflict", func(t *testing.T) {
		events := newEvents(3)
		write(t, "r5", none, events...)
		_, err := client.AppendToStream(ctx, "r5", expect(esdb.Revision(0)), events...)
		requireCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		length(t, "r5", 3)
	})
	t.Run("with the current revision is a new event", func(t *testing.T) {
		events := newEvents(1)
		write(t, "r6", none, events...)
		write(t, "r6", expect(esdb.Revision(0)), events...)
		length(t, "r6", 2)
	})
	t.Run("the same id in another stream is another event", func(t *testing.T) {
		events := newEvents(1)
		write(t, "r7a", anyRevision, events...)
		write(t, "r7b", anyRevision, events...)
		length(t, "r7a", 1)
		length(t, "r7b", 1)
	})
}

func TestRetryAfterRestart(t *testing.T) {
	cfg := testConfig(t)
	events := newEvents(5)
	node, stop := startNode(t, cfg)
	first, err := connect(t, node.ConnectionString()).AppendToStream(testContext(t), "s", expect(esdb.NoStream{}), events...)
	require.NoError(t, err)
	require.NoError(t, stop())

	node, _ = startNode(t, cfg)
	client := connect(t, node.ConnectionString())
	for _, e := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Any{}} {
		again, err := client.AppendToStream(testContext(t), "s", expect(e), events...)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	next, err := client.AppendToStream(testContext(t), "s", expect(esdb.Revision(4)), newEvent(5))
	require.NoError(t, err)
	require.EqualValues(t, 6, next.CommitPosition)
	_, err = client.AppendToStream(testContext(t), "t", expect(esdb.NoStream{}), newEvent(0))
	require.NoError(t, err)
	require.Len(t, readStream(t, client, "s", esdb.ReadStreamOptions{}), 6)
	require.Len(t, readStream(t, client, "t", esdb.ReadStreamOptions{}), 1)
	require.Len(t, readAll(t, client, esdb.ReadAllOptions{From: esdb.Start{}}), 7)
}

func TestDeletedStreamComesBackWithItsRevisions(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	_, err := client.AppendToStream(ctx, "s", expect(esdb.NoStream{}), newEvents(3)...)
	require.NoError(t, err)
	_, err = client.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(1)})
	require.Error(t, err, "the expectation counts for deleting too")
	deleted, err := client.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(2)})
	require.NoError(t, err)
	require.EqualValues(t, 4, deleted.Position.Commit)

	stream, err := client.ReadStream(ctx, "s", esdb.ReadStreamOptions{}, 1)
	require.NoError(t, err)
	_, err = stream.Recv()
	requireCode(t, err, esdb.ErrorCodeResourceNotFound)
	_, err = client.AppendToStream(ctx, "s", expect(esdb.StreamExists{}), newEvent(1))
	requireCode(t, err, esdb.ErrorCodeWrongExpectedVersion)

	result, err := client.AppendToStream(ctx, "s", expect(esdb.NoStream{}), newEvents(2)...)
	require.NoError(t, err)
	require.EqualValues(t, 4, result.NextExpectedVersion)
	got := readStream(t, client, "s", esdb.ReadStreamOptions{})
	require.Len(t, got, 2)
	require.EqualValues(t, 3, got[0].Event.EventNumber)

	// Metadata written to a deleted stream brings it back empty.
	_, err = client.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	meta := esdb.StreamMetadata{}
	meta.SetMaxCount(7)
	_, err = client.SetStreamMetadata(ctx, "s", expect(esdb.Any{}), meta)
	require.NoError(t, err)
	require.Empty(t, readStream(t, client, "s", esdb.ReadStreamOptions{}))
	stored, err := client.GetStreamMetadata(ctx, "s", esdb.ReadStreamOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 7, *stored.MaxCount())
	require.EqualValues(t, 5, *stored.TruncateBefore())
}

func TestTombstoneIsForEver(t *testing.T) {
	cfg := testConfig(t)
	node, stop := startNode(t, cfg)
	client := connect(t, node.ConnectionString())
	ctx := testContext(t)
	_, err := client.AppendToStream(ctx, "s", expect(esdb.NoStream{}), newEvents(3)...)
	require.NoError(t, err)
	_, err = client.TombstoneStream(ctx, "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.NoStream{}})
	require.Error(t, err)
	_, err = client.TombstoneStream(ctx, "s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(2)})
	require.NoError(t, err)
	for range 2 {
		_, err = client.AppendToStream(ctx, "s", expect(esdb.Any{}), newEvent(1))
		requireCode(t, err, esdb.ErrorCodeStreamDeleted)
		_, err = client.SetStreamMetadata(ctx, "s", expect(esdb.Any{}), esdb.StreamMetadata{})
		requireCode(t, err, esdb.ErrorCodeStreamDeleted)
		stream, err := client.ReadStream(ctx, "s", esdb.ReadStreamOptions{}, 1)
		require.NoError(t, err)
		_, err = stream.Recv()
		requireCode(t, err, esdb.ErrorCodeStreamDeleted)
		_, err = client.SubscribeToStream(ctx, "s", esdb.SubscribeToStreamOptions{})
		require.Error(t, err)
		_, err = client.DeleteStream(ctx, "s", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
		requireCode(t, err, esdb.ErrorCodeStreamDeleted)
		all := readAll(t, client, esdb.ReadAllOptions{From: esdb.Start{}})
		require.Len(t, all, 4)
		require.Equal(t, "$streamDeleted", all[3].Event.EventType)

		require.NoError(t, stop())
		node, stop = startNode(t, cfg)
		client = connect(t, node.ConnectionString())
	}
}

func TestMetadataLimitsWhatIsRead(t *testing.T) {
	cfg := testConfig(t)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	clock := newClock(now)
	cfg.Now = clock.now
	node, _ := startNode(t, cfg)
	client := connect(t, node.ConnectionString())
	ctx := testContext(t)
	numbers := func(direction esdb.Direction) []uint64 {
		opts := esdb.ReadStreamOptions{Direction: direction}
		if direction == esdb.Backwards {
			opts.From = esdb.End{}
		}
		var ns []uint64
		for _, e := range readStream(t, client, "s", opts) {
			ns = append(ns, e.Event.EventNumber)
		}
		return ns
	}
	for i := range 10 {
		clock.set(now.Add(time.Duration(i) * time.Minute))
		_, err := client.AppendToStream(ctx, "s", expect(esdb.Any{}), newEvent(i))
		require.NoError(t, err)
	}
	set := func(change func(*esdb.StreamMetadata)) {
		meta := esdb.StreamMetadata{}
		change(&meta)
		_, err := client.SetStreamMetadata(ctx, "s", expect(esdb.Any{}), meta)
		require.NoError(t, err)
	}
	set(func(m *esdb.StreamMetadata) { m.SetMaxCount(3) })
	require.Equal(t, []uint64{7, 8, 9}, numbers(esdb.Forwards))
	require.Equal(t, []uint64{9, 8, 7}, numbers(esdb.Backwards))
	set(func(m *esdb.StreamMetadata) { m.SetTruncateBefore(8) })
	require.Equal(t, []uint64{8, 9}, numbers(esdb.Forwards))
	set(func(m *esdb.StreamMetadata) { m.SetMaxAge(4*time.Minute + time.Second) })
	require.Equal(t, []uint64{5, 6, 7, 8, 9}, numbers(esdb.Forwards))
	clock.set(now.Add(time.Hour))
	require.Empty(t, numbers(esdb.Forwards), "all too old: the stream is there, but empty")
	_, err := client.AppendToStream(ctx, "s", expect(esdb.Revision(9)), newEvent(10))
	require.NoError(t, err)
	require.Equal(t, []uint64{10}, numbers(esdb.Forwards))
}

func TestRecordedTimeNeverGoesBackwards(t *testing.T) {
	cfg := testConfig(t)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	clock := newClock(now)
	cfg.Now = clock.now
	node, stop := startNode(t, cfg)
	client := connect(t, node.ConnectionString())
	for i, at := range []time.Time{now, now.Add(-time.Hour), now.Add(time.Second), now.Add(-time.Minute)} {
		clock.set(at)
		if i == 3 {
			require.NoError(t, stop())
			node, stop = startNode(t, cfg)
			client = connect(t, node.ConnectionString())
		}
		_, err := client.AppendToStream(testContext(t), "s", expect(esdb.Any{}), newEvent(i))
		require.NoError(t, err)
	}
	var times []time.Time
	for _, e := range readStream(t, client, "s", esdb.ReadStreamOptions{}) {
		times = append(times, e.Event.CreatedDate)
	}
	require.Equal(t, []time.Time{now, now, now.Add(time.Second), now.Add(time.Second)}, times)
}

func TestAppendLimit(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	fits := newEvent(1)
	fits.Metadata = nil
	fits.Data = []byte(strings.Repeat("x", 1<<20-2*len(fits.EventType)))
	_, err := client.AppendToStream(ctx, "s", expect(esdb.Any{}), fits)
	require.NoError(t, err)
	got := readStream(t, client, "s", esdb.ReadStreamOptions{})
	require.Equal(t, fits.Data, got[0].Event.Data)

	over := fits
	over.EventID, over.Data = uuid.New(), append([]byte("x"), fits.Data...)
	_, err = client.AppendToStream(ctx, "s", expect(esdb.Any{}), over)
	require.ErrorContains(t, err, "Maximum Append Size")
	require.Equal(t, codes.InvalidArgument, status.Code(clientCause(t, err)))
	many := make([]esdb.EventData, 40)
	for i := range many {
		many[i] = newEvent(i)
		many[i].Data = fits.Data[:1<<19]
	}
	_, err = client.AppendToStream(ctx, "s", expect(esdb.Any{}), many...)
	require.ErrorContains(t, err, "Maximum Append Size", "the client is told why, though it was still sending")
	require.Len(t, readStream(t, client, "s", esdb.ReadStreamOptions{}), 1)
}

// clientCause is the gRPC error inside the client's.
func clientCause(t testing.TB, err error) error {
	t.Helper()
	var e *esdb.Error
	require.ErrorAs(t, err, &e)
	return e.Err()
}

func TestStreamNamesThatCannotBe(t *testing.T) {
	client := startClient(t)
	for _, name := range []string{"", "$all", "$$", "$$$$s"} {
		_, err := client.AppendToStream(testContext(t), name, expect(esdb.Any{}), newEvent(1))
		require.ErrorContains(t, err, "invalid stream name", name)
	}
}

func TestEmptyAppendWritesNothing(t *testing.T) {
	client := startClient(t)
	_, err := client.AppendToStream(testContext(t), "s", expect(esdb.NoStream{}))
	require.NoError(t, err)
	require.Empty(t, readAll(t, client, esdb.ReadAllOptions{From: esdb.Start{}}))
}

func TestLinksAreResolved(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	_, err := client.AppendToStream(ctx, "s", expect(esdb.Any{}), newEvents(3)...)
	require.NoError(t, err)
	var links []esdb.EventData
	for _, target := range []string{"1@s", "9@s", "0@gone", "nonsense"} {
		links = append(links, esdb.EventData{EventID: uuid.New(), EventType: "$>", Data: []byte(target)})
	}
	_, err = client.AppendToStream(ctx, "links", expect(esdb.Any{}), links...)
	require.NoError(t, err)
	got := readStream(t, client, "links", esdb.ReadStreamOptions{ResolveLinkTos: true})
	require.Len(t, got, 4)
	require.Equal(t, "s", got[0].Event.StreamID)
	require.EqualValues(t, 1, got[0].Event.EventNumber)
	for i, e := range got {
		require.Equal(t, "links", e.Link.StreamID)
		require.EqualValues(t, i, e.Link.EventNumber)
		require.Equal(t, i == 0, e.Event != nil)
	}
	plain := readStream(t, client, "links", esdb.ReadStreamOptions{})
	require.Equal(t, "$>", plain[0].Event.EventType)
	require.Nil(t, plain[0].Link)
}

func TestACancelledCallIsNotWaitedFor(t *testing.T) {
	client := startClient(t)
	_, err := client.AppendToStream(testContext(t), "s", expect(esdb.Any{}), newEvent(0)) // connects
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = client.AppendToStream(ctx, "s", expect(esdb.Any{}), newEvent(1))
	require.Error(t, err)
}
