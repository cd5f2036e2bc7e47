//go:build linux

package guard_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/guard"
)

// TestListsNameEveryFunctionOfTheEngine fails with a new engine: each function
// it brings must be looked at and put on one of the lists.
func TestListsNameEveryFunctionOfTheEngine(t *testing.T) {
	conn := clickhousetest.Open(t, clickhousetest.Start(t).Admin)
	var listed []string
	for _, file := range []string{"functions.txt", "aggregates.txt", "refused.txt"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				listed = append(listed, line)
			}
		}
	}
	var known []string
	rows, err := conn.Query(context.Background(), "SELECT name || if(case_insensitive, '/i', '') FROM system.functions")
	require.NoError(t, err)
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		known = append(known, name)
	}
	require.NoError(t, errors.Join(rows.Err(), rows.Close()))
	slices.Sort(known)
	slices.Sort(listed)
	require.Equal(t, known, listed)
	require.Equal(t, len(listed), len(slices.Compact(listed)), "a name is on two lists")
}

// parsing is an engine that renders statements and explains none.
type parsing struct{ conn driver.Conn }

func (p parsing) Format(ctx context.Context, text string) (out string, err error) {
	ctx = driver.Context(ctx, driver.WithParameters(driver.Parameters{"q": strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(text)}))
	err = p.conn.QueryRow(ctx, "SELECT formatQuerySingleLine({q:String})").Scan(&out)
	return out, err
}

func (p parsing) Tree(context.Context, string, map[string]string, map[string]string) (string, error) {
	return "", errors.New("not reached")
}

// TestWordsAloneRefuse runs the attacks against the first half of the guard,
// which sees a statement before the engine does anything about it.
func TestWordsAloneRefuse(t *testing.T) {
	conn := clickhousetest.Open(t, clickhousetest.Start(t).Admin)
	g := guard.New(parsing{conn}, []string{"stofstrom"})
	for sql, part := range map[string]string{
		"SELECT 1 INTO OUTFILE 'x'":                                   "INTO",
		"SELECT 1 SETTINGS readonly = 0":                              "readonly",
		"SELECT 1 FORMAT Template":                                    "Template",
		"SELECT `file`('x')":                                          "file",
		"SELECT * APPLY(x -> arrayMap(file, [x])) FROM t":             "file",
		"SELECT 'a' FROM t SETTINGS max_threads = 1, max_threads = 2": "max_threads",
	} {
		_, err := g.Judge(t.Context(), sql, nil)
		var refusal *guard.Refusal
		require.True(t, errors.As(err, &refusal), "%s: %v", sql, err)
		require.Contains(t, refusal.Part, part)
	}
}

// tree is an engine that answers with a tree of the test's making.
type tree string

func (tree) Format(context.Context, string) (string, error) { return "SELECT 1", nil }
func (t tree) Tree(context.Context, string, map[string]string, map[string]string) (string, error) {
	return string(t), nil
}

func TestTreesThatCannotBeReadAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"unknown root":   "DropQuery stofstrom facts",
		"unknown node":   "SelectWithUnionQuery (children 1)\n Surprise",
		"two roots":      "SelectWithUnionQuery\nSelectWithUnionQuery",
		"jump":           "SelectWithUnionQuery\n  ExpressionList",
		"indented root":  " SelectWithUnionQuery",
		"blank line":     "SelectWithUnionQuery\n\n ExpressionList",
		"hidden call":    "SelectWithUnionQuery (children 1)\n Function file (alias (children 1) (alias sum) (children 1)\n  Literal 'x'",
		"hidden table":   "SelectWithUnionQuery (children 1)\n TableIdentifier private.secrets (alias stofstrom.facts)",
		"explain insert": "Explain EXPLAIN (children 1)\n InsertQuery",
		"many nodes":     "SelectWithUnionQuery\n" + strings.Repeat(" ExpressionList\n", 200_000),
	} {
		_, err := guard.New(tree(text), []string{"stofstrom"}).Judge(t.Context(), "SELECT 1", nil)
		var refusal *guard.Refusal
		require.True(t, errors.As(err, &refusal), "%s: %v", name, err)
	}
	_, err := guard.New(tree("SelectWithUnionQuery (children 1)\n TableIdentifier stofstrom.facts (alias private.secrets)"), []string{"stofstrom"}).Judge(t.Context(), "SELECT 1", nil)
	require.NoError(t, err)
}

