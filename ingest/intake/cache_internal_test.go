package intake

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/ledger"
)

func state(stream string, revision uint64) *loaded {
	return &loaded{stream: stream, state: ledger.NewState(ledger.Key{Facility: "dk-p-1", Period: "202601"}), exists: true, revision: revision}
}

func TestCacheDropsWhatAnotherInstanceOvertook(t *testing.T) {
	c := newCache(1<<20, NewMetrics(prometheus.NewRegistry()))
	require.Nil(t, c.take("a"))
	c.put("a", state("a", 4))
	c.see("a", 4) // our own append comes back
	st := c.take("a")
	require.NotNil(t, st)
	c.put("a", st)
	c.see("a", 5) // somebody else's
	require.Nil(t, c.take("a"))
	require.Zero(t, c.bytes)

	// The log delivers it while a writer has the ledger.
	c.see("a", 7)
	c.put("a", state("a", 6))
	require.Nil(t, c.take("a"), "the state given back is behind")
	c.see("a", 7)
	c.put("a", state("a", 7))
	require.NotNil(t, c.take("a"))
	c.put("a", nil)
	require.Nil(t, c.take("a"))
}

func TestCacheDropsTheLeastLatelyUsed(t *testing.T) {
	c := newCache(0, NewMetrics(prometheus.NewRegistry()))
	one := state("a", 0).state.Size() + cachedOverhead + 1
	c.limit = 2 * one
	for _, stream := range []string{"a", "b"} {
		c.take(stream)
		c.put(stream, state(stream, 0))
	}
	c.put("a", c.take("a")) // used again
	c.take("c")
	c.put("c", state("c", 0))
	require.LessOrEqual(t, c.bytes, c.limit)
	require.NotNil(t, c.take("a"))
	require.Nil(t, c.take("b"))
	require.NotNil(t, c.take("c"))
}
