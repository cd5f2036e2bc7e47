package imports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
)

func TestAFullDiskKeepsNothingHalf(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(func(s step) error {
		if s == stepSpooled {
			return fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		return nil
	})
	_, err := m.Create(bytes.NewReader(realFile(t, 10, nil)), wdi)
	require.Equal(t, fault.NoRoom, fault.KindOf(err))
	require.ErrorIs(t, err, syscall.ENOSPC)
	for _, dir := range []string{incomingDir, jobsDir} {
		left, err := os.ReadDir(filepath.Join(w.dir, dir))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestADiskThatFillsDuringAJobMakesItWait(t *testing.T) {
	w := newWorld(t)
	w.cfg.BatchRows = 7
	var mu sync.Mutex
	full := 3
	m, _ := w.manager(func(s step) error {
		mu.Lock()
		defer mu.Unlock()
		if s == stepReported && full > 0 {
			full--
			return syscall.ENOSPC
		}
		return nil
	})
	job, lines := w.send(m, wdi, realFile(t, 60, nil))
	require.Equal(t, Done, job.Status)
	require.Equal(t, map[string]int64{"recorded": 60}, job.Counts)
	require.Len(t, lines, 60)
	require.Empty(t, job.Explanation)
}

func TestAFileThatBreaksOffKeepsTheRowsBefore(t *testing.T) {
	w := newWorld(t)
	w.cfg.BatchRows = 7
	m, _ := w.manager(nil)
	rows := make([]string, 4000)
	for i := range rows {
		rows[i] = fmt.Sprintf("%d;09-03-2026;10:00;20 03 01;%d", i, 1000+i*7919%9000)
	}
	packed := packed(t, ticketFile(rows...))
	job, lines := w.send(m, tickets, packed[:len(packed)*3/4])
	require.Equal(t, Failed, job.Status)
	require.Equal(t, "malformed", job.Error.Kind)
	require.Equal(t, "file-damaged", job.Error.Violations[0].Rule)
	require.Greater(t, len(lines), 100)
	require.EqualValues(t, len(lines), job.Counts["recorded"])
	facts, _ := w.total()
	require.Equal(t, len(lines), facts)

	// Of a keyless file nothing is recorded: half of it is another multiset.
	packed = packedReal(t, 500)
	job, err := m.Create(bytes.NewReader(packed[:len(packed)*3/4]), wdi)
	require.NoError(t, err)
	job, err = m.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, Failed, job.Status)
	require.Empty(t, job.Counts)

	// The whole file then records the rest.
	job, _ = w.send(m, tickets, ticketFile(rows...))
	require.EqualValues(t, facts, job.Counts["already_recorded"])
	require.EqualValues(t, len(rows)-facts, job.Counts["recorded"])
}

func TestFinishedJobsAreKeptWithinLimits(t *testing.T) {
	clock := now
	w := newWorld(t)
	m := New(Config{Dir: w.dir, KeepJobs: 2}, Deps{Intake: w.service, Register: w.register, Streams: w.log, Profiles: w.profiles, Now: func() time.Time { return clock }})
	require.NoError(t, m.Open())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	for i := range 4 {
		w.send(m, tickets, ticketFile(fmt.Sprintf("%d;09-03-2026;10:00;20 03 01;1000", i)))
	}
	cancel()
	require.NoError(t, <-ended)
	require.Len(t, m.List(), 4)
	m.clean()
	jobs := m.List()
	require.Len(t, jobs, 2)
	require.Greater(t, jobs[0].ID, jobs[1].ID, "newest first; the oldest went")

	clock = now.Add(31 * 24 * time.Hour)
	m.clean()
	require.Empty(t, m.List())
	left, err := os.ReadDir(filepath.Join(w.dir, jobsDir))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestErrTooManyJobsWait(t *testing.T) {
	w := newWorld(t)
	m := New(Config{Dir: w.dir, MaxQueued: 2}, Deps{Intake: w.service, Register: w.register, Streams: w.log, Profiles: w.profiles, Now: fixed})
	require.NoError(t, m.Open()) // nobody runs it
	file := ticketFile("1;09-03-2026;10:00;20 03 01;1000")
	for range 2 {
		_, err := m.Create(bytes.NewReader(file), tickets)
		require.NoError(t, err)
	}
	_, err := m.Create(bytes.NewReader(file), tickets)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	// Of one scope one job is worked on at a time; another scope goes on.
	_, ok, _ := m.take()
	require.NotNil(t, ok)
	e, _, _ := m.take()
	require.Nil(t, e)
}

func TestErrOpen(t *testing.T) {
	w := newWorld(t)
	require.Error(t, New(Config{}, Deps{}).Open())
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "file"), nil, 0o600))
	require.Error(t, New(Config{Dir: filepath.Join(w.dir, "file", "spool")}, Deps{}).Open())
}

