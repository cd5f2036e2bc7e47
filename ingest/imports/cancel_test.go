package imports

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

func (w *world) cancelReport(m *Manager, id string) []Line {
	w.t.Helper()
	src, err := m.CancelReport(id)
	require.NoError(w.t, err)
	text, err := io.ReadAll(src)
	require.NoError(w.t, err)
	require.NoError(w.t, src.Close())
	var lines []Line
	for _, raw := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		var l Line
		require.NoError(w.t, json.Unmarshal(raw, &l), "%s", raw)
		lines = append(lines, l)
	}
	return lines
}

// fact reads what an event recorded.
func (w *world) fact(id string) flow.Fact {
	w.t.Helper()
	place, found, err := w.service.Event(w.t.Context(), uuid.MustParse(id))
	require.NoError(w.t, err)
	require.True(w.t, found)
	for rec, err := range w.log.ReadStream(w.t.Context(), place.Stream, place.Revision) {
		require.NoError(w.t, err)
		ev, err := event.Decode(rec.Type, rec.Data)
		require.NoError(w.t, err)
		e, ok := ev.(event.Recorded)
		require.True(w.t, ok)
		return e.Fact
	}
	return flow.Fact{}
}

func (w *world) submit(c ledger.Command) {
	w.t.Helper()
	require.NoError(w.t, w.service.Submit(w.t.Context(), []intake.Item{{Command: c, Meta: event.Meta{Actor: "somebody else"}}})[0].Err)
}

// What others changed since is left and listed; everything else that the
// import recorded is cancelled, once, whenever the process is killed.
func TestACancelledImportTakesBackWhatStandsAsItRecordedIt(t *testing.T) {
	for _, at := range []step{"", stepUndone, stepUndoneReported} {
		for _, nth := range []int{1, 3} {
			t.Run(fmt.Sprintf("killed at %q, %d", at, nth), func(t *testing.T) {
				w := newWorld(t)
				w.cfg.BatchRows = 7
				m, stop := w.manager(nil)
				first, _ := w.send(m, wdi, realFile(t, 3, nil))
				job, lines := w.send(m, wdi, realFile(t, 40, nil))
				require.EqualValues(t, 37, job.Counts["recorded"])
				before, _ := w.total()
				require.Equal(t, 40, before)

				corrected := w.fact(lines[10].EventID)
				corrected.Mass.Net++
				w.submit(ledger.Correct{Fact: corrected, Reason: "read wrongly"})
				w.submit(ledger.Cancel{Identity: w.fact(lines[20].EventID).Identity, Reason: "not ours"})
				stop()

				k := newKiller(at, nth)
				m, stop = w.manager(k.step)
				asked, err := m.Cancel(job.ID, "the wrong year", "clerk")
				require.NoError(t, err)
				require.Equal(t, Queued, asked.Cancellation.Status)
				if at != "" {
					<-k.killed
					stop()
					m, _ = w.manager(nil)
				}
				done, err := m.Wait(t.Context(), job.ID)
				require.NoError(t, err)
				require.Equal(t, Done, done.Cancellation.Status)
				require.Equal(t, map[string]int64{"cancelled": 36, "left": 1}, done.Cancellation.Counts)
				require.Equal(t, job.Counts, done.Counts, "the import's own report stays")

				facts, total := w.total()
				require.Equal(t, 4, facts, "those of the first import, and the one that somebody corrected")
				report := w.cancelReport(m, job.ID)
				require.Len(t, report, 37)
				for i, l := range report {
					require.Equal(t, lines[i+3].Line, l.Line)
					if l.Line == lines[10].Line {
						require.Equal(t, LineLeft, l.Status)
						require.Equal(t, flow.RuleSuperseded, l.Violations[0].Rule)
					} else {
						require.Equal(t, LineCancelled, l.Status)
					}
				}
				// Asked again it does nothing more.
				again, err := m.Cancel(job.ID, "again", "clerk")
				require.NoError(t, err)
				require.Equal(t, done.Cancellation, again.Cancellation)
				factsAgain, totalAgain := w.total()
				require.Equal(t, facts, factsAgain)
				require.Equal(t, total, totalAgain)
				_, err = m.CancelReport(first.ID)
				require.Equal(t, fault.NotFound, fault.KindOf(err))
			})
		}
	}
}

func TestErrCancelAnImport(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	dry, _ := w.send(m, Request{Profile: "wdi", Actor: "test", DryRun: true}, realFile(t, 2, nil))
	job, _ := w.send(m, wdi, realFile(t, 2, nil))
	for _, c := range []struct {
		id, reason string
		kind       fault.Kind
	}{{"nope", "x", fault.NotFound}, {job.ID, "", fault.Invalid}, {dry.ID, "x", fault.Invalid}} {
		_, err := m.Cancel(c.id, c.reason, "clerk")
		require.Equal(t, c.kind, fault.KindOf(err), c.id)
	}
	waiting := New(Config{Dir: t.TempDir()}, m.deps) // nobody runs it
	require.NoError(t, waiting.Open())
	queued, err := waiting.Create(bytes.NewReader(realFile(t, 2, nil)), wdi)
	require.NoError(t, err)
	_, err = waiting.Cancel(queued.ID, "x", "clerk")
	require.Equal(t, fault.Conflict, fault.KindOf(err))
}

// The log is away for a while: the cancellation waits, and loses nothing.
func TestACancellationWaitsForTheLog(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	job, _ := w.send(m, wdi, realFile(t, 5, nil))
	w.log.away.Store(3)
	_, err := m.Cancel(job.ID, "x", "clerk")
	require.NoError(t, err)
	done, err := m.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	require.EqualValues(t, 5, done.Cancellation.Counts["cancelled"])
	facts, total := w.total()
	require.Zero(t, facts)
	require.Zero(t, total)
}
