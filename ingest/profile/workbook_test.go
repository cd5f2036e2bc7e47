package profile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// asWorkbook types a CSV file into a workbook as a clerk's program would:
// numbers become numbers, times become days.
func asWorkbook(t testing.TB, file []byte, layout string) []byte {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(file))
	r.Comma, r.FieldsPerRecord = ';', -1
	rows, err := r.ReadAll()
	require.NoError(t, err)
	f := excelize.NewFile()
	for i, row := range rows {
		for j, text := range row {
			cell, err := excelize.CoordinatesToCellName(j+1, i+1)
			require.NoError(t, err)
			var value any = text
			if x, err := strconv.ParseFloat(strings.ReplaceAll(strings.ReplaceAll(text, ".", ""), ",", "."), 64); err == nil && strings.Trim(text, "0123456789.,") == "" {
				value = x
			}
			if when, err := time.Parse(layout, text); err == nil {
				value = when
			}
			if text != "" {
				require.NoError(t, f.SetCellValue("Sheet1", cell, value))
			}
		}
	}
	var b bytes.Buffer
	require.NoError(t, f.Write(&b))
	require.NoError(t, f.Close())
	return b.Bytes()
}

const goodTickets = `Vejeseddel;Dato;Retning;EAK;Brutto;Tara;Netto;Kommune
42;31-03-2026 14:05;Ind;200301;27.340;15.000;12.340;169
43;01-01-2026 00:00;Ind;20 01 08;9.000,5;8.000;1.000,5;Ærø
44;25-10-2026 02:30;Ind;200301;;;7.000;Høje-Taastrup
`

// The rows of a workbook are those of the same table as text.
func TestAWorkbookIsTheSameRows(t *testing.T) {
	b := bindSample(t, "weighbridge")
	want := describe(t, b, []byte(goodTickets))
	require.NotContains(t, want, "rejected")
	require.Equal(t, want, describe(t, b, asWorkbook(t, []byte(goodTickets), "02-01-2006 15:04")))
}

// A text that looks like a number is read as the profile says, a number as it
// is: a thousand times too much must not come of it.
func TestTextsAndNumbersOfAWorkbookDiffer(t *testing.T) {
	f := excelize.NewFile()
	for i, row := range [][]any{{"Vejeseddel", "Dato", "Retning", "EAK", "Netto"},
		{"1", "31-03-2026 14:05", "Ind", "200301", "12.345"}, {"2", "31-03-2026 14:05", "Ind", "200301", 12.345}, {"3", 46112.25, "Ind", "200301", "12.34"},
		{"4", 46112.25, "Ind", "200301", 7, "noget"}, {"5", 60, "Ind", "200301", 7}} {
		require.NoError(t, f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row))
	}
	var book bytes.Buffer
	require.NoError(t, f.Write(&book))
	got := describe(t, bindSample(t, "weighbridge"), book.Bytes())
	require.Contains(t, got, `"Net":12345000,`)
	require.Contains(t, got, `"Net":12345,`)
	require.Contains(t, got, "rejected line 4: Netto")
	require.Contains(t, got, "rejected line 5: row")
	require.Contains(t, got, "rejected line 6: Dato")
}

func TestDaysOfWorkbooks(t *testing.T) {
	for text, want := range map[string]string{"1": "1900-01-01 00:00:00", "59": "1900-02-28 00:00:00", "61": "1900-03-01 00:00:00", "0.5": "1899-12-30 12:00:00",
		"46112.5868055556": "2026-03-31 14:05:00", "46112.9999999999": "2026-04-01 00:00:00"} {
		got, ok := ofSerial(text, false)
		require.True(t, ok, text)
		require.Equal(t, want, got.Format(time.DateTime), text)
	}
	got, ok := ofSerial("44650.25", true)
	require.True(t, ok)
	require.Equal(t, "2026-03-31 06:00:00", got.Format(time.DateTime))
	for _, bad := range []string{"60", "", "-1", "99999999", "1e3", "1.x"} {
		_, ok := ofSerial(bad, false)
		require.False(t, ok, bad)
	}
}

