package ledger_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
)

func TestStreamNamesReadBack(t *testing.T) {
	for _, k := range []ledger.Key{
		{Facility: "dk-p-1003412345", Period: "202403"},
		{Facility: "gb-ea-jp3900bt", Period: "2019"},
		{Facility: "0f8fad5b-d9cb-469f-a165-70867728950e", Period: "202412"},
		{Facility: "a-202401", Period: "202402"},
		{Facility: "ledger-x", Period: "2024"},
	} {
		got, err := ledger.ParseStream(k.Stream())
		require.NoError(t, err)
		require.Equal(t, k, got)
	}
	require.Equal(t, "ledger-dk-p-1003412345-202403", march.Stream())
	require.True(t, march.IsMonth())
	require.False(t, totals.IsMonth())
}

func TestStreamNamesOfOthersAreRefused(t *testing.T) {
	for _, name := range []string{"", "ledger-", "ledger-202403", "ledger--202403", "facility-dk-p-1", "ledger-abc-202413", "ledger-abc-202400",
		"ledger-abc-20240", "ledger-abc-", "ledger-abc", "ledger-ABC-202403", "ledger-a-202403", "ledger-abc-2024x1", "xledger-abc-202403", "ledger-abc/d-202403"} {
		_, err := ledger.ParseStream(name)
		require.ErrorContains(t, err, name)
	}
}

func TestKeyOfTakesTheMonthInTheFacilitysZone(t *testing.T) {
	zone, err := facility.Zone("Europe/Copenhagen")
	require.NoError(t, err)
	f := load("1", 1)
	f.When.Occurred = time.Date(2024, 3, 31, 22, 30, 0, 0, time.UTC) // 00:30 on 1 April, summer time since that night
	require.Equal(t, "202404", ledger.KeyOf(f, zone).Period)
	require.Equal(t, "202403", ledger.KeyOf(f, time.UTC).Period)
	f.When = flow.When{Period: flow.Period{From: "2019-03-01", To: "2019-04-01"}}
	require.Equal(t, ledger.Key{Facility: f.Facility, Period: "2019"}, ledger.KeyOf(f, zone))
	f.When = flow.When{}
	require.Empty(t, ledger.KeyOf(f, zone).Period)
}

func FuzzParseStream(f *testing.F) {
	for _, s := range []string{"ledger-abc-202403", "ledger-a-b-c-2024", "ledger-", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ledger.ParseStream(s)
		if err != nil {
			return
		}
		require.Equal(t, s, k.Stream())
		require.True(t, k.Facility.Valid())
	})
}

func TestDigestIsWhatItsCommentSays(t *testing.T) {
	var d ledger.Digester
	empty, n := d.Sum()
	require.Zero(t, n)
	require.Equal(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", empty)

	id := uuid.MustParse("0b9f1a34-55cc-5b1e-8d0d-3a8f1be0c2d2")
	d.Add(id, "t", []byte("{}"))
	b := binary.BigEndian.AppendUint64(id[:], 1)
	b = append(b, 't')
	b = binary.BigEndian.AppendUint64(b, 2)
	b = append(b, "{}"...)
	inner := sha256.Sum256(b)
	outer := sha256.Sum256(inner[:])
	one, n := d.Sum()
	require.Equal(t, uint64(1), n)
	require.Equal(t, hex.EncodeToString(outer[:]), one)

	// A payload cannot slip into a type, nor one event into the next.
	var x, y ledger.Digester
	x.Add(id, "t{", []byte("}"))
	y.Add(id, "t", []byte("{}"))
	a, _ := x.Sum()
	c, _ := y.Sum()
	require.NotEqual(t, a, c)
}
