//go:build linux

package clickhouse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/engine"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// child is one run of the engine process.
type child struct {
	cmd      *exec.Cmd
	lifeline *os.File // closing it asks the child to stop
	client   *http.Client
	exited   chan struct{} // closed once the process is reaped
	err      error         // why it ended; read only after exited
}

// errNeverReady says that the engine ended before it had served anything.
var errNeverReady = errors.New("the ClickHouse engine did not start")

// supervise runs the engine child, again and again, until ctx ends. It returns
// an error when the very first start fails, for then the cause is in the
// configuration and trying again helps nobody.
func (s *Server) supervise(ctx context.Context) error {
	delay := s.cfg.Limits.RestartDelay
	for first := true; ; first = false {
		started := time.Now()
		c, err := s.startChild(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil //nolint:nilerr // stopped while it started
		case err != nil && first:
			return err
		case err != nil:
			s.log.Error("clickhouse engine did not come back", slog.Any("error", err))
		default:
			err = s.watch(ctx, c)
			if ctx.Err() != nil {
				return err
			}
			s.log.Error("clickhouse engine ended; it is started again", slog.Any("error", err), slog.Duration("after", time.Since(started)))
		}
		if time.Since(started) > s.cfg.Limits.RestartDelayMax {
			delay = s.cfg.Limits.RestartDelay
		}
		s.metrics.restarts.Inc()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		delay = min(2*delay, s.cfg.Limits.RestartDelayMax)
	}
}

// watch makes a started child the current one and returns when it has ended:
// by itself, because it hung, or because ctx ended and it was asked to stop.
func (s *Server) watch(ctx context.Context, c *child) error {
	if err := s.createResearchDatabases(ctx, c); err != nil {
		return errors.Join(err, c.kill())
	}
	s.current.Store(c)
	s.metrics.up.Set(1)
	s.readyOnce.Do(func() { close(s.engineReady) })
	defer s.metrics.up.Set(0)
	defer s.current.Store(nil)
	defer func() { _ = c.lifeline.Close() }() // closed already when the child was stopped
	ticker := time.NewTicker(s.cfg.Limits.LivenessInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.exited:
			return c.err
		case <-ctx.Done():
			return c.stop(s.cfg.Limits.StopTime)
		case <-ticker.C:
			if err := c.alive(ctx, s.cfg.Limits.LivenessTime); err != nil && ctx.Err() == nil {
				select {
				case <-c.exited:
					return c.err
				default:
				}
				s.metrics.hangs.Inc()
				s.log.Error("clickhouse engine does not answer its liveness query; it is killed", slog.Any("error", err))
				return errors.Join(err, c.kill())
			}
		}
	}
}

// createResearchDatabases makes the databases the researcher may read, so that
// the account works before anything was projected.
func (s *Server) createResearchDatabases(ctx context.Context, c *child) error {
	for _, name := range s.cfg.ResearchDatabases {
		var summary wire.Summary
		request := wire.Request{Tag: uuid.NewString(), SQL: "CREATE DATABASE IF NOT EXISTS " + identifier(name), Format: "Null"}
		if err := c.call(ctx, request, func([]byte) error { return nil }, &summary); err != nil {
			return fmt.Errorf("clickhouse: create research database %s: %w", name, err)
		}
	}
	return nil
}

// startChild starts the engine and waits until it serves.
func (s *Server) startChild(ctx context.Context) (*child, error) {
	sockets, err := os.MkdirTemp("", "stofstrom-ch-")
	if err != nil {
		return nil, fmt.Errorf("clickhouse: folder for the engine's socket: %w", err)
	}
	path := filepath.Join(sockets, "engine.sock")
	c, status, err := s.spawn(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("clickhouse: start the engine: %w", err), os.RemoveAll(sockets))
	}
	go func() {
		<-c.exited
		c.client.CloseIdleConnections()
		if err := os.RemoveAll(sockets); err != nil {
			s.log.Warn("cannot remove the engine's socket", slog.Any("error", err))
		}
	}()
	line := make(chan string, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(status, 64<<10))
		if err != nil {
			text = []byte(err.Error())
		}
		line <- strings.TrimSpace(string(text))
		_ = status.Close() // a pipe's read end, fully read
	}()
	limit := time.NewTimer(s.cfg.Limits.StartTime)
	defer limit.Stop()
	select {
	case text := <-line:
		if text == engine.Ready {
			return c, nil
		}
		<-c.exited
		if text == "" {
			return nil, fmt.Errorf("clickhouse: %w: %w", errNeverReady, c.err)
		}
		return nil, fmt.Errorf("clickhouse: %w: %s", errNeverReady, text)
	case <-limit.C:
		return nil, errors.Join(fmt.Errorf("clickhouse: %w within %v", errNeverReady, s.cfg.Limits.StartTime), c.kill())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), c.kill())
	}
}

