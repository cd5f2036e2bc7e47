package sample

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheBundledFileIsWholeAndNamesNobody(t *testing.T) {
	require.Less(t, len(WDI()), 800<<10)
	unpacked, err := gzip.NewReader(bytes.NewReader(WDI()))
	require.NoError(t, err)
	rows, err := csv.NewReader(unpacked).ReadAll()
	require.NoError(t, err)

	column := map[string]int{}
	for i, heading := range rows[0] {
		column[heading] = i
	}
	require.Contains(t, column, "Easting ", "the heading's trailing blank is the publisher's")
	require.Len(t, rows[1:], 29_626)

	total := new(big.Rat)
	permits := map[string]bool{}
	for _, row := range rows[1:] {
		for _, personal := range []string{"Operator", "Facility Address", "Post Code"} {
			at, ok := column[personal]
			require.True(t, ok)
			require.Empty(t, row[at])
		}
		tonnes, ok := new(big.Rat).SetString(row[column["Tonnes Received"]])
		require.True(t, ok)
		total.Add(total, tonnes)
		permits[row[column["Permit"]]] = true
	}
	require.Equal(t, "33087651.241897", total.FloatString(6))
	require.Len(t, permits, 847)
}
