package profile

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/profile/sheet"
	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// records are the rows of a file, whatever its format.
type records interface {
	// Read returns the next record, with the errors of table.Reader.
	Read() (table.Record, error)
}

// sized is a source that can be read in any order.
type sized interface {
	io.ReaderAt
	Size() int64
}

// ResultPrefix begins the headings of the columns that a returned file carries
// (Annotate). They are of no profile and are never looked at when a file comes
// back.
const ResultPrefix = "stofstrom:"

// IsResult tells whether a heading is of a column that this program added.
func IsResult(heading string) bool {
	heading = strings.TrimSpace(heading)
	return len(heading) >= len(ResultPrefix) && strings.EqualFold(heading[:len(ResultPrefix)], ResultPrefix)
}

// beginning reads the first bytes of a source that is read in any order.
func beginning(src io.ReaderAt) ([]byte, error) {
	head := make([]byte, 4)
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return head[:n], nil
}

// IsWorkbook tells whether a file is read as a workbook.
func IsWorkbook(src io.ReaderAt) (bool, error) {
	head, err := beginning(src)
	return sheet.IsWorkbook(head), err
}

// workbook tells whether a source is a workbook.
func workbook(src io.Reader) (book sized, is bool, err error) {
	book, ok := src.(sized)
	if !ok {
		return nil, false, nil
	}
	head, err := beginning(book)
	return book, sheet.IsWorkbook(head), err
}

// openTable opens what is below the rows: a sheet, or text in lines.
func (d *Decoder) openTable(src io.Reader, limits Limits) error {
	book, is, err := workbook(src)
	if err != nil {
		return err
	}
	if is {
		rows, err := sheet.Open(book, book.Size(), d.plan.sheet, limits.Sheet)
		if err != nil {
			return err
		}
		d.source, d.table, d.ragged = rows, rows, true
		d.plan.fact.date1904 = rows.Date1904()
		return nil
	}
	packed, err := table.Unpack(src, limits.Unpack)
	if err != nil {
		return err
	}
	plain := bufio.NewReader(packed)
	head, err := plain.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(err, packed.Close())
	}
	if why := notText(head); why != "" {
		return errors.Join(fault.New(fault.Malformed, "%s", why), packed.Close())
	}
	d.source, d.table = packed, table.NewReader(d.plan.decoded(plain), d.plan.comma, limits.Record)
	return nil
}

// notText says what must be done with a file that is no text.
func notText(head []byte) string {
	switch {
	case sheet.IsOld(head):
		return "the file is a workbook of the old format; save it as .xlsx or as CSV"
	case sheet.IsWorkbook(head):
		return "the workbook is compressed once more; send it as it is"
	}
	return ""
}

// decoded gives text in UTF-8.
func (p *plan) decoded(src io.Reader) io.Reader {
	switch {
	case p.detect:
		return detect(src, p.charset)
	case p.charset != nil:
		return p.charset.NewDecoder().Reader(src)
	}
	return src
}

// isNumber tells whether a field is stored as a number.
func (r *row) isNumber(c *column) bool {
	return c.at >= 0 && c.at < len(r.numbers) && r.numbers[c.at]
}

// clock is the text of one column of the time. A day or an hour that a
// workbook stores as a number is written as the profile's layout says, so that
// it is read like any other.
func (p *factPlan) clock(r *row, i int) string {
	c := p.occurred[i]
	raw := string(r.raw(c))
	if !r.isNumber(c) {
		return raw
	}
	layout := p.layout
	if parts := strings.Split(layout, " "); len(parts) == len(p.occurred) {
		layout = parts[i]
	} else if len(p.occurred) > 1 {
		return raw
	}
	t, ok := ofSerial(raw, p.date1904)
	if !ok {
		return raw
	}
	return t.Format(layout)
}

// ofSerial is the time on the wall that a workbook stores as days since the
// end of 1899, or since 1904; to the nearest second, which is finer than what
// fifteen digits hold. The day that 1900 did not have (60) is none.
func ofSerial(text string, from1904 bool) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	days, ok := digits(whole, 7)
	if !ok {
		return time.Time{}, false
	}
	base := time.Date(1899, time.December, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case from1904:
		base = time.Date(1904, time.January, 1, 0, 0, 0, 0, time.UTC)
	case days == 60:
		return time.Time{}, false
	case days > 0 && days < 60:
		base = base.AddDate(0, 0, 1)
	}
	// Of the fraction nine digits are enough: a ten-thousandth of a second.
	fraction = (fraction + "000000000")[:9]
	billionths, ok := digits(fraction, 9)
	if !ok {
		return time.Time{}, false
	}
	seconds := (billionths*86_400 + 500_000_000) / 1_000_000_000
	return base.AddDate(0, 0, int(days)).Add(time.Duration(seconds) * time.Second), true
}

func digits(s string, most int) (n int64, ok bool) {
	if s == "" || len(s) > most {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}
