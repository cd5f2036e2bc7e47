//go:build linux

package clickhouse_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

// TestNodeClient runs ClickHouse's own client for Node against the endpoint. npm
// is at hand wherever the engine could be fetched.
func TestNodeClient(t *testing.T) {
	program := nodeProgram(t)
	server := clickhousetest.Start(t, func(c *clickhouse.Config) { c.ResearcherPassword = "read" })
	u, err := url.Parse(server.Admin)
	require.NoError(t, err)
	password, _ := u.User.Password()
	cmd := exec.CommandContext(t.Context(), "node", program) //nolint:gosec // our own script
	cmd.Env = append(os.Environ(), "URL_ADMIN=http://"+u.Host, "USER_ADMIN="+server.AdminUser(), "PASSWORD_ADMIN="+password,
		"USER_RESEARCHER="+server.ResearcherUser(), "PASSWORD_RESEARCHER=read")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ok: 50000 rows")
}

// nodeProgram returns the script in a folder where the client is installed. The
// folder is in the repository's cache and made once for each lock file.
func nodeProgram(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	var all []byte
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json", "researcher.mjs"} {
		text, err := os.ReadFile(filepath.Join("testdata", "node", name))
		require.NoError(t, err)
		files[name] = text
		all = append(all, text...)
	}
	sum := sha256.Sum256(all)
	folder := filepath.Join(root, ".cache", "clickhouse-node", hex.EncodeToString(sum[:8]))
	program := filepath.Join(folder, "researcher.mjs")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(folder), 0o750))
	work, err := os.MkdirTemp(filepath.Dir(folder), "install-*") //nolint:usetesting // renamed into the cache, so on its file system
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(work)) }()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(work, name), text, 0o600))
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = work
	out, err := npm.CombinedOutput()
	require.NoError(t, err, "npm ci: %s", out)
	if err := os.Rename(work, folder); !errors.Is(err, fs.ErrExist) {
		require.NoError(t, err)
	}
	return program
}
