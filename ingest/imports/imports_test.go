package imports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
)

func TestTheRealFileIsRecordedOnceWhateverIsSent(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	file := realFile(t, 29_626, nil)

	job, lines := w.send(m, wdi, file)
	require.Equal(t, Done, job.Status, "%+v", job)
	require.Equal(t, map[string]int64{"recorded": 29_626}, job.Counts, "%+v", firstOther(lines, LineRecorded))
	require.EqualValues(t, 29_626, job.Rows)
	require.Empty(t, job.Needs)
	require.Len(t, w.register.Facilities(), 847)
	facts, total := w.total()
	require.Equal(t, 29_626, facts)
	require.Equal(t, "33087651.241897", total.Tonnes())
	for i, l := range lines {
		require.Equal(t, i+2, l.Line)
	}

	job, _ = w.send(m, wdi, file)
	require.Equal(t, map[string]int64{"already_recorded": 29_626}, job.Counts)

	shuffled := realFile(t, 29_626, func(rows [][]string) [][]string {
		rand.New(rand.NewPCG(7, 7)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		return rows
	})
	job, _ = w.send(m, wdi, shuffled)
	require.Equal(t, map[string]int64{"already_recorded": 29_626}, job.Counts)
	facts, total = w.total()
	require.Equal(t, 29_626, facts)
	require.Equal(t, "33087651.241897", total.Tonnes())
}

func firstOther(lines []Line, status LineStatus) any {
	for _, l := range lines {
		if l.Status != status {
			return l
		}
	}
	return nil
}

func TestAChangedRowIsHeldBackUntilReplacementIsAskedFor(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	const n = 300
	w.send(m, wdi, realFile(t, n, nil))
	_, before := w.total()

	changed := realFile(t, n, func(rows [][]string) [][]string {
		rows[10][tonnes] = "1234.5"
		return rows
	})
	job, lines := w.send(m, wdi, changed)
	require.Equal(t, Done, job.Status)
	require.Equal(t, map[string]int64{"already_recorded": n - 1, "new": 1, "missing": 1}, job.Counts)
	require.Equal(t, NeedsReplace, job.Needs)
	require.Contains(t, job.Explanation, "replace=true")
	require.Equal(t, []LineStatus{LineNew}, statuses(lines)[12])
	require.Equal(t, []LineStatus{LineMissing}, statuses(lines)[0])
	require.NotEmpty(t, lines[len(lines)-1].EventID)
	facts, total := w.total()
	require.Equal(t, n, facts)
	require.Equal(t, before, total, "nothing counts twice")

	replace := wdi
	replace.Replace, replace.Reason = true, "the publisher mended one row"
	job, lines = w.send(m, replace, changed)
	require.Equal(t, map[string]int64{"already_recorded": n - 1, "corrected": 1}, job.Counts)
	require.Empty(t, job.Needs)
	require.Equal(t, []LineStatus{LineCorrected}, statuses(lines)[12])
	facts, after := w.total()
	require.Equal(t, n, facts)
	require.NotEqual(t, before, after)

	job, _ = w.send(m, replace, changed)
	require.Equal(t, map[string]int64{"already_recorded": n}, job.Counts)
	// And back again: an identity that was replaced returns.
	job, _ = w.send(m, replace, realFile(t, n, nil))
	require.Equal(t, map[string]int64{"already_recorded": n - 1, "corrected": 1}, job.Counts)
	_, total = w.total()
	require.Equal(t, before, total)
}

func TestReplacementCancelsWhatIsGoneAndRecordsWhatIsNew(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	const n = 200
	w.send(m, wdi, realFile(t, n, nil))
	// Two rows gone, another facility's row new, one equal row doubled.
	changed := realFile(t, n+1, func(rows [][]string) [][]string {
		return append(append(slices.Clone(rows[2:n]), rows[n]), rows[50])
	})
	replace := wdi
	replace.Replace, replace.Reason = true, "new edition"
	job, lines := w.send(m, replace, changed)
	require.Equal(t, 2, count(lines)[LineCancelled]+count(lines)[LineCorrected], "%+v", job.Counts)
	require.Equal(t, n-2, count(lines)[LineAlreadyRecorded])
	facts, _ := w.total()
	require.Equal(t, n, facts)

	// What was cancelled does not come back because an old file is sent again…
	job, _ = w.send(m, wdi, realFile(t, n, nil))
	require.Equal(t, NeedsReplace, job.Needs)
	// …but when asked for.
	job, lines = w.send(m, replace, realFile(t, n, nil))
	require.Empty(t, job.Needs)
	require.Zero(t, count(lines)[LineConflict])
	facts, _ = w.total()
	require.Equal(t, n, facts)
}

func TestARowThatWasCancelledIsNotRevivedByAccident(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	const n = 50
	w.send(m, wdi, realFile(t, n, nil))
	replace := wdi
	replace.Replace, replace.Reason = true, "the last row was wrong"
	job, _ := w.send(m, replace, realFile(t, n-1, nil))
	require.Equal(t, map[string]int64{"already_recorded": n - 1, "cancelled": 1}, job.Counts)

	// The old file again: nothing is missing, one row is new, and was cancelled.
	job, lines := w.send(m, wdi, realFile(t, n, nil))
	require.Equal(t, map[string]int64{"already_recorded": n - 1, "conflict": 1}, job.Counts)
	require.Contains(t, lines[n-1].Detail, "replace=true")
	facts, _ := w.total()
	require.Equal(t, n-1, facts)

	job, _ = w.send(m, replace, realFile(t, n, nil))
	require.Equal(t, map[string]int64{"already_recorded": n - 1, "recorded": 1}, job.Counts)
	facts, _ = w.total()
	require.Equal(t, n, facts)
}

func TestBrokenRowsAreNamedAndAllOthersRecorded(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	const n = 100
	breakRows := func(rows [][]string) [][]string {
		rows[3][tonnes] = "12,5"
		rows[5][14] = "99 99 99"
		rows[7][26] = "R14"
		rows[9] = rows[9][:20]
		rows[11][tonnes] = "0"
		rows[13][12] = "Jelly"
		rows[15][8] = "far"
		return rows
	}
	file := realFile(t, n, func(rows [][]string) [][]string { return breakRows(rows) })
	job, lines := w.send(m, wdi, file)
	require.Equal(t, Done, job.Status)
	require.Equal(t, map[string]int64{"recorded": n - 7, "rejected": 7}, job.Counts, "%+v", lines)
	want := map[int][3]string{
		5:  {"Tonnes Received", "mass-malformed", "12,5"},
		7:  {"Waste Code", "waste-code-unknown", "99 99 99"},
		9:  {"R and D code", "operation-unknown", "R14"},
		11: {"row", "csv-column-count", "20 columns"},
		13: {"Tonnes Received", "mass-not-positive", "0"},
		15: {"Form", "form-unknown", "Jelly"},
		17: {"Easting ", "number-malformed", "far"},
	}
	for _, l := range lines {
		if l.Status != LineRejected {
			continue
		}
		v := l.Violations[0]
		require.Equal(t, l.Line, v.Line)
		require.Equal(t, want[l.Line], [3]string{v.Field, v.Rule, v.Value})
		require.NotEmpty(t, v.Message)
		require.NotEmpty(t, l.Detail)
	}

	// Sent again beside replacement: what the broken rows stand for is not
	// known, so that nothing may be cancelled.
	_, before := w.total()
	replace := wdi
	replace.Replace, replace.Reason = true, "again"
	broken := realFile(t, n-20, func(rows [][]string) [][]string { return breakRows(rows) })
	job, lines = w.send(m, replace, broken)
	require.Equal(t, NeedsFix, job.Needs)
	require.Equal(t, 20, count(lines)[LineMissing])
	require.Zero(t, count(lines)[LineCancelled])
	_, total := w.total()
	require.Equal(t, before, total)

	// Mended: only what is new is recorded.
	job, _ = w.send(m, wdi, realFile(t, n, nil))
	require.Equal(t, map[string]int64{"recorded": 7, "already_recorded": n - 7}, job.Counts)
}

func TestTicketsWithIdsOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.cfg.BatchRows = 2
	m, _ := w.manager(nil)
	file := ticketFile(
		"1;09-03-2026;10:00;20 03 01;1.000,5", "2;09-03-2026;10:05;200301;1000,5", "3;09-03-2026;10:10;200301;70000",
		"2;09-03-2026;10:05;200301;1000,5", "2;09-03-2026;10:05;200301;900", ";09-03-2026;10:05;200301;900", "7;31-02-2026;10:05;200301;900")
	job, lines := w.send(m, tickets, file)
	require.Equal(t, Done, job.Status)
	st := statuses(lines)
	require.Equal(t, []LineStatus{LineRejected}, st[2])
	require.Equal(t, []LineStatus{LineRecorded}, st[3])
	require.Equal(t, []LineStatus{LineRecorded}, st[4])
	require.Equal(t, []LineStatus{LineAlreadyRecorded}, st[5])
	require.Equal(t, []LineStatus{LineConflict}, st[6])
	require.Equal(t, []LineStatus{LineRejected}, st[7])
	require.Equal(t, []LineStatus{LineRejected}, st[8])
	require.True(t, slices.ContainsFunc(lines[2].Warnings, func(v fault.Violation) bool {
		return v.Rule == "mass-likely-kilograms" && v.Field == "Net" && v.Line == 4
	}), "%+v", lines[2].Warnings)

	_, err := m.Create(bytes.NewReader(file), Request{Profile: "ticket", Replace: true, Reason: "x y z"})
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}

