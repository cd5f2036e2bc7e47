package pubsub_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
	node "github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

// The tests of this file go by the list of the client's known defects, C1 to
// C9: each shows the defect on the bare client, so that a client without it is
// noticed, and that it does not reach the users of ingest/eventstore.

func bareClient(tb testing.TB, connection string, change func(*esdb.Configuration)) *esdb.Client {
	tb.Helper()
	conf, err := esdb.ParseConnectionString(connection)
	require.NoError(tb, err)
	conf.Logger = esdb.NoopLogging()
	if change != nil {
		change(conf)
	}
	client, err := esdb.NewClient(conf)
	require.NoError(tb, err)
	return client
}

func bareEvent() esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "t", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
}

func proposed(n int) []eventlog.Proposed {
	events := make([]eventlog.Proposed, n)
	for i := range events {
		events[i] = eventlog.Proposed{ID: uuid.New(), Type: "t", Data: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	return events
}

func requireCode(t *testing.T, code esdb.ErrorCode, err error) {
	t.Helper()
	var clientErr *esdb.Error
	require.ErrorAs(t, err, &clientErr)
	require.Equal(t, code, clientErr.Code(), err)
}

func TestC1StoreDownAtStart(t *testing.T) {
	ctx, address := testContext(t), freeAddress(t)
	connection := "esdb://" + address + "?tls=false"
	bare := bareClient(t, connection+"&maxDiscoverAttempts=2", nil)
	_, err := bare.AppendToStream(ctx, "c1-bare", esdb.AppendToStreamOptions{}, bareEvent())
	require.Error(t, err)
	l := newLog(t, newHolder(t, eventstore.Config{Connection: connection, Patience: 20 * time.Millisecond}))
	_, err = l.Append(ctx, "c1-ours", eventlog.NoStream(), proposed(1))
	require.ErrorIs(t, err, eventlog.ErrUnavailable)

	startNode(t, node.Config{Listen: address})
	_, err = bare.AppendToStream(ctx, "c1-bare", esdb.AppendToStreamOptions{}, bareEvent())
	requireCode(t, esdb.ErrorCodeConnectionClosed, err) // for ever
	for err = eventlog.ErrUnavailable; errors.Is(err, eventlog.ErrUnavailable) && ctx.Err() == nil; {
		_, err = l.Append(ctx, "c1-ours", eventlog.NoStream(), proposed(1))
	}
	require.NoError(t, err)
}

func TestC2CallersHonourTheirContext(t *testing.T) {
	connection := "esdb://" + freeAddress(t) + "?tls=false"
	bare := bareClient(t, connection+"&maxDiscoverAttempts=3", nil)
	first, second := make(chan error, 1), make(chan error, 1)
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	call := func(ctx context.Context, answer chan<- error) {
		_, err := bare.AppendToStream(ctx, "c2", esdb.AppendToStreamOptions{}, bareEvent())
		answer <- err
	}
	go call(context.Background(), first)
	go call(expired, second)
	// One of them gets the failure of the discovery, after which nobody
	// serves the other.
	var stuck chan error
	select {
	case <-first:
		stuck = second
	case <-second:
		stuck = first
	}
	select {
	case err := <-stuck:
		t.Fatalf("the bare client has learnt to answer: %v", err)
	case <-time.After(300 * time.Millisecond):
	}

	h := newHolder(t, eventstore.Config{Connection: connection, Patience: time.Hour})
	l := newLog(t, h)
	calls := map[string]func(ctx context.Context) error{
		"append": func(ctx context.Context) error {
			_, err := l.Append(ctx, "c2", eventlog.NoStream(), proposed(1))
			return err
		},
		"read": func(ctx context.Context) (last error) {
			for _, err := range l.ReadStream(ctx, "c2", 0) {
				last = err
			}
			return last
		},
		"end":     func(ctx context.Context) error { _, err := l.End(ctx); return err },
		"connect": h.Connect,
	}
	var wg sync.WaitGroup
	for name, call := range calls {
		for range 8 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := call(ctx)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
					t.Errorf("%s returned %v after %s", name, err, time.Since(start))
				}
			})
		}
	}
	wg.Wait()
}

// closeWhileCalling closes bare clients under calls until the process dies of it.
func closeWhileCalling(args []string) error {
	for range 2000 {
		conf, err := esdb.ParseConnectionString(args[0])
		if err != nil {
			return err
		}
		conf.Logger = esdb.NoopLogging()
		client, err := esdb.NewClient(conf)
		if err != nil {
			return err
		}
		var busy sync.WaitGroup
		var calls atomic.Int64
		for range 16 {
			busy.Go(func() {
				for {
					if _, err := client.GetServerVersion(); err != nil {
						return
					}
					calls.Add(1)
				}
			})
		}
		for calls.Load() < 100 {
			runtime.Gosched()
		}
		if err := client.Close(); err != nil {
			return err
		}
		busy.Wait()
	}
	return nil
}

