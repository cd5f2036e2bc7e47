//go:build linux

package clickhouse

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseInsert(t *testing.T) {
	for name, c := range map[string]struct {
		text, target, settings, format, data string
		ok                                   bool
	}{
		"driver":               {"INSERT INTO `db`.`t` (`a`, `b`) FORMAT Native", "INSERT INTO `db`.`t` (`a`, `b`)", "", "Native", "", true},
		"values":               {"insert into t values (1),\n\n(2)", "insert into t", "", "Values", " (1),\n\n(2)", true},
		"settings":             {"INSERT INTO t SETTINGS async_insert=1, x='FORMAT' FORMAT CSV\n1,2", "INSERT INTO t", "SETTINGS async_insert=1, x='FORMAT'", "CSV", "1,2", true},
		"carriage return":      {"INSERT INTO t FORMAT TSV \r\nx", "INSERT INTO t", "", "TSV", "x", true},
		"data with blank":      {"INSERT INTO t FORMAT TSV\n\nx", "INSERT INTO t", "", "TSV", "\nx", true},
		"no format":            {"INSERT INTO t (a)", "INSERT INTO t (a)", "", "Values", "", true},
		"comment":              {"-- INSERT INTO u\n/* VALUES */ INSERT INTO TABLE t VALUES(1)", "-- INSERT INTO u\n/* VALUES */ INSERT INTO TABLE t", "", "Values", "(1)", true},
		"words as names":       {"INSERT INTO format (values, `select`, settings) VALUES (1)", "INSERT INTO format", "", "", "", false},
		"table named format":   {"INSERT INTO format (a) FORMAT CSV", "INSERT INTO format (a)", "", "CSV", "", true},
		"columns but":          {"INSERT INTO t (* EXCEPT(b)) VALUES (2)", "INSERT INTO t (* EXCEPT(b))", "", "Values", " (2)", true},
		"function":             {"INSERT INTO FUNCTION null('a Int8') VALUES (2)", "INSERT INTO FUNCTION null('a Int8')", "", "Values", " (2)", true},
		"select":               {"INSERT INTO t SELECT 1", "", "", "", "", false},
		"select in brackets":   {"INSERT INTO t (SELECT 1)", "", "", "", "", false},
		"with":                 {"INSERT INTO t WITH 1 AS a SELECT a", "", "", "", "", false},
		"from infile":          {"INSERT INTO t FROM INFILE 'x' FORMAT CSV", "", "", "", "", false},
		"no insert":            {"SELECT 'INSERT INTO t VALUES'", "", "", "", "", false},
		"nothing":              {"", "", "", "", "", false},
		"unfinished":           {"INSERT INTO", "", "", "", "", false},
		"unfinished format":    {"INSERT INTO t FORMAT", "", "", "", "", false},
		"unfinished quote":     {"INSERT INTO `t", "INSERT INTO `t", "", "Values", "", true},
		"semicolon at the end": {"INSERT INTO t FORMAT Native;", "INSERT INTO t", "", "Native", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseInsert(c.text)
			if name == "words as names" { // columns in brackets are never taken for keywords
				require.True(t, ok)
				require.Equal(t, "INSERT INTO format (values, `select`, settings)", got.Target)
				require.Equal(t, " (1)", c.text[got.Data:])
				return
			}
			require.Equal(t, c.ok, ok)
			if !ok {
				return
			}
			require.Equal(t, c.target, got.Target)
			require.Equal(t, c.settings, got.Settings)
			require.Equal(t, c.format, got.Format)
			require.Equal(t, c.data, c.text[got.Data:])
		})
	}
}

func TestIntoFile(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                                       "SELECT 1\nINTO OUTFILE '/x' FORMAT JSON",
		"SELECT 1 -- one":                                "SELECT 1 -- one\nINTO OUTFILE '/x' FORMAT JSON",
		"SELECT 1;":                                      "SELECT 1\nINTO OUTFILE '/x' FORMAT JSON",
		"SELECT 1 FORMAT Parquet":                        "SELECT 1 \nINTO OUTFILE '/x' FORMAT Parquet",
		"SELECT 1 FORMAT XML SETTINGS a = 1":             "SELECT 1 \nINTO OUTFILE '/x' FORMAT XML SETTINGS a = 1",
		"SELECT 'FORMAT TSV' AS format FROM t":           "SELECT 'FORMAT TSV' AS format FROM t\nINTO OUTFILE '/x' FORMAT JSON",
		"SELECT format(a, 1) FROM (SELECT 1 FORMAT TSV)": "SELECT format(a, 1) FROM (SELECT 1 FORMAT TSV)\nINTO OUTFILE '/x' FORMAT JSON",
	} {
		require.Equal(t, want, intoFile(text, "/x", "JSON"))
	}
}

func TestSeveral(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT 1": false, "SELECT 1;": false, "SELECT 1; ;-- x\n": false, "SELECT ';'": false, "SELECT `;`": false,
		"SELECT 1; SELECT 2": true, "SELECT $a$;$a$": false, "SELECT $a$;$a$; x": true, "SELECT '\\';'": false, "SELECT /*;*/ 1": false,
	} {
		require.Equal(t, want, several(text), text)
	}
}

func FuzzStatement(f *testing.F) {
	for _, text := range []string{"INSERT INTO t VALUES (1)", "SELECT $a$x$a$", "INSERT INTO `a`.b (c) SETTINGS d=1 FORMAT CSV\n1", "/*", "'", "$", "\\"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := parseInsert(text); ok && (got.Data < 0 || got.Data > len(text)) {
			t.Fatalf("rows begin at %d of %d", got.Data, len(text))
		}
		start, _ := formatClause(text)
		if start < 0 || start > len(text) {
			t.Fatalf("format clause at %d of %d", start, len(text))
		}
		several(text)
		firstWord(text)
	})
}
