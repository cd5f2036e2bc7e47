package queries

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestEveryFileHasAHeaderThatAgreesWithItsStatement(t *testing.T) {
	require.NotEmpty(t, Names())
	for _, name := range Names() {
		_, err := Load(name)
		require.NoError(t, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	const head = "-- question: q?\n-- parameters:\n--   a UInt64: x\n-- columns:\n--   b UInt64: y\n-- units: none\n-- freshness: now\n"
	for name, text := range map[string]string{
		"an undeclared parameter":      head + "SELECT {a:UInt64} + {c:UInt64} AS b",
		"a parameter of another type":  head + "SELECT {a:UInt32} AS b",
		"a parameter of two types":     head + "SELECT {a:UInt64} + {a:UInt32} AS b",
		"a parameter that is not used": head + "SELECT 1 AS b",
		"a comment in the statement":   head + "SELECT {a:UInt64} AS b -- why",
		"an unknown section":           "-- author: me\n" + head + "SELECT {a:UInt64} AS b",
		"a field without meaning":      "-- parameters:\n--   a UInt64\n",
		"a field in no list":           "-- units: t\n--   a UInt64: x\n",
		"no header":                    "SELECT 1 AS b",
		"no statement":                 head,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(fstest.MapFS{"x.sql": {Data: []byte(text)}}, "x")
			require.ErrorIs(t, err, ErrHeader)
		})
	}
	q, err := load(fstest.MapFS{"x.sql": {Data: []byte(head + "SELECT {a:UInt64} AS b\n")}}, "x")
	require.NoError(t, err)
	require.Equal(t, "SELECT {a:UInt64} AS b", q.SQL)
}

func TestBindTakesExactlyWhatIsDeclared(t *testing.T) {
	q, err := Load("areas")
	require.NoError(t, err)
	args, err := q.Bind(map[string]any{"after": uint64(1), "upto": uint64(2)})
	require.NoError(t, err)
	require.Len(t, args, 2)
	_, err = q.Bind(map[string]any{"after": uint64(1)})
	require.ErrorContains(t, err, "upto is not bound")
	_, err = q.Bind(map[string]any{"after": uint64(1), "upto": uint64(2), "more": 3})
	require.ErrorContains(t, err, "takes 2 parameters")
}
