package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// workbook is made by another program than ours.
func workbook(t testing.TB, fill func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	fill(f)
	var b bytes.Buffer
	require.NoError(t, f.Write(&b))
	require.NoError(t, f.Close())
	return b.Bytes()
}

func set(t testing.TB, f *excelize.File, sheet, cell string, value any) {
	t.Helper()
	require.NoError(t, f.SetCellValue(sheet, cell, value))
}

type got struct {
	line    int
	fields  []string
	numbers []bool
}

func readAll(src []byte, name string, limits Limits) ([]got, error) {
	r, err := Open(bytes.NewReader(src), int64(len(src)), name, limits)
	if err != nil {
		return nil, err
	}
	var all []got
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, r.Close()
		}
		if err != nil {
			return all, errors.Join(err, r.Close())
		}
		g := got{line: rec.Line, numbers: append([]bool(nil), rec.Numbers...)}
		for _, f := range rec.Fields {
			g.fields = append(g.fields, string(f))
		}
		all = append(all, g)
	}
}

func sample(t testing.TB) []byte {
	return workbook(t, func(f *excelize.File) {
		set(t, f, "Sheet1", "A1", "Vejeseddel")
		set(t, f, "Sheet1", "B1", "Dato")
		set(t, f, "Sheet1", "D1", "Mængde")
		set(t, f, "Sheet1", "A2", 42)
		set(t, f, "Sheet1", "B2", time.Date(2026, 3, 31, 14, 5, 0, 0, time.UTC))
		set(t, f, "Sheet1", "C2", "12.345")
		set(t, f, "Sheet1", "D2", 12.345)
		set(t, f, "Sheet1", "A5", true)
		set(t, f, "Sheet1", "B5", "æøå & <b>\n")
		set(t, f, "Sheet1", "D5", 0.1+0.2)
		require.NoError(t, f.SetCellFormula("Sheet1", "E5", "1+1"))
		require.NoError(t, f.SetCellRichText("Sheet1", "F5", []excelize.RichTextRun{{Text: "to "}, {Text: "dele"}}))
		_, err := f.NewSheet("Anden")
		require.NoError(t, err)
		set(t, f, "Anden", "A1", "other")
	})
}

func TestRowsOfAnotherProgramsWorkbook(t *testing.T) {
	rows, err := readAll(sample(t), "", Limits{})
	require.NoError(t, err)
	require.Equal(t, []got{
		{1, []string{"Vejeseddel", "Dato", "", "Mængde"}, []bool{false, false, false, false}},
		{2, []string{"42", "46112.5868055556", "12.345", "12.345"}, []bool{true, true, false, true}},
		{5, []string{"TRUE", "æøå & <b>\n", "", "0.3", "", "to dele"}, []bool{false, false, false, true, false, false}},
	}, rows, "numbers are told from texts; empty rows are passed over")
	rows, err = readAll(sample(t), "Anden", Limits{})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	_, err = readAll(sample(t), "Tredje", Limits{})
	require.ErrorContains(t, err, "it has Sheet1, Anden")
}

func TestNumbersAsExcelMeansThem(t *testing.T) {
	for stored, want := range map[string]string{"12340.499999999998": "12340.5", "1.0E7": "10000000", "3E-3": "0.003", "-0": "0", "0.1": "0.1",
		"30105": "30105", "123456789012345": "123456789012345", "1e300": "1e300", "NaN": "NaN", "": "", "x": "x"} {
		require.Equal(t, want, number(stored))
	}
}

func TestColumns(t *testing.T) {
	for name, want := range map[string]int{"A1": 0, "Z9": 25, "AA10": 26, "XFD1": 16383} {
		at, ok := columnOf(name)
		require.True(t, ok)
		require.Equal(t, want, at)
		require.Equal(t, strings.TrimRight(name, "0123456789"), columnName(at))
	}
	for _, bad := range []string{"", "A", "1", "a1", "A1B", "ABCDE1"} {
		_, ok := columnOf(bad)
		require.False(t, ok, bad)
	}
}

