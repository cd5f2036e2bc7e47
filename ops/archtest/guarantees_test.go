package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every test that docs/guarantees.md names must exist, and every promise must
// name one.
func TestGuaranteesNameTestsThatExist(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	require.NoError(t, err)
	have := declaredTests(t, os.DirFS(root))
	name := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	promises := 0
	for _, line := range strings.Split(string(raw), "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise") {
			continue
		}
		promises++
		named := name.FindAllStringSubmatch(line, -1)
		require.NotEmpty(t, named, "a promise without a test: %s", line)
		for _, n := range named {
			require.Contains(t, have, n[1], "docs/guarantees.md names a test that does not exist")
		}
	}
	require.Greater(t, promises, 10)
}

func declaredTests(t *testing.T, tree fs.FS) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	require.NoError(t, fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(tree, file)
		for _, m := range declaration.FindAllStringSubmatch(string(src), -1) {
			have[m[1]] = true
		}
		return err
	}))
	return have
}
