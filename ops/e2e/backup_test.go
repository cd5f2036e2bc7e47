package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
)

// writers append to a log until they are stopped, and know what was
// acknowledged.
type writers struct {
	stop chan struct{}
	done sync.WaitGroup
	n    atomic.Int64 // acknowledged

	mu    sync.Mutex
	acked map[uuid.UUID]bool // guarded by mu
}

func startWriters(t *testing.T, l *eventstore.Log, n int) *writers {
	w := &writers{stop: make(chan struct{}), acked: map[uuid.UUID]bool{}}
	for i := range n {
		w.done.Go(func() {
			expected := eventlog.NoStream()
			for {
				select {
				case <-w.stop:
					return
				default:
				}
				events := []eventlog.Proposed{{ID: uuid.New(), Type: "t.v1", Data: make([]byte, 500)}, {ID: uuid.New(), Type: "t.v1"}}
				done, err := l.Append(t.Context(), fmt.Sprintf("writer-%d", i), expected, events)
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
				expected = eventlog.Exactly(done.Revision)
				w.mu.Lock()
				for _, e := range events {
					w.acked[e.ID] = true
				}
				w.mu.Unlock()
				w.n.Add(1)
			}
		})
	}
	return w
}

func (w *writers) end() {
	close(w.stop)
	w.done.Wait()
}

func (w *writers) acknowledged() map[uuid.UUID]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[uuid.UUID]bool, len(w.acked))
	for id := range w.acked {
		all[id] = true
	}
	return all
}

func TestABackupUnderLoadHoldsWhatWasAcknowledgedBefore(t *testing.T) {
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "backups", "today")
	node, connection := startLog(t, data)
	w := startWriters(t, reader(t, connection), 4)
	eventually(t, "events", func() bool { return w.n.Load() > 400 || t.Failed() })
	before := w.acknowledged()
	begun := w.n.Load()
	code, _, errOut := run(t, "eventstore", "backup", "--data", data, dir)
	require.Zero(t, code, errOut)
	require.Greater(t, w.n.Load(), begun, "the writers went on meanwhile")
	w.end()
	require.Zero(t, node.stop())

	restored := filepath.Join(t.TempDir(), "restored")
	code, _, errOut = run(t, "eventstore", "restore", "--data", restored, dir)
	require.Zero(t, code, errOut)
	again, connection := startLog(t, restored)
	after := w.acknowledged()
	found := map[uuid.UUID]bool{}
	for _, e := range allEvents(t, reader(t, connection)) {
		require.True(t, after[e.ID], "an event that nobody wrote: %s", e.ID)
		found[e.ID] = true
	}
	for id := range before {
		require.True(t, found[id], "acknowledged before the backup and not in it: %s", id)
	}
	require.Zero(t, again.stop())

	t.Run("a log that is not in use", func(t *testing.T) {
		whole := filepath.Join(t.TempDir(), "whole")
		code, _, errOut := run(t, "eventstore", "backup", "--data", data, whole)
		require.Zero(t, code, errOut)
		code, out, errOut := run(t, "eventstore", "restore", "--data", filepath.Join(t.TempDir(), "data"), whole)
		require.Zero(t, code, errOut)
		require.Contains(t, out, fmt.Sprintf("restored %d events", len(after)))
	})
	t.Run("neither command overwrites anything", func(t *testing.T) {
		code, _, errOut := run(t, "eventstore", "backup", "--data", data, dir)
		require.Equal(t, exitConfig, code, errOut)
		require.Contains(t, errOut, "is not empty")
		code, _, errOut = run(t, "eventstore", "restore", "--data", restored, dir)
		require.Equal(t, exitConfig, code, errOut)
		require.Contains(t, errOut, "is not empty")
	})
	t.Run("what there is nothing of", func(t *testing.T) {
		empty := t.TempDir()
		code, _, errOut := run(t, "eventstore", "backup", "--data", empty, filepath.Join(t.TempDir(), "b"))
		require.Equal(t, exitConfig, code, errOut)
		require.Contains(t, errOut, "holds no event log")
		code, _, errOut = run(t, "eventstore", "restore", "--data", filepath.Join(empty, "data"), empty)
		require.Equal(t, exitConfig, code, errOut)
		require.Contains(t, errOut, "not a finished backup")
		code, _, errOut = run(t, "eventstore", "restore")
		require.Equal(t, 2, code, errOut)
	})
	t.Run("damage anywhere is named, and nothing is restored", func(t *testing.T) {
		files := 0
		require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			damaged := filepath.Join(t.TempDir(), "damaged")
			require.NoError(t, os.CopyFS(damaged, os.DirFS(dir)))
			file := filepath.Join(damaged, p)
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			if len(content) > 0 {
				content[len(content)/2] ^= 1
			} else {
				content = []byte{0}
			}
			require.NoError(t, os.Chmod(file, 0o600))
			require.NoError(t, os.WriteFile(file, content, 0o600))
			into := filepath.Join(t.TempDir(), "data")
			code, _, errOut := run(t, "eventstore", "restore", "--data", into, damaged)
			require.Equal(t, 1, code, "%s: %s", p, errOut)
			require.Contains(t, errOut, "damaged")
			if p != "backup.json" { // which names the file whose sum was changed
				require.Contains(t, errOut, file)
			}
			require.NoDirExists(t, into)
			return nil
		}))
		require.Greater(t, files, 3)
	})
}
