package waste

import (
	"bytes"
	_ "embed" // the list of waste is part of the program
	"encoding/csv"
	"fmt"
	"slices"
	"sync"
)

// Kind is the kind of an entry on the list.
type Kind string

// The kinds of entry. Of a pair of mirror entries, the properties of the
// waste decide which one applies; absolute entries leave no choice.
const (
	Absolute Kind = "absolute"
	Mirror   Kind = "mirror"
)

// Entry is one entry of the list of waste.
type Entry struct {
	Code           Code
	Hazardous      bool
	Kind           Kind
	ChapterCode    string // two digits
	Chapter        string // name of the chapter, English
	SubchapterCode string // four digits
	Subchapter     string // name of the subchapter, English
	NameEN         string
	NameDE         string
}

// Lookup finds the entry of a code.
func Lookup(c Code) (Entry, bool) {
	e, ok := list().byCode[c]
	if !ok {
		return Entry{}, false
	}
	return *e, true
}

// All lists the entries in the order of their codes. The slice is the
// caller's own.
func All() []Entry { return slices.Clone(list().entries) }

// ChapterName is the English name of a chapter (two digits) or subchapter
// (four digits).
func ChapterName(code string) (string, bool) {
	name, ok := list().chapters[code]
	return name, ok
}

//go:embed data/codes.csv
var codesCSV []byte

//go:embed data/chapters.csv
var chaptersCSV []byte

type table struct {
	entries  []Entry
	byCode   map[Code]*Entry
	chapters map[string]string
}

// list reads the embedded list once. It is part of the program: a fault in it
// is a fault of the build, and the package's tests read every row.
var list = sync.OnceValue(func() *table {
	t, err := readList(codesCSV, chaptersCSV)
	if err != nil {
		panic(fmt.Sprintf("embedded list of waste: %v", err))
	}
	return t
})

func readList(codes, chapters []byte) (*table, error) {
	t := &table{byCode: make(map[Code]*Entry), chapters: make(map[string]string)}
	rows, err := readCSV(chapters, 2)
	if err != nil {
		return nil, fmt.Errorf("chapters: %w", err)
	}
	for _, r := range rows {
		t.chapters[r[0]] = r[1]
	}
	if rows, err = readCSV(codes, 4); err != nil {
		return nil, fmt.Errorf("codes: %w", err)
	}
	t.entries = make([]Entry, 0, len(rows))
	for _, r := range rows {
		e := Entry{Code: Code(r[0]), NameEN: r[2], NameDE: r[3], Kind: Absolute}
		switch r[1] {
		case "AN":
		case "AH":
			e.Hazardous = true
		case "MN":
			e.Kind = Mirror
		case "MH":
			e.Kind, e.Hazardous = Mirror, true
		default:
			return nil, fmt.Errorf("code %s: kind of entry %q is none of AN, AH, MN, MH", r[0], r[1])
		}
		e.ChapterCode, e.SubchapterCode = e.Code.Chapter(), e.Code.Subchapter()
		var inChapter, inSub bool
		e.Chapter, inChapter = t.chapters[e.ChapterCode]
		e.Subchapter, inSub = t.chapters[e.SubchapterCode]
		if !inChapter || !inSub {
			return nil, fmt.Errorf("code %s: chapter or subchapter has no name", r[0])
		}
		t.entries = append(t.entries, e)
	}
	for i := range t.entries {
		e := &t.entries[i]
		if t.byCode[e.Code] != nil {
			return nil, fmt.Errorf("code %s stands twice", e.Code)
		}
		t.byCode[e.Code] = e
	}
	return t, nil
}

// readCSV reads rows of a fixed number of columns, heading left out.
func readCSV(data []byte, columns int) ([][]string, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = columns
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("no rows")
	}
	return rows[1:], nil
}
