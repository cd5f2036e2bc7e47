package clickhouse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestStatementsAreCutOutsideQuotesAndComments(t *testing.T) {
	got := statements("-- first; not a statement\nCREATE TABLE a (b String COMMENT 'one; two -- three'); -- it''s; here\n\nSELECT `x;y`, \"z;\", 'it\\'s;' ;\n")
	require.Equal(t, []string{
		"CREATE TABLE a (b String COMMENT 'one; two -- three')",
		"SELECT `x;y`, \"z;\", 'it\\'s;'",
	}, got)
}

func TestMigrationsAreNumberedWithoutGap(t *testing.T) {
	for name, tc := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"gap":          {fstest.MapFS{"0001_a.sql": {Data: []byte("SELECT 1")}, "0003_b.sql": {Data: []byte("SELECT 1")}}, "migration 0003_b.sql: want number 0002"},
		"not padded":   {fstest.MapFS{"1_a.sql": {Data: []byte("SELECT 1")}}, "migration 1_a.sql: want a name like"},
		"twice":        {fstest.MapFS{"0001_a.sql": {Data: []byte("SELECT 1")}, "0001_b.sql": {Data: []byte("SELECT 1")}}, "migration 0001_b.sql: want number 0002"},
		"no statement": {fstest.MapFS{"0001_a.sql": {Data: []byte("-- nothing\n")}}, "migration 0001_a.sql holds no statement"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadMigrations(tc.files)
			require.ErrorContains(t, err, tc.want)
		})
	}
	all, err := Migrations()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(all), 5)
	require.Equal(t, "0001_schema_migrations", all[0].String())
}

func TestEveryStatementCanBeRunAgain(t *testing.T) {
	all, err := Migrations()
	require.NoError(t, err)
	for _, m := range all {
		for _, s := range m.Statements {
			require.Contains(t, s, " IF NOT EXISTS ", "%s: %.60s", m, s)
		}
	}
}

func TestAColumnWithoutCommentIsRefused(t *testing.T) {
	_, err := Tables([]Migration{{Version: 7, Name: "x", Statements: []string{
		"CREATE TABLE IF NOT EXISTS t\n(\n    a String COMMENT 'A',\n    b String\n)\nENGINE = MergeTree\nORDER BY a\nCOMMENT 'T'",
	}}})
	require.EqualError(t, err, `migration 0007_x: table t: 1 of 2 columns have a comment, its own is "T"`)
}

func TestReferenceOfTables(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteMarkdown(&b))
	for _, want := range []string{
		"## flow_facts", "| `mass_t` | `Decimal(18, 6)` |", "| `tags` | `Map(LowCardinality(String), LowCardinality(String))` |",
		"| `prepare` | `UInt64` | Prepare position of the event in the log (computed", "## flow_snapshot\n\nView. ", "| `builds` | `Array(UUID)` |",
		"The log's own time of recording",
	} {
		require.Contains(t, b.String(), want)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "sql.md"))
	require.NoError(t, err)
	require.Equal(t, b.String(), string(page), "docs/sql.md is stale: generate it again")
}

func TestConnectionStrings(t *testing.T) {
	for name, tc := range map[string]struct {
		o        Options
		database string
		wrong    string
	}{
		"default database":     {o: Options{DSN: "http://u:p@localhost:8123"}, database: "stofstrom"},
		"database of the DSN":  {o: Options{DSN: "clickhouse://localhost:9000/a_b1", Database: "c"}, database: "a_b1"},
		"database of options":  {o: Options{DSN: "clickhouse://localhost:9000", Database: "c"}, database: "c"},
		"https needs no more":  {o: Options{DSN: "https://localhost:8443"}, database: "stofstrom"},
		"name with a quote":    {o: Options{DSN: "http://localhost", Database: "a`b"}, wrong: "database name \"a`b\": want letters"},
		"unknown scheme":       {o: Options{DSN: "mysql://localhost"}, wrong: "connection string"},
		"password is not told": {o: Options{DSN: "http://u:sesam%ZZ@localhost"}, wrong: "connection string"},
	} {
		t.Run(name, func(t *testing.T) {
			opt, err := tc.o.driver()
			if tc.wrong != "" {
				require.ErrorContains(t, err, tc.wrong)
				require.NotContains(t, err.Error(), "sesam")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.database, opt.Auth.Database)
			require.Equal(t, 0, opt.Settings["async_insert"])
			require.NotNil(t, opt.Compression)
		})
	}
}
