//go:build linux

package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
	"github.com/stofstrom/stofstrom/ops/verify"
)

func check(t *testing.T, w *world) verify.Report {
	t.Helper()
	o := verify.DefaultOptions()
	o.ChunkEvents = 20
	o.MaxDifferences = 1000
	r, err := verify.RunWith(t.Context(), w.log, w.conn, o)
	require.NoError(t, err)
	require.Len(t, r.Differences, int(r.Count)) //nolint:gosec // small
	return r
}

func text(t *testing.T, r verify.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.Write(&b))
	return b.String()
}

func TestVerify(t *testing.T) {
	engine := &tables{dsn: clickhousetest.Start(t).Admin}
	log := history(t)

	t.Run("OK", func(t *testing.T) {
		w := engine.project(t, log, 0)
		r := check(t, w)
		require.True(t, r.OK(), text(t, r))
		require.Equal(t, w.committed.Commit, r.Committed)
		require.EqualValues(t, len(w.positions), r.Events)
		require.EqualValues(t, 2, r.Quarantined)
		require.Zero(t, r.Ahead)
		for _, table := range r.Tables {
			require.Positive(t, table.LogRows, table.Table)
			require.Equal(t, table.LogRows, table.TableRows, table.Table)
			require.Equal(t, table.LogDigest, table.TableDigest, table.Table)
		}
		require.Equal(t, r.Masses["received"].Log, r.Masses["received"].Table)
		require.NotZero(t, r.Masses["received"].Log)
		require.Contains(t, text(t, r), "no difference")
	})
	t.Run("OK rows beyond the position are right, and need not be all", func(t *testing.T) {
		w := engine.project(t, log, 5)
		whole := engine.project(t, log, 0)
		last := w.positions[len(w.positions)-1].Commit
		w.exec(t, "INSERT INTO flow_facts SELECT * FROM %s.flow_facts WHERE position = %d", database(t, whole), last)
		r := check(t, w)
		require.True(t, r.OK(), text(t, r))
		require.EqualValues(t, 5, r.Ahead)
		require.Contains(t, text(t, r), "; 5 more up to its end")
		w.exec(t, "INSERT INTO flow_facts SELECT * REPLACE(mass_t * 2 AS mass_t) FROM flow_facts WHERE position = %d AND leg = 0", last)
		require.Contains(t, text(t, check(t, w)), fmt.Sprintf("flow_facts: position %d, leg 0: mass_t differs", last))
	})
	t.Run("OK while the projector goes on", func(t *testing.T) {
		w := engine.project(t, log, 0)
		moving := &movingConn{Conn: w.conn}
		r, err := verify.Run(t.Context(), w.log, moving)
		require.NoError(t, err)
		require.True(t, r.OK(), text(t, r))
		require.True(t, moving.moved)
	})
	t.Run("OK nothing flushed yet", func(t *testing.T) {
		w := &world{log: log, conn: engine.database(t).Conn()}
		r := check(t, w)
		require.True(t, r.OK(), text(t, r))
		require.Zero(t, r.Committed)
		require.Positive(t, r.Ahead)
	})
	t.Run("every column is compared", func(t *testing.T) {
		for _, table := range []struct {
			name, where string
			skip        []string // key columns and those only the writer knows
		}{
			{"flow_facts", "position = %d AND leg = 0", []string{"position", "leg"}},
			{"facilities", "position = (SELECT max(position) FROM facilities)", []string{"position", "facility"}},
			{"areas", "position = (SELECT max(position) FROM areas)", []string{"position", "area"}},
			{"quarantine", "position = (SELECT max(position) FROM quarantine)", []string{"position", "projection", "error", "quarantined_at"}},
		} {
			t.Run(table.name, func(t *testing.T) {
				w := engine.project(t, log, 0)
				where := table.where
				if strings.Contains(where, "%d") {
					where = fmt.Sprintf(where, w.positions[8].Commit)
				}
				columns, computed := columnsOf(t, w, table.name)
				var replaced, damaged []string
				for name, typ := range columns {
					if !contains(table.skip, name) {
						replaced, damaged = append(replaced, fmt.Sprintf("CAST(%s AS %s) AS %s", otherValue(name, typ), typ, name)), append(damaged, name)
					}
				}
				w.exec(t, "INSERT INTO %s SELECT * REPLACE(%s) FROM %s FINAL WHERE %s", table.name, strings.Join(replaced, ", "), table.name, where)
				var named []string
				for _, d := range check(t, w).Differences {
					require.Equal(t, table.name, d.Table)
					require.Equal(t, verify.Differs, d.Kind)
					require.NotEqual(t, d.Want, d.Got)
					if !computed[d.Column] { // those follow the columns they are computed from
						named = append(named, d.Column)
					}
				}
				require.ElementsMatch(t, damaged, named)
			})
		}
	})
	for name, d := range damages() {
		t.Run("Err "+name, func(t *testing.T) {
			w := engine.project(t, log, 0)
			for _, statement := range d.do {
				w.exec(t, "%s", strings.NewReplacer(
					"$first", fmt.Sprint(w.positions[5].Commit), "$some", fmt.Sprint(w.positions[20].Commit), "$committed", fmt.Sprint(w.committed.Commit),
				).Replace(statement))
			}
			r := check(t, w)
			require.False(t, r.OK())
			out := text(t, r)
			require.Regexp(t, regexp.MustCompile(d.says), out)
			if d.count > 0 {
				require.EqualValues(t, d.count, r.Count, out)
			}
		})
	}
	t.Run("ErrTooManyToName", func(t *testing.T) {
		w := engine.project(t, log, 0)
		w.exec(t, "TRUNCATE TABLE flow_facts")
		o := verify.DefaultOptions()
		o.MaxDifferences = 2
		r, err := verify.RunWith(t.Context(), w.log, w.conn, o)
		require.NoError(t, err)
		require.Len(t, r.Differences, 2)
		require.Greater(t, r.Count, uint64(40))
		require.Contains(t, text(t, r), fmt.Sprintf("… and %d more differences", r.Count-2))
	})
	t.Run("ErrAnotherLog", func(t *testing.T) {
		w := engine.project(t, log, 0)
		w.log = memory.New(memory.Config{})
		out := text(t, check(t, w))
		require.Contains(t, out, "projection_positions: projection flows: commit differs")
		require.Regexp(t, `flow_facts: position \d+, leg 0: extra`, out)
	})
	t.Run("ErrLogCannotBeRead", func(t *testing.T) {
		w := engine.project(t, log, 0)
		_, err := verify.Run(t.Context(), cut{w.log}, w.conn)
		require.ErrorIs(t, err, errCut)
	})
	t.Run("ErrTablesCannotBeRead", func(t *testing.T) {
		w := engine.project(t, log, 0)
		w.exec(t, "CREATE VIEW research AS SELECT 1 AS one")
		require.True(t, check(t, w).OK(), "another view holds nothing")
		require.NoError(t, w.conn.Exec(t.Context(), "DROP DATABASE "+database(t, w)))
		_, err := verify.Run(t.Context(), w.log, w.conn)
		require.ErrorContains(t, err, "verify: read schema")
	})
}