// parts packs a workbook by hand, for what no program writes.
func parts(t testing.TB, sheet string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range [][2]string{
		{"_rels/.rels", `<Relationships><Relationship Id="r" Type="x/officeDocument" Target="/xl/book.xml"/></Relationships>`},
		{"xl/book.xml", `<x:workbook><x:workbookPr date1904="1"/><x:sheets><x:sheet name="Skjult" state="hidden" r:id="a"/><x:sheet name="S" r:id="b"/></x:sheets></x:workbook>`},
		{"xl/_rels/book.xml.rels", `<Relationships><Relationship Id="a" Type="x/worksheet" Target="no.xml"/><Relationship Id="b" Type="x/worksheet" Target="sheets/s.xml"/></Relationships>`},
		{"xl/sheets/s.xml", sheet},
	} {
		w, err := z.Create(part[0])
		require.NoError(t, err)
		_, err = w.Write([]byte(part[1]))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

// Other programs write prefixes, cells without names, and texts in place.
func TestRowsWrittenInOtherWays(t *testing.T) {
	rows, err := readAll(parts(t, `<x:worksheet><x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>a_x0041_</x:t><x:rPh><x:t>no</x:t></x:rPh></x:is></x:c><x:c><x:v> 7 </x:v></x:c></x:row><x:row r="3"/><x:row r="9"><x:c r="C9" t="e"><x:v>#N/A</x:v></x:c></x:row></x:sheetData></x:worksheet>`), "", Limits{})
	require.NoError(t, err)
	require.Equal(t, []got{{1, []string{"aA", "7"}, []bool{false, true}}, {9, []string{"", "", "#N/A"}, []bool{false, false, false}}}, rows)
}

func TestErrWorkbooks(t *testing.T) {
	whole := sample(t)
	wrap := func(rows string) []byte {
		return parts(t, "<worksheet><sheetData>"+rows+"</sheetData></worksheet>")
	}
	for name, src := range map[string][]byte{
		"no zip": []byte("PK\x03\x04 and nothing"), "cut": whole[:len(whole)/2],
		"rows back":       wrap(`<row r="2"/><row r="1"/>`),
		"cells back":      wrap(`<row r="1"><c r="B1"/><c r="A1"/></row>`),
		"no such text":    wrap(`<row r="1"><c t="s"><v>5</v></c></row>`),
		"ends in a row":   parts(t, `<worksheet><row r="1"><c>`),
		"ends in between": parts(t, `<worksheet><row r="1"></row>`),
		"ends in a tag":   parts(t, `<worksheet><row r="1"><c`),
		"other entities":  wrap(`<row r="1"><c t="str"><v>&lol;</v></c></row>`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(src, "", Limits{})
			var b *Broken
			require.ErrorAs(t, err, &b)
			require.NotEmpty(t, b.Reason)
		})
	}
	many := workbook(t, func(f *excelize.File) {
		for i := range 50 {
			set(t, f, "Sheet1", fmt.Sprintf("A%d", i+1), fmt.Sprintf("text %d %s", i, strings.Repeat("x", 100)))
		}
		set(t, f, "Sheet1", "AB1", "wide")
	})
	for name, limits := range map[string]Limits{"rows": {Rows: 49}, "cells": {Cells: 50}, "columns": {Columns: 27}, "texts": {StringBytes: 3000},
		"bytes": {Bytes: 4000}} {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(many, "", limits)
			var large *table.TooLarge
			require.ErrorAs(t, err, &large)
		})
	}
	_, err := readAll(parts(t, "<worksheet>"+strings.Repeat(" ", 40<<20)+"</worksheet>"), "", Limits{})
	var large *table.TooLarge
	require.ErrorAs(t, err, &large)
	require.Equal(t, "unpacked-ratio", large.Rule)
}

func annotate(t testing.TB, src []byte, word string) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Annotate(&b, bytes.NewReader(src), int64(len(src)), "", Limits{}, Notes{
		Drop:    func(h string) bool { return strings.HasPrefix(h, "x:") },
		Heading: []string{"x: result", "x: why"},
		Of: func(line int) ([]string, error) {
			return []string{fmt.Sprintf("%s %d", word, line), `<&"_x0041_>`}, nil
		},
	}))
	return b.Bytes()
}

// Another program reads what was written back; what was there is there still,
// and notes of an earlier time are replaced.
func TestNotesStandBehindTheRows(t *testing.T) {
	back := annotate(t, annotate(t, sample(t), "first"), "second")
	f, err := excelize.OpenReader(bytes.NewReader(back))
	require.NoError(t, err)
	rows, err := f.GetRows("Sheet1", excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	require.Equal(t, []string{"Vejeseddel", "Dato", "", "Mængde", "", "", "x: result", "x: why"}, rows[0])
	require.Equal(t, []string{"second 2", `<&"_x0041_>`}, rows[1][6:])
	require.Equal(t, "second 5", rows[4][6])
	require.Equal(t, "to dele", rows[4][5])
	formula, err := f.GetCellFormula("Sheet1", "E5")
	require.NoError(t, err)
	require.Equal(t, "1+1", formula)
	other, err := f.GetCellValue("Anden", "A1")
	require.NoError(t, err)
	require.Equal(t, "other", other)
	require.NoError(t, f.Close())
	ours, err := readAll(back, "", Limits{})
	require.NoError(t, err)
	require.Len(t, ours, 3)

	failed := errors.New("failed")
	err = Annotate(io.Discard, bytes.NewReader(back), int64(len(back)), "", Limits{}, Notes{
		Drop: func(string) bool { return false }, Of: func(int) ([]string, error) { return nil, failed }})
	require.ErrorIs(t, err, failed)
}

// Whatever a workbook holds, it is read to its end or refused by name.
func FuzzSheet(f *testing.F) {
	f.Add(`<row r="1"><c r="A1" t="s"><v>0</v></c></row>`)
	f.Add(`<row><c><v>1.5</v></c><c t="inlineStr"><is><t>x</t></is></c></row>`)
	f.Add(`<row r="9"/><row/></row><c>`)
	f.Fuzz(func(t *testing.T, rows string) {
		src := parts(t, "<worksheet>"+rows+"</worksheet>")
		all, err := readAll(src, "", Limits{})
		if err != nil {
			var b *Broken
			var large *table.TooLarge
			require.True(t, errors.As(err, &b) || errors.As(err, &large), "%v", err)
			return
		}
		line := 0
		for _, r := range all {
			require.Greater(t, r.line, line)
			line = r.line
			require.Len(t, r.numbers, len(r.fields))
		}
	})
}
