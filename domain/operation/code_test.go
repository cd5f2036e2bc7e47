package operation_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/operation"
)

func TestEveryParsedSpellingOfTheEnglishFile(t *testing.T) {
	file, err := os.Open(filepath.Join("testdata", "wdi_spellings.csv"))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	r := csv.NewReader(file)
	r.Comment = '#'
	rows, err := r.ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 87, "a heading and 86 spellings")
	for _, row := range rows[1:] {
		got, err := operation.Parse(row[0])
		require.NoError(t, err)
		require.Equal(t, operation.Code(row[1]), got, row[0])
		require.Equal(t, operation.Stage(row[2]), got.Stage(), row[0])
		require.Equal(t, operation.Level(row[3]), got.Hierarchy(), row[0])
	}
}

func TestParseOtherSpellings(t *testing.T) {
	for s, want := range map[string]operation.Code{
		"R3": "R3", "r3": "R3", " R03 ": "R3", "R 3": "R3", "d15": "D15", "R1.1": "R1", "ns": "NS", "of": "OF", "R013": "", "": "",
		"R0": "", "R14": "", "D16": "", "D00": "", "X1": "", "R": "", "R3.": "", "R3.a": "", "R3.001": "", "R-1": "", "R+1": "", "R3 4": "",
		"R3.01.02.03.04.05.06": "", "N": "", "NSX": "", "R\t3": "", "R１": "",
	} {
		got, err := operation.Parse(s)
		if want == "" {
			var unknown *operation.UnknownCode
			require.ErrorAs(t, err, &unknown, s)
			require.Equal(t, s, unknown.Value)
			continue
		}
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
}

func TestInterimOperationsAreThoseOfTheDirective(t *testing.T) {
	var interim []operation.Code
	for _, c := range operation.All() {
		require.True(t, c.Valid(), c)
		if c.Stage() == operation.Interim {
			interim = append(interim, c)
			require.Equal(t, operation.InterimLevel, c.Hierarchy())
		}
	}
	require.Equal(t, []operation.Code{"R12", "R13", "D9", "D13", "D14", "D15"}, interim)
	require.Len(t, operation.All(), 13+15+2)
}

func TestLevels(t *testing.T) {
	for c, want := range map[operation.Code]operation.Level{
		"R1": operation.EnergyRecovery, "R2": operation.Recycling, "R3": operation.Recycling, "R7": operation.OtherRecovery,
		"R9": operation.Recycling, "R10": operation.Recycling, "R11": operation.OtherRecovery, "D1": operation.Disposal,
		"D10": operation.Disposal, "NS": operation.LevelNotStated, "OF": operation.LevelNotStated, "": operation.LevelNotStated,
		"R99": operation.LevelNotStated,
	} {
		require.Equal(t, want, c.Hierarchy(), c)
	}
	require.False(t, operation.Code("").Valid())
	require.False(t, operation.Code("R03").Valid(), "one spelling per operation")
	require.Equal(t, operation.StageNotStated, operation.OtherFate.Stage())
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"R03.01.03", "D10.01", "NS", "OF", "", "R 1", "R1.1.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := operation.Parse(s)
		if err != nil {
			require.Empty(t, c)
			return
		}
		require.True(t, c.Valid())
		again, err := operation.Parse(string(c))
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := operation.Parse("R03.01.03"); err != nil {
			b.Fatal(err)
		}
	}
}