type damage struct {
	do    []string
	says  string // regular expression over the report
	count int    // of differences; 0: any
}

func damages() map[string]damage {
	const at = " SETTINGS mutations_sync = 2"
	return map[string]damage{
		"a fact lost":                        {[]string{"ALTER TABLE flow_facts DELETE WHERE position = $first" + at}, `flow_facts: position \d+, leg 0: missing`, 1},
		"a leg lost":                         {[]string{"ALTER TABLE flow_facts DELETE WHERE leg = 2 AND measure = 'loss'" + at}, `leg 2: missing`, 0},
		"a fact of another log":              {[]string{"INSERT INTO flow_facts (position, leg, mass_t) VALUES (1, 0, 1)"}, `flow_facts: position 1, leg 0: extra`, 1},
		"a fact counted twice":               {[]string{"INSERT INTO flow_facts SELECT * REPLACE(toUInt16(9) AS leg) FROM flow_facts WHERE position = $first"}, `leg 9: extra`, 1},
		"a gram more":                        {[]string{"INSERT INTO flow_facts SELECT * REPLACE(mass_t + 0.000001 AS mass_t) FROM flow_facts WHERE position = $first"}, `mass_t differs: the log makes "12340001", the table holds "12340002"`, 1},
		"a fact from beyond the log":         {[]string{"INSERT INTO flow_facts (position, leg) VALUES (18446744073709551615, 0)"}, `position 18446744073709551615, leg 0: extra`, 1},
		"half a flush made visible":          {[]string{"ALTER TABLE flow_facts DELETE WHERE position > $some" + at}, `missing`, 0},
		"a facility lost":                    {[]string{"ALTER TABLE facilities DELETE WHERE name = 'Genbrug'" + at}, `facilities: facility dk-p-1, position \d+: missing`, 1},
		"a facility from nowhere":            {[]string{"INSERT INTO facilities (facility, position) VALUES ('x', 3)"}, `facilities: facility x, position 3: extra`, 1},
		"an area lost":                       {[]string{"ALTER TABLE areas DELETE WHERE area = 'dk'" + at}, `areas: area dk, position \d+: missing`, 1},
		"an area from nowhere":               {[]string{"INSERT INTO areas (area, position) VALUES ('x', 3)"}, `areas: area x, position 3: extra`, 1},
		"a position in front of the log":     {[]string{"INSERT INTO projection_positions SELECT * REPLACE(commit + 1000000 AS commit) FROM projection_positions"}, `projection flows: commit differs`, 0},
		"a position that stayed behind":      {[]string{"TRUNCATE TABLE projection_positions", "INSERT INTO projection_positions (projection, commit, prepare, recorded_at, events, facts) VALUES ('flows', $first, $first, '2026-01-01 00:00:00', 1, 1)"}, `projection flows: events differs`, 0},
		"a position lost":                    {[]string{"TRUNCATE TABLE projection_positions"}, `projection_positions: projection flows, though there are rows: missing`, 0},
		"events miscounted":                  {[]string{"INSERT INTO projection_positions SELECT * REPLACE(events + 1 AS events) FROM projection_positions FINAL"}, `projection flows: events differs`, 1},
		"facts miscounted":                   {[]string{"INSERT INTO projection_positions SELECT * REPLACE(facts + 1 AS facts) FROM projection_positions FINAL"}, `projection flows: facts differs`, 1},
		"the time of the position":           {[]string{"INSERT INTO projection_positions SELECT * REPLACE(addMilliseconds(recorded_at, 1) AS recorded_at) FROM projection_positions FINAL"}, `projection flows: recorded_at differs`, 0},
		"a position of nobody":               {[]string{"INSERT INTO projection_positions (projection, commit) VALUES ('dreams', 1)"}, `projection dreams: extra`, 1},
		"an event released from quarantine":  {[]string{"ALTER TABLE quarantine DELETE WHERE event_type LIKE '%received%'" + at}, `quarantine: projection flows, position \d+: missing`, 1},
		"a good event in quarantine":         {[]string{"INSERT INTO quarantine (projection, position) VALUES ('flows', $first)"}, `quarantine: projection flows, position \d+: extra`, 1},
		"a sum of the rollup":                {[]string{"ALTER TABLE flow_rollup UPDATE mass_t = mass_t + 0.000001 WHERE measure = 'collected'" + at}, `flow_rollup: .*measure collected.*: mass_t differs`, 0},
		"events of the rollup":               {[]string{"ALTER TABLE flow_rollup UPDATE events = events + 1 WHERE measure = 'stock'" + at}, `flow_rollup: .*measure stock.*: events differs`, 0},
		"a row of the rollup lost":           {[]string{"ALTER TABLE flow_rollup DELETE WHERE measure = 'dispatched'" + at}, `flow_rollup: .*measure dispatched.*: missing`, 0},
		"a row of the rollup doubled":        {[]string{"INSERT INTO flow_rollup SELECT * FROM flow_rollup WHERE measure = 'exported'"}, `flow_rollup: .*measure exported.*: extra`, 0},
		"a dimension of the rollup":          {[]string{"ALTER TABLE flow_rollup UPDATE fate = 'Elsewhere' WHERE measure = 'exported'" + at}, `flow_rollup: .*fate Elsewhere.*: extra`, 0},
		"a build that is not there":          {[]string{"INSERT INTO rollup_segments SELECT * REPLACE(generateUUIDv4() AS build) FROM rollup_segments FINAL WHERE seg_from = 0 AND level = 0"}, `flow_rollup: seg_from 0,.*: missing`, 0},
		"facts of a segment miscounted":      {[]string{"INSERT INTO rollup_segments SELECT * REPLACE(facts + 1 AS facts) FROM rollup_segments FINAL WHERE seg_from = 0 AND level = 0"}, `rollup_segments: seg_from 0, seg_to \d+: facts differs`, 1},
		"rows of a segment miscounted":       {[]string{"INSERT INTO rollup_segments SELECT * REPLACE(rows + 1 AS rows) FROM rollup_segments FINAL WHERE seg_from = 0 AND level = 0"}, `rollup_segments: seg_from 0, seg_to \d+: rows differs`, 1},
		"segments that overlap":              {[]string{"INSERT INTO rollup_segments (seg_from, seg_to) VALUES ($first, $some)"}, `rollup_segments: .*which overlaps`, 0},
		"a segment beyond what is committed": {[]string{"INSERT INTO rollup_segments (seg_from, seg_to) VALUES ($committed, $committed + 5)"}, `which ends after the committed position`, 0},
		"an empty segment":                   {[]string{"INSERT INTO rollup_segments (seg_from, seg_to) VALUES ($some, $some)"}, `which is empty`, 0},
		"a table lost":                       {[]string{"DROP TABLE areas"}, `areas: the table: missing`, 1},
		"a column lost":                      {[]string{"ALTER TABLE areas DROP COLUMN nuts" + at}, `areas: column nuts: missing`, 1},
		"a column that nobody compares":      {[]string{"ALTER TABLE areas ADD COLUMN colour String"}, `areas: column colour, which verify does not compare: extra`, 1},
		"a table that nobody compares":       {[]string{"CREATE TABLE dreams (a UInt8) ENGINE = MergeTree ORDER BY a"}, `dreams: the table, which verify does not compare: extra`, 1},
		"the readers' view lost":             {[]string{"DROP VIEW flow_snapshot"}, `flow_snapshot: the table: missing`, 1},
		"the readers' view too far": {[]string{"DROP VIEW flow_snapshot", `CREATE VIEW flow_snapshot AS SELECT max(commit) + 1 AS committed, max(prepare) AS prepare,
			max(recorded_at) AS recorded_at, toUInt64(0) AS watermark, [toUUID('00000000-0000-4000-8000-000000000000')] AS builds FROM projection_positions`}, `flow_snapshot: the one row: (committed|watermark|builds) differs`, 3},
		"facts of one facility under another": {[]string{"ALTER TABLE flow_facts UPDATE facility = 'dk-p-2' WHERE position = $some" + at}, `facility differs: the log makes "dk-p-1", the table holds "dk-p-2"`, 0},
	}
}

