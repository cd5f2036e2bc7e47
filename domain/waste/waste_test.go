package waste_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/waste"
)

func TestTheListIsWhole(t *testing.T) {
	all := waste.All()
	require.Len(t, all, 842)
	hazardous, mirror, chapters := 0, 0, map[string]bool{}
	for i, e := range all {
		require.NotEmpty(t, e.NameEN, e.Code)
		require.NotEmpty(t, e.Chapter, e.Code)
		require.NotEmpty(t, e.Subchapter, e.Code)
		require.Equal(t, string(e.Code[:2]), e.ChapterCode)
		require.Equal(t, string(e.Code[:4]), e.SubchapterCode)
		if i > 0 {
			require.Less(t, all[i-1].Code, e.Code, "in the order of codes, none twice")
		}
		if e.Hazardous {
			hazardous++
		}
		if e.Kind == waste.Mirror {
			mirror++
		}
		chapters[e.ChapterCode] = true
		for _, spelling := range []string{string(e.Code), e.Code.Display(), string(e.Code[:2]) + "." + string(e.Code[2:4]) + "." + string(e.Code[4:])} {
			got, err := waste.ParseCode(spelling)
			require.NoError(t, err)
			require.Equal(t, e.Code, got)
		}
	}
	require.Equal(t, 408, hazardous)
	require.Equal(t, 178+173, mirror)
	require.Len(t, chapters, 20)
}

func TestLookupKnowsEntries(t *testing.T) {
	e, ok := waste.Lookup("200301")
	require.True(t, ok)
	require.Equal(t, waste.Entry{Code: "200301", Kind: waste.Absolute, ChapterCode: "20", Chapter: e.Chapter, SubchapterCode: "2003",
		Subchapter: "Other municipal wastes", NameEN: "Mixed municipal waste", NameDE: "gemischte Siedlungsabfälle"}, e)
	require.Contains(t, e.Chapter, "Municipal wastes")
	soil, ok := waste.Lookup("170503")
	require.True(t, ok)
	require.True(t, soil.Hazardous)
	require.Equal(t, waste.Mirror, soil.Kind)
	require.Equal(t, "17 05 03*", soil.Code.Display())
	_, ok = waste.Lookup("999999")
	require.False(t, ok)
	name, ok := waste.ChapterName("20")
	require.True(t, ok)
	require.Equal(t, e.Chapter, name)
}

func TestAllGivesACopy(t *testing.T) {
	waste.All()[0].NameEN = "spoilt"
	require.NotEqual(t, "spoilt", waste.All()[0].NameEN)
}

func TestParseCodeRefuses(t *testing.T) {
	for s, want := range map[string]waste.Reason{
		"":           waste.Syntax,
		"2003":       waste.Syntax,
		"20 03 0":    waste.Syntax,
		"20-03-01":   waste.Syntax,
		"20 03.01":   waste.Syntax,
		"2003 01":    waste.Syntax,
		"20 03 01**": waste.Syntax,
		"2o0301":     waste.Syntax,
		"２００３０１":     waste.Syntax,
		"999999":     waste.NotListed,
		"20 99 99":   waste.NotListed,
		"20 03 01*":  waste.WrongStar,
	} {
		_, err := waste.ParseCode(s)
		var ce *waste.CodeError
		require.ErrorAs(t, err, &ce, s)
		require.Equal(t, want, ce.Reason, s)
		require.Equal(t, s, ce.Value)
		require.Contains(t, err.Error(), s)
	}
	got, err := waste.ParseCode("  170503 * ")
	require.NoError(t, err)
	require.Equal(t, waste.Code("170503"), got)
}

func FuzzParseCode(f *testing.F) {
	for _, s := range []string{"200301", "20 03 01", "17 05 03*", "", "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := waste.ParseCode(s)
		if err != nil {
			require.Empty(t, c)
			return
		}
		require.True(t, c.Valid())
		again, err := waste.ParseCode(c.Display())
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}

func BenchmarkParseCode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := waste.ParseCode("17 05 03*"); err != nil {
			b.Fatal(err)
		}
	}
}