func TestErrFilesThatAreNotTaken(t *testing.T) {
	w := newWorld(t)
	w.cfg.MaxFileBytes = 1000
	w.cfg.MaxQueued = 1
	m, _ := w.manager(nil)
	good := string(ticketFile("1;09-03-2026;10:00;20 03 01;1000"))
	for name, c := range map[string]struct {
		req  Request
		body io.Reader
		kind fault.Kind
		rule string
	}{
		"unknown profile":        {Request{Profile: "x"}, strings.NewReader(good), fault.NotFound, "profile-unknown"},
		"unknown parameter":      {Request{Profile: "wdi", Parameters: map[string]string{"jahr": "2019"}}, strings.NewReader(good), fault.Invalid, "parameter-unknown"},
		"malformed parameter":    {Request{Profile: "wdi", Parameters: map[string]string{"year": "19"}}, strings.NewReader(good), fault.Invalid, "parameter-malformed"},
		"replace without reason": {Request{Profile: "wdi", Replace: true}, strings.NewReader(good), fault.Invalid, "reason-missing"},
		"reason without replace": {Request{Profile: "wdi", Reason: "because"}, strings.NewReader(good), fault.Invalid, "reason-without-replace"},
		"other headings":         {tickets, strings.NewReader("Ticket;Date;Time;EAK;Weight;Ticket\n"), fault.Invalid, "heading-unknown"},
		"empty":                  {tickets, strings.NewReader(""), fault.Malformed, "file-empty"},
		"too large":              {tickets, io.MultiReader(strings.NewReader(good), io.LimitReader(zeros{}, 2000)), fault.TooLarge, "file-too-large"},
		"damaged gzip":           {tickets, strings.NewReader("\x1f\x8b\x08\x00garbage"), fault.Malformed, "file-damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.Create(c.body, c.req)
			var f *fault.Fault
			require.ErrorAs(t, err, &f)
			require.Equal(t, c.kind, f.Kind)
			require.Equal(t, c.rule, f.Violations[0].Rule)
			require.Empty(t, m.List())
		})
	}
	_, err := m.Create(io.MultiReader(strings.NewReader(good), failing{}), tickets)
	require.ErrorIs(t, err, errSource)
	require.Empty(t, m.List())
	_, err = m.Get("nope")
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	_, err = m.Report("nope")
	require.Equal(t, fault.NotFound, fault.KindOf(err))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failing struct{}

