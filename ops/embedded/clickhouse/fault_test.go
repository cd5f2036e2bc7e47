//go:build linux

package clickhouse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

// newEngine waits for an engine child other than the one with process id old.
func newEngine(t *testing.T, server *clickhousetest.Server, old int) int {
	t.Helper()
	var pid int
	require.Eventually(t, func() bool {
		var ok bool
		pid, ok = server.EnginePID()
		return ok && pid != old
	}, 30*time.Second, 5*time.Millisecond, "the engine does not come back")
	return pid
}

func TestKilledEngineComesBackWithEveryAnsweredInsert(t *testing.T) {
	server := clickhousetest.Start(t)
	conn := clickhousetest.Open(t, server.Admin)
	ctx := t.Context()
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE t (batch UInt64, n UInt64) ENGINE = MergeTree ORDER BY (batch, n)"))

	const rows = 500
	var answered, unknown []uint64
	var rounds atomic.Int64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := uint64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			switch err := insertBatch(ctx, conn, i, rows); {
			case err == nil:
				answered = append(answered, i)
				rounds.Add(1)
			case unavailable(err):
				unknown = append(unknown, i)
			default:
				t.Errorf("batch %d: %v", i, err)
				return
			}
		}
	}()
	for range 5 {
		pid, ok := server.EnginePID()
		require.True(t, ok)
		seen := rounds.Load()
		require.Eventually(t, func() bool { return rounds.Load() >= seen+3 }, 30*time.Second, time.Millisecond)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		newEngine(t, server, pid)
	}
	close(stop)
	<-done
	require.NotEmpty(t, unknown, "no insert met a dead engine; the test shows nothing")

	got := map[uint64]uint64{}
	found, err := conn.Query(ctx, "SELECT batch, count() FROM t GROUP BY batch")
	require.NoError(t, err)
	for found.Next() {
		var batch, n uint64
		require.NoError(t, found.Scan(&batch, &n))
		got[batch] = n
	}
	require.NoError(t, errors.Join(found.Err(), found.Close()))
	for _, batch := range answered {
		require.EqualValues(t, rows, got[batch], "batch %d was answered", batch)
		delete(got, batch)
	}
	for _, batch := range unknown {
		if n, ok := got[batch]; ok {
			require.EqualValues(t, rows, n, "batch %d is there in part", batch)
			delete(got, batch)
		}
	}
	require.Empty(t, got)
}

func insertBatch(ctx context.Context, conn driver.Conn, i, rows uint64) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (batch, n)")
	if err != nil {
		return err
	}
	for n := range rows {
		if err := batch.Append(i, n); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	return batch.Send()
}

// unavailable says whether err is the exception of a missing engine.
func unavailable(err error) bool {
	var exception *driver.Exception
	return errors.As(err, &exception) && exception.Code == 210
}

func TestRequestsMeetAnExceptionWhileTheEngineIsAway(t *testing.T) {
	server := clickhousetest.Start(t, func(c *clickhouse.Config) {
		c.Limits.RestartDelay, c.Limits.RestartDelayMax = time.Hour, time.Hour
	})
	conn := clickhousetest.Open(t, server.Admin)
	require.NoError(t, conn.Ping(t.Context()))
	pid, ok := server.EnginePID()
	require.True(t, ok)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.Eventually(t, func() bool { _, ok := server.EnginePID(); return !ok }, 10*time.Second, time.Millisecond)
	a := send(t, server.Admin, request{body: strings.NewReader("SELECT 1")})
	require.Equal(t, 503, a.status)
	require.Equal(t, "210", a.header.Get("X-Clickhouse-Exception-Code"))
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.True(t, unavailable(conn.Ping(t.Context())))
}

func TestHungEngineIsKilledAndStartedAgain(t *testing.T) {
	registry := prometheus.NewRegistry()
	server := clickhousetest.Start(t, func(c *clickhouse.Config) {
		c.Registerer = registry
		c.Limits.LivenessInterval, c.Limits.LivenessTime = 20*time.Millisecond, 300*time.Millisecond
	})
	conn := clickhousetest.Open(t, server.Admin)
	pid, ok := server.EnginePID()
	require.True(t, ok)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	newEngine(t, server, pid)
	require.NoError(t, conn.Ping(t.Context()))
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	count := scrape(t, registry)
	require.Positive(t, count["stofstrom_clickhouse_engine_hangs_total"])
	require.Positive(t, count["stofstrom_clickhouse_engine_restarts_total"])
}

