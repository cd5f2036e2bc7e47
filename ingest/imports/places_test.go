package imports

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
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
