package imports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
)

func (w *world) back(m *Manager, id string, lang Language) (string, []byte) {
	w.t.Helper()
	r, err := m.Returned(id, lang)
	require.NoError(w.t, err)
	var b bytes.Buffer
	require.NoError(w.t, r.Write(&b))
	require.NoError(w.t, r.Close())
	return r.Name, b.Bytes()
}

// A clerk mends what is wrong in the file that came back, sends it again, and
// only that is recorded.
func TestAClerkFixesTheReturnedFileAndSendsItAgain(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	req := tickets
	req.FileName = `C:\Data\billetter.csv.gz`
	job, lines := w.send(m, req, packed(t, ticketFile("1;09-03-2026;10:00;20 03 01;1000", "2;09-03-2026;10:00;99 99 99;1.000", "3;09-03-2026;10:00;20 03 01;70000")))
	require.Equal(t, map[LineStatus]int{LineRecorded: 2, LineRejected: 1}, count(lines))

	name, file := w.back(m, job.ID, Danish)
	require.Equal(t, "billetter-resultat.csv", name)
	text := string(file)
	require.Contains(t, text, "Net;stofstrom: resultat;stofstrom: bemærkninger\r\n")
	require.Contains(t, text, "1;09-03-2026;10:00;20 03 01;1000;registreret;\r\n")
	require.Contains(t, text, "afvist;")
	require.Contains(t, text, "EAK: Affaldskoden (EAK) findes ikke på den europæiske affaldsliste. [99 99 99]")
	require.Contains(t, text, "Advarsel: ")
	name, file = w.back(m, job.ID, English)
	require.Equal(t, "billetter-result.csv", name)
	require.Contains(t, string(file), "The waste code is not on the European list of waste.")

	fixed := strings.ReplaceAll(strings.ReplaceAll(text, "2;09-03-2026;10:00;99 99 99;1.000", "2;09-03-2026;10:00;20 03 01;1000"), "registreret", "=hvad")
	require.NotEqual(t, text, fixed)
	before, _ := w.total()
	_, lines = w.send(m, req, []byte(fixed))
	require.Equal(t, map[int][]LineStatus{2: {LineAlreadyRecorded}, 3: {LineRecorded}, 4: {LineAlreadyRecorded}}, statuses(lines))
	after, _ := w.total()
	require.Equal(t, before+1, after)
}

func TestAWorkbookGoesBackAsAWorkbook(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	f := excelize.NewFile()
	for i, row := range [][]any{{"Ticket", "Date", "Time", "EAK", "Net"}, {1, 46090, 0.5, "20 03 01", 1000}, {2, 46090, 0.5, "20 03 01", "tusind"}} {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		require.NoError(t, err)
		require.NoError(t, f.SetSheetRow("Sheet1", cell, &row))
	}
	var b bytes.Buffer
	require.NoError(t, f.Write(&b))
	req := tickets
	req.FileName = "billetter.xlsx"
	job, lines := w.send(m, req, b.Bytes())
	require.Equal(t, map[int][]LineStatus{2: {LineRecorded}, 3: {LineRejected}}, statuses(lines))
	require.Equal(t, job.Bytes, job.BytesRead)
	name, file := w.back(m, job.ID, Danish)
	require.Equal(t, "billetter-resultat.xlsx", name)
	back, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	rows, err := back.GetRows("Sheet1")
	require.NoError(t, err)
	require.Equal(t, "stofstrom: resultat", rows[0][5])
	require.Equal(t, "registreret", rows[1][5])
	require.Equal(t, "afvist", rows[2][5])
	_, lines = w.send(m, req, file)
	require.Equal(t, map[LineStatus]int{LineAlreadyRecorded: 1, LineRejected: 1}, count(lines))
}

func TestErrReturned(t *testing.T) {
	w := newWorld(t)
	k := newKiller(stepStarted, 1)
	m, stop := w.manager(k.step)
	_, err := m.Returned("nope", English)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	job, err := m.Create(bytes.NewReader(ticketFile("1;09-03-2026;10:00;20 03 01;1000")), tickets)
	require.NoError(t, err)
	<-k.killed
	_, err = m.Returned(job.ID, English)
	require.Equal(t, fault.Conflict, fault.KindOf(err), "it is under way")
	stop()
}

// everything is what the log holds, byte for byte.
func (w *world) everything() (all []string) {
	w.t.Helper()
	for rec, err := range w.log.ReadAll(w.t.Context(), eventlog.Position{}, eventlog.Filter{}) {
		require.NoError(w.t, err)
		all = append(all, rec.ID.String()+string(rec.Data)+string(rec.Meta))
	}
	return all
}

// A dry run says of every row what the real one then does, and changes
// nothing; a kill at any step changes nothing of that.
func TestADryRunForetellsAndRecordsNothing(t *testing.T) {
	const n = 60
	first := realFile(t, n, nil)
	second := realFile(t, n+3, func(rows [][]string) [][]string {
		rows[20][tonnes] = "77.7"
		rows[30][tonnes] = "x"
		rows[40][permit] = "NEW1"
		return rows[5:]
	})
	mended := bytes.Replace(second, []byte(",x\n"), []byte(",1\n"), 1)
	replace := wdi
	replace.Replace, replace.Reason = true, "new edition"
	ticketRows := ticketFile("1;09-03-2026;10:00;20 03 01;1000", "2;09-03-2026;10:00;20 03 01;1", "2;09-03-2026;10:00;20 03 01;1", "2;09-03-2026;10:00;20 03 01;2",
		"1;10-02-2026;10:00;20 03 01;1000", "3;09-03-2026;10:00;99 99 99;1")
	for _, c := range []struct {
		name    string
		before  Request
		earlier []byte
		req     Request
		file    []byte
	}{
		{"fresh", Request{}, nil, wdi, first},
		{"again", wdi, first, wdi, first},
		{"changed", wdi, first, wdi, second},
		{"replaced", wdi, first, replace, mended},
		{"replaced with errors", wdi, first, replace, second},
		{"tickets", tickets, ticketFile("1;09-03-2026;10:00;20 03 01;1000"), tickets, ticketRows},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.cfg.BatchRows, w.cfg.InFlight = 7, 3
			m, stop := w.manager(nil)
			if c.earlier != nil {
				w.send(m, c.before, c.earlier)
			}
			stop()
			before := w.everything()
			dry := c.req
			dry.DryRun = true
			var told []Line
			for i, at := range append([]step{""}, allSteps[2:]...) {
				_, lines := w.withKill(newKiller(at, 1+i%2), dry, c.file)
				if told == nil {
					told = lines
				}
				require.Equal(t, statuses(told), statuses(lines), "killed at %q", at)
				require.Equal(t, before, w.everything(), "killed at %q", at)
			}
			m, _ = w.manager(nil)
			_, done := w.send(m, c.req, c.file)
			require.Equal(t, statuses(done), statuses(told))
			require.NotEmpty(t, told)
		})
	}
}

func TestADryRunsFileSaysWhatWouldBe(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	req := tickets
	req.DryRun = true
	job, _ := w.send(m, req, ticketFile("1;09-03-2026;10:00;20 03 01;1000"))
	require.True(t, job.DryRun)
	_, file := w.back(m, job.ID, Danish)
	require.Contains(t, string(file), "ville blive registreret")
	facts, _ := w.total()
	require.Zero(t, facts)
}
