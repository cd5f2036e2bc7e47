//go:build linux

package clickhousetest

import (
	"context"
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
)

// Block is one statement of a testdata file.
type Block struct {
	Title string
	Code  int // of the exception that is expected
	SQL   string
}

var expectedCode = regexp.MustCompile(` \[(\d+)\]$`)

// Blocks reads the statements of a file like guard/testdata/attacks.sql.
func Blocks(tb testing.TB, path string) []Block {
	tb.Helper()
	text, err := os.ReadFile(path)
	require.NoError(tb, err)
	var all []Block
	for _, part := range strings.Split(string(text), "\n=== ")[1:] {
		title, sql, ok := strings.Cut(part, "\n")
		require.True(tb, ok, part)
		b := Block{Title: title, Code: 497, SQL: strings.TrimSuffix(sql, "\n")}
		if m := expectedCode.FindStringSubmatch(title); m != nil {
			b.Title = strings.TrimSuffix(title, m[0])
			b.Code, err = strconv.Atoi(m[1])
			require.NoError(tb, err)
		}
		all = append(all, b)
	}
	return all
}

// Seed makes the tables the statements are about.
func Seed(tb testing.TB, admin driver.Conn) {
	tb.Helper()
	for _, sql := range []string{
		"CREATE TABLE stofstrom.facts (n UInt64, area String, day Date, mass Decimal(38, 6), note Nullable(String), tags Array(String)) ENGINE = ReplacingMergeTree ORDER BY n",
		"INSERT INTO stofstrom.facts SELECT number, ['A', 'B', 'C'][number % 3 + 1], toDate('2025-01-01') + number % 5, number * 10, NULL, ['x', 'y'] FROM numbers(10)",
		"CREATE TABLE stofstrom.areas (area String, region String) ENGINE = MergeTree ORDER BY area",
		"INSERT INTO stofstrom.areas VALUES ('A', 'north'), ('B', 'south'), ('D', 'south')",
		"CREATE TABLE stofstrom.area_list (area String) ENGINE = MergeTree ORDER BY area",
		"CREATE VIEW stofstrom_research.by_area AS SELECT area, sum(mass) AS mass_t FROM stofstrom.facts GROUP BY area",
		"CREATE DATABASE private",
		"CREATE TABLE private.secrets (secret String) ENGINE = MergeTree ORDER BY secret",
		"INSERT INTO private.secrets VALUES ('" + SecretText + "')",
		"CREATE TABLE private.joined (k UInt64, v String) ENGINE = Join(ANY, LEFT, k)",
	} {
		require.NoError(tb, admin.Exec(context.Background(), sql), sql)
	}
}

// State is everything an attack could have changed inside the engine.
func State(tb testing.TB, admin driver.Conn) string {
	tb.Helper()
	var text string
	require.NoError(tb, admin.QueryRow(context.Background(), `SELECT toString((
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

// Trap is what attacks are aimed at: a file that holds a secret, a folder and a
// listener that must stay alone.
type Trap struct {
	Secret, Dir string
	listener    net.Listener
	visits      atomic.Int64
}

// SecretText is what the trap's file and the private table hold.
const SecretText = "secret-7391-of-the-trap"

// NewTrap sets a trap.
func NewTrap(tb testing.TB) *Trap {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	trap := &Trap{Secret: filepath.Join(tb.TempDir(), "secret.txt"), Dir: tb.TempDir(), listener: listener}
	require.NoError(tb, os.WriteFile(trap.Secret, []byte(SecretText+"\n"), 0o644)) //nolint:gosec // it is meant to be readable
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			trap.visits.Add(1)
			_ = conn.Close()
		}
	}()
	tb.Cleanup(func() { require.NoError(tb, listener.Close()); <-done })
	return trap
}

// Aim writes the trap's places into an attack.
func (trap *Trap) Aim(sql string) string {
	return strings.NewReplacer("{SECRET}", trap.Secret, "{DIR}", trap.Dir, "{LISTENER}", trap.listener.Addr().String()).Replace(sql)
}

// Untouched fails the test when an attack wrote a file or reached the listener.
func (trap *Trap) Untouched(tb testing.TB) {
	tb.Helper()
	left, err := os.ReadDir(trap.Dir)
	require.NoError(tb, err)
	require.Empty(tb, left, "an attack wrote a file")
	require.Zero(tb, trap.visits.Load(), "an attack reached the network")
}
