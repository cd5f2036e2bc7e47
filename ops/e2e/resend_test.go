package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/sample"
)

// sampleTable is the bundled file as records, heading first.
func sampleTable(t testing.TB) [][]string {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(sample.WDI()))
	require.NoError(t, err)
	records, err := csv.NewReader(unpacked).ReadAll()
	require.NoError(t, err)
	return records
}

func toCSV(t testing.TB, records [][]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	require.NoError(t, w.WriteAll(records))
	return out.Bytes()
}

func columnOf(t testing.TB, heading []string, name string) int {
	t.Helper()
	for i, h := range heading {
		if strings.TrimSpace(h) == name {
			return i
		}
	}
	require.Fail(t, "no such column", name)
	return -1
}

// reportLine is one line of an import's report.
type reportLine struct {
	Line       int    `json:"line"`
	Status     string `json:"status"`
	Violations []struct {
		Rule    string `json:"rule"`
		Field   string `json:"field"`
		Value   string `json:"value"`
		Message string `json:"message"`
	} `json:"violations"`
}

func (s *server) report(id string) []reportLine {
	s.t.Helper()
	code, body := s.get("/v1/imports/" + id + "/report?format=ndjson")
	require.Equal(s.t, 200, code, string(body))
	var lines []reportLine
	decoder := json.NewDecoder(bytes.NewReader(body))
	for {
		var l reportLine
		err := decoder.Decode(&l)
		if err == io.EOF {
			return lines
		}
		require.NoError(s.t, err)
		lines = append(lines, l)
	}
}

// everything is the numbers of the server at the finest grain, to see that
// not one of them changes.
func (s *server) everything() map[string]string {
	s.t.Helper()
	numbers := map[string]string{}
	for _, dimension := range []string{"facility", "origin_area", "waste_code", "operation", "site_category", "fate", "year"} {
		a := s.flows("group_by=" + dimension)
		for _, row := range a.Rows {
			raw, err := json.Marshal(row)
			require.NoError(s.t, err)
			numbers[dimension+string(raw)] = ""
		}
	}
	return numbers
}

func TestResendingCountsNothingTwice(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data, "--sample", "wdi")
	requireWhole(t, s)
	before := s.everything()
	records := sampleTable(t)
	tonnes := columnOf(t, records[0], "Tonnes Received")

	t.Run("the same file", func(t *testing.T) {
		j := s.jobEnd(s.sendFile(sample.WDI(), "profile=wdi").ID)
		require.Equal(t, wholeEvents, j.Counts["already_recorded"], "%v", j.Counts)
		require.Equal(t, before, s.everything())
	})
	t.Run("its rows shuffled", func(t *testing.T) {
		rows := append([][]string{}, records[1:]...)
		random := rand.New(rand.NewPCG(2019, 0))
		random.Shuffle(len(rows), func(i, k int) { rows[i], rows[k] = rows[k], rows[i] })
		j := s.jobEnd(s.sendFile(toCSV(t, append([][]string{records[0]}, rows...)), "profile=wdi").ID)
		require.Equal(t, wholeEvents, j.Counts["already_recorded"], "%v", j.Counts)
		require.Equal(t, before, s.everything())
	})

	changed := append([][]string{}, records...)
	row := append([]string{}, records[4711]...)
	old := row[tonnes]
	row[tonnes] = "1234.567891"
	changed[4711] = row
	t.Run("one row's tonnes changed: one new, one missing, listed, nothing counted", func(t *testing.T) {
		j := s.jobEnd(s.sendFile(toCSV(t, changed), "profile=wdi").ID)
		require.Equal(t, 1, j.Counts["new"], "%v", j.Counts)
		require.Equal(t, 1, j.Counts["missing"], "%v", j.Counts)
		require.Equal(t, wholeEvents-1, j.Counts["already_recorded"], "%v", j.Counts)
		require.Equal(t, "replace", j.Needs)
		listed := map[string]int{}
		for _, l := range s.report(j.ID) {
			listed[l.Status]++
			if l.Status == "new" {
				require.Equal(t, 4712, l.Line)
			}
		}
		require.Equal(t, 1, listed["new"])
		require.Equal(t, 1, listed["missing"])
		require.Equal(t, before, s.everything())
	})
	t.Run("with replacement and a reason exactly that one is corrected", func(t *testing.T) {
		query := url.Values{"profile": {"wdi"}, "replace": {"true"}, "reason": {"typing error at the weighbridge"}}
		j := s.jobEnd(s.sendFile(toCSV(t, changed), query.Encode()).ID)
		require.Equal(t, 1, j.Counts["corrected"], "%v", j.Counts)
		require.Equal(t, wholeEvents-1, j.Counts["already_recorded"], "%v", j.Counts)
		eventually(t, "the correction in the tables", func() bool { return s.flows("").Total.Tonnes != wholeTonnes })
		a := s.flows("")
		require.Equal(t, wholeEvents, a.Total.Events)
		sameTonnes(t, difference(t, wholeTonnes, old, "1234.567891"), a.Total.Tonnes, "total after the correction")
	})
	t.Run("replaced back, every number is as before", func(t *testing.T) {
		query := url.Values{"profile": {"wdi"}, "replace": {"true"}, "reason": {"it was right after all"}}
		j := s.jobEnd(s.sendFile(sample.WDI(), query.Encode()).ID)
		require.Equal(t, 1, j.Counts["corrected"], "%v", j.Counts)
		eventually(t, "the correction in the tables", func() bool { return s.flows("").Total.Tonnes == wholeTonnes })
		require.Equal(t, before, s.everything())
	})
	t.Run("log and tables agree", func(t *testing.T) {
		code, out, errOut := run(t, "verify", "--data", data)
		require.Zero(t, code, "%s\n%s", out, errOut)
	})
}

// difference is whole − minus + plus.
func difference(t testing.TB, whole, minus, plus string) string {
	t.Helper()
	sum := rat(t, whole)
	sum.Sub(sum, rat(t, minus))
	sum.Add(sum, rat(t, plus))
	return sum.FloatString(6)
}

func TestReplacementWithoutAReasonIsRefused(t *testing.T) {
	s := serve(t, t.TempDir())
	code, body := s.do("POST", "/v1/imports?profile=wdi&replace=true", "text/csv", sample.WDI())
	require.Equal(t, 422, code, string(body))
	require.Contains(t, string(body), "reason")
}

// A file with one broken line per rule that a line of this profile can break:
// each is rejected with line, the file's own heading, rule and value, and all
// others are recorded.
func TestBrokenLinesAreRejectedAndTheOthersRecorded(t *testing.T) {
	s := serve(t, t.TempDir())
	records := sampleTable(t)
	heading := records[0]
	good := records[1:101]
	at := func(name string) int { return columnOf(t, heading, name) }
	broken := []struct{ column, value, rule string }{
		{"Waste Code", "99 99 99", "waste-code-unknown"},
		{"Tonnes Received", "0", "mass-not-positive"},
		{"Tonnes Received", "-5", "mass-not-positive"},
		{"Tonnes Received", "1.2345678", "mass-finer-than-gram"},
		{"Tonnes Received", "many", "mass-malformed"},
		{"R and D code", "R99", "operation-unknown"},
		{"Permit", "", ""},
		{"Origin WPA", "", ""},
	}
	rows := append([][]string{heading}, good...)
	for _, b := range broken {
		row := append([]string{}, records[500]...)
		row[at(b.column)] = b.value
		rows = append(rows, row)
	}
	j := s.jobEnd(s.sendFile(toCSV(t, rows), "profile=wdi").ID)
	require.Equal(t, "done", j.Status)
	require.Equal(t, len(good), j.Counts["recorded"], "%v", j.Counts)
	require.Equal(t, len(broken), j.Counts["rejected"], "%v", j.Counts)
	byLine := map[int]reportLine{}
	for _, l := range s.report(j.ID) {
		byLine[l.Line] = l
	}
	for i, b := range broken {
		l := byLine[len(good)+2+i]
		require.Equal(t, "rejected", l.Status, "%s=%q", b.column, b.value)
		require.NotEmpty(t, l.Violations)
		v := l.Violations[0]
		require.Equal(t, b.column, strings.TrimSpace(v.Field), "%+v", v)
		require.Equal(t, b.value, v.Value)
		require.NotEmpty(t, v.Message)
		require.NotEmpty(t, v.Rule)
		if b.rule != "" {
			require.Equal(t, b.rule, v.Rule)
		}
	}
}