func database(t *testing.T, w *world) (name string) {
	t.Helper()
	require.NoError(t, w.conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&name))
	return name
}

// columnsOf tells the types of the columns that are stored, and which others are
// computed when they are read.
func columnsOf(t *testing.T, w *world, table string) (stored map[string]string, computed map[string]bool) {
	t.Helper()
	rows, err := w.conn.Query(t.Context(), "SELECT name, type, default_kind FROM system.columns WHERE database = currentDatabase() AND table = '"+table+"'")
	require.NoError(t, err)
	stored, computed = map[string]string{}, map[string]bool{}
	for rows.Next() {
		var name, typ, kind string
		require.NoError(t, rows.Scan(&name, &typ, &kind))
		if kind == "" {
			stored[name] = typ
		} else {
			computed[name] = true
		}
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	require.NotEmpty(t, stored)
	return stored, computed
}

// otherValue is an expression for a value that differs as little as it can.
func otherValue(column, typ string) string {
	switch {
	case strings.HasPrefix(typ, "Map"):
		return "mapUpdate(" + column + ", CAST(map('zz', '1') AS " + typ + "))"
	case strings.HasPrefix(typ, "Array"):
		return "arrayPushBack(" + column + ", 'x')"
	case strings.Contains(typ, "String"):
		return "concat(" + column + ", 'x')"
	case typ == "UUID":
		return "'01234567-89ab-4cde-8f01-23456789abcd'"
	case typ == "Nullable(Bool)":
		return "NOT ifNull(" + column + ", false)"
	case typ == "Nullable(Float64)":
		return "ifNull(" + column + ", 0) + 0.00000001"
	case strings.HasPrefix(typ, "Decimal"):
		return column + " + 0.000001"
	case strings.HasPrefix(typ, "DateTime64"):
		return "addMilliseconds(" + column + ", 1)"
	}
	return column + " + 1"
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

var errCut = errors.New("cut")

// cut is a log whose connection breaks after a few events.
type cut struct{ *memory.Log }

func (c cut) ReadAll(ctx context.Context, after eventlog.Position, f eventlog.Filter) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		n := 0
		for rec, err := range c.Log.ReadAll(ctx, after, f) {
			if n++; n > 3 {
				yield(eventlog.Recorded{}, errCut)
				return
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// movingConn shows the segments as they are only from the second look on, as
// if the projector had added them meanwhile.
type movingConn struct {
	verify.Conn
	moved bool
}

func (c *movingConn) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	if !c.moved && strings.Contains(query, "FROM rollup_segments") {
		c.moved = true
		query = strings.Replace(query, "ORDER BY", "WHERE false ORDER BY", 1)
	}
	return c.Conn.Query(ctx, query, args...)
}
