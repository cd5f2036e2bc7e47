package profile

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a fact holds in another form is quoted as the file writes it; texts
// that could be personal are not copied at all.
func TestCellsQuoteTheFileItself(t *testing.T) {
	file, err := os.ReadFile("testdata/wdi.csv")
	require.NoError(t, err)
	d, err := wdi(t, nil).Open(strings.NewReader(string(file)), Limits{})
	require.NoError(t, err)
	row, err := d.Next()
	require.NoError(t, err)
	require.Empty(t, row.Rejected)
	first := row.Cells
	_, err = d.Next()
	require.NoError(t, err)
	require.NoError(t, d.Close())

	lines := strings.Split(string(file), "\n")
	heading, cells := strings.Split(lines[0], ","), strings.Split(lines[1], ",")
	for path, column := range map[string]string{"mass.value": "Tonnes Received", "material.waste_code": "Waste Code",
		"material.form": "Form", "material.hazardous": "Basic Waste Cat", "operation": "R and D code"} {
		text, ok := d.Quote(first, path)
		require.True(t, ok, path)
		require.Equal(t, column, d.Heading(path))
		require.Equal(t, cells[indexOf(t, heading, column)], text, path)
	}
	for _, path := range []string{"facility", "facility.name", "facility.locality", "origin.area", "fate", "site_category", "tags.facility_type", "nothing"} {
		_, ok := d.Quote(first, path)
		require.False(t, ok, path)
	}
	for _, name := range []string{"Site Name", "Facility District", "Origin WPA"} {
		require.NotContains(t, string(first), cells[indexOf(t, heading, name)])
	}
	_, ok := d.Quote("", "mass.value")
	require.False(t, ok, "cells of no row")
	_, ok = d.Quote("\xff\x01x", "mass.value")
	require.False(t, ok, "cells cut short")
}

func indexOf(t *testing.T, heading []string, column string) int {
	t.Helper()
	for i, name := range heading {
		if name == column {
			return i
		}
	}
	require.Fail(t, "no such column", column)
	return -1
}