func TestC3CloseDuringCalls(t *testing.T) {
	s := startNode(t, node.Config{})
	out, err := exec.Command(os.Args[0], roleClose, s.ConnectionString()).CombinedOutput()
	require.Error(t, err, "the bare client has learnt to close")
	require.Contains(t, string(out), "send on closed channel")

	for round := range 10 {
		h, err := eventstore.NewHolder(eventstore.Config{Connection: s.ConnectionString(), Logger: logger()})
		require.NoError(t, err)
		l := newLog(t, h)
		var busy sync.WaitGroup
		acked := make([]uint64, 16)
		started := make(chan struct{}, len(acked))
		for w := range acked {
			busy.Go(func() {
				stream, expected := fmt.Sprintf("c3-%d-%d", round, w), eventlog.NoStream()
				for {
					done, err := l.Append(context.Background(), stream, expected, proposed(1))
					if err != nil {
						if !errors.Is(err, eventlog.ErrClosed) {
							t.Errorf("after Close: %v", err)
						}
						return
					}
					if acked[w]++; acked[w] == 3 {
						started <- struct{}{}
					}
					expected = eventlog.Exactly(done.Revision)
				}
			})
		}
		for range acked {
			<-started
		}
		require.NoError(t, h.Close())
		busy.Wait()
		require.NoError(t, h.Close())
		check := newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
		for w, n := range acked {
			require.Len(t, readAll(t, check.ReadStream(testContext(t), fmt.Sprintf("c3-%d-%d", round, w), 0)), int(n))
		}
	}
}

func readAll(tb testing.TB, events func(func(eventlog.Recorded, error) bool)) (all []eventlog.Recorded) {
	tb.Helper()
	for e, err := range events {
		require.NoError(tb, err)
		all = append(all, e)
	}
	return all
}

// settledGoroutines waits for goroutines that are on their way out and counts
// the rest.
func settledGoroutines(atMost int, within time.Duration) int {
	n := runtime.NumGoroutine()
	for deadline := time.Now().Add(within); n > atMost && time.Now().Before(deadline); n = runtime.NumGoroutine() {
		<-time.After(10 * time.Millisecond)
	}
	return n
}

func TestC4BareClientLeaksAConnectionPerRediscovery(t *testing.T) {
	ctx, n := testContext(t), startNodeProcess(t)
	bare := bareClient(t, n.connectionString()+"&maxDiscoverAttempts=1000", nil)
	use := func() error {
		_, err := bare.AppendToStream(ctx, "c4", esdb.AppendToStreamOptions{}, bareEvent())
		return err
	}
	require.NoError(t, use())
	before := runtime.NumGoroutine()
	for range 5 {
		restarted := make(chan error, 1)
		go func() { restarted <- n.restart() }()
		for failed := false; !failed; failed = use() != nil { // a call meets the outage
			require.NoError(t, ctx.Err())
		}
		require.NoError(t, <-restarted)
		for use() != nil {
			require.NoError(t, ctx.Err())
		}
	}
	require.Greater(t, settledGoroutines(before+4, time.Second), before+4, "the bare client has learnt to close its connections")
	require.NoError(t, bare.Close())
}

// TestRestartsUnderLoad kills the node twenty times under writers and a
// follower. It stands for C4 (no goroutine stays behind), C5 (unknown outcomes
// are resolved) and C8 (the subscription goes on), and for Watermill's
// TestReconnect where that cannot run.
func TestRestartsUnderLoad(t *testing.T) {
	restarts, writers := 20, 16
	ctx, n := testContext(t), startNodeProcess(t)
	h := newHolder(t, eventstore.Config{Connection: n.connectionString(), Patience: 30 * time.Second})
	l := newLog(t, h)
	require.NoError(t, h.Connect(ctx))
	before := runtime.NumGoroutine()

	sub, err := l.Follow(ctx, eventlog.Position{}, eventlog.Filter{StreamPrefixes: []string{"load-"}})
	require.NoError(t, err)
	stop := make(chan struct{})
	acked := make([][]uuid.UUID, writers)
	var busy sync.WaitGroup
	for w := range writers {
		busy.Go(func() {
			stream, expected := fmt.Sprintf("load-%d", w), eventlog.NoStream()
			for {
				select {
				case <-stop:
					return
				default:
				}
				events := proposed(3)
				done, err := l.Append(ctx, stream, expected, events)
				for errors.Is(err, eventlog.ErrUnavailable) && ctx.Err() == nil {
					done, err = l.Append(ctx, stream, expected, events)
				}
				if err != nil {
					t.Errorf("append to %s: %v", stream, err)
					return
				}
				for _, e := range events {
					acked[w] = append(acked[w], e.ID)
				}
				expected = eventlog.Exactly(done.Revision)
			}
		})
	}
	for range restarts {
		require.NoError(t, n.restart())
		require.NoError(t, h.Connect(ctx))
	}
	close(stop)
	busy.Wait()
	total := 0
	for w := range writers {
		var got []uuid.UUID
		for i, e := range readAll(t, l.ReadStream(ctx, fmt.Sprintf("load-%d", w), 0)) {
			require.Equal(t, uint64(i), e.Revision)
			got = append(got, e.ID)
		}
		require.Equal(t, acked[w], got, "acknowledged and stored differ")
		total += len(got)
	}
	require.Positive(t, total)
	followed := map[string][]uuid.UUID{}
	var last eventlog.Position
	for seen := 0; seen < total; {
		batch, err := sub.Next(ctx)
		require.NoError(t, err)
		for _, e := range batch.Events {
			require.Positive(t, e.Position.Compare(last))
			last = e.Position
			followed[e.Stream] = append(followed[e.Stream], e.ID)
		}
		seen += len(batch.Events)
	}
	for w := range writers {
		require.Equal(t, acked[w], followed[fmt.Sprintf("load-%d", w)], "acknowledged and followed differ")
	}
	require.NoError(t, sub.Close())
	require.LessOrEqual(t, settledGoroutines(before+2, 5*time.Second), before+2, "goroutines stayed behind")
}

