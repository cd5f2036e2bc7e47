// Package table reads files of rows and columns (CSV, RFC 4180 with any
// one-byte delimiter) record by record.
//
// It promises flat memory (one record, at most Limits.RecordBytes), the
// physical line of every record, and that a broken record costs only itself:
// a stray quote or an over-long line is reported for its first line, and
// reading goes on at the next one. It leaves out compression (Unpack) and
// character sets (the caller wraps the source), and what columns mean.
package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Reader reads records. Make it with NewReader; for one goroutine.
type Reader struct {
	src    io.Reader
	comma  byte
	limits Limits

	buf   []byte // buf[from:to] is read but not consumed
	from  int
	to    int
	ended bool // src answered io.EOF
	line  int  // physical line of buf[from], 1-based

	fields  [][]byte
	scratch []byte // unescaped content of quoted fields
}

// Limits bounds what a record may take. Zero values take the defaults.
type Limits struct {
	RecordBytes int // bytes of one record, line break included; 1 MiB
	Columns     int // fields of one record; 1,000
}

// Record is one record. Its fields are valid until the next call of Read.
type Record struct {
	Line   int // physical line the record begins on, 1-based
	Fields [][]byte
	// Numbers tells which fields are stored as numbers, with a decimal point;
	// nil where everything is text.
	Numbers []bool
}

// BrokenRecord says that one record cannot be read. Reading goes on after it.
type BrokenRecord struct {
	Line   int    // physical line, 1-based
	Rule   string // csv-quote, csv-record-too-long or csv-too-many-columns
	Reason string // one sentence
	Value  string // how the line begins, at most 80 bytes
	Text   string // the line, at most 64 KiB of it
}

func (e *BrokenRecord) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// NewReader reads from src, fields separated by comma.
func NewReader(src io.Reader, comma byte, limits Limits) *Reader {
	if limits.RecordBytes <= 0 {
		limits.RecordBytes = 1 << 20
	}
	if limits.Columns <= 0 {
		limits.Columns = 1000
	}
	return &Reader{src: src, comma: comma, limits: limits, line: 1, buf: make([]byte, 64<<10)}
}

// Read returns the next record; blank lines are passed over. Errors: io.EOF at
// the end, *BrokenRecord for a record that cannot be read (go on reading), and
// whatever the source failed with.
func (r *Reader) Read() (Record, error) {
	for {
		start := r.line
		size, broken, err := r.scan()
		if err != nil {
			return Record{}, err
		}
		if broken != nil {
			broken.Line, broken.Text = start, r.lineText(64<<10)
			if err := r.skipLine(); err != nil {
				return Record{}, err
			}
			return Record{}, broken
		}
		text := r.buf[r.from : r.from+size]
		r.from += size
		r.line += bytes.Count(text, []byte{'\n'})
		if len(trimBreak(text)) == 0 {
			continue
		}
		return Record{Line: start, Fields: r.fields}, nil
	}
}

// errMore asks scan to be tried again with more bytes.
var errMore = errors.New("record not complete in the buffer")

// scan finds the record at the start of the buffer, filling the buffer as
// needed, and leaves its fields in r.fields. It consumes nothing.
func (r *Reader) scan() (size int, broken *BrokenRecord, err error) {
	// From the start of the record again after each fill: sources deliver up to
	// 64 KiB at a time, so that even the longest record is seen a few times only.
	for {
		size, broken, err = r.parse(r.buf[r.from:r.to])
		if !errors.Is(err, errMore) {
			return size, broken, err
		}
		if r.to-r.from >= r.limits.RecordBytes {
			return 0, &BrokenRecord{
				Rule:   "csv-record-too-long",
				Reason: fmt.Sprintf("It is longer than %d bytes, or a quote in it is never closed.", r.limits.RecordBytes),
				Value:  r.beginning(),
			}, nil
		}
		if err := r.fill(); err != nil {
			return 0, nil, err
		}
	}
}

