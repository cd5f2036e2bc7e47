//go:build linux

package answers

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/analyticstest"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
	"github.com/stofstrom/stofstrom/projections/clickhouse"
)

var (
	update = flag.Bool("update", false, "rewrite golden answers")
	worlds = flag.Int("worlds", 1, "random worlds to try")
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

func TestSuiteOnTheEngine(t *testing.T) {
	e := startEngine(t)
	require.False(t, *update, "golden answers are rewritten by the twin's test, and only checked here")
	analyticstest.Run(t, analyticstest.Options{
		Open:   func(t *testing.T, w analyticstest.World) analytics.Conn { return e.open(t, w).Conn() },
		Golden: "../../../analytics/analyticstest/testdata/flows",
		Worlds: *worlds, Facts: 200,
	})
}

// A register that just fits into the parameters of a statement, and one that
// does not, answer the same.
func TestLargeRegister(t *testing.T) {
	w := analyticstest.Seed()
	for i := range 3_300 {
		w.Facilities = append(w.Facilities, analyticstest.Facility{
			Position: 12, ID: fmt.Sprintf("gb-ea-%018d", i), Name: fmt.Sprint("Plant ", i%1000), Area: []string{"dk-0265", "se-1280"}[i%2],
		})
		w.Facts = append(w.Facts, analyticstest.Fact{
			Position: 52, Leg: uint16(i), Measure: "received", Kind: "received", From: "2019-05-01", Until: "2019-05-02", Period: "2019-05", //nolint:gosec // small
			OriginArea: "dk-0253", Facility: w.Facilities[len(w.Facilities)-1].ID, WasteCode: "200301", Grams: int64(i) + 1, Events: 1,
		})
	}
	conn := startEngine(t).open(t, w).Conn()
	for _, question := range []string{"group_by=facility_region", "group_by=facility_name&facility_area=Roskilde", "group_by=facility_area&facility_region=Sk%C3%A5ne+l%C3%A4n"} {
		values, err := url.ParseQuery(question)
		require.NoError(t, err)
		q, err := analytics.ParseFlowQuery(values)
		require.NoError(t, err)
		for _, maxBytes := range []int{analytics.DefaultConfig().MaxBoundBytes, 10_000} {
			config := analytics.DefaultConfig()
			config.MaxBoundBytes = maxBytes
			s, err := analytics.New(config, analytics.Deps{Conn: conn})
			require.NoError(t, err)
			got, err := s.Flows(t.Context(), q)
			require.NoError(t, err)
			rows, total := analyticstest.Answer(w, q)
			require.Equal(t, total, got.Total)
			require.Empty(t, cmp.Diff(rows, got.Rows))
		}
	}
}

// engine is one embedded ClickHouse with a database for each world.
type engine struct {
	dsn       string
	databases atomic.Int64
}

func startEngine(tb testing.TB) *engine {
	tb.Helper()
	return &engine{dsn: clickhousetest.Start(tb).Admin}
}

func (e *engine) database(tb testing.TB) *clickhouse.DB {
	tb.Helper()
	dsn, err := url.Parse(e.dsn)
	require.NoError(tb, err)
	dsn.Path = fmt.Sprintf("/world_%d", e.databases.Add(1))
	db, err := clickhouse.Open(tb.Context(), clickhouse.Options{DSN: dsn.String()})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	_, err = db.Migrate(tb.Context(), slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	return db
}

// open puts a world into a database of its own.
func (e *engine) open(tb testing.TB, w analyticstest.World) *clickhouse.DB {
	tb.Helper()
	db := e.database(tb)
	conn := db.Conn()
	var areas, facilities, facts, sums, segments [][]any
	for _, a := range w.Areas {
		areas = append(areas, []any{a.Position, a.ID, a.Level, a.Name, a.Parent})
	}
	for _, f := range w.Facilities {
		facilities = append(facilities, []any{f.Position, f.ID, f.Name, f.Area})
	}
	for _, f := range w.Facts {
		from, until := day(tb, f.From), day(tb, f.Until)
		row := []any{f.Kind, f.Measure, uint16(f.Year()), uint8(f.Month()), f.Period, f.OriginArea, f.Facility, f.SiteCategory, f.WasteCode, f.Operation, f.Fate, decimal.New(f.Grams, -6)}
		facts = append(facts, append([]any{f.Position, f.Leg, from, until, f.Events}, row...))
		for _, s := range w.Segments {
			if f.Position > s.From && f.Position <= s.To {
				if f.Kind != "period_reported" {
					from = from.AddDate(0, 0, 1-from.Day())
					until = from.AddDate(0, 1, 0)
				}
				sums = append(sums, append([]any{s.From, s.To, s.Build, from, until, int64(f.Events)}, row...))
			}
		}
	}
	for i, s := range w.Segments {
		segments = append(segments, []any{s.From, s.To, s.Build})
		// What an attempt that failed left behind is named by nobody.
		if i == 0 && len(sums) > 0 {
			lost := slices.Clone(sums[0])
			lost[2] = uuid.New()
			sums = append(sums, lost)
		}
	}
	const dims = "kind, measure, year, month, period, origin_area, facility, site_category, waste_code, operation, fate, mass_t"
	insert(tb, conn, "INSERT INTO areas (position, area, level, name, parent)", areas)
	insert(tb, conn, "INSERT INTO facilities (position, facility, name, area)", facilities)
	for range 2 { // a flush whose answer was lost is sent again
		insert(tb, conn, "INSERT INTO flow_facts (position, leg, occurred_on, until_on, events, "+dims+")", facts)
	}
	insert(tb, conn, "INSERT INTO flow_rollup (seg_from, seg_to, build, occurred_from, occurred_until, events, "+dims+")", sums)
	insert(tb, conn, "INSERT INTO rollup_segments (seg_from, seg_to, build)", segments)
	insert(tb, conn, "INSERT INTO projection_positions (projection, commit, recorded_at)", [][]any{
		{"flows", w.Committed - 1, w.RecordedAt.Add(-time.Hour)}, {"flows", w.Committed, w.RecordedAt}, {"other", w.Committed + 1000, w.RecordedAt},
	})
	return db
}

func day(tb testing.TB, text string) time.Time {
	tb.Helper()
	d, err := time.Parse(time.DateOnly, text)
	require.NoError(tb, err)
	return d
}

func insert(tb testing.TB, conn driver.Conn, statement string, rows [][]any) {
	tb.Helper()
	if len(rows) == 0 {
		return
	}
	batch, err := conn.PrepareBatch(tb.Context(), statement)
	require.NoError(tb, err)
	for _, row := range rows {
		require.NoError(tb, batch.Append(row...))
	}
	require.NoError(tb, batch.Send())
}

// BenchmarkFlows asks year × region × material over a rollup as large as 30
// million facts make it (1 million rows), with a tail of 100,000 facts.
func BenchmarkFlows(b *testing.B) {
	e := startEngine(b)
	conn := e.database(b).Conn()
	load(b, conn)
	s, err := analytics.New(analytics.DefaultConfig(), analytics.Deps{Conn: conn})
	require.NoError(b, err)
	for _, question := range []string{
		"", "group_by=year,facility_region,waste_code", "group_by=origin_area,facility_area", "group_by=hierarchy,year&facility_area=Area+7",
		"group_by=month,operation&from=2019&to=2020",
	} {
		values, err := url.ParseQuery(question)
		require.NoError(b, err)
		q, err := analytics.ParseFlowQuery(values)
		require.NoError(b, err)
		b.Run(strings.NewReplacer("group_by=", "", "&", "·").Replace("q="+question), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				_, err := s.Flows(context.Background(), q)
				took = append(took, time.Since(began))
				require.NoError(b, err)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}

func load(b *testing.B, conn driver.Conn) {
	b.Helper()
	const dims = `2019 + number % 3 AS y, 1 + cityHash64(number) % 12 AS m, formatDateTime(f, '%Y-%m'), concat('a', toString(cityHash64(number, 1) % 180)),
		concat('f', toString(cityHash64(number, 2) % 1000)), concat('site ', toString(number % 8)), leftPad(toString(cityHash64(number, 3) % 480 * 2000), 6, '0'),
		concat('R', toString(1 + cityHash64(number, 4) % 13)), concat('fate ', toString(number % 7)), toDecimal64(number % 30000, 6) / 1000`
	const columns = "year, month, period, origin_area, facility, site_category, waste_code, operation, fate, mass_t, events, kind, measure"
	for _, statement := range []string{
		`INSERT INTO areas (position, area, level, name, parent) SELECT number + 1, concat('a', toString(number)), if(number < 10, 'region', 'municipality'),
			concat('Area ', toString(number)), if(number < 10, '', concat('a', toString(number % 10))) FROM numbers(180)`,
		`INSERT INTO facilities (position, facility, name, area) SELECT number + 1000, concat('f', toString(number)), concat('Facility ', toString(number)),
			concat('a', toString(number % 180)) FROM numbers(1000)`,
		`INSERT INTO flow_rollup (seg_from, seg_to, build, occurred_from, occurred_until, ` + columns + `) SELECT 0, 30000000,
			toUUID('00000000-0000-4000-8000-000000000001'), makeDate(y, m, 1) AS f, addMonths(f, 1), ` + dims + `, 30, 'received', 'received' FROM numbers(1000000)`,
		"OPTIMIZE TABLE flow_rollup FINAL",
		`INSERT INTO rollup_segments (seg_from, seg_to, build) VALUES (0, 30000000, '00000000-0000-4000-8000-000000000001')`,
		`INSERT INTO flow_facts (position, leg, occurred_on, until_on, ` + columns + `) SELECT 30000000 + number, 0,
			makeDate(y, m, 1) AS f, f + 1, ` + dims + `, 1, 'received', 'received' FROM numbers(100000)`,
		`INSERT INTO projection_positions (projection, commit) VALUES ('flows', 30100000)`,
	} {
		require.NoError(b, conn.Exec(b.Context(), statement))
	}
}
