package event_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
)

// update adds golden files that are missing. It never changes one: what was
// written to a log once is read for ever.
var update = flag.Bool("update", false, "add missing golden files; existing ones are never changed")

func TestGoldenBytesAreFrozen(t *testing.T) {
	all := samples()
	types := map[string]int{}
	for name, e := range all {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "golden", name+".json")
			got, err := event.Encode(e)
			require.NoError(t, err)
			want, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) && *update {
				require.NoError(t, os.WriteFile(path, got.Data, 0o644))
				want, err = got.Data, nil
			}
			require.NoError(t, err, "run with -update to add it")
			if !bytes.Equal(want, got.Data) {
				t.Fatalf("the payload of %s changed; make a new version of it instead\n%s", got.Type, cmp.Diff(string(want), string(got.Data)))
			}
			back, err := event.Decode(e.Type(), want)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(e, back))
		})
		types[e.Type()]++
	}
	for _, typ := range event.Types() {
		require.GreaterOrEqual(t, types[typ], 2, "%s has no golden file with every field set and none", typ)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	require.NoError(t, err)
	for _, f := range files {
		require.Contains(t, all, strings.TrimSuffix(filepath.Base(f), ".json"), "a golden file that nothing reads")
	}
}

func TestFullSamplesSetEveryField(t *testing.T) {
	for name, e := range samples() {
		if !strings.HasSuffix(name, ".full") {
			continue
		}
		p, err := event.Encode(e)
		require.NoError(t, err)
		for _, field := range event.FieldsOf(e.Type()) {
			require.Contains(t, string(p.Data), `"`+field+`":`, "%s: no sample of it", name)
		}
	}
}
