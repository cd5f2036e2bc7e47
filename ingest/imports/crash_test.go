package imports

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// killer stops a manager at the nth passing of a step, and every later step,
// as a kill stops everything at once.
type killer struct {
	mu     sync.Mutex
	at     step
	nth    int
	dead   bool
	killed chan struct{}
}

func newKiller(at step, nth int) *killer {
	return &killer{at: at, nth: nth, killed: make(chan struct{})}
}

func (k *killer) step(s step) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return errKilled
	}
	if s == k.at {
		if k.nth--; k.nth == 0 {
			k.dead = true
			close(k.killed)
			return errKilled
		}
	}
	return nil
}

var allSteps = []step{stepSpooled, stepAccepted, stepStarted, stepPlanned, stepCompared, stepWindow, stepRecorded, stepReported, stepLacking, stepSynced, stepDone}

// withKill sends a file to a manager that dies at a step, then lets a new one
// finish the job, and returns it.
func (w *world) withKill(k *killer, req Request, file []byte) (Job, []Line) {
	w.t.Helper()
	m, stop := w.manager(k.step)
	job, err := m.Create(bytes.NewReader(file), req)
	if err != nil {
		require.ErrorIs(w.t, err, errKilled)
	} else {
		// It may end without passing the step as often as was wanted.
		ctx, cancel := context.WithCancel(w.t.Context())
		go func() {
			select {
			case <-k.killed:
				cancel()
			case <-ctx.Done():
			}
		}()
		_, _ = m.Wait(ctx, job.ID) // either is fine: ended, or killed
		cancel()
	}
	stop()
	m, stop = w.manager(nil)
	defer stop()
	jobs := m.List()
	if len(jobs) == 0 || err != nil && jobs[0].ID == job.ID {
		return Job{}, nil
	}
	job, err = m.Wait(w.t.Context(), jobs[0].ID)
	require.NoError(w.t, err)
	return job, w.report(m, job.ID)
}

// Each row has exactly one result in the end, and what the killed attempt
// recorded is reported as recorded.
func TestAKillAtAnyStepChangesNothingInTheEnd(t *testing.T) {
	const n = 60
	file := realFile(t, n, nil)
	for _, at := range allSteps {
		for _, nth := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%s/%d", at, nth), func(t *testing.T) {
				w := newWorld(t)
				w.cfg.BatchRows, w.cfg.InFlight = 7, 3
				job, lines := w.withKill(newKiller(at, nth), wdi, file)
				if at == stepSpooled && nth == 1 {
					require.Empty(t, job.ID, "a file that was not accepted leaves nothing")
					left, err := os.ReadDir(filepath.Join(w.dir, incomingDir))
					require.NoError(t, err)
					require.Empty(t, left)
					return
				}
				require.Equal(t, Done, job.Status)
				require.Equal(t, map[string]int64{"recorded": n}, job.Counts)
				require.Len(t, lines, n)
				for i, l := range lines {
					require.Equal(t, i+2, l.Line)
				}
				facts, _ := w.total()
				require.Equal(t, n, facts)
			})
		}
	}
}

func TestAKillDuringReplacementChangesNothingInTheEnd(t *testing.T) {
	const n = 60
	first := realFile(t, n, nil)
	// One row corrected; five rows gone; three rows new.
	second := realFile(t, n+3, func(rows [][]string) [][]string {
		rows[20][tonnes] = "77.7"
		return rows[5:]
	})
	replace := wdi
	replace.Replace, replace.Reason = true, "new edition"

	want, wantLines := func() (Job, []Line) {
		w := newWorld(t)
		m, _ := w.manager(nil)
		w.send(m, wdi, first)
		return w.send(m, replace, second)
	}()
	require.Positive(t, want.Counts["cancelled"]+want.Counts["corrected"])
	for _, at := range allSteps[2:] {
		for _, nth := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", at, nth), func(t *testing.T) {
				w := newWorld(t)
				w.cfg.BatchRows, w.cfg.InFlight = 7, 3
				m, stop := w.manager(nil)
				w.send(m, wdi, first)
				stop()
				job, lines := w.withKill(newKiller(at, nth), replace, second)
				require.Equal(t, Done, job.Status)
				require.Equal(t, want.Counts, job.Counts)
				require.Equal(t, statuses(wantLines), statuses(lines))
				facts, _ := w.total()
				require.Equal(t, n-2, facts)
			})
		}
	}
}

