//go:build linux

package guard_test

import (
	"context"
	"errors"
	"testing"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

func TestAttacksAreRefusedAndLeaveNoTrace(t *testing.T) {
	server := clickhousetest.Start(t)
	admin := clickhousetest.Open(t, server.Admin)
	researcher := clickhousetest.Open(t, server.Researcher)
	clickhousetest.Seed(t, admin)
	trap := clickhousetest.NewTrap(t)
	attacks := clickhousetest.Blocks(t, "testdata/attacks.sql")
	require.Greater(t, len(attacks), 200)
	before := clickhousetest.State(t, admin)
	for _, attack := range attacks {
		t.Run(attack.Title, func(t *testing.T) {
			err := run(researcher, trap.Aim(attack.SQL))
			require.Error(t, err, "went through: %s", attack.SQL)
			var exception *driver.Exception
			require.True(t, errors.As(err, &exception), "%v", err)
			require.EqualValues(t, attack.Code, exception.Code, "%v", err)
			require.NotContains(t, err.Error(), clickhousetest.SecretText)
		})
	}
	require.Equal(t, before, clickhousetest.State(t, admin), "an attack changed the engine")
	trap.Untouched(t)
}

func TestResearchQueriesWork(t *testing.T) {
	server := clickhousetest.Start(t)
	clickhousetest.Seed(t, clickhousetest.Open(t, server.Admin))
	researcher := clickhousetest.Open(t, server.Researcher)
	allowed := clickhousetest.Blocks(t, "testdata/allowed.sql")
	require.GreaterOrEqual(t, len(allowed), 35)
	for _, query := range allowed {
		t.Run(query.Title, func(t *testing.T) {
			require.NoError(t, run(researcher, query.SQL))
		})
	}
}

// run executes a statement through the official driver and drops its rows. Exec
// does not look at the format of the answer.
func run(conn driver.Conn, sql string) error { return conn.Exec(context.Background(), sql) }