func TestC5LargeAppendRefusedEarly(t *testing.T) {
	ctx, s := testContext(t), startNode(t, node.Config{})
	early, connection := startHearsay(t)
	early.refuse = true
	bare := bareClient(t, connection, nil)
	defer func() { require.NoError(t, bare.Close()) }()
	var events []esdb.EventData
	var ours []eventlog.Proposed
	for range 200 {
		e := bareEvent()
		e.Data = fmt.Appendf(nil, "%q", strings.Repeat("x", 100<<10))
		events = append(events, e)
		ours = append(ours, eventlog.Proposed{ID: e.EventID, Type: e.EventType, Data: e.Data})
	}
	_, err := bare.AppendToStream(ctx, "c5", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, events...)
	require.ErrorIs(t, err, io.EOF, "which says nothing of what happened")

	l := newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
	_, err = l.Append(ctx, "c5", eventlog.NoStream(), ours)
	require.ErrorIs(t, err, eventlog.ErrTooLarge)
	require.ErrorContains(t, err, strconv.Itoa(eventstore.DefaultMaxAppendBytes))
	require.Empty(t, readAll(t, l.ReadStream(ctx, "c5", 0)))
}

func TestC8DroppedSubscription(t *testing.T) {
	ctx, n := testContext(t), startNodeProcess(t)
	bare := bareClient(t, n.connectionString()+"&maxDiscoverAttempts=100", nil)
	bareSub, err := bare.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	l := newLog(t, newHolder(t, eventstore.Config{Connection: n.connectionString(), Patience: 30 * time.Second}))
	ours, err := l.Follow(ctx, eventlog.Position{}, eventlog.Filter{})
	require.NoError(t, err)
	defer func() { require.NoError(t, ours.Close()) }()

	expected := eventlog.NoStream()
	for round := range 5 {
		done, err := l.Append(ctx, "c8", expected, proposed(1))
		require.NoError(t, err)
		expected = eventlog.Exactly(done.Revision)
		var got []eventlog.Recorded
		for len(got) == 0 {
			batch, err := ours.Next(ctx)
			require.NoError(t, err)
			got = append(got, batch.Events...)
		}
		require.Len(t, got, 1)
		require.Equal(t, uint64(round), got[0].Revision)
		require.NoError(t, n.restart())
	}
	for bareSub.Recv().SubscriptionDropped == nil {
		require.NoError(t, ctx.Err())
	}
	for range 1000 { // without ever waiting, although the node is back
		require.NotNil(t, bareSub.Recv().SubscriptionDropped)
	}
	require.NoError(t, bare.Close())
}

func TestC9NoPersistentSubscriptions(t *testing.T) {
	// The client's Ack and Nack of persistent subscriptions are not safe for
	// concurrent use; showing it would be a data race in this process. Our
	// adapter does not use any of it.
	files := 0
	root := os.DirFS("../../../ingest/eventstore")
	names, err := fs.Glob(root, "*.go")
	require.NoError(t, err)
	for _, name := range names {
		source, err := fs.ReadFile(root, name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
		require.NoError(t, err)
		files++
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				require.NotContains(t, sel.Sel.Name, "PersistentSubscription", "%s uses %s", name, sel.Sel.Name)
			}
			return true
		})
	}
	require.Greater(t, files, 5)
}

func TestC7EveryEventOfTheNodeHasACreationTime(t *testing.T) {
	ctx, s := testContext(t), startNode(t, node.Config{})
	bare := bareClient(t, s.ConnectionString(), nil)
	defer func() { require.NoError(t, bare.Close()) }()
	_, err := bare.AppendToStream(ctx, "c7", esdb.AppendToStreamOptions{}, bareEvent(), bareEvent())
	require.NoError(t, err)
	var meta esdb.StreamMetadata
	meta.SetMaxCount(1)
	_, err = bare.SetStreamMetadata(ctx, "c7", esdb.AppendToStreamOptions{}, meta)
	require.NoError(t, err)
	_, err = bare.TombstoneStream(ctx, "c7", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	stream, err := bare.ReadAll(ctx, esdb.ReadAllOptions{}, math.MaxInt64)
	require.NoError(t, err)
	defer stream.Close()
	events := 0
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), e.OriginalEvent().CreatedDate, time.Minute, e.OriginalEvent().EventType)
		events++
	}
	require.GreaterOrEqual(t, events, 4, "events, metadata and tombstone")
}
