//go:build linux

package clickhouse_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
)

// fetch runs a copy of fetch.sh in a repository of its own, with tools on PATH
// in place of the real ones, and returns what it said and the cache it filled.
func fetch(t *testing.T, tools map[string]string, env ...string) (said, cache string, _ error) {
	t.Helper()
	root := t.TempDir()
	folder := filepath.Join(root, "ops", "embedded", "clickhouse")
	require.NoError(t, os.MkdirAll(folder, 0o750))
	text, err := os.ReadFile("fetch.sh")
	require.NoError(t, err)
	script := filepath.Join(folder, "fetch.sh")
	require.NoError(t, os.WriteFile(script, text, 0o700)) //nolint:gosec // a program
	bin := filepath.Join(root, "bin")
	require.NoError(t, os.Mkdir(bin, 0o750))
	for name, body := range tools {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700)) //nolint:gosec // a program
	}
	cmd := exec.Command(script) //nolint:gosec // our own script
	cmd.Env = append([]string{"PATH=" + bin + ":/usr/bin:/bin"}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), filepath.Join(root, ".cache", "chdb", clickhouse.LibraryVersion), err
}

func TestFetchRefusesWhatIsNotPinned(t *testing.T) {
	t.Run("Err another package", func(t *testing.T) {
		out, cache, err := fetch(t, map[string]string{"npm": "echo no engine >package.tgz"})
		require.Error(t, err)
		require.Contains(t, out, "checksum of the package is sha512-")
		left, err := os.ReadDir(cache)
		require.NoError(t, err)
		require.Empty(t, left, "something stayed in the cache")
	})
	t.Run("Err npm fails", func(t *testing.T) {
		out, _, err := fetch(t, map[string]string{"npm": "echo no such package >&2; exit 1"})
		require.Error(t, err)
		require.Contains(t, out, "no such package")
		require.Contains(t, out, "npm could not fetch @chdb/lib-linux-x64-gnu@"+clickhouse.LibraryVersion)
	})
	t.Run("Err another platform", func(t *testing.T) {
		out, _, err := fetch(t, map[string]string{"uname": "echo Plan9"})
		require.Error(t, err)
		require.Contains(t, out, "no engine is pinned for Plan9/Plan9")
	})
	t.Run("Err named library does not exist", func(t *testing.T) {
		out, _, err := fetch(t, nil, "CHDB_LIB_PATH=/nowhere/libchdb.so")
		require.Error(t, err)
		require.Contains(t, out, "CHDB_LIB_PATH=/nowhere/libchdb.so: no such file")
	})
	t.Run("OK named library is left alone", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "libchdb.so")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		out, cache, err := fetch(t, map[string]string{"npm": "exit 1"}, "CHDB_LIB_PATH="+path)
		require.NoError(t, err, out)
		require.NoDirExists(t, cache)
	})
}