// fill reads more of the source behind what is there.
func (r *Reader) fill() error {
	if r.from > 0 && r.to == len(r.buf) {
		copy(r.buf, r.buf[r.from:r.to])
		r.to -= r.from
		r.from = 0
	}
	if r.to == len(r.buf) {
		grown := make([]byte, min(2*len(r.buf), r.limits.RecordBytes+64<<10))
		copy(grown, r.buf[:r.to])
		r.buf = grown
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.to:])
		r.to += n
		if errors.Is(err, io.EOF) {
			r.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// parse splits the record at the start of text. It answers errMore when the
// record goes on beyond text, and io.EOF when there is none.
func (r *Reader) parse(text []byte) (size int, broken *BrokenRecord, err error) {
	if len(text) == 0 {
		if r.ended {
			return 0, nil, io.EOF
		}
		return 0, nil, errMore
	}
	r.fields, r.scratch = r.fields[:0], r.scratch[:0]
	at := 0
	for {
		if len(r.fields) >= r.limits.Columns {
			return 0, &BrokenRecord{
				Rule:   "csv-too-many-columns",
				Reason: fmt.Sprintf("It has more than %d.", r.limits.Columns),
				Value:  r.beginning(),
			}, nil
		}
		var field []byte
		if at < len(text) && text[at] == '"' {
			field, at, broken, err = r.quoted(text, at+1)
		} else {
			field, at, err = r.plain(text, at)
		}
		if broken != nil || err != nil {
			return 0, broken, err
		}
		r.fields = append(r.fields, field)
		// at stands on the delimiter, on the line break, or at the very end.
		if at >= len(text) {
			return at, nil, nil
		}
		at++
		if text[at-1] == '\n' {
			return at, nil, nil
		}
	}
}

// plain reads a field without quotes from at on. A quote inside it is a
// character like any other.
func (r *Reader) plain(text []byte, at int) (field []byte, end int, err error) {
	for i := at; i < len(text); i++ {
		switch text[i] {
		case r.comma:
			return text[at:i], i, nil
		case '\n':
			return bytes.TrimSuffix(text[at:i], []byte{'\r'}), i, nil
		}
	}
	if !r.ended {
		return nil, 0, errMore
	}
	return bytes.TrimSuffix(text[at:], []byte{'\r'}), len(text), nil
}

// quoted reads a field from behind its opening quote on; two quotes stand for
// one.
func (r *Reader) quoted(text []byte, at int) (field []byte, end int, broken *BrokenRecord, err error) {
	kept := len(r.scratch)
	doubled := false
	from := at
	for {
		n := bytes.IndexByte(text[at:], '"')
		if n < 0 {
			if r.ended {
				return nil, 0, r.brokenQuote("A quote is opened and never closed."), nil
			}
			return nil, 0, nil, errMore
		}
		at += n + 1
		if at >= len(text) && !r.ended {
			return nil, 0, nil, errMore // the next byte tells what the quote means
		}
		if at < len(text) && text[at] == '"' {
			r.scratch = append(r.scratch, text[from:at]...)
			doubled = true
			at++
			from = at
			continue
		}
		field = text[from : at-1]
		if doubled {
			r.scratch = append(r.scratch, field...)
			field = r.scratch[kept:]
		}
		break
	}
	if at+1 < len(text) && text[at] == '\r' && text[at+1] == '\n' {
		at++
	}
	switch {
	case at >= len(text), text[at] == r.comma, text[at] == '\n':
		return field, at, nil, nil
	case text[at] == '\r' && at+1 == len(text):
		if r.ended {
			return field, len(text), nil, nil
		}
		return nil, 0, nil, errMore
	}
	return nil, 0, r.brokenQuote("Something stands between a closing quote and the next delimiter."), nil
}

func (r *Reader) brokenQuote(reason string) *BrokenRecord {
	return &BrokenRecord{Rule: "csv-quote", Reason: reason, Value: r.beginning()}
}

// beginning is how the record starts, for people.
func (r *Reader) beginning() string { return r.lineText(80) }

// lineText is the first physical line of the buffer, cut.
func (r *Reader) lineText(most int) string {
	text := r.buf[r.from:r.to]
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		text = text[:n]
	}
	text = bytes.TrimSuffix(text, []byte{'\r'})
	if len(text) > most {
		text = text[:most]
	}
	return string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
}

// skipLine consumes the first physical line of the buffer, however long.
func (r *Reader) skipLine() error {
	for {
		if n := bytes.IndexByte(r.buf[r.from:r.to], '\n'); n >= 0 {
			r.from += n + 1
			r.line++
			return nil
		}
		r.from = r.to
		if r.ended {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

func trimBreak(text []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\r'})
}
