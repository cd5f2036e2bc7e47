package pubsub_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	node "github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

// The test binary plays other parts as well: the first argument says which.
const (
	roleServe   = "serve-node"   // DIR ADDRESS: run a node, print its address
	roleRestart = "restart-node" // PIDFILE: kill the node and wait for the next
	roleFatal   = "fatal-client" // CONNECTION: see TestC7
	roleClose   = "close-client" // CONNECTION: see TestC3
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		roles := map[string]func(args []string) error{roleServe: serveNode, roleRestart: restartNode, roleFatal: fatalClient, roleClose: closeWhileCalling}
		if run, ok := roles[os.Args[1]]; ok {
			if err := run(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, os.Args[1], err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	if os.Getenv("STOFSTROM_LONG") == "" {
		// Read by Watermill's suite; tests that run in parallel cannot set it.
		if err := os.Setenv("STRESS_TEST_COUNT", "2"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func serveNode(args []string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	n, err := node.New(node.Config{Dir: args[0], Listen: args[1], Logger: logger()})
	if err != nil {
		return err
	}
	go func() {
		<-n.Ready()
		fmt.Fprintln(os.Stdout, n.Addr())
	}()
	return n.Run(ctx)
}

// nodeProcess is a node in a process of its own, started again whenever it
// dies. Its address stays the same.
type nodeProcess struct {
	dir     string
	address string
	pidFile string

	mu   sync.Mutex
	cmd  *exec.Cmd // guarded by mu
	stop bool      // guarded by mu
	done sync.WaitGroup
}

func startNodeProcess(tb testing.TB) *nodeProcess {
	tb.Helper()
	p := &nodeProcess{dir: tb.TempDir(), address: "127.0.0.1:0"}
	p.pidFile = filepath.Join(tb.TempDir(), "pid")
	require.NoError(tb, p.start())
	p.done.Go(func() { p.supervise(tb) })
	tb.Cleanup(func() {
		p.mu.Lock()
		p.stop = true
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // gone already is as good
		p.mu.Unlock()
		p.done.Wait()
	})
	return p
}

func (p *nodeProcess) connectionString() string { return "esdb://" + p.address + "?tls=false" }

// start runs the process until it serves. The pid file is written then.
func (p *nodeProcess) start() error {
	cmd := exec.Command(os.Args[0], roleServe, p.dir, p.address)
	cmd.Stderr = os.Stderr
	// The node must not outlive the test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("node said nothing: %w, %w", err, cmd.Wait())
	}
	p.mu.Lock()
	p.cmd, p.address = cmd, strings.TrimSpace(line)
	p.mu.Unlock()
	temp := p.pidFile + ".new"
	if err := os.WriteFile(temp, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, p.pidFile)
}

func (p *nodeProcess) supervise(tb testing.TB) {
	tb.Helper()
	for {
		p.mu.Lock()
		cmd := p.cmd
		p.mu.Unlock()
		_ = cmd.Wait() // killed on purpose
		p.mu.Lock()
		stop := p.stop
		p.mu.Unlock()
		if stop {
			return
		}
		if err := p.start(); err != nil {
			tb.Errorf("start the node again: %v", err)
			return
		}
	}
}

// restart kills the node as a power cut would and waits for the next one.
func (p *nodeProcess) restart() error { return restartNode([]string{p.pidFile}) }

func restartNode(args []string) error {
	before, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(before))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill node %d: %w", pid, err)
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		now, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		if string(now) != string(before) {
			return nil
		}
		<-time.After(5 * time.Millisecond)
	}
	return fmt.Errorf("node %d did not come back", pid)
}

// freeAddress is an address of this machine that nobody listens on.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, l.Close())
	return l.Addr().String()
}
