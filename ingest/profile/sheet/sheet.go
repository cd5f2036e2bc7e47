// Package sheet reads one sheet of an XLSX workbook (Office Open XML) row by
// row, and writes a workbook back with cells added to its rows.
//
// It promises that numbers are told from texts, so that the number 12.345 and
// the text "12.345" are never taken for one another; numbers as Excel means
// them, at its fifteen digits; flat memory apart from the workbook's shared
// texts, which are bounded as everything else is; and that what is written
// back keeps every byte of the workbook that it does not have to change.
//
// It is a reader of its own, rather than a library's, because the libraries
// that stream give up the type of a cell and those that keep it hold the whole
// sheet in memory. It leaves out what columns mean, formats, formulas (their
// last result is read) and the old .xls format.
package sheet

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// Limits bounds a workbook. Zero values take the defaults.
type Limits struct {
	Bytes       int64 // unpacked bytes of the parts that are read; 1 GiB
	Ratio       int64 // unpacked over packed bytes, beyond the first 16 MiB; 200
	Rows        int   // rows of the sheet; 1,048,576, which is Excel's own
	Cells       int   // cells of the sheet that hold something; 20,000,000
	StringBytes int   // bytes of all shared texts; 64 MiB
	Columns     int   // columns of a row; 1,000
	CellBytes   int   // bytes of one cell; 1 MiB
}

func (l Limits) orDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Rows, 1 << 20}, {&l.Cells, 20_000_000}, {&l.StringBytes, 64 << 20}, {&l.Columns, 1000}, {&l.CellBytes, 1 << 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if l.Bytes <= 0 {
		l.Bytes = 1 << 30
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	return l
}

// freeBytes may be unpacked whatever the ratio.
const freeBytes = 16 << 20

// Broken says that a file is no workbook that can be read.
type Broken struct {
	Reason string // one sentence
	Err    error  // may be nil
}

func (e *Broken) Error() string {
	if e.Err != nil {
		return e.Reason + ": " + e.Err.Error()
	}
	return e.Reason
}

// Unwrap gives the cause.
func (e *Broken) Unwrap() error { return e.Err }

func broken(err error, format string, args ...any) error {
	return &Broken{Reason: fmt.Sprintf(format, args...), Err: err}
}

// IsWorkbook tells whether a file that begins so may be a workbook. Four bytes
// are enough.
func IsWorkbook(beginning []byte) bool {
	return len(beginning) >= 4 && string(beginning[:4]) == "PK\x03\x04"
}

// IsOld tells whether a file that begins so is of the old format, .xls.
func IsOld(beginning []byte) bool {
	return len(beginning) >= 4 && string(beginning[:4]) == "\xd0\xcf\x11\xe0"
}

// book is an opened workbook and which of its parts are read.
type book struct {
	zip      *zip.Reader
	limits   Limits
	unpacked int64 // bytes so far, of all parts
	sheet    string
	strings  string // part of the shared texts; "" without
	date1904 bool
}

// open finds the parts of a workbook. name is the sheet's; "" takes the first
// that is not hidden.
func open(src io.ReaderAt, size int64, name string, limits Limits) (*book, error) {
	z, err := zip.NewReader(src, size)
	if err != nil {
		return nil, sourceError(err, "the file is no workbook: it is damaged or cut short")
	}
	b := &book{zip: z, limits: limits.orDefaults()}
	if len(z.File) > 10_000 {
		return nil, broken(nil, "the workbook has more than 10,000 parts")
	}
	root, err := b.relations("_rels/.rels")
	if err != nil {
		return nil, err
	}
	main := ""
	for _, rel := range root {
		if strings.HasSuffix(rel.kind, "/officeDocument") {
			main = resolve("", rel.target)
		}
	}
	if main == "" {
		return nil, broken(nil, "the file is no workbook: it names no document")
	}
	relations, err := b.relations(path.Join(path.Dir(main), "_rels", path.Base(main)+".rels"))
	if err != nil {
		return nil, err
	}
	for _, rel := range relations {
		if strings.HasSuffix(rel.kind, "/sharedStrings") {
			b.strings = resolve(path.Dir(main), rel.target)
		}
	}
	return b, b.choose(main, relations, name)
}

type relation struct{ kind, target string }

// resolve makes a part's name of a target, which is relative unless it begins
// with a slash.
func resolve(dir, target string) string {
	if strings.HasPrefix(target, "/") {
		return strings.TrimPrefix(path.Clean(target), "/")
	}
	return path.Join(dir, target)
}

func (b *book) relations(part string) (map[string]relation, error) {
	all := map[string]relation{}
	err := b.each(part, func(_ *xml.Decoder, e xml.StartElement) error {
		if e.Name.Local == "Relationship" {
			all[attr(e, "Id")] = relation{kind: attr(e, "Type"), target: attr(e, "Target")}
		}
		return nil
	})
	return all, err
}

// choose finds the sheet among those of the workbook.
func (b *book) choose(main string, relations map[string]relation, name string) error {
	var names []string
	err := b.each(main, func(_ *xml.Decoder, e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			b.date1904 = attr(e, "date1904") == "1" || attr(e, "date1904") == "true"
		case "sheet":
			rel, ok := relations[attr(e, "id")]
			if !ok || !strings.HasSuffix(rel.kind, "/worksheet") {
				return nil // a chart, or nothing
			}
			names = append(names, attr(e, "name"))
			hidden := attr(e, "state") != "" && attr(e, "state") != "visible"
			if b.sheet == "" && (name == attr(e, "name") || name == "" && !hidden) {
				b.sheet = resolve(path.Dir(main), rel.target)
			}
		}
		return nil
	})
	if err == nil && b.sheet == "" {
		err = broken(nil, "the workbook has no sheet %q; it has %s", name, strings.Join(names, ", "))
	}
	return err
}

