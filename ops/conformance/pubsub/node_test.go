// Package pubsub_test holds what needs both sides of the wire: the log's
// adapter in ingest/eventstore and the embedded node it talks to. Watermill's
// own suite runs here in full, the conformance suite of the port, and one test
// for each known defect of the bare client.
package pubsub_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/eventlogtest"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
	"github.com/stofstrom/stofstrom/ingest/publish"
	node "github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

// logger writes what tests want to see when STOFSTROM_TEST_LOG is set.
func logger() *slog.Logger {
	if os.Getenv("STOFSTROM_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// server is a node that runs in this process.
type server struct {
	*node.Node
	stop func() // and wait; may be called more than once
}

func startNode(tb testing.TB, c node.Config) *server {
	tb.Helper()
	if c.Dir == "" {
		c.Dir = tb.TempDir()
	}
	c.Logger = logger()
	n, err := node.New(c)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-ended:
		cancel()
		require.NoError(tb, err)
	}
	stopped := false
	s := &server{Node: n, stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(tb, <-ended)
	}}
	tb.Cleanup(s.stop)
	return s
}

func newHolder(tb testing.TB, c eventstore.Config) *eventstore.Holder {
	tb.Helper()
	if c.Logger == nil {
		c.Logger = logger()
	}
	h, err := eventstore.NewHolder(c)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, h.Close()) })
	return h
}

func newLog(tb testing.TB, h *eventstore.Holder) *eventstore.Log {
	tb.Helper()
	l, err := eventstore.NewLog(h, eventstore.LogConfig{})
	require.NoError(tb, err)
	return l
}

// testContext ends long after any test should.
func testContext(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

func TestLogConformance(t *testing.T) {
	s := startNode(t, node.Config{})
	l := newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
	eventlogtest.Run(t, func(*testing.T) eventlog.Log { return l })
}

// throughWatermill is the log as the write path uses it: appends are Watermill
// messages.
type throughWatermill struct {
	eventlog.Reader
	eventlog.Feed
	eventlog.Appender
}

func TestLogConformanceThroughWatermill(t *testing.T) {
	s := startNode(t, node.Config{})
	l := newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
	p := eventstore.NewPublisher(l, eventstore.PublisherConfig{})
	eventlogtest.Run(t, func(*testing.T) eventlog.Log { return throughWatermill{l, l, publish.New(p)} })
}
