package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// Notes are texts to be added to the rows of a sheet.
type Notes struct {
	// Drop tells which columns of the heading are of earlier notes; they are
	// taken away.
	Drop func(heading string) bool
	// Heading names the columns that are added.
	Heading []string
	// Of gives a row's texts, one for each heading; nil for none. It is called
	// for each row that holds something, in their order, without the heading.
	Of func(line int) ([]string, error)
}

// Annotate writes the workbook with notes behind the widest row of the sheet.
// Everything else stays as it is. Errors are those of Open, and of w and Notes.
func Annotate(w io.Writer, src io.ReaderAt, size int64, name string, limits Limits, notes Notes) error {
	a, err := survey(src, size, name, limits, notes)
	if err != nil {
		return err
	}
	out := zip.NewWriter(w)
	for _, f := range a.book.zip.File {
		if f.Name != a.book.sheet {
			if err := out.Copy(f); err != nil {
				return sourceError(err, "the workbook's part "+f.Name+" cannot be read")
			}
			continue
		}
		part, err := out.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: f.Modified})
		if err != nil {
			return err
		}
		in, err := a.book.part(f.Name)
		if err != nil {
			return err
		}
		if err := errors.Join(a.rewrite(part, in), in.Close()); err != nil {
			return err
		}
	}
	return out.Close()
}

// annotator rewrites the XML of one sheet.
type annotator struct {
	book    *book
	notes   Notes
	heading int   // number of the row of headings
	drop    []int // columns of earlier notes
	at      int   // first column of the notes
	rows    []int // numbers of the rows that hold something: those that get notes

	prefix   string // of element names, such as x:
	line     int
	next     int // column of the next cell without a name
	skipping int // depth of the elements being left out
}

// survey reads the sheet once: where its heading is, and how wide it is.
func survey(src io.ReaderAt, size int64, name string, limits Limits, notes Notes) (*annotator, error) {
	r, err := Open(src, size, name, limits)
	if err != nil {
		return nil, err
	}
	a := &annotator{book: r.book, notes: notes}
	for {
		var rec table.Record
		if rec, err = r.Read(); err != nil {
			break
		}
		if a.heading == 0 {
			a.heading = rec.Line
			for column, field := range rec.Fields {
				if notes.Drop(string(field)) {
					a.drop = append(a.drop, column)
				}
			}
			continue
		}
		a.rows = append(a.rows, rec.Line)
	}
	if !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, r.Close())
	}
	a.at = r.widest
	for a.at > 0 && slices.Contains(a.drop, a.at-1) {
		a.at--
	}
	r.book.unpacked = 0
	return a, r.Close()
}

// tape keeps what the XML decoder read until it is known what to do with it.
type tape struct {
	src  io.Reader
	held []byte
	from int64 // offset of held[0]
}

func (t *tape) Read(p []byte) (int, error) {
	n, err := t.src.Read(p)
	t.held = append(t.held, p[:n]...)
	return n, err
}

// upTo takes the bytes before an offset off the tape.
func (t *tape) upTo(offset int64) []byte {
	n := offset - t.from
	taken := t.held[:n]
	t.held, t.from = t.held[n:], offset
	return taken
}

var spans = regexp.MustCompile(`\s+spans\s*=\s*("[^"]*"|'[^']*')`)

// rewrite copies the sheet token by token.
func (a *annotator) rewrite(w io.Writer, src io.Reader) error {
	t := &tape{src: src}
	dec := xml.NewDecoder(t)
	for {
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return sourceError(err, "the sheet cannot be read to its end")
		}
		raw := t.upTo(dec.InputOffset())
		switch e := token.(type) {
		case xml.StartElement:
			raw, err = a.start(e, raw)
		case xml.EndElement:
			raw, err = a.end(e, raw)
		default:
			if a.skipping > 0 {
				raw = nil
			}
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
		if len(t.held) == 0 {
			t.held = nil // so that the array of a long sheet does not grow on
		}
	}
}

func (a *annotator) start(e xml.StartElement, raw []byte) ([]byte, error) {
	if a.skipping > 0 {
		a.skipping++
		return nil, nil
	}
	switch e.Name.Local {
	case "dimension": // says how far the sheet reaches, which is not true any more
		a.skipping++
		return nil, nil
	case "row":
		if e.Name.Space != "" {
			a.prefix = e.Name.Space + ":"
		}
		a.line++
		if n, err := strconv.Atoi(attr(e, "r")); err == nil {
			a.line = n
		}
		a.next = 0
		return spans.ReplaceAll(raw, nil), nil
	case "c":
		column := a.next
		if named, ok := columnOf(attr(e, "r")); ok {
			column = named
		}
		a.next = column + 1
		if slices.Contains(a.drop, column) {
			a.skipping++
			return nil, nil
		}
	}
	return raw, nil
}

func (a *annotator) end(e xml.EndElement, raw []byte) ([]byte, error) {
	if a.skipping > 0 {
		a.skipping--
		return nil, nil
	}
	if e.Name.Local != "row" {
		return raw, nil
	}
	var texts []string
	switch {
	case a.line == a.heading:
		texts = a.notes.Heading
	case len(a.rows) > 0 && a.rows[0] == a.line:
		a.rows = a.rows[1:]
		var err error
		if texts, err = a.notes.Of(a.line); err != nil {
			return nil, err
		}
	}
	return append(a.cells(texts), raw...), nil
}

// cells writes texts as cells of the row.
func (a *annotator) cells(texts []string) []byte {
	var b bytes.Buffer
	for i, text := range texts {
		if text == "" {
			continue
		}
		ref := columnName(a.at+i) + strconv.Itoa(a.line)
		b.WriteString("<" + a.prefix + `c r="` + ref + `" t="inlineStr"><` + a.prefix + "is><" + a.prefix + `t xml:space="preserve">`)
		// What XML cannot hold is replaced by its own escaper. A bytes.Buffer takes everything.
		_ = xml.EscapeText(&b, []byte(strings.ReplaceAll(text, "_x", "_x005F_x")))
		b.WriteString("</" + a.prefix + "t></" + a.prefix + "is></" + a.prefix + "c>")
	}
	return b.Bytes()
}