func TestKillAfterKill(t *testing.T) {
	const n = 120
	file := realFile(t, n, nil)
	w := newWorld(t)
	w.cfg.BatchRows, w.cfg.InFlight = 5, 4
	m, stop := w.manager(newKiller(stepAccepted, 99).step)
	job, err := m.Create(bytes.NewReader(file), wdi)
	require.NoError(t, err)
	stop()
	for round := range 30 {
		k := newKiller([]step{stepRecorded, stepReported}[round%2], 1+round%3)
		m, stop = w.manager(k.step)
		select {
		case <-k.killed:
		case <-m.jobs[job.ID].ended:
		}
		stop()
	}
	m, _ = w.manager(nil)
	job, err = m.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"recorded": n}, job.Counts)
	require.Len(t, w.report(m, job.ID), n)
}

// What an earlier job recorded stays "already recorded", kill or no kill.
func TestARowOfAnotherJobIsNotClaimedAfterAKill(t *testing.T) {
	const n = 60
	file := realFile(t, n, nil)
	w := newWorld(t)
	w.cfg.BatchRows, w.cfg.InFlight = 7, 3
	m, stop := w.manager(nil)
	w.send(m, wdi, file)
	stop()
	job, _ := w.withKill(newKiller(stepRecorded, 2), wdi, file)
	require.Equal(t, map[string]int64{"already_recorded": n}, job.Counts)
}

// After a power cut the end of the report may be lost or anything.
func TestATornReportIsMendedFromTheLog(t *testing.T) {
	const n = 60
	file := realFile(t, n, nil)
	w := newWorld(t)
	w.cfg.BatchRows, w.cfg.InFlight = 7, 3
	k := newKiller(stepReported, 5)
	m, stop := w.manager(k.step)
	job, err := m.Create(bytes.NewReader(file), wdi)
	require.NoError(t, err)
	<-k.killed
	stop()
	path := filepath.Join(w.dir, jobsDir, job.ID, reportFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	torn := append(text[:len(text)/3:len(text)/3], make([]byte, 200)...)
	require.NoError(t, os.WriteFile(path, torn, 0o600))

	m, _ = w.manager(nil)
	job, err = m.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"recorded": n}, job.Counts)
	require.Len(t, w.report(m, job.ID), n)
}

func TestALogThatIsAwayMakesTheJobWait(t *testing.T) {
	for name, fail := range map[string]func(w *world) Intake{
		"the log refuses": func(w *world) Intake { w.log.away.Store(40); return w.service },
		"the answer is lost": func(w *world) Intake {
			s := &stubborn{Intake: w.service, with: fault.New(fault.Unavailable, "away")}
			s.refuse.Store(150)
			return s
		},
		"the log's disk is full": func(w *world) Intake {
			s := &stubborn{Intake: w.service, with: fault.New(fault.NoRoom, "full")}
			s.refuse.Store(30)
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 60
			w := newWorld(t)
			m := New(Config{Dir: w.dir, BatchRows: 7, FirstPause: 1}, Deps{Intake: fail(w), Register: w.register, Streams: w.log, Profiles: w.profiles, Now: fixed})
			require.NoError(t, m.Open())
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- m.Run(ctx) }()
			job, lines := w.send(m, wdi, realFile(t, n, nil))
			require.Equal(t, Done, job.Status)
			require.Len(t, lines, n)
			require.Equal(t, map[string]int64{"recorded": n}, job.Counts)
			require.Empty(t, job.Explanation)
			facts, _ := w.total()
			require.Equal(t, n, facts)
			cancel()
			require.NoError(t, <-ended)
		})
	}
}

// Two equal lines of one ticket: the first is recorded, the second already
// is, also when the report of both was lost.
func TestAfterAKillEachLineIsJudgedForItself(t *testing.T) {
	w := newWorld(t)
	w.cfg.BatchRows, w.cfg.InFlight = 1, 2
	row := "1;09-03-2026;10:00;20 03 01;1000"
	job, lines := w.withKill(newKiller(stepRecorded, 2), tickets, ticketFile(row, row, row))
	require.Equal(t, Done, job.Status)
	require.Equal(t, map[int][]LineStatus{2: {LineRecorded}, 3: {LineAlreadyRecorded}, 4: {LineAlreadyRecorded}}, statuses(lines))
}