// spawn starts the process and returns it with the read end of its status pipe.
func (s *Server) spawn(socket string) (*child, *os.File, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, nil, fmt.Errorf("socket: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	inherited, err := listener.File()
	if err := errors.Join(err, listener.Close()); err != nil {
		return nil, nil, fmt.Errorf("socket: %w", err)
	}
	// The parent must not keep the socket: with its last holder gone, requests
	// to a dead child are refused at once instead of waiting.
	defer func() { _ = inherited.Close() }()
	stopRead, stopWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = stopRead.Close() }()
	statusRead, statusWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, stopWrite.Close())
	}
	defer func() { _ = statusWrite.Close() }()

	cmd, err := s.command(inherited, stopRead, statusWrite)
	if err != nil {
		return nil, nil, errors.Join(err, stopWrite.Close(), statusRead.Close())
	}
	c := &child{cmd: cmd, lifeline: stopWrite, exited: make(chan struct{}), client: clientOf(socket)}
	if err := c.start(s.log); err != nil {
		return nil, nil, errors.Join(err, stopWrite.Close(), statusRead.Close())
	}
	return c, statusRead, nil
}

func (s *Server) command(files ...*os.File) (*exec.Cmd, error) {
	spec, err := json.Marshal(s.engineSpec())
	if err != nil {
		return nil, fmt.Errorf("describe the engine: %w", err)
	}
	cmd := exec.Command(s.cfg.Executable[0], s.cfg.Executable[1:]...) //nolint:gosec,noctx // the command line is the operator's; the supervisor ends the child itself, gently first
	cmd.Dir = s.folder("run")
	cmd.ExtraFiles = files
	cmd.Env = append(childEnvironment(), engine.EnvSpec+"="+string(spec), "HOME="+s.folder("run"), "TMPDIR="+s.folder("spool"))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // an interrupt typed at the terminal is the parent's to handle
	}
	return cmd, nil
}

// childEnvironment passes on what the dynamic loader and the Go runtime need
// and nothing that could carry a secret into the engine.
func childEnvironment() []string {
	env := []string{"TZ=UTC", "LC_ALL=C.UTF-8"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "GOTRACEBACK", "GOCOVERDIR", "GORACE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// start starts the process from a thread that lives as long as it does: the
// kernel sends the parent-death signal when the starting thread ends.
func (c *child) start(log *slog.Logger) error {
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return err
	}
	c.cmd.Stdout = c.cmd.Stderr
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := c.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		var reading sync.WaitGroup
		reading.Go(func() { relay(stderr, log) })
		reading.Wait() // Wait closes the pipe, so everything must be read first
		c.err = c.cmd.Wait()
		if c.err == nil {
			c.err = errors.New("it ended by itself")
		}
		close(c.exited)
	}()
	return <-started
}

// relay passes the child's own words on to the log.
func relay(stderr io.Reader, log *slog.Logger) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		log.Info("clickhouse engine says", slog.String("line", lines.Text()))
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		log.Warn("clickhouse engine's words are lost", slog.Any("error", err))
		_, _ = io.Copy(io.Discard, stderr) // a full pipe would block the child
	}
}

// clientOf returns an HTTP client that speaks to the child's socket.
func clientOf(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 16,
		DisableCompression:  true,
		ReadBufferSize:      64 << 10,
	}}
}

// alive runs the liveness query.
func (c *child) alive(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+wire.PathAlive, nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("liveness query: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("liveness query: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("liveness query: %s", strings.TrimSpace(string(text)))
	}
	return nil
}

// stop asks the child to end and kills it when it takes longer than twice the
// limit (the child itself waits once for statements and once for sessions).
func (c *child) stop(limit time.Duration) error {
	if err := c.lifeline.Close(); err != nil {
		return errors.Join(err, c.kill())
	}
	timer := time.NewTimer(2*limit + 5*time.Second)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
		return errors.Join(errors.New("clickhouse: the engine did not stop in time and was killed"), c.kill())
	}
	if state := c.cmd.ProcessState; state != nil && state.Success() {
		return nil
	}
	return fmt.Errorf("clickhouse: the engine stopped badly: %w", c.err)
}

// kill ends the child at once and waits for it to be gone.
func (c *child) kill() error {
	err := c.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-c.exited
	return errors.Join(err, ignoreClosed(c.lifeline.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
