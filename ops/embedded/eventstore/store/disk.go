package store

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const ballastName = "BALLAST"

// diskGuard keeps the store away from a disk that is really full, since Pebble
// does not survive a failed write to its log.
//
// Two lines of defence: before each group of appends it looks at the free
// space and refuses writing below a reserve; and a ballast file is deleted in
// the moment a write meets ENOSPC after all (another process was faster), so
// that this write, repeated once by Pebble's file system layer, succeeds.
type diskGuard struct {
	fs      vfs.FS
	dir     string
	reserve uint64
	ballast uint64
	onFull  func()

	mu      sync.Mutex
	spent   bool // the ballast was given up and not yet restored
	refused bool // the last check refused
}

// release gives up the ballast. It runs while Pebble's writes are held back.
func (g *diskGuard) release() {
	g.mu.Lock()
	g.spent = true
	g.mu.Unlock()
	// A failure leaves nothing better to do: the write is repeated anyway, and
	// its error is the one that counts.
	_ = g.fs.Remove(g.fs.PathJoin(g.dir, ballastName))
	g.onFull()
}

// check refuses with a *DiskFullError while free space is below the reserve,
// and restores the ballast once there is plenty again.
func (g *diskGuard) check() error {
	usage, err := g.fs.GetDiskUsage(g.dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", g.dir, err)
	}
	g.mu.Lock()
	spent := g.spent
	g.mu.Unlock()
	need := g.reserve
	if spent {
		need += g.ballast
	}
	if usage.AvailBytes < need {
		g.setRefused(true)
		return &DiskFullError{Dir: g.dir, FreeBytes: usage.AvailBytes, ReserveBytes: need}
	}
	g.setRefused(false)
	if spent {
		return g.restore()
	}
	return nil
}

func (g *diskGuard) setRefused(refused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = refused
}

func (g *diskGuard) full() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// restore writes the ballast file if it is missing or short.
func (g *diskGuard) restore() error {
	if g.ballast == 0 {
		return nil
	}
	path := g.fs.PathJoin(g.dir, ballastName)
	if info, err := g.fs.Stat(path); err == nil && uint64(info.Size()) == g.ballast {
		return nil
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("ballast file: %w", err)
	}
	if err := g.write(path); err != nil {
		// Half a ballast would take the room it is meant to give.
		return errors.Join(fmt.Errorf("ballast file: %w", err), g.fs.Remove(path))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent = false
	return nil
}

func (g *diskGuard) write(path string) (err error) {
	f, err := g.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// Real bytes, not a hole: a sparse file holds no room.
	block := make([]byte, 1<<20)
	for left := g.ballast; left > 0; {
		n := min(left, uint64(len(block)))
		if _, err := f.Write(block[:n]); err != nil {
			return err
		}
		left -= n
	}
	return f.Sync()
}
