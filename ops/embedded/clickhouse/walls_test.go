//go:build linux

package clickhouse_test

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// TestWallsBehindTheGuardHoldAlone makes every attack in a research session
// without the guard. The engine's access rights, readonly and the operating
// system may let one run, but none may show the secret, change the engine, write
// a file or reach the network.
func TestWallsBehindTheGuardHoldAlone(t *testing.T) {
	server := clickhousetest.Start(t, func(c *clickhouse.Config) { c.Limits.ResearcherQueryTime = time.Second })
	admin := clickhousetest.Open(t, server.Admin)
	clickhousetest.Seed(t, admin)
	trap := clickhousetest.NewTrap(t)
	before := clickhousetest.State(t, admin)
	passed := 0
	for _, attack := range clickhousetest.Blocks(t, "guard/testdata/attacks.sql") {
		pid := newEngine(t, server, 0)
		out, err := clickhouse.RunUnguarded(t.Context(), server.Server, trap.Aim(attack.SQL))
		require.NotContains(t, out, clickhousetest.SecretText, attack.Title)
		if errors.Is(err, wire.ErrCut) || err != nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED)) {
			t.Logf("killed the engine, which comes back: %s", attack.Title)
			newEngine(t, server, pid)
			continue
		}
		if err != nil {
			require.NotContains(t, err.Error(), clickhousetest.SecretText, attack.Title)
			continue
		}
		passed++
		t.Logf("ran without effect: %s", attack.Title)
	}
	require.Less(t, passed, 70, "the walls behind the guard let more through than they did")
	require.Equal(t, before, clickhousetest.State(t, admin), "an attack changed the engine")
	trap.Untouched(t)
}
