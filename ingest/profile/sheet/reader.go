package sheet

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// Reader reads the rows of a sheet. Make it with Open; for one goroutine.
type Reader struct {
	book    *book
	src     io.ReadCloser
	dec     *xml.Decoder
	strings []string

	whole   bool // the sheet was seen to end
	line    int  // number of the row last begun
	cells   int
	widest  int // columns of the widest row so far
	fields  [][]byte
	numbers []bool
	text    texter
}

// Open opens a sheet of a workbook: name, or the first that is not hidden.
// Errors: *Broken for what is no workbook, *table.TooLarge beyond the limits,
// and whatever src failed with.
func Open(src io.ReaderAt, size int64, name string, limits Limits) (*Reader, error) {
	b, err := open(src, size, name, limits)
	if err != nil {
		return nil, err
	}
	r := &Reader{book: b}
	if b.strings != "" {
		if err := r.readStrings(); err != nil {
			return nil, err
		}
	}
	if r.src, err = b.part(b.sheet); err != nil {
		return nil, err
	}
	r.dec = xml.NewDecoder(r.src)
	return r, nil
}

// Close frees what the reader holds.
func (r *Reader) Close() error { return r.src.Close() }

// Date1904 tells whether days are counted from 1904, as old Macs did.
func (r *Reader) Date1904() bool { return r.book.date1904 }

// readStrings reads the texts that cells refer to.
func (r *Reader) readStrings() error {
	src, err := r.book.part(r.book.strings)
	if err != nil {
		return err
	}
	dec := xml.NewDecoder(src)
	left := r.book.limits.StringBytes
	for {
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return src.Close()
		}
		if err != nil {
			return errors.Join(sourceError(err, "the workbook's texts cannot be read"), src.Close())
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "si" {
				r.text.reset(left)
			} else {
				r.text.start(e.Name.Local)
			}
		case xml.EndElement:
			if e.Name.Local != "si" {
				r.text.end(e.Name.Local)
				continue
			}
			left -= r.text.b.Len() + 16 // what keeping it costs beside its bytes
			if r.text.tooLong || left < 0 {
				return errors.Join(&table.TooLarge{Rule: "unpacked-too-large", Limit: int64(r.book.limits.StringBytes)}, src.Close())
			}
			r.strings = append(r.strings, unescape(r.text.b.String()))
		case xml.CharData:
			r.text.chars(e)
		}
	}
}

// Read returns the next row that holds something; its line is its number in
// the sheet. Its fields are valid until the next call. Errors: io.EOF at the
// end, *Broken, *table.TooLarge, and what the source failed with.
func (r *Reader) Read() (table.Record, error) {
	for {
		token, err := r.dec.RawToken()
		if errors.Is(err, io.EOF) && r.whole {
			return table.Record{}, io.EOF
		}
		if err != nil {
			return table.Record{}, sourceError(err, "the sheet cannot be read to its end")
		}
		if end, ok := token.(xml.EndElement); ok && end.Name.Local == "worksheet" {
			r.whole = true
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "row" {
			continue
		}
		if err := r.number(e); err != nil {
			return table.Record{}, err
		}
		holds, err := r.row()
		if err != nil {
			return table.Record{}, err
		}
		if holds {
			return table.Record{Line: r.line, Fields: r.fields, Numbers: r.numbers}, nil
		}
	}
}

// number reads which row begins. Rows stand in their order.
func (r *Reader) number(e xml.StartElement) error {
	line := r.line + 1
	if text := attr(e, "r"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < line {
			return broken(nil, "the sheet's rows are not in order: row %q after row %d", text[:min(len(text), 20)], r.line)
		}
		line = n
	}
	if line > r.book.limits.Rows {
		return &table.TooLarge{Rule: "sheet-too-large", Limit: int64(r.book.limits.Rows)}
	}
	r.line = line
	return nil
}

// row reads the cells of a row up to its end.
func (r *Reader) row() (holds bool, err error) {
	r.fields, r.numbers = r.fields[:0], r.numbers[:0]
	next := 0
	for {
		token, err := r.dec.RawToken()
		if err != nil {
			return false, sourceError(err, "the sheet ends within a row")
		}
		switch e := token.(type) {
		case xml.EndElement:
			if e.Name.Local == "row" {
				return holds, nil
			}
		case xml.StartElement:
			if e.Name.Local != "c" {
				continue
			}
			column := next
			if ref := attr(e, "r"); ref != "" {
				var ok bool
				if column, ok = columnOf(ref); !ok || column < next {
					return false, broken(nil, "row %d has a cell %q that is no cell or out of order", r.line, ref[:min(len(ref), 20)])
				}
			}
			if column >= r.book.limits.Columns {
				return false, &table.TooLarge{Rule: "sheet-too-wide", Limit: int64(r.book.limits.Columns)}
			}
			value, isNumber, err := r.cell(attr(e, "t"))
			if err != nil {
				return false, err
			}
			next = column + 1
			if value == "" {
				continue
			}
			if r.cells++; r.cells > r.book.limits.Cells {
				return false, &table.TooLarge{Rule: "sheet-too-large", Limit: int64(r.book.limits.Cells)}
			}
			for len(r.fields) <= column {
				r.fields, r.numbers = append(r.fields, nil), append(r.numbers, false)
			}
			r.fields[column], r.numbers[column] = []byte(value), isNumber
			r.widest = max(r.widest, column+1)
			holds = true
		}
	}
}

// cell reads a cell of a type up to its end.
func (r *Reader) cell(kind string) (value string, isNumber bool, err error) {
	r.text.reset(r.book.limits.CellBytes)
	for {
		token, err := r.dec.RawToken()
		if err != nil {
			return "", false, sourceError(err, "the sheet ends within a cell")
		}
		switch e := token.(type) {
		case xml.StartElement:
			r.text.start(e.Name.Local)
		case xml.CharData:
			r.text.chars(e)
		case xml.EndElement:
			if e.Name.Local != "c" {
				r.text.end(e.Name.Local)
				continue
			}
			if r.text.tooLong {
				return "", false, &table.TooLarge{Rule: "unpacked-too-large", Limit: int64(r.book.limits.CellBytes)}
			}
			return r.value(kind, r.text.b.String())
		}
	}
}

// value makes a cell's text of what is stored.
func (r *Reader) value(kind, stored string) (value string, isNumber bool, err error) {
	switch kind {
	case "s":
		n, err := strconv.Atoi(strings.TrimSpace(stored))
		if err != nil || n < 0 || n >= len(r.strings) {
			return "", false, broken(nil, "a cell of row %d refers to a text that the workbook has not", r.line)
		}
		return r.strings[n], false, nil
	case "str", "inlineStr":
		return unescape(stored), false, nil
	case "b":
		if stored == "1" {
			return "TRUE", false, nil
		}
		return "FALSE", false, nil
	case "", "n":
		stored = strings.TrimSpace(stored)
		return number(stored), stored != "", nil
	}
	return stored, false, nil // an error such as #N/A, or a date in ISO 8601
}