func TestEveryMetricMoves(t *testing.T) {
	w := newWorld(t)
	registry := prometheus.NewRegistry()
	s := &stubborn{Intake: w.service, with: fault.New(fault.Unavailable, "away")}
	s.refuse.Store(1)
	m := New(Config{Dir: w.dir, FirstPause: 1}, Deps{Intake: s, Register: w.register, Streams: w.log, Profiles: w.profiles, Now: fixed, Metrics: NewMetrics(registry)})
	require.NoError(t, m.Open())
	file := ticketFile("1;09-03-2026;10:00;20 03 01;1000", "2;09-03-2026;10:00;20 03 01;x")
	job, err := m.Create(bytes.NewReader(file), tickets)
	require.NoError(t, err)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP stofstrom_imports_jobs_queued Import jobs that wait.
# TYPE stofstrom_imports_jobs_queued gauge
stofstrom_imports_jobs_queued 1
`), "stofstrom_imports_jobs_queued"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	_, err = m.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-ended)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP stofstrom_imports_jobs_queued Import jobs that wait.
# TYPE stofstrom_imports_jobs_queued gauge
stofstrom_imports_jobs_queued 0
# HELP stofstrom_imports_jobs_running Import jobs under way.
# TYPE stofstrom_imports_jobs_running gauge
stofstrom_imports_jobs_running 0
# HELP stofstrom_imports_jobs_total Import jobs that ended, by status: done or failed.
# TYPE stofstrom_imports_jobs_total counter
stofstrom_imports_jobs_total{status="done"} 1
# HELP stofstrom_imports_lines_total Lines of import reports, by what became of the row.
# TYPE stofstrom_imports_lines_total counter
stofstrom_imports_lines_total{status="recorded"} 1
stofstrom_imports_lines_total{status="rejected"} 1
# HELP stofstrom_imports_received_bytes_total Bytes of files taken into the spool, as they were sent.
# TYPE stofstrom_imports_received_bytes_total counter
stofstrom_imports_received_bytes_total %d
# HELP stofstrom_imports_waits_total Pauses of import jobs because the log or the disk was away.
# TYPE stofstrom_imports_waits_total counter
stofstrom_imports_waits_total 1
`, len(file))), "stofstrom_imports_jobs_queued", "stofstrom_imports_jobs_running", "stofstrom_imports_jobs_total",
		"stofstrom_imports_lines_total", "stofstrom_imports_received_bytes_total", "stofstrom_imports_waits_total"))
	n, err := testutil.GatherAndCount(registry, "stofstrom_imports_job_seconds")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func BenchmarkImportRealFile(b *testing.B) {
	file := realFile(b, 29_626, nil)
	rows := 0
	for b.Loop() {
		w := newWorld(b)
		m, stop := w.manager(nil)
		job, _ := w.send(m, wdi, file)
		require.Equal(b, map[string]int64{"recorded": 29_626}, job.Counts)
		rows += 29_626
		stop()
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

// Senders that are slow are no jobs that wait: they have a limit of their own.
func TestErrTooManyFilesAreReceived(t *testing.T) {
	w := newWorld(t)
	m := New(Config{Dir: w.dir, MaxQueued: 2, MaxReceiving: 3}, Deps{Intake: w.service, Register: w.register, Streams: w.log, Profiles: w.profiles, Now: fixed})
	require.NoError(t, m.Open()) // nobody runs it
	file := ticketFile("1;09-03-2026;10:00;20 03 01;1000")
	slow := func() (release func()) {
		src, dst := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			_, err := m.Create(src, tickets)
			ended <- errors.Join(err, src.Close())
		}()
		_, err := dst.Write(file[:1]) // it is being received once a byte was read
		require.NoError(t, err)
		return func() {
			require.NoError(t, dst.CloseWithError(errSource))
			require.ErrorIs(t, <-ended, errSource)
		}
	}
	first, second := slow(), slow()
	_, err := m.Create(bytes.NewReader(file), tickets)
	require.NoError(t, err, "two files on their way are not two jobs that wait")
	third := slow()
	_, err = m.Create(bytes.NewReader(file), tickets)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.ErrorContains(t, err, "3 files are being received already")
	first()
	second()
	third()
	_, err = m.Create(bytes.NewReader(file), tickets)
	require.NoError(t, err)
	_, err = m.Create(bytes.NewReader(file), tickets)
	require.ErrorContains(t, err, "2 imports wait already")
}
