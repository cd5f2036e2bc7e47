package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// roomyFS is a file system in memory that says it has room.
type roomyFS struct{ *vfs.MemFS }

func (roomyFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40}, nil
}

// TestAPowerCutLosesNothingAcknowledged takes away, at a random moment and
// under concurrent writers, everything that was not fsynced: what kill -9
// cannot do. What was acknowledged before must be there, whole and in order.
func TestAPowerCutLosesNothingAcknowledged(t *testing.T) {
	const writers = 8
	for round := range 20 {
		fs := vfs.NewCrashableMem()
		cfg := Config{Dir: "log", FS: roomyFS{fs}, MemTableBytes: 256 << 10, Logger: slog.New(slog.DiscardHandler)}
		s, stop := openStore(t, cfg)
		rng := rand.New(rand.NewPCG(uint64(round), 7))
		cutAfter := uint64(1 + rng.IntN(4000))

		var mu sync.Mutex
		acked := map[string]int64{} // stream → last acknowledged revision
		ctx, cancel := context.WithCancel(context.Background())
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				stream := fmt.Sprintf("s%d", w)
				for n := 0; ctx.Err() == nil; n++ {
					events := numbered(w*1_000_000+n*3, 3)
					result, err := s.Append(ctx, stream, Expected{}, events)
					if err != nil {
						return
					}
					mu.Lock()
					acked[stream] = result.Revision
					mu.Unlock()
				}
			})
		}
		watch := s.Watch("")
		for s.Head() < cutAfter {
			<-watch.Wake()
		}
		mu.Lock()
		want := make(map[string]int64, len(acked))
		for stream, revision := range acked {
			want[stream] = revision
		}
		head := s.Head()
		mu.Unlock()
		// Some of what was not synced may survive, as on a real disk.
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(2) * 50, RNG: rng})
		cancel()
		group.Wait()
		watch.Close()
		stop()

		cfg.FS = roomyFS{clone}
		after, stopAfter := openStore(t, cfg)
		require.GreaterOrEqual(t, after.Head(), head, "what readers had seen is there")
		report, err := after.Check(context.Background())
		require.NoError(t, err)
		require.Equal(t, after.Head(), report.Events)
		for stream, revision := range want {
			view, err := after.Stream(stream)
			require.NoError(t, err)
			require.GreaterOrEqual(t, view.Last, revision, "acknowledged in %s", stream)
			require.EqualValues(t, 2, view.Last%3, "an append of three is there whole or not at all")
			first := true
			require.NoError(t, after.ScanStream(view, 0, false, func(r *Record) bool {
				if first {
					require.EqualValues(t, 0, r.Revision)
					first = false
				}
				number := binary.BigEndian.Uint64(r.ID[:8])
				require.EqualValues(t, r.Revision, number%1_000_000, "each event once and in its place")
				return true
			}))
		}
		stopAfter()
	}
}
