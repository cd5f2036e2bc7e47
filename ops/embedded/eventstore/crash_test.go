package eventstore

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// childDirEnv makes the test binary serve the named folder until it is killed.
const childDirEnv = "STOFSTROM_TEST_EVENTSTORE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDirEnv); dir != "" {
		os.Exit(serveUntilKilled(dir))
	}
	goleak.VerifyTestMain(m)
}

func serveUntilKilled(dir string) int {
	node, err := New(Config{
		Dir: dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		ReserveBytes: 1 << 20, BallastBytes: 1 << 20,
		// Small, so that flushes and compactions are killed as well.
		MemTableBytes: 256 << 10,
	})
	if err == nil {
		go func() {
			<-node.Ready()
			fmt.Fprintln(os.Stdout, node.ConnectionString())
		}()
		err = node.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// startChild runs a node in a process of its own.
func startChild(t testing.TB, dir string) (cmd *exec.Cmd, connection string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, strings.TrimSpace(line)
}

func kill(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "it was killed")
}

// crashWriter appends to a stream of its own, always with the exact revision,
// and repeats what was not answered.
type crashWriter struct {
	stream  string
	next    int64 // revision of the last event known to be there, -1 for none
	pending []esdb.EventData
	acked   map[uuid.UUID]bool
	appends int
}

func (w *crashWriter) expected() esdb.ExpectedRevision {
	if w.next < 0 {
		return esdb.NoStream{}
	}
	return esdb.Revision(uint64(w.next))
}

// write appends until the store is gone. Only an answer that cannot be is an error.
func (w *crashWriter) write(ctx context.Context, client *esdb.Client, rng *rand.Rand) error {
	for ctx.Err() == nil {
		if w.pending == nil {
			w.appends++
			n := 1 + rng.IntN(5)
			for i := range n {
				e := newEvent(i)
				e.Data = fmt.Appendf(nil, "%s/%d/%d/%d/%s", w.stream, w.appends, i, n, strings.Repeat("x", rng.IntN(500)))
				w.pending = append(w.pending, e)
			}
		}
		result, err := client.AppendToStream(ctx, w.stream, expect(w.expected()), w.pending...)
		if err != nil {
			if esErr, ok := esdb.FromError(err); !ok && esErr.Code() == esdb.ErrorCodeWrongExpectedVersion {
				return fmt.Errorf("%s: a retry with the original revision was refused: %w", w.stream, err)
			}
			return nil // killed; the outcome is unknown, the next round repeats it
		}
		w.next += int64(len(w.pending))
		if result.NextExpectedVersion != uint64(w.next) {
			return fmt.Errorf("%s: at revision %d, want %d", w.stream, result.NextExpectedVersion, w.next)
		}
		for _, e := range w.pending {
			w.acked[e.EventID] = true
		}
		w.pending = nil
	}
	return nil
}

// TestKilledAtAnyMoment kills the node under 32 concurrent writers, again and
// again, and looks each time at what is on disk.
func TestKilledAtAnyMoment(t *testing.T) {
	kills := 8
	if os.Getenv("STOFSTROM_LONG") != "" {
		kills = 200
	}
	const count = 32
	// Everything in the log is looked at after each kill: a new log now and
	// then keeps two hundred kills from being two hundred times as long.
	const killsOfALog = 25
	var dir string
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	writers := make([]*crashWriter, count)
	for round := range kills {
		if round%killsOfALog == 0 {
			dir = t.TempDir()
			for i := range writers {
				writers[i] = &crashWriter{stream: fmt.Sprintf("writer-%d", i), next: -1, acked: map[uuid.UUID]bool{}}
			}
		}
		cmd, connection := startChild(t, dir)
		cfg, err := esdb.ParseConnectionString(connection)
		require.NoError(t, err)
		cfg.Logger = esdb.NoopLogging()
		client, err := esdb.NewClient(cfg)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+rng.IntN(400))*time.Millisecond)
		var group sync.WaitGroup
		errs := make([]error, count)
		for i, w := range writers {
			seed := rng.Uint64()
			group.Go(func() { errs[i] = w.write(ctx, client, rand.New(rand.NewPCG(seed, 2))) })
		}
		<-ctx.Done()
		kill(t, cmd)
		cancel()
		group.Wait()
		require.NoError(t, client.Close())
		for _, err := range errs {
			require.NoError(t, err, "round %d", round)
		}
		inspectAfterCrash(t, dir, writers)
	}
}

func inspectAfterCrash(t *testing.T, dir string, writers []*crashWriter) {
	t.Helper()
	cfg := testConfig(t)
	cfg.Dir = dir
	node, stop := startNode(t, cfg)
	_, err := node.Check(testContext(t))
	require.NoError(t, err, "checksums, order, revisions")

	client := connect(t, node.ConnectionString())
	stream, err := client.ReadAll(testContext(t), esdb.ReadAllOptions{From: esdb.Start{}}, 1<<40)
	require.NoError(t, err)
	seen := map[uuid.UUID]bool{}
	var appendID string
	var index, length int
	for {
		e, err := stream.Recv()
		if err == io.EOF { //nolint:errorlint // the client returns it bare
			break
		}
		require.NoError(t, err)
		require.False(t, seen[e.Event.EventID], "doubled: %s", e.Event.Data)
		seen[e.Event.EventID] = true
		parts := strings.Split(string(e.Event.Data), "/")
		id, i, n := parts[0]+"/"+parts[1], atoi(t, parts[2]), atoi(t, parts[3])
		if i == 0 {
			require.Equal(t, length, index, "torn: %s", appendID)
			appendID, index, length = id, 0, n
		}
		require.Equal(t, appendID, id)
		require.Equal(t, index, i)
		index++
	}
	require.Equal(t, length, index, "torn at the end: %s", appendID)
	acked := 0
	for _, w := range writers {
		for id := range w.acked {
			require.True(t, seen[id], "lost: %s of %s", id, w.stream)
		}
		acked += len(w.acked)
	}
	t.Logf("acknowledged %d, found %d", acked, len(seen))
	require.NoError(t, stop())
}

func atoi(t testing.TB, s string) int {
	t.Helper()
	var n int
	_, err := fmt.Sscan(s, &n)
	require.NoError(t, err)
	return n
}
