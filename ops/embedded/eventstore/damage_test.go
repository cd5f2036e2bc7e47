package eventstore

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// tryNode is startNode for a node that may refuse to start.
func tryNode(t testing.TB, cfg Config) (node *Node, stop func(), err error) {
	t.Helper()
	node, err = New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	select {
	case <-node.Ready():
		// How a node with damaged files ends is not what is tested here.
		return node, func() { cancel(); <-ended }, nil
	case err := <-ended:
		cancel()
		return nil, nil, err
	}
}

func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

func flip(t testing.TB, path string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, offset)
	require.NoError(t, err)
	b[0] ^= 0x40
	_, err = f.WriteAt(b, offset)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestAFlippedByteIsFoundAndNeverServed flips single bytes all over the files
// of a log: each time the log is either refused, with the damage named, or all
// that it serves is what was written.
func TestAFlippedByteIsFoundAndNeverServed(t *testing.T) {
	for _, crashed := range []bool{false, true} {
		name := map[bool]string{false: "after an orderly end", true: "after kill -9"}[crashed]
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd, connection := startChild(t, dir)
			want := fill(t, connect(t, connection), 400)
			kill(t, cmd)
			if !crashed {
				cfg := testConfig(t)
				cfg.Dir = dir
				_, stop := startNode(t, cfg)
				require.NoError(t, stop())
			}
			found, harmless := 0, 0
			for _, path := range dataFiles(t, dir) {
				size := fileSize(t, path)
				for i := range int64(12) {
					offset := size * i / 12
					copied := copyFolder(t, dir)
					flip(t, filepath.Join(copied, filepath.Base(path)), offset)
					if serves(t, copied, want) {
						harmless++
					} else {
						found++
					}
				}
			}
			t.Logf("%d flips were found, %d touched nothing that counts", found, harmless)
			require.Greater(t, found, 5)
		})
	}
}

func dataFiles(t testing.TB, dir string) []string {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"*.sst", "*.log"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		for _, path := range found {
			if fileSize(t, path) > 0 {
				paths = append(paths, path)
			}
		}
	}
	require.NotEmpty(t, paths)
	return paths
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

// serves says whether the folder's log gives back all that was written; if it
// does not, it must say so itself, and must have given nothing else.
func serves(t *testing.T, dir string, want []*esdb.RecordedEvent) bool {
	t.Helper()
	cfg := testConfig(t)
	cfg.Dir = dir
	cfg.Logger = quietLogger()
	node, stop, err := tryNode(t, cfg)
	if err != nil {
		var damage *store.CorruptionError
		require.ErrorAs(t, err, &damage)
		return false
	}
	defer stop()
	stream, err := connect(t, node.ConnectionString()).ReadAll(testContext(t), esdb.ReadAllOptions{From: esdb.Start{}}, 1<<40)
	require.NoError(t, err)
	defer stream.Close()
	for i := 0; ; i++ {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			require.Len(t, want, i, "events vanished without a word")
			break
		}
		if err != nil {
			cause := clientCause(t, err)
			require.Equal(t, codes.DataLoss, status.Code(cause))
			require.True(t, strings.Contains(err.Error(), "position") || strings.Contains(err.Error(), "sst"), "it names the place: %v", err)
			return false
		}
		require.Equal(t, want[i].EventID, e.Event.EventID)
		require.Equal(t, want[i].Data, e.Event.Data)
		require.Equal(t, want[i].EventType, e.Event.EventType)
	}
	if _, err := node.Check(testContext(t)); err != nil {
		return false // the index, or what is not used at the moment
	}
	return true
}

func TestBackupAndRestore(t *testing.T) {
	node, _ := startNode(t, testConfig(t))
	client := connect(t, node.ConnectionString())
	want := fill(t, client, 100)
	backup := filepath.Join(t.TempDir(), "backup")
	require.NoError(t, node.Backup(testContext(t), backup))
	fill(t, client, 10) // goes on meanwhile, and is not in the backup

	require.Error(t, node.Backup(testContext(t), backup), "a backup overwrites nothing")
	restored := filepath.Join(t.TempDir(), "restored")
	report, err := Restore(testContext(t), backup, restored, testLogger(t))
	require.NoError(t, err)
	require.EqualValues(t, len(want), report.Events)
	_, err = Restore(testContext(t), backup, restored, testLogger(t))
	require.ErrorContains(t, err, "not empty")

	cfg := testConfig(t)
	cfg.Dir = restored
	copied, _ := startNode(t, cfg)
	got := readAll(t, connect(t, copied.ConnectionString()), esdb.ReadAllOptions{From: esdb.Start{}})
	require.Len(t, got, len(want))
	for i, e := range got {
		require.Equal(t, want[i].EventID, e.Event.EventID)
		require.Equal(t, want[i].Position, e.Event.Position)
		require.Equal(t, want[i].CreatedDate, e.Event.CreatedDate)
	}

	for _, path := range dataFiles(t, backup) {
		flip(t, path, fileSize(t, path)/2)
	}
	_, err = Restore(testContext(t), backup, filepath.Join(t.TempDir(), "x"), quietLogger())
	require.ErrorContains(t, err, "not usable")
}
