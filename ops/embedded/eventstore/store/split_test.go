package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
)

// TestNoTableHoldsLogAndIndex: a table that did would be written again with
// every compaction of the indexes.
func TestNoTableHoldsLogAndIndex(t *testing.T) {
	s, _ := openStore(t, Config{Dir: t.TempDir()})
	for n := range 20 {
		_, err := s.Append(context.Background(), fmt.Sprintf("ledger-f%d-202601", n%3), Expected{}, numbered(n*100, 100))
		require.NoError(t, err)
	}
	require.NoError(t, s.Compact(context.Background()))
	logs, others := 0, 0
	require.NoError(t, s.view(func(db *pebble.DB) error {
		levels, err := db.SSTables()
		for _, level := range levels {
			for _, table := range level {
				smallest, largest := table.Smallest.UserKey[0], table.Largest.UserKey[0]
				require.Equal(t, smallest == prefixLog, largest == prefixLog, "table from %q to %q", smallest, largest)
				if smallest == prefixLog {
					logs++
				} else {
					others++
				}
			}
		}
		return err
	}))
	require.Positive(t, logs)
	require.Positive(t, others)
}