// TestRestartsComeLessAndLessOften kills the engine as soon as it is back, and
// measures how long each pause was.
func TestRestartsComeLessAndLessOften(t *testing.T) {
	server := clickhousetest.Start(t, func(c *clickhouse.Config) {
		c.Limits.RestartDelay, c.Limits.RestartDelayMax = 50*time.Millisecond, 10*time.Second
	})
	var pauses []time.Duration
	for range 4 {
		pid, ok := server.EnginePID()
		require.True(t, ok)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		killed := time.Now()
		newEngine(t, server, pid)
		pauses = append(pauses, time.Since(killed))
	}
	// 50, 100, 200, 400 ms and the time to start each, which a busy machine
	// stretches and never shortens.
	for i, pause := range pauses {
		require.GreaterOrEqual(t, pause, 50*time.Millisecond<<i, "%v", pauses)
	}
}

func TestEngineDiesWithItsParentAndTheFolderIsFreeAgain(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.Command(program) //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), envHost+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	dsn, pidText, ok := strings.Cut(strings.TrimSpace(line), " ")
	require.True(t, ok)
	pid, err := strconv.Atoi(pidText)
	require.NoError(t, err)
	conn := clickhousetest.Open(t, dsn)
	require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a"))
	require.NoError(t, conn.Exec(t.Context(), "INSERT INTO t VALUES (1), (2)"))

	// A second server on the same folder is told why it cannot be.
	second, err := clickhouse.New(clickhouse.Config{Dir: dir, Executable: []string{program}, Limits: clickhouse.Limits{StartTime: time.Second}})
	require.NoError(t, err)
	require.ErrorContains(t, second.Run(t.Context()), "the data path is in use by another process")

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }, 10*time.Second, time.Millisecond, "the engine outlives its parent")

	third := clickhousetest.Start(t, func(c *clickhouse.Config) { c.Dir = dir })
	var n uint64
	require.NoError(t, clickhousetest.Open(t, third.Admin).QueryRow(t.Context(), "SELECT sum(a) FROM t").Scan(&n))
	require.EqualValues(t, 3, n)
}

func TestOrderlyStopKeepsDataAndEndsRunningStatements(t *testing.T) {
	dir := t.TempDir()
	server := clickhousetest.Start(t, func(c *clickhouse.Config) {
		c.Dir, c.Limits.StopTime = dir, 500*time.Millisecond
	})
	conn := clickhousetest.Open(t, server.Admin)
	require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"))
	require.NoError(t, conn.Exec(t.Context(), "INSERT INTO t VALUES (7)"))
	endless := make(chan error, 1)
	go func() {
		endless <- conn.Exec(context.Background(), "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))")
	}()
	require.Eventually(t, func() bool {
		var n uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM system.processes").Scan(&n))
		return n > 1
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, server.Stop())
	require.Error(t, <-endless)
	again := clickhousetest.Start(t, func(c *clickhouse.Config) { c.Dir = dir })
	var n uint8
	require.NoError(t, clickhousetest.Open(t, again.Admin).QueryRow(t.Context(), "SELECT a FROM t").Scan(&n))
	require.EqualValues(t, 7, n)
}

// TestOperatingSystemKeepsTheEngineIn makes statements as the admin, whom no
// guard watches: only the sandbox is in the way.
func TestOperatingSystemKeepsTheEngineIn(t *testing.T) {
	server := clickhousetest.Start(t)
	conn := clickhousetest.Open(t, server.Admin, func(o *driver.Options) {
		// A refused socket is tried once, not for a minute.
		o.Settings = driver.Settings{"http_max_tries": 1, "connections_with_failover_max_tries": 1}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	visited := make(chan struct{})
	go func() {
		if c, err := listener.Accept(); err == nil {
			close(visited)
			_ = c.Close()
		}
	}()
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("the secret"), 0o600))
	target := filepath.Join(t.TempDir(), "out.csv")
	for _, sql := range []string{
		"SELECT file('" + outside + "')",
		"SELECT * FROM file('/etc/passwd', 'LineAsString', 'l String')",
		"SELECT file('/proc/" + strconv.Itoa(os.Getpid()) + "/environ')",
		"SELECT 1 INTO OUTFILE '" + target + "'",
		"INSERT INTO FUNCTION file('" + target + "', 'CSV', 'a Int8') SELECT 1",
		"SELECT * FROM url('http://" + listener.Addr().String() + "/', 'CSV', 'a String')",
		"SELECT * FROM remote('" + listener.Addr().String() + "', system.one)",
		"SELECT * FROM executable('id', 'TSV', 'a String')",
		"BACKUP TABLE system.one TO File('" + target + "')",
	} {
		require.Error(t, conn.Exec(t.Context(), sql), sql)
	}
	require.NoFileExists(t, target)
	require.NoError(t, listener.Close())
	select {
	case <-visited:
		t.Fatal("the engine reached the network")
	default:
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	t.Run("Err configuration, all at once", func(t *testing.T) {
		_, err := clickhouse.New(clickhouse.Config{
			Listen: "0.0.0.0:8123", AdminUser: "researcher", ResearchDatabases: []string{"a b", "system"}, LibPath: "/nowhere/libchdb.so",
			Limits: clickhouse.Limits{QueueTime: -1, BodyBytes: -1},
		})
		for _, part := range []string{"Dir: is empty", `Listen "0.0.0.0:8123"`, `ResearcherUser "researcher"`, `"a b"`, `"system"`, "/nowhere/libchdb.so", "QueueTime", "BodyBytes"} {
			require.ErrorContains(t, err, part)
		}
	})
	run := func(t *testing.T, cfg clickhouse.Config) error {
		t.Helper()
		cfg.Executable = []string{program}
		server, err := clickhouse.New(cfg)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		err = server.Run(ctx)
		require.NoError(t, ctx.Err(), "it went on running")
		return err
	}
	t.Run("Err folder is a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.ErrorContains(t, run(t, clickhouse.Config{Dir: path}), "Dir "+path)
	})
	t.Run("Err folder cannot be made", func(t *testing.T) {
		require.ErrorContains(t, run(t, clickhouse.Config{Dir: "/proc/nowhere"}), "Dir /proc/nowhere")
	})
	t.Run("Err disk is full", func(t *testing.T) {
		dir, want := fullDisk(t)
		require.ErrorIs(t, run(t, clickhouse.Config{Dir: dir}), want)
	})
	t.Run("Err address is taken", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		require.ErrorIs(t, run(t, clickhouse.Config{Dir: t.TempDir(), Listen: l.Addr().String()}), syscall.EADDRINUSE)
	})
	t.Run("Err library is no library", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "libchdb.so")
		require.NoError(t, os.WriteFile(path, []byte("no"), 0o600))
		require.ErrorContains(t, run(t, clickhouse.Config{Dir: t.TempDir(), LibPath: path}), "load the ClickHouse engine "+path)
	})
	t.Run("Err engine command does not exist", func(t *testing.T) {
		server, err := clickhouse.New(clickhouse.Config{Dir: t.TempDir(), Executable: []string{"/nowhere/stofstrom"}})
		require.NoError(t, err)
		require.ErrorIs(t, server.Run(t.Context()), os.ErrNotExist)
	})
	t.Run("Err engine ends at once", func(t *testing.T) {
		server, err := clickhouse.New(clickhouse.Config{Dir: t.TempDir(), Executable: []string{"/bin/false"}})
		require.NoError(t, err)
		require.ErrorContains(t, server.Run(t.Context()), "did not start: exit status 1")
	})
}

