//go:build linux

// Package engine is what the child process of the embedded ClickHouse runs: it
// takes the data path, loads libchdb.so and answers statements on an inherited
// unix socket until its lifeline closes.
//
// It promises that it never outlives its parent, that two of it never share a
// data path, and that it flushes and closes the path when it is asked to stop.
// It leaves out accounts, the statement guard, formats of the HTTP interface
// and restarts: all of that is the parent's.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/chdb"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// EnvSpec is the environment variable that carries a Spec as JSON. A process
// that finds it set is meant to be an engine child.
const EnvSpec = "STOFSTROM_CLICKHOUSE_ENGINE"

// File descriptors the parent hands over.
const (
	fdListener = 3 // listening unix socket
	fdLifeline = 4 // read end of a pipe: closed when the parent is gone or wants the child to stop
	fdStatus   = 5 // write end of a pipe: one line, "ready" or the reason why not
)

// Spec is what the parent tells its child.
type Spec struct {
	LibPath    string  `json:"lib_path"`
	DataPath   string  `json:"data_path"`
	ConfigFile string  `json:"config_file"`
	LockFile   string  `json:"lock_file"`
	LockWait   int64   `json:"lock_wait_ms"` // how long to wait for a predecessor to let go of the data path
	StopWait   int64   `json:"stop_wait_ms"` // how long running statements may take to end once asked to stop
	Sandbox    Sandbox `json:"sandbox"`
}

// Ready is the status line of a child that serves.
const Ready = "ready"

// FromEnvironment returns the Spec of this process, and false when it is not an
// engine child.
func FromEnvironment() (Spec, bool, error) {
	text, ok := os.LookupEnv(EnvSpec)
	if !ok {
		return Spec{}, false, nil
	}
	var spec Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return Spec{}, true, fmt.Errorf("%s: %w", EnvSpec, err)
	}
	return spec, true, nil
}

// Main runs the child until ctx ends or its lifeline closes. What prevents it
// from serving goes to the status pipe as well as to the caller.
func Main(ctx context.Context, spec Spec, log *slog.Logger) (err error) {
	status := os.NewFile(fdStatus, "status")
	defer func() {
		if err != nil && status != nil {
			_, werr := fmt.Fprintln(status, err)
			err = errors.Join(err, werr)
		}
	}()
	if err := Confine(spec.Sandbox, log); err != nil {
		return err
	}
	lock, err := takeLock(ctx, spec.LockFile, time.Duration(spec.LockWait)*time.Millisecond)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	lib, err := chdb.Load(spec.LibPath)
	if err != nil {
		return err
	}
	args := []string{"--path=" + spec.DataPath, "--config-file=" + spec.ConfigFile}
	keeper, err := lib.Open(args...) // holds the data path open between requests
	if err != nil {
		return err
	}
	defer keeper.Close()
	if err := keeper.Exec("SELECT 1"); err != nil {
		return fmt.Errorf("first query on %s: %w", spec.DataPath, err)
	}

	listener, err := net.FileListener(os.NewFile(fdListener, "listener"))
	if err != nil {
		return fmt.Errorf("inherited socket: %w", err)
	}
	s := &server{lib: lib, args: args, log: log}
	return s.serve(ctx, listener, status, time.Duration(spec.StopWait)*time.Millisecond)
}

