package extsort

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecordsComeBackInOrderHoweverManyRuns(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 1000, 5000} {
		dir := t.TempDir()
		s := New(dir, 12, 100) // 8 records a run
		r := rand.New(rand.NewPCG(1, uint64(n)))
		var want [][]byte
		for range n {
			rec := binary.BigEndian.AppendUint64(nil, r.Uint64N(50))
			rec = binary.BigEndian.AppendUint32(rec, r.Uint32N(3))
			want = append(want, rec)
			require.NoError(t, s.Add(rec))
		}
		slices.SortFunc(want, bytes.Compare)
		sorted, err := s.Sorted()
		require.NoError(t, err)
		got := make([]byte, 12)
		for _, w := range want {
			require.NoError(t, sorted.Next(got))
			require.Equal(t, w, got)
		}
		require.ErrorIs(t, sorted.Next(got), io.EOF)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left, "runs have no names")
		require.NoError(t, s.Close())
	}
}

func TestErrWrongSizeAndNoFolder(t *testing.T) {
	s := New("/does/not/exist", 4, 4)
	require.Error(t, s.Add([]byte{1}))
	require.NoError(t, s.Add([]byte{1, 2, 3, 4}))
	err := s.Add([]byte{1, 2, 3, 4})
	require.True(t, errors.Is(err, os.ErrNotExist), "%v", err)
}