// fullDisk returns a folder on a file system without room, if this process may
// mount one, and otherwise a folder it may not write to; and the error to expect.
func fullDisk(t *testing.T) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		require.ErrorIs(t, err, syscall.EPERM)
		require.NoError(t, os.Chmod(dir, 0o500)) //nolint:gosec // a folder that cannot be written to is the point
		return dir, syscall.EACCES
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	f, err := os.Create(filepath.Join(dir, "filler")) //nolint:gosec // our own folder
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 128<<10))
	require.Error(t, err)
	require.NoError(t, f.Close())
	return dir, syscall.ENOSPC
}

func TestConcurrentQueries(t *testing.T) {
	server := clickhousetest.Start(t)
	conn := clickhousetest.Open(t, server.Admin, func(o *driver.Options) { o.MaxOpenConns = 16 })
	require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE t (worker UInt64, n UInt64) ENGINE = MergeTree ORDER BY (worker, n)"))
	errs := make(chan error, 12)
	for worker := range uint64(12) {
		go func() {
			errs <- func() error {
				for i := range 20 {
					if err := insertBatch2(t.Context(), conn, worker, uint64(i)); err != nil {
						return err
					}
					var n, m uint64
					if err := conn.QueryRow(t.Context(), "SELECT count(), toUInt64(?) FROM t WHERE worker = ?", worker, worker).Scan(&n, &m); err != nil {
						return err
					}
					if n != uint64(i)+1 || m != worker {
						return fmt.Errorf("worker %d: %d rows after %d inserts, asked as %d", worker, n, i+1, m)
					}
				}
				return nil
			}()
		}()
	}
	for range 12 {
		require.NoError(t, <-errs)
	}
}

func insertBatch2(ctx context.Context, conn driver.Conn, worker, n uint64) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t (worker, n)")
	if err != nil {
		return err
	}
	return errors.Join(batch.Append(worker, n), batch.Send())
}
