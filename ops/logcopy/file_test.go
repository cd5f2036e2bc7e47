package logcopy

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

func exported(t *testing.T, s server) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "log.ndjson.zst")
	_, err := Export(t.Context(), s.log, name, "v1", func(Progress) {})
	require.NoError(t, err)
	return name
}

func TestALogGoesThroughAFile(t *testing.T) {
	a, b := aLog(t), startServer(t, nil)
	name := exported(t, a)
	entries, err := os.ReadDir(filepath.Dir(name))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside the file")

	file, err := OpenFile(t.Context(), name)
	require.NoError(t, err)
	// Cut off again and again, as a copy from a server may be.
	for rounds := 0; ; rounds++ {
		ctx, cut := context.WithCancel(t.Context())
		steps := 0
		_, err := New(file, b.log, func(Progress) {
			if steps++; steps > 3+rounds {
				cut()
			}
		}).Copy(ctx)
		cut()
		if err == nil {
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		require.Less(t, rounds, 100)
	}
	sum, err := New(file, b.log, nil).Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, requireSame(t, a, b), sum, "the file, the log and the copy agree")

	// What the log has got since comes from the log.
	a.append(t, "later", 2, nil)
	done, err := New(a.log, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(2), done.Events)
	require.Empty(t, cmp.Diff(a.all(t), b.all(t)))
}

func TestAnEmptyLogGoesThroughAFile(t *testing.T) {
	a, b := startServer(t, nil), startServer(t, nil)
	file, err := OpenFile(t.Context(), exported(t, a))
	require.NoError(t, err)
	done, err := New(file, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	require.Zero(t, done.Events)
}

func TestAnExportReplacesNothing(t *testing.T) {
	a := startServer(t, nil)
	name := exported(t, a)
	_, err := Export(t.Context(), a.log, name, "v1", func(Progress) {})
	require.ErrorIs(t, err, fs.ErrExist)
}

func TestFilesThatAreNotWholeAreRefused(t *testing.T) {
	a := startServer(t, nil)
	a.append(t, "s", 40, nil)
	packed, err := os.ReadFile(exported(t, a))
	require.NoError(t, err)
	unpacker, err := zstd.NewReader(bytes.NewReader(nil))
	require.NoError(t, err)
	defer unpacker.Close()
	plain, err := unpacker.DecodeAll(packed, nil)
	require.NoError(t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(string(plain), "\n"), "\n")
	require.Len(t, lines, 42)
	packer, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	open := func(t *testing.T, content []byte) error {
		t.Helper()
		name := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(name, content, 0o600))
		_, err := OpenFile(t.Context(), name)
		return err
	}
	pack := func(lines ...string) []byte { return packer.EncodeAll([]byte(strings.Join(lines, "")), nil) }
	require.NoError(t, open(t, pack(lines...)))

	for name, content := range map[string][]byte{
		"empty":           nil,
		"not packed":      plain,
		"cut":             packed[:len(packed)/2],
		"no last line":    pack(lines[:41]...),
		"a line less":     pack(append(append([]string{}, lines[:7]...), lines[8:]...)...),
		"a line twice":    pack(append(append([]string{}, lines[:8]...), lines[7:]...)...),
		"lines exchanged": pack(append(append([]string{}, lines[0], lines[2], lines[1]), lines[3:]...)...),
		"a value changed": pack(strings.Replace(string(plain), `"t.v1"`, `"u.v1"`, 1)),
		"another version": pack(strings.Replace(string(plain), `"version":1`, `"version":2`, 1)),
		"more at the end": pack(append(append([]string{}, lines...), "\n", lines[1])...),
		"no log file":     pack("a;b\n1;2\n"),
	} {
		t.Run(name, func(t *testing.T) {
			err := open(t, content)
			require.ErrorIs(t, err, ErrFile)
			require.ErrorContains(t, err, "line ")
		})
	}
	for at := 0; at < len(packed); at += 7 {
		damaged := bytes.Clone(packed)
		damaged[at] ^= 0x10
		if content, err := unpacker.DecodeAll(damaged, nil); err == nil && bytes.Equal(content, plain) {
			continue // a bit of the packing that changes nothing of the content
		}
		require.ErrorIs(t, open(t, damaged), ErrFile, "byte %d of %d", at, len(packed))
	}
	_, err = OpenFile(t.Context(), filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestOddBytesGoThroughAFile(t *testing.T) {
	for _, b := range [][]byte{nil, {0}, {255, 254}, []byte("\u2028\\\"\x7f\n"), []byte(`{"a":"æ"}`)} {
		text, in64 := textOr64(b)
		got, err := bytesOf(text, in64)
		require.NoError(t, err)
		require.Equal(t, b, got)
	}
	_, err := fromFile(fileEvent{Position: eventlog.Position{Commit: 1, Prepare: 1}.String(), Data64: "?"})
	require.ErrorContains(t, err, "data_base64")
}
