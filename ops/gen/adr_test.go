package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheIndexOfDecisionsIsCurrent(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "adr")
	var want bytes.Buffer
	require.NoError(t, writeDecisions(dir)(&want))
	got, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "run make generate")
}

func TestErrDecisions(t *testing.T) {
	const good = "# 0001: this\n\n*Status*: accepted · *Date*: 2026-11-25\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"number twice":  {map[string]string{"0001-a.md": good, "0001-b.md": good}, "0001-b.md: the number is taken by 0001-a.md"},
		"other number":  {map[string]string{"0002-a.md": good}, "0002-a.md: line 1"},
		"name":          {map[string]string{"1-a.md": good}, "1-a.md: the name"},
		"no status":     {map[string]string{"0001-a.md": "# 0001: this\n\n**Situation.** x\n"}, "0001-a.md: line 3"},
		"nothing in it": {map[string]string{"0001-a.md": ""}, "0001-a.md: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			_, err := decisions(dir)
			require.ErrorContains(t, err, c.want)
		})
	}
}
