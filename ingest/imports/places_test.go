package imports

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/ingest/register"
)

const siteName = 5 // index of the column Site Name

// threeOfOneSite is three rows of one facility, of which one names it badly.
func threeOfOneSite(t *testing.T, bad int, name string) []byte {
	t.Helper()
	return realFile(t, 1, func(rows [][]string) [][]string {
		var all [][]string
		for i := range 3 {
			row := slices.Clone(rows[0])
			row[tonnes] = fmt.Sprint(10 + i)
			if i == bad {
				row[siteName] = name
			}
			all = append(all, row)
		}
		return all
	})
}

// A bad name in one row is refused there, wherever it stands, whether the
// facility is known already or not, and whenever the job is killed.
func TestABadNameOfAFacilityRefusesItsRowOnly(t *testing.T) {
	for _, name := range []string{"x\ny", ""} {
		for bad := range 3 {
			for _, at := range []step{"none", stepCompared, stepRecorded, stepReported} {
				t.Run(fmt.Sprintf("%q/row %d/%s", name, bad, at), func(t *testing.T) {
					w := newWorld(t)
					w.cfg.BatchRows, w.cfg.InFlight = 1, 1
					job, lines := w.withKill(newKiller(at, 1), wdi, threeOfOneSite(t, bad, name))
					require.Equal(t, Done, job.Status)
					require.Equal(t, map[string]int64{"recorded": 2, "rejected": 1}, job.Counts, "%+v", lines)
					require.Equal(t, LineRejected, lines[bad].Status)
					require.Len(t, lines[bad].Violations, 1)
					v := lines[bad].Violations[0]
					require.Equal(t, [3]any{"Site Name", name, lines[bad].Line}, [3]any{v.Field, v.Value, v.Line})
					facts, _ := w.total()
					require.Equal(t, 2, facts)
				})
			}
		}
	}
}

// Also when nothing is recorded, and when rows are held back.
func TestABadNameOfAFacilityIsForetoldForItsRowOnly(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	trial := wdi
	trial.DryRun = true
	job, _ := w.send(m, trial, threeOfOneSite(t, 2, ""))
	require.Equal(t, map[string]int64{"recorded": 2, "rejected": 1}, job.Counts)

	w.send(m, wdi, realFile(t, 1, nil))
	job, lines := w.send(m, wdi, threeOfOneSite(t, 0, ""))
	require.Equal(t, map[string]int64{"new": 2, "rejected": 1, "missing": 1}, job.Counts)
	require.Equal(t, "Site Name", lines[0].Violations[0].Field)
}

// A file sent again after its facility was given another time zone is the file
// that is recorded, in a dry run as well.
func TestANewTimeZoneMakesNoConflictOfAFile(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	file := ticketFile("1;01-03-2026 00:30;20 03 01;500", "2;02-03-2026 08:00;20 03 01;500")
	file = bytes.ReplaceAll(file, []byte("2026 "), []byte("2026;"))
	job, lines := w.send(m, tickets, file)
	require.Equal(t, map[string]int64{"recorded": 2}, job.Counts, "%+v", lines)
	entry, ok := w.register.Facility("dk-p-1003412345")
	require.True(t, ok)
	moved := entry.Facility
	moved.TimeZone = "Atlantic/Azores"
	require.NoError(t, w.register.PutFacility(t.Context(), moved, register.Source{Kind: register.Curated, Name: "test"}, event.Meta{Actor: "test"}).Err)
	trial := tickets
	trial.DryRun = true
	for _, req := range []Request{trial, tickets} {
		job, lines = w.send(m, req, file)
		require.Equal(t, map[string]int64{"already_recorded": 2}, job.Counts, "%+v", lines)
	}
}