// TestParametersCannotSmuggle binds the attack instead of writing it.
func TestParametersCannotSmuggle(t *testing.T) {
	server := clickhousetest.Start(t, func(c *clickhouse.Config) { c.ResearchDatabases = []string{"stofstrom", "stofstrom_research"} })
	clickhousetest.Seed(t, clickhousetest.Open(t, server.Admin))
	researcher := clickhousetest.Open(t, server.Researcher)
	with := func(p driver.Parameters) context.Context {
		return driver.Context(t.Context(), driver.WithParameters(p))
	}

	var n uint64
	require.NoError(t, researcher.QueryRow(with(driver.Parameters{"t": "facts", "area": "A"}), "SELECT count() FROM stofstrom.{t:Identifier} WHERE area = {area:String}").Scan(&n))
	require.EqualValues(t, 4, n)
	for sql, p := range map[string]driver.Parameters{
		"SELECT * FROM {d:Identifier}.secrets":                 {"d": "private"},
		"SELECT * FROM {d:Identifier}.{t:Identifier}":          {"d": "system", "t": "users"},
		"SELECT arrayMap({f:Identifier}, ['/etc/passwd'])":     {"f": "file"},
		"SELECT 1 SETTINGS max_execution_time = {s:UInt64}":    {"s": "0"},
		"SELECT COLUMNS('a') APPLY({f:Identifier}) FROM facts": {"f": "file"},
		"SELECT file({p:String})":                              {"p": "/etc/passwd"},
		"SELECT 'x' IN {d:Identifier}.secrets":                 {"d": "private"},
		"SELECT * FROM merge({d:String}, '.*')":                {"d": "private"},
		"SHOW CREATE TABLE {d:Identifier}.secrets":             {"d": "private"},
	} {
		require.Error(t, researcher.Exec(with(p), sql), sql)
	}
}

// TestSettingsOfTheURL makes settings the way drivers do.
func TestSettingsOfTheURL(t *testing.T) {
	server := clickhousetest.Start(t)
	researcher := clickhousetest.Open(t, server.Researcher)
	with := func(name string, value any) context.Context {
		return driver.Context(t.Context(), driver.WithSettings(driver.Settings{name: value}))
	}
	for _, name := range []string{"allow_introspection_functions", "dialect", "format_schema", "output_format_schema", "role", "max_memory_usage_for_user", "profile", "use_query_cache", "http_max_tries"} {
		err := researcher.Exec(with(name, "1"), "SELECT 1")
		var exception *driver.Exception
		require.True(t, errors.As(err, &exception), "%s: %v", name, err)
		require.EqualValues(t, 497, exception.Code, name)
	}
	for name, value := range map[string]any{"max_threads": 1, "readonly": 2, "join_use_nulls": 1, "max_execution_time": 1000000, "output_format_json_quote_64bit_integers": 1, "session_timezone": "Europe/Copenhagen"} {
		require.NoError(t, researcher.Exec(with(name, value), "SELECT 1"), name)
	}
	var limit, readonly string
	require.NoError(t, researcher.QueryRow(with("max_execution_time", 1000000), "SELECT toString(getSetting('max_execution_time')), toString(getSetting('readonly'))").Scan(&limit, &readonly))
	require.Equal(t, []string{"60", "1"}, []string{limit, readonly})
}

func Example() {
	g := guard.New(tree("SelectWithUnionQuery (children 1)\n Function file (children 1)"), []string{"stofstrom"})
	_, err := g.Judge(context.Background(), "SELECT file('/etc/passwd')", nil)
	fmt.Println(err)
	// Output: function file is not available to this account: it is not on the list of functions
}
