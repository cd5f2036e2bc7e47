package backup

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func sealed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "log"), 0o700))
	for name, content := range map[string]string{"log/a": "first", "log/b": "", "c": "third"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	s, err := Write(t.Context(), dir, "event log", "v1", time.Unix(0, 0))
	require.NoError(t, err)
	require.Len(t, s.Files, 3)
	require.Equal(t, int64(10), s.Bytes())
	return dir
}

func TestASealedFolderIsAccepted(t *testing.T) {
	s, err := Check(t.Context(), sealed(t), "event log")
	require.NoError(t, err)
	require.Equal(t, "v1", s.Program)
	require.Equal(t, []string{"c", "log/a", "log/b"}, []string{s.Files[0].Path, s.Files[1].Path, s.Files[2].Path})
}

func TestASealedFolderIsRefusedWhenAnythingChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"a byte":  {func(dir string) error { return os.WriteFile(filepath.Join(dir, "log", "a"), []byte("firsT"), 0o600) }, "another content"},
		"longer":  {func(dir string) error { return os.WriteFile(filepath.Join(dir, "log", "b"), []byte("x"), 0o600) }, "has 1 bytes instead of 0"},
		"missing": {func(dir string) error { return os.Remove(filepath.Join(dir, "c")) }, "c is missing"},
		"added":   {func(dir string) error { return os.WriteFile(filepath.Join(dir, "log", "d"), nil, 0o600) }, "was not in it"},
		"the seal": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, SealName), []byte(`{"format":1`), 0o600)
		}, SealName},
		"a foreign seal": {func(dir string) error { return os.WriteFile(filepath.Join(dir, SealName), []byte(`{"x":1}`), 0o600) }, SealName},
	} {
		t.Run(name, func(t *testing.T) {
			dir := sealed(t)
			require.NoError(t, c.change(dir))
			_, err := Check(t.Context(), dir, "event log")
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestWhatIsNoBackupIsSaidToBeNone(t *testing.T) {
	_, err := Check(t.Context(), t.TempDir(), "event log")
	require.ErrorIs(t, err, ErrNoBackup)
	_, err = Check(t.Context(), filepath.Join(t.TempDir(), "none"), "event log")
	require.ErrorIs(t, err, ErrNoBackup)
	_, err = Check(t.Context(), sealed(t), "tables")
	require.ErrorContains(t, err, `is a backup of "event log", not of "tables"`)
	dir := sealed(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, SealName), []byte(`{"format":2,"kind":"event log","program":"","made_at":"1970-01-01T00:00:00Z","files":[]}`), 0o600))
	_, err = Check(t.Context(), dir, "event log")
	require.ErrorContains(t, err, "has format 2, this program reads 1")
}

func TestASealIsWrittenOnceAndOverPlainFilesOnly(t *testing.T) {
	_, err := Write(t.Context(), sealed(t), "event log", "v1", time.Now())
	require.ErrorIs(t, err, os.ErrExist)
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "link")))
	_, err = Write(t.Context(), dir, "event log", "v1", time.Now())
	require.ErrorContains(t, err, "not a plain file")
	ctx, cancel := context.WithCancel(t.Context())
	dir = sealed(t)
	cancel()
	_, err = Check(ctx, dir, "event log")
	require.ErrorIs(t, err, context.Canceled)
}
