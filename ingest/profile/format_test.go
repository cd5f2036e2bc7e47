package profile

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"

	"github.com/stofstrom/stofstrom/domain/flow"
)

func bindSample(t testing.TB, name string) *Bound {
	t.Helper()
	all, err := BuiltIn()
	require.NoError(t, err)
	bound, err := all[name].Bind(samples[name])
	require.NoError(t, err)
	return bound
}

// A weighbridge's program writes what it likes; the rows are the same.
func TestUTF8AndWindows1252AreTheSameRows(t *testing.T) {
	file, err := os.ReadFile("testdata/weighbridge.csv")
	require.NoError(t, err)
	other, err := charmap.Windows1252.NewEncoder().Bytes(file)
	require.NoError(t, err)
	require.NotEqual(t, file, other)
	b := bindSample(t, "weighbridge")
	want := describe(t, b, file)
	require.Equal(t, want, describe(t, b, other))
	require.Equal(t, want, describe(t, b, append([]byte("\xef\xbb\xbf"), file...)))
}

func TestTheFirstLetterBeyondASCIIDecides(t *testing.T) {
	long := strings.Repeat("x", detectBytes-1)
	for name, c := range map[string]struct{ in, want string }{
		"ascii":                        {"abc\ndef", "abc\ndef"},
		"utf-8":                        {"abc\næøå\n", "abc\næøå\n"},
		"windows-1252":                 {"abc\n\xe6\xf8\xe5\n", "abc\næøå\n"},
		"utf-8 stays, and is refused":  {"æ\n\xe6\n", "æ\n\xe6\n"},
		"windows-1252 stays":           {"\xe6\nA\xc3\xa6\n", "æ\nAÃ¦\n"},
		"at the very end":              {"abc\xe6", "abcæ"},
		"a letter cut by what is seen": {"ø" + long[2:] + "ø\n", "ø" + long[2:] + "ø\n"},
		"a long line of Windows-1252":  {"\xf8" + long, "ø" + long},
	} {
		t.Run(name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
				got, err := io.ReadAll(detect(src, charmap.Windows1252))
				require.NoError(t, err)
				require.Equal(t, c.want, string(got))
			}
		})
	}
	_, err := io.ReadAll(detect(iotest.ErrReader(os.ErrClosed), charmap.Windows1252))
	require.ErrorIs(t, err, os.ErrClosed)
}

func TestNumbersAreNeverGuessed(t *testing.T) {
	danish := &row{plan: &plan{decimal: ',', thousands: '.'}}
	english := &row{plan: &plan{decimal: '.', thousands: ','}}
	plainDanish := &row{plan: &plan{decimal: ','}}
	for _, c := range []struct {
		r        *row
		in, want string
	}{
		{danish, "12.340", "12340"}, {danish, "1.234.567,891", "1234567.891"}, {danish, "12340,5", "12340.5"}, {danish, "-1.000", "-1000"},
		{danish, "999", "999"}, {danish, "12.34", ""}, {danish, "1.2345", ""}, {danish, "1234.567", ""}, {danish, ".500", ""}, {danish, "1..000", ""},
		{danish, "1,000.5", ""}, {danish, "1,2,3", ""}, {danish, "1.00-", ""},
		{english, "12,340.5", "12340.5"}, {english, "12.340", "12.340"}, {english, "12,34", ""}, {english, "1.2.3", ""},
		{plainDanish, "12,34", "12.34"}, {plainDanish, "12.340", ""},
	} {
		got, ok := c.r.plain(&column{at: 0}, []byte(c.in))
		require.Equal(t, c.want != "", ok, c.in)
		if ok {
			require.Equal(t, c.want, got, c.in)
		}
	}
}

// Columns that a file may lack are empty then; others it must have.
func TestOptionalColumns(t *testing.T) {
	b := bindSample(t, "weighbridge")
	rows := describe(t, b, []byte("Vejeseddel;Dato;Retning;EAK;Netto\n7;31-03-2026 14:05;Ind;20 03 01;1.000\n"))
	require.Contains(t, rows, `"ExternalID":"2026/7"`)
	require.Contains(t, rows, `"Net":1000000,"Gross":0`)
	_, err := b.Open(strings.NewReader("Vejeseddel;Dato;Retning;EAK;Kunde\n"), Limits{})
	require.ErrorContains(t, err, "headings")
}

// The year of a ticket is that of the clock on the wall.
func TestTicketsThatBeginAnewEachYear(t *testing.T) {
	var ids []string
	eachRow(t, bindSample(t, "weighbridge"), []byte("Vejeseddel;Dato;Retning;EAK;Netto\n"+
		"1;31-12-2025 23:59;Ind;20 03 01;1\n1;01-01-2026 00:01;Ind;20 03 01;1\n1;01-01-2026 00:30;Ud;20 03 01;1\n"), func(r Row) {
		require.Empty(t, r.Rejected)
		ids = append(ids, r.Fact.Identity.ExternalID)
	})
	require.Equal(t, []string{"2025/1", "2026/1", "2026/1"}, ids)
}

// Three loads of the city's sample have no weight, and one id stands twice
// with two routes.
func TestAustinsSample(t *testing.T) {
	file, err := os.ReadFile("testdata/austin.csv")
	require.NoError(t, err)
	rejected, ids, hashes := 0, map[string]int{}, map[[16]byte]bool{}
	eachRow(t, bindSample(t, "austin"), file, func(r Row) {
		if len(r.Rejected) > 0 {
			rejected++
			require.Equal(t, "load_weight", r.Rejected[0].Field)
			require.Equal(t, RuleValueMissing, r.Rejected[0].Rule)
			return
		}
		ids[r.Fact.Identity.ExternalID]++
		if r.Fact.Identity.ExternalID == "895578" {
			hashes[r.Fact.ContentHash()] = true
		}
		require.Equal(t, flow.Received, r.Fact.Kind)
	})
	require.Equal(t, 3, rejected)
	require.Len(t, ids, 496)
	require.Equal(t, 2, ids["895578"])
	require.Len(t, hashes, 2, "the second contradicts the first")
}

func TestMunicipalitiesByNameAndCode(t *testing.T) {
	known := builtInAreas("municipality", "DK")
	for _, name := range []string{"0169", "169", "hoeje-taastrup", "hoeje-taastrup-kommune"} {
		require.EqualValues(t, "dk-0169", known[name], name)
	}
	require.EqualValues(t, "dk-0101", known["koebenhavns-kommune"])
	require.Empty(t, builtInAreas("municipality", "XX"))
	require.Len(t, builtInAreas("region", "DK"), 2*5, "by name and by code")
	require.False(t, bytes.ContainsRune([]byte(known["0169"]), ' '))
}
