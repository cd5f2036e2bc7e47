package profile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding"

	"github.com/stofstrom/stofstrom/ingest/profile/sheet"
	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// Notes are columns to be added to a file that goes back to its sender.
type Notes struct {
	Heading []string // each begins with ResultPrefix
	// Of gives the texts of the row that begins on a line, one for each
	// heading; nil for none. It is called for each row, in their order.
	Of func(line int) ([]string, error)
}

// Annotate writes the file with columns added, in the format that it came in:
// a workbook stays as it is otherwise; lines of text are written in the
// character set of the profile, UTF-8 with a byte-order mark where that is
// detected, and never compressed. Columns of earlier notes are left out.
//
// A row that has not as many columns as the heading, or cannot be read, keeps
// being one that is refused: it has a column too many when it comes back.
//
// Errors: those of Open, and of w and Notes. src is read from its start.
func (b *Bound) Annotate(w io.Writer, src io.Reader, limits Limits, notes Notes) error {
	build := &builder{doc: b.profile.doc, parameters: b.parameters}
	p := build.build()
	book, is, err := workbook(src)
	if err != nil {
		return fileFault(err)
	}
	if is {
		err := sheet.Annotate(w, book, book.Size(), p.sheet, limits.Sheet, sheet.Notes{Drop: IsResult, Heading: notes.Heading, Of: notes.Of})
		if err != nil {
			return fileFault(err)
		}
		return nil
	}
	packed, err := table.Unpack(src, limits.Unpack)
	if err != nil {
		return fileFault(err)
	}
	a := &annotator{in: table.NewReader(p.decoded(packed), p.comma, limits.Record), comma: p.comma, notes: notes}
	out := w
	if p.charset != nil && !p.detect {
		out = encoding.ReplaceUnsupported(p.charset.NewEncoder()).Writer(w)
	} else if _, err := io.WriteString(w, "\xef\xbb\xbf"); err != nil {
		return errors.Join(err, packed.Close())
	}
	a.out = bufio.NewWriterSize(out, 64<<10)
	return errors.Join(a.all(), packed.Close())
}

// ReturnedCharset names the character set that Annotate writes text in.
func (b *Bound) ReturnedCharset() string {
	if set := b.profile.doc.Format.Encoding; set != "auto" {
		return set
	}
	return "utf-8"
}

// annotator copies lines of text with notes behind them.
type annotator struct {
	in    *table.Reader
	out   *bufio.Writer
	comma byte
	notes Notes

	width int   // columns of the heading
	drop  []int // of them, those of earlier notes
}

func (a *annotator) all() error {
	for first := true; ; first = false {
		rec, err := a.in.Read()
		var broken *table.BrokenRecord
		switch {
		case errors.Is(err, io.EOF):
			return a.out.Flush()
		case errors.As(err, &broken):
			// What cannot be told apart goes into one cell as it is.
			rec = table.Record{Line: broken.Line, Fields: [][]byte{[]byte(broken.Text)}}
		case err != nil:
			return fileFault(err)
		}
		if err := a.row(rec, first); err != nil {
			return err
		}
	}
}

func (a *annotator) row(rec table.Record, first bool) error {
	texts := a.notes.Heading
	if first {
		a.width = len(rec.Fields)
		for i, field := range rec.Fields {
			if IsResult(string(field)) {
				a.drop = append(a.drop, i)
			}
		}
	} else {
		var err error
		if texts, err = a.notes.Of(rec.Line); err != nil {
			return err
		}
		texts = append(texts, make([]string, len(a.notes.Heading)-min(len(texts), len(a.notes.Heading)))...)
	}
	fields := rec.Fields
	if len(fields) >= a.width {
		fields = make([][]byte, 0, len(rec.Fields))
		for i, field := range rec.Fields {
			if !slices.Contains(a.drop, i) {
				fields = append(fields, field)
			}
		}
	}
	// The notes stand in their columns. What is too much stands behind them,
	// and what is too little is made too much.
	own := a.width - len(a.drop)
	var behind [][]byte
	switch {
	case len(fields) > own:
		fields, behind = fields[:own:own], fields[own:]
	case len(fields) < own:
		fields, behind = append(fields, make([][]byte, own-len(fields))...), [][]byte{nil}
	}
	for _, text := range texts {
		fields = append(fields, []byte(harmless(text)))
	}
	for i, field := range append(fields, behind...) {
		if i > 0 {
			if err := a.out.WriteByte(a.comma); err != nil {
				return fmt.Errorf("write file: %w", err)
			}
		}
		if _, err := a.out.Write(a.quoted(field)); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	if _, err := a.out.WriteString("\r\n"); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}

// quoted puts a field into quotes where it needs them.
func (a *annotator) quoted(field []byte) []byte {
	if !bytes.ContainsAny(field, "\"\r\n"+string(rune(a.comma))) {
		return field
	}
	return append(append([]byte{'"'}, bytes.ReplaceAll(field, []byte{'"'}, []byte(`""`))...), '"')
}

// harmless keeps a spreadsheet from taking a text for a formula.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