// attr is an attribute's value, whatever the prefix of its name.
func attr(e xml.StartElement, local string) string {
	for _, a := range e.Attr {
		if a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// each calls do for every element of a part.
func (b *book) each(part string, do func(*xml.Decoder, xml.StartElement) error) error {
	src, err := b.part(part)
	if err != nil {
		return err
	}
	dec := xml.NewDecoder(src)
	for {
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return src.Close()
		}
		if err == nil {
			if e, ok := token.(xml.StartElement); ok {
				err = do(dec, e)
			}
		}
		if err != nil {
			return errors.Join(sourceError(err, "the workbook's part "+part+" cannot be read"), src.Close())
		}
	}
}

// part opens a part, bounded.
func (b *book) part(name string) (io.ReadCloser, error) {
	for _, f := range b.zip.File {
		if f.Name == name {
			src, err := f.Open()
			if err != nil {
				return nil, sourceError(err, "the workbook's part "+name+" cannot be read")
			}
			return &bounded{src: src, book: b, packed: max(int64(f.CompressedSize64), 1)}, nil
		}
	}
	return nil, broken(nil, "the workbook has no part %s", name)
}

// bounded stops when the workbook unpacks to more than is allowed.
type bounded struct {
	src    io.ReadCloser
	book   *book
	packed int64
	n      int64
}

func (r *bounded) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.n += int64(n)
	r.book.unpacked += int64(n)
	if limit := r.book.limits.Bytes; r.book.unpacked > limit {
		return 0, &table.TooLarge{Rule: "unpacked-too-large", Limit: limit}
	}
	if ratio := r.book.limits.Ratio; r.n > freeBytes && r.n/ratio > r.packed {
		return 0, &table.TooLarge{Rule: "unpacked-ratio", Limit: ratio}
	}
	return n, err
}

func (r *bounded) Close() error { return r.src.Close() }

// sourceError makes a Broken of what the zip or XML reader says, and leaves
// limits and failures of the disk as they are.
func sourceError(err error, reason string) error {
	var large *table.TooLarge
	var already *Broken
	var syntax *xml.SyntaxError
	if errors.Is(err, io.EOF) { // within something: to the caller it must not look like the end
		err = io.ErrUnexpectedEOF
	}
	switch {
	case errors.As(err, &large), errors.As(err, &already):
		return err
	case errors.As(err, &syntax), table.IsPacking(err),
		errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrAlgorithm), errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrInsecurePath), isFlate(err):
		return broken(err, "%s", reason)
	}
	return fmt.Errorf("read workbook: %w", err)
}