// takeLock locks the data path for this process. It waits because the child of
// a parent that was just killed may need a moment to be gone.
func takeLock(ctx context.Context, path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data path: %w", err)
	}
	deadline := time.Now().Add(wait)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		case time.Now().After(deadline):
			return nil, errors.Join(fmt.Errorf("the data path is in use by another process (lock %s)", path), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

type server struct {
	lib  *chdb.Library
	args []string
	log  *slog.Logger

	running sync.WaitGroup // sessions open in the engine
}

// serve answers requests until the lifeline closes or ctx ends, then waits for
// running statements, at most stopWait.
func (s *server) serve(ctx context.Context, listener net.Listener, status *os.File, stopWait time.Duration) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		// Nothing is ever written to the lifeline: the read returns when the
		// last write end, the parent's, is closed.
		_, _ = io.Copy(io.Discard, os.NewFile(fdLifeline, "lifeline"))
	}()

	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.PathQuery, s.query)
	mux.HandleFunc("GET "+wire.PathAlive, s.alive)
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	httpServer := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(listener) }()
	if _, err := fmt.Fprintln(status, Ready); err != nil {
		return fmt.Errorf("report ready: %w", err)
	}
	if err := status.Close(); err != nil {
		return fmt.Errorf("report ready: %w", err)
	}

	select {
	case err := <-failed:
		return fmt.Errorf("serve statements: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
	defer cancel()
	err := httpServer.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("statements still running after the stop limit are cancelled", slog.Duration("limit", stopWait))
		cancelRequests()
		err = httpServer.Close()
	}
	if !s.drained(stopWait) {
		return errors.Join(err, errors.New("a statement does not end; the data path is left as after a crash"))
	}
	return err
}

// drained waits until no session is open in the engine, at most limit.
func (s *server) drained(limit time.Duration) bool {
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

func (s *server) alive(w http.ResponseWriter, _ *http.Request) {
	conn, err := s.lib.Open(s.args...)
	if err == nil {
		defer conn.Close()
		err = conn.Exec("SELECT 1")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *server) query(w http.ResponseWriter, r *http.Request) {
	var request wire.Request
	if err := json.UnmarshalRead(r.Body, &request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.running.Add(1)
	defer s.running.Done()
	out := wire.Writer{W: w, Flush: http.NewResponseController(w).Flush}
	started := time.Now()
	stats, err := s.run(r.Context(), request, out.Data)
	if err == nil {
		err = out.Done(wire.Summary{
			ReadRows: stats.RowsRead, ReadBytes: stats.BytesRead, WrittenRows: stats.RowsWritten,
			WrittenBytes: stats.BytesWritten, ResultRows: stats.ResultRows, ElapsedNS: time.Since(started).Nanoseconds(),
		})
	} else if refusal := new(chdb.Error); errors.As(err, &refusal) {
		err = out.Error(refusal.Message)
	}
	if err != nil && r.Context().Err() == nil {
		s.log.Warn("answer to the endpoint not delivered", slog.Any("error", err))
	}
}

// run executes one request in a session of its own.
func (s *server) run(ctx context.Context, request wire.Request, emit func([]byte) error) (chdb.Stats, error) {
	conn, err := s.lib.Open(s.args...)
	if err != nil {
		return chdb.Stats{}, err
	}
	defer conn.Close()
	if err := conn.Exec("SET log_comment = '" + request.Tag + "'"); err != nil {
		return chdb.Stats{}, err
	}
	for _, sql := range request.Prelude {
		if err := conn.Exec(sql); err != nil {
			return chdb.Stats{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return chdb.Stats{}, err
	}
	finished := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { s.killWhenCancelled(ctx, request.Tag, finished) })
	defer watch.Wait()
	defer close(finished)

	statement := chdb.Statement{SQL: request.SQL, Format: request.Format, Params: request.Params}
	if request.Stream {
		stats, err := conn.Stream(statement, emit)
		if !errors.Is(err, chdb.ErrNotStreamed) {
			return stats, err
		}
	}
	return conn.Query(statement, emit)
}

// killWhenCancelled asks the engine to stop the tagged statement once ctx ends,
// again and again until it has finished, for it may not have begun yet.
func (s *server) killWhenCancelled(ctx context.Context, tag string, finished <-chan struct{}) {
	select {
	case <-finished:
		return
	case <-ctx.Done():
	}
	conn, err := s.lib.Open(s.args...)
	if err != nil {
		s.log.Warn("cannot cancel a statement", slog.Any("error", err))
		return
	}
	defer conn.Close()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if err := conn.Exec("KILL QUERY WHERE Settings['log_comment'] = '" + tag + "' ASYNC"); err != nil {
			s.log.Warn("cannot cancel a statement", slog.Any("error", err))
		}
		select {
		case <-finished:
			return
		case <-ticker.C:
		}
	}
}