var errSource = errors.New("the sender hung up")

func (failing) Read([]byte) (int, error) { return 0, errSource }

// A file that was cut off must not take what is recorded with it.
func TestAReplacementThatCancelsMostMustBeAskedFor(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	const n = 60
	w.send(m, wdi, realFile(t, n, nil))
	facts, total := w.total()
	replace := wdi
	replace.Replace, replace.Reason = true, "the publisher sent it again"
	for _, left := range []int{0, 29} {
		for _, trial := range []bool{true, false} {
			req := replace
			req.DryRun = trial
			job, err := m.Create(bytes.NewReader(realFile(t, left, nil)), req)
			require.NoError(t, err)
			job, err = m.Wait(t.Context(), job.ID)
			require.NoError(t, err)
			require.Equal(t, Failed, job.Status, "%d rows left", left)
			require.Equal(t, "replace-cancels-most", job.Error.Violations[0].Rule)
			require.Contains(t, job.Error.Violations[0].Message, fmt.Sprintf("It would cancel %d of the %d recorded rows.", n-left, n))
			require.Empty(t, job.Counts)
			f, g := w.total()
			require.Equal(t, [2]any{facts, total}, [2]any{f, g})
		}
	}
	// Half is not most; and what is asked for is done.
	job, _ := w.send(m, replace, realFile(t, n/2, nil))
	require.Equal(t, map[string]int64{"already_recorded": n / 2, "cancelled": n / 2}, job.Counts)
	replace.CancelMost = true
	job, _ = w.send(m, replace, realFile(t, 1, nil))
	require.Equal(t, map[string]int64{"already_recorded": 1, "cancelled": n/2 - 1}, job.Counts)
	// A handful is never most, however small the data set.
	replace.CancelMost = false
	w.send(m, replace, realFile(t, 11, nil))
	job, _ = w.send(m, replace, realFile(t, 1, nil))
	require.Equal(t, map[string]int64{"already_recorded": 1, "cancelled": 10}, job.Counts)

	replace.Replace, replace.Reason, replace.CancelMost = false, "", true
	_, err := m.Create(bytes.NewReader(realFile(t, 1, nil)), replace)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}

