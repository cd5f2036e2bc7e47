package store

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func sampleRecords() []Record {
	return []Record{
		{Position: 1, Stream: []byte("s"), Type: []byte{}, Metadata: []byte{}, Data: []byte{}},
		{
			Position: math.MaxUint64, Revision: RevisionTombstone, Created: -1, ID: [16]byte{1, 2, 3}, JSON: true,
			Stream: []byte("ledger-å-202601"), Type: []byte("received"), Metadata: []byte(`{"a":1}`), Data: make([]byte, 300),
		},
	}
}

func encode(r *Record) []byte {
	p := &Proposed{ID: r.ID, JSON: r.JSON, Type: r.Type, Metadata: r.Metadata, Data: r.Data}
	b := make([]byte, recordLen(r.Revision, string(r.Stream), p))
	putRecord(b, r.Position, r.Revision, r.Created, string(r.Stream), p)
	return b
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	for _, want := range sampleRecords() {
		var got Record
		require.NoError(t, decodeRecord(&got, want.Position, encode(&want)))
		require.Equal(t, want, got)
	}
}

// TestEveryFlippedBitIsFound also moves the record to another position.
func TestEveryFlippedBitIsFound(t *testing.T) {
	for _, r := range sampleRecords() {
		good := encode(&r)
		for i := range good {
			for bit := range 8 {
				bad := append([]byte{}, good...)
				bad[i] ^= 1 << bit
				require.Error(t, decodeRecord(&Record{}, r.Position, bad), "byte %d bit %d", i, bit)
			}
		}
		for cut := range good {
			require.Error(t, decodeRecord(&Record{}, r.Position, good[:cut]))
		}
		require.ErrorIs(t, decodeRecord(&Record{}, r.Position-1, good), errRecordChecksum)
		require.ErrorIs(t, decodeRecord(&Record{}, r.Position, append(good, 0)), errRecordChecksum)
	}
}

// FuzzRecord: no bytes make the decoder panic, and what it accepts encodes to
// the same bytes again, so that nothing in a record goes unseen.
func FuzzRecord(f *testing.F) {
	for _, r := range sampleRecords() {
		f.Add(r.Position, encode(&r))
	}
	f.Add(uint64(1), []byte{recordVersion})
	f.Fuzz(func(t *testing.T, position uint64, b []byte) {
		if len(b) >= recordFixed {
			// With a checksum that holds, or the fuzzer never gets past it.
			b = append([]byte{}, b...)
			sum := recordChecksum(position, b[recordBody:])
			b[1], b[2], b[3], b[4] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		}
		var r Record
		if decodeRecord(&r, position, b) != nil {
			return
		}
		again := encode(&r)
		var second Record
		require.NoError(t, decodeRecord(&second, position, again))
		require.Equal(t, r, second)
	})
}

func TestMetadataThatIsNone(t *testing.T) {
	for _, data := range []string{``, `null`, `[]`, `nonsense`, `{"$maxAge":"x","$maxCount":-1,"$tb":1.5}`, `{"$maxAge":0}`, `{"$maxAge":9223372036854775807}`} {
		require.Equal(t, streamMetadata{}, parseMetadata([]byte(data)), data)
	}
	require.Equal(t, streamMetadata{maxAge: 2 * ticksPerSecond, maxCount: 3, truncateBefore: 4}, parseMetadata([]byte(`{"$maxAge":2,"$maxCount":3,"$tb":4,"$acl":{"$r":"x"}}`)))
	changed, err := withTruncateBefore([]byte(`{"$maxCount":3,"own":{"b":1,"a":2}}`), 7)
	require.NoError(t, err)
	require.JSONEq(t, `{"$maxCount":3,"own":{"b":1,"a":2},"$tb":7}`, string(changed))
}

func TestRecentIDsForgetTheOldest(t *testing.T) {
	r := newRecentIDs(3)
	id := func(n byte) [16]byte { return [16]byte{n} }
	for n := range byte(5) {
		r.add(recentEvent{id: id(n), position: uint64(n) + 1})
	}
	for n := range byte(5) {
		_, ok := r.find(id(n))
		require.Equal(t, n >= 2, ok)
	}
	// Written again, an id is found where it was written last, and its first
	// slot's end does not make it forgotten.
	r.add(recentEvent{id: id(2), position: 10})
	r.add(recentEvent{id: id(9), position: 11})
	e, ok := r.find(id(2))
	require.True(t, ok)
	require.EqualValues(t, 10, e.position)
	require.Len(t, r.byID, 3)
}
