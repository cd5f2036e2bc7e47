package app

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, path string) *folder {
	t.Helper()
	f, err := openFolder(path)
	require.NoError(t, err)
	t.Cleanup(f.close)
	return f
}

func TestAFolderIsUsedByOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	first := open(t, dir)
	_, err := openFolder(dir)
	require.ErrorIs(t, err, ErrFolderInUse)
	require.ErrorContains(t, err, dir)
	first.close()
	open(t, dir)
}

func TestAFolderThatIsAFileIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := openFolder(file)
	require.ErrorContains(t, err, file)
}

func TestAutoKeepsItsAddress(t *testing.T) {
	f := open(t, t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()

	got, err := f.address(t.Context(), "x", "auto", taken.Addr().String())
	require.NoError(t, err)
	require.NotEqual(t, taken.Addr().String(), got, "the usual address is taken")

	again, err := f.address(t.Context(), "x", "auto", "127.0.0.1:1")
	require.NoError(t, err)
	require.Equal(t, got, again)

	configured, err := f.address(t.Context(), "x", "127.0.0.1:4711", "127.0.0.1:1")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:4711", configured)
}

func TestSecretsAreMadeOnceAndPrivate(t *testing.T) {
	f := open(t, t.TempDir())
	a, err := f.secret("tables")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(a), 32)
	b, err := f.secret("tables")
	require.NoError(t, err)
	require.Equal(t, a, b)
	info, err := os.Stat(f.sub("secret-tables"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestEmptyPasswordFilesAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("\n"), 0o600))
	_, err := readSecretFile(file)
	require.ErrorContains(t, err, "is empty")
	require.NoError(t, os.WriteFile(file, []byte("s3cret\n"), 0o600))
	got, err := readSecretFile(file)
	require.NoError(t, err)
	require.Equal(t, "s3cret", got)
}
