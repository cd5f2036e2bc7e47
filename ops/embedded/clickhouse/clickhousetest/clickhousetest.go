//go:build linux

// Package clickhousetest starts the embedded ClickHouse for tests of other
// packages.
//
// The engine is a child process that is the test binary itself, started again.
// A test package that uses Start therefore has
//
//	func TestMain(m *testing.M) { clickhousetest.Main(m) }
//
// It promises an engine of its own per Start, on loopback and in a temporary
// folder, ended and checked for an orderly end when the test ends. It leaves out
// sharing one engine among tests; use one Start and several databases for that.
package clickhousetest

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
)

// Main is the whole TestMain of a package that uses Start: it makes the test
// binary serve as the engine child when it was started as one, and runs the
// tests otherwise.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for packages whose TestMain does more: it returns the exit code.
// It must come before anything else in TestMain.
func Run(m *testing.M) int {
	if clickhouse.IsEngine() {
		return Engine()
	}
	return m.Run()
}

// Engine is the life of an engine child; it returns the exit code.
func Engine() int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := clickhouse.EngineMain(context.Background(), log); err != nil {
		log.Error("engine", slog.Any("error", err))
		return 1
	}
	return 0
}

// Server is a running embedded ClickHouse.
type Server struct {
	*clickhouse.Server
	Admin      string // connection string of the account with full access
	Researcher string // connection string of the read-only account

	stop func() error
}

// Start runs an embedded ClickHouse until tb ends. Options change its
// configuration before it starts.
func Start(tb testing.TB, options ...func(*clickhouse.Config)) *Server {
	tb.Helper()
	program, err := os.Executable()
	require.NoError(tb, err)
	cfg := clickhouse.Config{
		Dir: tb.TempDir(), Executable: []string{program},
		Logger: slog.New(slog.NewTextHandler(&testLog{tb: tb}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, option := range options {
		option(&cfg)
	}
	server, err := clickhouse.New(cfg)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	s := &Server{Server: server}
	s.stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	tb.Cleanup(func() { require.NoError(tb, s.stop()) })
	select {
	case <-server.Ready():
	case err := <-ended:
		ended <- err
		require.NoError(tb, err, "embedded ClickHouse ended at start")
	case <-time.After(time.Minute):
		require.FailNow(tb, "embedded ClickHouse not ready within a minute")
	}
	s.Admin = server.ConnectionString(server.AdminUser(), "")
	s.Researcher = server.ConnectionString(server.ResearcherUser(), "")
	return s
}

// Stop ends the server before the test does and returns how it ended.
func (s *Server) Stop() error { return s.stop() }

// Open returns a connection of the official driver for a connection string.
// Options change the driver's options first.
func Open(tb testing.TB, dsn string, options ...func(*driver.Options)) driver.Conn {
	tb.Helper()
	opt, err := driver.ParseDSN(dsn)
	require.NoError(tb, err)
	for _, option := range options {
		option(opt)
	}
	conn, err := driver.Open(opt)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, conn.Close()) })
	return conn
}

// testLog writes to the test's own log and keeps quiet once the test has ended,
// when the child may still be saying good-bye.
type testLog struct{ tb testing.TB }

func (l *testLog) Write(p []byte) (int, error) {
	if l.tb.Context().Err() == nil {
		l.tb.Log(strings.TrimSuffix(string(p), "\n"))
	}
	return len(p), nil
}