// Rows that a file lacks are named by what people find them with.
func TestMissingRowsAreDescribed(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	first := func(rows [][]string) [][]string { return rows[1:] }
	w.send(m, wdi, realFile(t, 3, nil))
	const want = "gb-ea-403552, 19 08 05, 28 t, from gb-wpa-norfolk"
	replace := wdi
	replace.Replace, replace.Reason = true, "a row too many"
	trial := replace
	trial.DryRun = true
	for _, c := range []struct {
		req    Request
		status LineStatus
	}{{wdi, LineMissing}, {trial, LineCancelled}, {replace, LineCancelled}} {
		_, lines := w.send(m, c.req, realFile(t, 3, first))
		last := lines[len(lines)-1]
		require.Equal(t, [3]any{0, c.status, want}, [3]any{last.Line, last.Status, last.Detail})
	}
}

func TestNeedsAreSaidInTheRightNumber(t *testing.T) {
	for want, man := range map[string]manifest{
		"The file lacks 1 row recorded before. Send":                            {Missing: 1, Held: true},
		"The file lacks 2 rows recorded before, so that 1 new row is held back": {Missing: 2, Held: true, Job: Job{Counts: map[string]int64{"new": 1}}},
		"1 row was rejected, and the file lacks 2 rows recorded before":         {Missing: 2, Held: true, Broken: 1, Job: Job{Replace: true}},
		"reason; 3 new rows are held back until then.":                          {Missing: 2, Held: true, Broken: 1, Job: Job{Replace: true, Counts: map[string]int64{"new": 3}}},
	} {
		r := &run{man: &man}
		_, text := r.needs()
		require.Contains(t, text, want)
	}
}

// A typo in the region must not count the whole file again under another name.
func TestAFileOfAnotherRegionIsRefused(t *testing.T) {
	w := newWorld(t)
	m, _ := w.manager(nil)
	w.send(m, wdi, realFile(t, 3, nil))
	typo := wdi
	typo.Parameters = map[string]string{"region": "east-of-englnd"}
	job, lines := w.send(m, typo, realFile(t, 3, nil))
	require.Equal(t, map[string]int64{"rejected": 3}, job.Counts)
	v := lines[0].Violations[0]
	require.Equal(t, [2]string{"Facility RPA", "East of England"}, [2]string{v.Field, v.Value})
	require.Contains(t, v.Message, "It must be east-of-englnd.")
	facts, _ := w.total()
	require.Equal(t, 3, facts)
}
