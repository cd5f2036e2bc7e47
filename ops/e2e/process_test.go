// Package e2e runs the program as its users do: as processes, over HTTP, from
// outside. The test binary plays the program itself when it is started with
// the environment variable below, so that what is tested is what was built,
// race detector included.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/cli"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
)

const playProgram = "E2E_STOFSTROM_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(playProgram) != "" || clickhouse.IsEngine() {
		if disk := os.Getenv(smallDiskEnv); disk != "" && !clickhouse.IsEngine() {
			os.Exit(playOnSmallDisk(disk))
		}
		os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// patience is the ceiling for anything a test waits for.
const patience = 90 * time.Second

// program is a running process of the program.
type program struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines *lines // standard output
	log   *lines // standard error
	done  chan struct{}
	err   error // of Wait; read after done
}

// lines collects output line by line and wakes those who wait for one.
type lines struct {
	mu      sync.Mutex
	all     []string
	changed chan struct{}
}

func newLines() *lines { return &lines{changed: make(chan struct{})} }

func (l *lines) collect(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l.mu.Lock()
		l.all = append(l.all, scanner.Text())
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// find returns the submatches of the first line that matches, and a channel
// that is closed when there are more lines.
func (l *lines) find(re *regexp.Regexp) ([]string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if m := re.FindStringSubmatch(line); m != nil {
			return m, nil
		}
	}
	return nil, l.changed
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(cleanEnviron(), playProgram+"=1")
	return cmd
}

func cleanEnviron() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "STOFSTROM_") {
			env = append(env, kv)
		}
	}
	return env
}

// start starts the program and ends it with the test at the latest.
func start(t testing.TB, args ...string) *program {
	t.Helper()
	return launch(t, command(args...))
}

func launch(t testing.TB, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, cmd: cmd, lines: newLines(), log: newLines(), done: make(chan struct{})}
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	errOut, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	var readers sync.WaitGroup
	readers.Go(func() { p.lines.collect(out) })
	readers.Go(func() { p.log.collect(errOut) })
	go func() {
		readers.Wait()
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %v:\n%s\n%s", cmd.Args[1:], p.lines, p.log)
		}
	})
	return p
}

// kill ends the process at once, as a power cut would.
func (p *program) kill() {
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// stop asks for a graceful stop and returns the exit code.
func (p *program) stop() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.wait()
}

// wait waits for the end and returns the exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		require.Fail(p.t, "the program does not end", "%s\n%s", p.lines, p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// waitFor waits for a line of standard output and returns its submatches.
func (p *program) waitFor(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		match, changed := p.lines.find(re)
		if match != nil {
			return match
		}
		select {
		case <-changed:
		case <-p.done:
			if match, _ := p.lines.find(re); match != nil {
				return match
			}
			require.Fail(p.t, "the program ended", "before it printed %q:\n%s\n%s", pattern, p.lines, p.log)
		case <-deadline:
			require.Fail(p.t, "nothing printed", "no line like %q:\n%s\n%s", pattern, p.lines, p.log)
		}
	}
}

// run runs a command to its end.
func run(t testing.TB, args ...string) (code int, out, errOut string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
		cmd.Process.Kill()
		<-done
		require.Fail(t, "the command does not end", "%v\n%s\n%s", args, &o, &e)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// server is a running serve that is ready.
type server struct {
	*program
	api string // http://127.0.0.1:port
	sql string // http://127.0.0.1:port
}

// serve starts a server on free ports over a data folder and waits until it
// is ready.
func serve(t testing.TB, data string, args ...string) *server {
	t.Helper()
	return awaitServer(start(t, serveArgs(data, args...)...))
}

func serveArgs(data string, args ...string) []string {
	return append([]string{"serve", "--listen", "127.0.0.1:0", "--log-format", "text", "--data", data}, args...)
}

func awaitServer(p *program) *server {
	p.t.Helper()
	s := &server{program: p}
	s.api = p.waitFor(`^API +(http://\S+)$`)[1]
	s.sql = p.waitFor(`^SQL +(http://\S+)`)[1]
	p.waitFor(`^ready`)
	return s
}

// get asks the API and returns status and body.
func (s *server) get(path string) (int, []byte) {
	s.t.Helper()
	return s.do(http.MethodGet, path, "", nil)
}

func (s *server) do(method, path, contentType string, body []byte) (int, []byte) {
	s.t.Helper()
	code, answer, err := s.try(method, path, contentType, body)
	require.NoError(s.t, err)
	return code, answer
}

// try is do for requests that may meet a dead server.
func (s *server) try(method, path, contentType string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.api+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	return resp.StatusCode, answer, nil
}

// eventually asks until the condition holds; between two asks it waits for
// the pause, because the state of another process sends no signal.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			require.Fail(t, "waited in vain", what)
		}
		<-pause.C
	}
}
