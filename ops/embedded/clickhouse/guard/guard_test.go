package guard_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

// block is one statement of a testdata file.
type block struct {
	title string
	code  int // of the exception that is expected
	sql   string
}

var expectedCode = regexp.MustCompile(` \[(\d+)\]$`)

func blocks(t *testing.T, path string) []block {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var all []block
	for _, part := range strings.Split(string(text), "\n=== ")[1:] {
		title, sql, ok := strings.Cut(part, "\n")
		require.True(t, ok, part)
		b := block{title: title, code: 497, sql: strings.TrimSuffix(sql, "\n")}
		if m := expectedCode.FindStringSubmatch(title); m != nil {
			b.title = strings.TrimSuffix(title, m[0])
			b.code, err = strconv.Atoi(m[1])
			require.NoError(t, err)
		}
		all = append(all, b)
	}
	return all
}

// seed makes the tables the statements are about.
func seed(t *testing.T, admin driver.Conn) {
	t.Helper()
	for _, sql := range []string{
		"CREATE TABLE stofstrom.facts (n UInt64, area String, day Date, mass Decimal(38, 6), note Nullable(String), tags Array(String)) ENGINE = ReplacingMergeTree ORDER BY n",
		"INSERT INTO stofstrom.facts SELECT number, ['A', 'B', 'C'][number % 3 + 1], toDate('2025-01-01') + number % 5, number * 10, NULL, ['x', 'y'] FROM numbers(10)",
		"CREATE TABLE stofstrom.areas (area String, region String) ENGINE = MergeTree ORDER BY area",
		"INSERT INTO stofstrom.areas VALUES ('A', 'north'), ('B', 'south'), ('D', 'south')",
		"CREATE TABLE stofstrom.area_list (area String) ENGINE = MergeTree ORDER BY area",
		"CREATE VIEW stofstrom_research.by_area AS SELECT area, sum(mass) AS mass_t FROM stofstrom.facts GROUP BY area",
		"CREATE DATABASE private",
		"CREATE TABLE private.secrets (secret String) ENGINE = MergeTree ORDER BY secret",
		"INSERT INTO private.secrets VALUES ('the secret')",
		"CREATE TABLE private.joined (k UInt64, v String) ENGINE = Join(ANY, LEFT, k)",
	} {
		require.NoError(t, admin.Exec(context.Background(), sql), sql)
	}
}

// state is everything an attack could have changed inside the engine.
func state(t *testing.T, admin driver.Conn) string {
	t.Helper()
	var text string
	require.NoError(t, admin.QueryRow(context.Background(), `SELECT toString((
		(SELECT groupArray((database, name, engine)) FROM (SELECT * FROM system.tables WHERE database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') ORDER BY ALL)),
		(SELECT groupArray(name) FROM (SELECT name FROM system.databases ORDER BY name)),
		(SELECT groupArray(name) FROM (SELECT name FROM system.users ORDER BY name)),
		(SELECT groupArray(name) FROM (SELECT name FROM system.roles ORDER BY name)),
		(SELECT groupArray(name) FROM (SELECT name FROM system.functions WHERE origin != 'System' ORDER BY name)),
		(SELECT groupArray(toString((access_type, database, table, role_name))) FROM system.grants),
		(SELECT groupArray(create_table_query) FROM system.tables WHERE database = 'stofstrom'),
		(SELECT (count(), sum(cityHash64(*))) FROM stofstrom.facts),
		(SELECT (count(), sum(cityHash64(*))) FROM private.secrets)))`).Scan(&text))
	return text
}

func TestAttacksAreRefusedAndLeaveNoTrace(t *testing.T) {
	server := clickhousetest.Start(t)
	admin := clickhousetest.Open(t, server.Admin)
	researcher := clickhousetest.Open(t, server.Researcher)
	seed(t, admin)

	var visits atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { require.NoError(t, listener.Close()); <-done })
	secret := filepath.Join(t.TempDir(), "secret.txt")
	require.NoError(t, os.WriteFile(secret, []byte("the secret\n"), 0o644)) //nolint:gosec // it is meant to be readable
	dir := t.TempDir()
	fill := strings.NewReplacer("{SECRET}", secret, "{DIR}", dir, "{LISTENER}", listener.Addr().String())

	attacks := blocks(t, "testdata/attacks.sql")
	require.Greater(t, len(attacks), 200)
	before := state(t, admin)
	for _, attack := range attacks {
		t.Run(attack.title, func(t *testing.T) {
			err := run(researcher, fill.Replace(attack.sql))
			require.Error(t, err, "went through: %s", attack.sql)
			var exception *driver.Exception
			require.True(t, errors.As(err, &exception), "%v", err)
			require.EqualValues(t, attack.code, exception.Code, "%v", err)
			require.NotContains(t, err.Error(), "the secret")
		})
	}
	require.Equal(t, before, state(t, admin), "an attack changed the engine")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "an attack wrote a file")
	require.Zero(t, visits.Load(), "an attack reached the network")
}

func TestResearchQueriesWork(t *testing.T) {
	server := clickhousetest.Start(t)
	seed(t, clickhousetest.Open(t, server.Admin))
	researcher := clickhousetest.Open(t, server.Researcher)
	allowed := blocks(t, "testdata/allowed.sql")
	require.GreaterOrEqual(t, len(allowed), 35)
	for _, query := range allowed {
		t.Run(query.title, func(t *testing.T) {
			require.NoError(t, run(researcher, query.sql))
		})
	}
}

// run executes a statement through the official driver and drops its rows. Exec
// does not look at the format of the answer.
func run(conn driver.Conn, sql string) error { return conn.Exec(context.Background(), sql) }