func TestErrFilesThatAreNoText(t *testing.T) {
	b := bindSample(t, "weighbridge")
	book := asWorkbook(t, []byte(goodTickets), time.DateOnly)
	for name, src := range map[string]io.Reader{
		"old workbook":             strings.NewReader("\xd0\xcf\x11\xe0\xa1\xb1"),
		"cut workbook":             bytes.NewReader(book[:200]),
		"a workbook from a stream": io.MultiReader(bytes.NewReader(book)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Open(src, Limits{})
			require.Equal(t, fault.Malformed, fault.KindOf(err), "%v", err)
		})
	}
	limits := Limits{}
	limits.Sheet.Rows = 2
	d, err := b.Open(bytes.NewReader(book), limits)
	require.NoError(t, err)
	_, err = d.Next()
	require.NoError(t, err)
	_, err = d.Next()
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	require.NoError(t, d.Close())
}

func annotated(t testing.TB, b *Bound, file []byte, word string) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, b.Annotate(&out, bytes.NewReader(file), Limits{}, Notes{
		Heading: []string{ResultPrefix + " resultat", "Stofstrom: bemærkninger"},
		Of: func(line int) ([]string, error) {
			if line == 4 {
				return nil, nil
			}
			return []string{fmt.Sprintf("%s %d", word, line), "=1+1;\"€"}, nil
		},
	}))
	return out.Bytes()
}

// A file that comes back with notes is the same rows, in every form that it
// can have, also when it goes round twice.
func TestAReturnedFileIsTheSameRows(t *testing.T) {
	file, err := os.ReadFile("testdata/weighbridge.csv")
	require.NoError(t, err)
	old, err := charmap.Windows1252.NewEncoder().Bytes(file)
	require.NoError(t, err)
	b := bindSample(t, "weighbridge")
	for name, src := range map[string][]byte{"utf-8": file, "windows-1252": old, "workbook": asWorkbook(t, file, "02-01-2006 15:04")} {
		t.Run(name, func(t *testing.T) {
			want := describe(t, b, src)
			once := annotated(t, b, src, "first")
			require.Equal(t, rowsOnly(want), rowsOnly(describe(t, b, once)))
			twice := annotated(t, b, once, "second")
			require.Equal(t, rowsOnly(want), rowsOnly(describe(t, b, twice)))
			if name != "workbook" {
				require.Contains(t, string(twice), "second 3;\"'=1+1;\"\"€\"\r\n")
				require.NotContains(t, string(twice), "first")
				require.Equal(t, 1, strings.Count(string(twice), ResultPrefix))
			}
		})
	}
}

// rowsOnly leaves out how many columns a broken row was said to have: with
// notes they are more, on both sides.
func rowsOnly(description string) string {
	var kept []string
	for line := range strings.Lines(description) {
		if !strings.Contains(line, "csv-column-count") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestADeclaredCharacterSetIsKept(t *testing.T) {
	text, err := os.ReadFile("testdata/scale.yaml")
	require.NoError(t, err)
	p, err := Load("scale.yaml", text)
	require.NoError(t, err)
	b, err := p.Bind(map[string]string{"year": "2026"})
	require.NoError(t, err)
	utf8, err := os.ReadFile("testdata/scale.csv.utf8")
	require.NoError(t, err)
	file, err := charmap.Windows1252.NewEncoder().Bytes(utf8)
	require.NoError(t, err)
	back := annotated(t, b, file, "\u65e5 ja")
	require.Contains(t, string(back), "bem\xe6rkninger")
	require.NotContains(t, string(back), "\u65e5", "what the set lacks is replaced")
	d, err := b.Open(bytes.NewReader(back), Limits{})
	require.NoError(t, err)
	for {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	require.NoError(t, d.Close())
}
