package profile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// samples are the parameters that the samples of the built-in profiles are
// read with.
var samples = map[string]map[string]string{
	"wdi":                  {"year": "2019"},
	"weighbridge":          {"facility": "dk-p-1000000001"},
	"austin":               nil,
	"ads":                  {"year": "2023", "reporter": "dk-cvr-12345678"},
	"municipal-statistics": {"year": "2023"},
}

// fuzzRows reads anything as the rows of a profile. Whatever they hold, each
// record has one row, in order, that is either rejected by name or a fact with
// a facility and an identity.
func fuzzRows(f *testing.F, name string) {
	file, err := os.ReadFile(filepath.Join("testdata", name+".csv"))
	require.NoError(f, err)
	heading, rows, _ := strings.Cut(string(file), "\n")
	f.Add([]byte(rows[:min(len(rows), 4000)]))
	f.Add([]byte("a,b\n\"x\n;;;;;;;;;;;;;;;;;\n,,,,,,,,,,,,,,,,,,,,,,,,,,,\n"))
	f.Add([]byte("\xe6\xf8\xe5;\xc3\xa6\n"))
	all, err := BuiltIn()
	require.NoError(f, err)
	bound, err := all[name].Bind(samples[name])
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, rows []byte) {
		d, err := bound.Open(strings.NewReader(heading+"\n"+string(rows)), Limits{})
		if err != nil {
			return
		}
		defer func() { require.NoError(t, d.Close()) }()
		line := 1
		for {
			row, err := d.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(t, err)
			require.Greater(t, row.Line, line)
			line = row.Line
			for _, v := range row.Rejected {
				require.NotEmpty(t, v.Field)
				require.NotEmpty(t, v.Rule)
				require.Equal(t, row.Line, v.Line)
			}
			if len(row.Rejected) > 0 {
				continue
			}
			require.True(t, row.Fact.Facility.Valid())
			require.True(t, row.Fact.Material.Waste.Valid() || row.Fact.Material.Waste == "")
			if bound.Keyless() {
				_, _, ok := ParseExternalID(row.Key.ExternalID(1))
				require.True(t, ok)
			} else {
				require.NotEmpty(t, row.Fact.Identity.ExternalID)
			}
		}
	})
}

func FuzzWDI(f *testing.F)                 { fuzzRows(f, "wdi") }
func FuzzWeighbridge(f *testing.F)         { fuzzRows(f, "weighbridge") }
func FuzzAustin(f *testing.F)              { fuzzRows(f, "austin") }
func FuzzADS(f *testing.F)                 { fuzzRows(f, "ads") }
func FuzzMunicipalStatistics(f *testing.F) { fuzzRows(f, "municipal-statistics") }
