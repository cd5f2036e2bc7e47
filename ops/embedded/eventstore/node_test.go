package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// testWriter sends log lines to the test's output.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p))
	return len(p), nil
}

func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// testConfig is a node in a fresh folder that needs little disk.
func testConfig(t testing.TB) Config {
	t.Helper()
	return Config{Dir: t.TempDir(), Logger: testLogger(t), ReserveBytes: 1 << 20, BallastBytes: 1 << 20}
}

// startNode runs a node and returns it with a function that stops it and
// reports how it ended; the function may be called more than once.
func startNode(t testing.TB, cfg Config) (*Node, func() error) {
	t.Helper()
	node, err := New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var runErr error
	go func() {
		defer close(done)
		runErr = node.Run(ctx)
	}()
	stop := func() error {
		cancel()
		<-done
		return runErr
	}
	t.Cleanup(func() { require.NoError(t, stop()) })
	select {
	case <-node.Ready():
	case <-done:
		require.NoError(t, runErr)
	}
	return node, stop
}

func connect(t testing.TB, connection string) *esdb.Client {
	t.Helper()
	cfg, err := esdb.ParseConnectionString(connection)
	require.NoError(t, err)
	cfg.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func startClient(t testing.TB) *esdb.Client {
	t.Helper()
	node, _ := startNode(t, testConfig(t))
	return connect(t, node.ConnectionString())
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newEvent(n int) esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: "counted", ContentType: esdb.ContentTypeJson,
		Data: fmt.Appendf(nil, `{"n":%d}`, n), Metadata: []byte(`{"by":"test"}`),
	}
}

func newEvents(n int) []esdb.EventData {
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = newEvent(i)
	}
	return events
}

func drainRead(t testing.TB, stream *esdb.ReadStream) []*esdb.ResolvedEvent {
	t.Helper()
	defer stream.Close()
	var events []*esdb.ResolvedEvent
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events
		}
		require.NoError(t, err)
		events = append(events, e)
	}
}

func readStream(t testing.TB, client *esdb.Client, name string, opts esdb.ReadStreamOptions) []*esdb.ResolvedEvent {
	t.Helper()
	stream, err := client.ReadStream(testContext(t), name, opts, 1<<30)
	require.NoError(t, err)
	return drainRead(t, stream)
}

func readAll(t testing.TB, client *esdb.Client, opts esdb.ReadAllOptions) []*esdb.ResolvedEvent {
	t.Helper()
	stream, err := client.ReadAll(testContext(t), opts, 1<<30)
	require.NoError(t, err)
	return drainRead(t, stream)
}

func TestWhatWasAppendedIsRead(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	events := newEvents(1500)
	before := time.Now()
	result, err := client.AppendToStream(ctx, "ledger-å-202601", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, events...)
	require.NoError(t, err)
	require.EqualValues(t, 1499, result.NextExpectedVersion)
	require.EqualValues(t, 1500, result.CommitPosition)
	require.EqualValues(t, 1500, result.PreparePosition)

	got := readStream(t, client, "ledger-å-202601", esdb.ReadStreamOptions{})
	require.Len(t, got, 1500)
	for i, e := range got {
		require.Equal(t, events[i].EventID, e.Event.EventID)
		require.Equal(t, events[i].Data, e.Event.Data)
		require.Equal(t, events[i].Metadata, e.Event.UserMetadata)
		require.Equal(t, "counted", e.Event.EventType)
		require.Equal(t, "application/json", e.Event.ContentType)
		require.Equal(t, "ledger-å-202601", e.Event.StreamID)
		require.EqualValues(t, i, e.Event.EventNumber)
		require.EqualValues(t, i+1, e.Event.Position.Commit)
		require.WithinRange(t, e.Event.CreatedDate, before.Add(-time.Second), time.Now().Add(time.Second))
	}

	back := readStream(t, client, "ledger-å-202601", esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}})
	require.Len(t, back, 1500)
	for i, e := range back {
		require.EqualValues(t, 1499-i, e.Event.EventNumber)
	}
	some := readStream(t, client, "ledger-å-202601", esdb.ReadStreamOptions{From: esdb.Revision(1490)})
	require.Len(t, some, 10)

	all := readAll(t, client, esdb.ReadAllOptions{From: esdb.Start{}})
	require.Len(t, all, 1500)
	allBack := readAll(t, client, esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards})
	require.Len(t, allBack, 1500)
	require.EqualValues(t, 1500, allBack[0].Event.Position.Commit)
	from := readAll(t, client, esdb.ReadAllOptions{From: esdb.Position{Commit: 100, Prepare: 100}})
	require.EqualValues(t, 100, from[0].Event.Position.Commit, "forwards a position is included")
	fromBack := readAll(t, client, esdb.ReadAllOptions{From: esdb.Position{Commit: 100, Prepare: 100}, Direction: esdb.Backwards})
	require.EqualValues(t, 99, fromBack[0].Event.Position.Commit, "backwards a position is not included")
}

func TestSubscriptionCatchesUpAndGoesOnLive(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	_, err := client.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, newEvents(700)...)
	require.NoError(t, err)
	sub, err := client.SubscribeToStream(ctx, "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Close()) }()
	all, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer func() { require.NoError(t, all.Close()) }()
	for _, s := range []*esdb.Subscription{sub, all} {
		for i := range 700 {
			e := s.Recv()
			require.NotNil(t, e.EventAppeared, "%+v", e.SubscriptionDropped)
			require.EqualValues(t, i, e.EventAppeared.Event.EventNumber)
		}
		require.NotNil(t, s.Recv().CaughtUp)
	}
	for n := range 5 {
		_, err = client.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, newEvent(n))
		require.NoError(t, err)
		for _, s := range []*esdb.Subscription{sub, all} {
			e := s.Recv()
			require.NotNil(t, e.EventAppeared)
			require.EqualValues(t, 700+n, e.EventAppeared.Event.EventNumber)
		}
	}
}

// quietLogger is for nodes whose errors are the point of the test.
func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }
