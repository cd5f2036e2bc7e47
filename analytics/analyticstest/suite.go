package analyticstest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/export"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Options tell the suite where it runs.
type Options struct {
	// Open puts a world into empty tables and gives a connection to them.
	Open func(t *testing.T, w World) analytics.Conn
	// Golden is the folder of golden answers, from the test's own folder.
	Golden string
	// Update rewrites the golden answers instead of comparing.
	Update *flag.Flag
	Worlds int // how many random worlds to try
	Facts  int // in each
}

// Run holds a home of the tables to what questions are promised.
func Run(t *testing.T, o Options) {
	t.Helper()
	t.Run("OK golden answers over the seed", func(t *testing.T) { golden(t, o) })
	for seed := range o.Worlds {
		w := Random(uint64(seed), o.Facts) //nolint:gosec // a small number
		t.Run(fmt.Sprintf("OK world %d", seed), func(t *testing.T) {
			conn := o.Open(t, w)
			for _, maxBytes := range []int{analytics.DefaultConfig().MaxBoundBytes, 30} {
				config := analytics.DefaultConfig()
				config.MaxBoundBytes = maxBytes
				s, err := analytics.New(config, analytics.Deps{Conn: conn})
				require.NoError(t, err)
				everyGrouping(t, s, w)
				filtersPartition(t, s, w)
				periods(t, s, w)
				measures(t, s, w)
			}
		})
	}
}

// ask asks and compares with the naive fold; it returns the answer.
func ask(t *testing.T, s *analytics.Service, w World, q analytics.FlowQuery) analytics.FlowAnswer {
	t.Helper()
	if q.Measure == "" {
		q.Measure = flow.MeasureReceived
	}
	got, err := s.Flows(context.Background(), q)
	require.NoError(t, err, "%+v", q)
	rows, total := Answer(w, q)
	require.Empty(t, cmp.Diff(rows, got.Rows, cmpopts.EquateEmpty()), "rows of %+v", q)
	require.Equal(t, total, got.Total, "total of %+v", q)
	require.Equal(t, w.Committed, got.Position)
	require.True(t, got.AsOf.Equal(w.RecordedAt), "as of %s, want %s", got.AsOf, w.RecordedAt)
	return got
}

// everyGrouping: the total is the same however it is grouped.
func everyGrouping(t *testing.T, s *analytics.Service, w World) {
	t.Helper()
	total := ask(t, s, w, analytics.FlowQuery{}).Total
	all := analytics.Dimensions()
	for i, d := range all {
		require.Equal(t, total, ask(t, s, w, analytics.FlowQuery{GroupBy: []analytics.Dimension{d}}).Total, "by %s", d)
		other := all[(i+5)%len(all)]
		require.Equal(t, total, ask(t, s, w, analytics.FlowQuery{GroupBy: []analytics.Dimension{d, other}}).Total, "by %s and %s", d, other)
	}
	require.Equal(t, total, ask(t, s, w, analytics.FlowQuery{GroupBy: all}).Total)
	net, err := analytics.Netflow(ask(t, s, w, analytics.FlowQuery{GroupBy: []analytics.Dimension{analytics.FacilityArea, analytics.OriginArea}}))
	require.NoError(t, err)
	var sum, turn analytics.Amount
	for _, b := range net {
		sum.Mass += b.Net.Mass
		sum.Events += b.Net.Events
		turn.Mass += b.In.Mass + b.Internal.Mass
		turn.Events += b.In.Events + b.Internal.Events
	}
	require.Zero(t, sum, "net flows sum to nothing over the closed world")
	require.Equal(t, total, turn, "what came in is what was received")
}

// filtersPartition: keeping each value of a dimension in turn gives each row,
// and nothing is left over.
func filtersPartition(t *testing.T, s *analytics.Service, w World) {
	t.Helper()
	whole := analytics.FlowQuery{Measure: flow.MeasureReceived}
	for i, d := range analytics.Dimensions() {
		whole.GroupBy = []analytics.Dimension{d}
		other := analytics.Dimensions()[(i+3)%len(analytics.Dimensions())]
		var sum analytics.Amount
		seen := map[string]bool{}
		for _, row := range ask(t, s, w, whole).Rows {
			value := row.Values[0].Text
			if d == analytics.OriginArea || d == analytics.OriginRegion || d == analytics.FacilityArea || d == analytics.FacilityRegion {
				value = row.Values[1].Text // areas may share a name, never an id
			}
			if value == "" {
				value = "not_stated"
			}
			if seen[value] {
				continue // period totals share the month they do not have
			}
			seen[value] = true
			part := ask(t, s, w, analytics.FlowQuery{Filters: map[analytics.Dimension][]string{d: {value}}, GroupBy: []analytics.Dimension{other}})
			sum.Mass += part.Total.Mass
			sum.Events += part.Total.Events
		}
		_, total := Answer(w, whole)
		require.Equal(t, total, sum, "filters on %s partition the total", d)
		values := make([]string, 0, len(seen))
		for value := range seen {
			values = append(values, value)
		}
		slices.Sort(values)
		if len(values) > 1 {
			ask(t, s, w, analytics.FlowQuery{Filters: map[analytics.Dimension][]string{d: values[:len(values)-1]}, GroupBy: []analytics.Dimension{d}})
		}
	}
}

// periods: bounds at months and within them keep what lies wholly inside.
func periods(t *testing.T, s *analytics.Service, w World) {
	t.Helper()
	for _, span := range [][2]flow.Date{
		{"2019-01-01", "2020-01-01"}, {"2019-01-01", ""}, {"", "2019-03-01"}, {"2019-02-01", "2019-03-01"},
		{"2019-01-15", "2019-06-20"}, {"2018-12-31", "2020-01-02"}, {"2031-01-01", "2032-01-01"},
	} {
		ask(t, s, w, analytics.FlowQuery{From: span[0], To: span[1], GroupBy: []analytics.Dimension{analytics.Month, analytics.Kind}})
	}
}

func measures(t *testing.T, s *analytics.Service, w World) {
	t.Helper()
	for _, m := range analytics.Measures() {
		ask(t, s, w, analytics.FlowQuery{Measure: m, GroupBy: []analytics.Dimension{analytics.HierarchyLevel, analytics.OriginArea}})
	}
}

// golden asks the questions of the golden files over the seed. A file holds the
// question as a URL query in its first line, then the answer or the refusal.
func golden(t *testing.T, o Options) {
	t.Helper()
	w := Seed()
	s, err := analytics.New(analytics.DefaultConfig(), analytics.Deps{Conn: o.Open(t, w)})
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(o.Golden, "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			question, _, _ := strings.Cut(string(want), "\n")
			got := question + "\n" + answerText(t, s, w, question)
			if o.Update != nil && o.Update.Value.String() == "true" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				return
			}
			require.Equal(t, string(want), got)
		})
	}
}

func answerText(t *testing.T, s *analytics.Service, w World, question string) string {
	t.Helper()
	values, err := url.ParseQuery(question)
	require.NoError(t, err)
	q, err := analytics.ParseFlowQuery(values)
	if err != nil {
		return err.Error() + "\n"
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := s.Flows(ctx, q)
	if err != nil {
		return err.Error() + "\n"
	}
	rows, total := Answer(w, q)
	require.Empty(t, cmp.Diff(rows, answer.Rows, cmpopts.EquateEmpty()), "the golden answer is the naive one")
	require.Equal(t, total, answer.Total)
	var b bytes.Buffer
	require.NoError(t, export.WriteJSON(&b, answer))
	text := jsontext.Value(b.Bytes())
	require.NoError(t, text.Indent(jsontext.WithIndent("  ")))
	return string(text) + "\n"
}
