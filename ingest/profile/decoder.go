package profile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/profile/sheet"
	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// Row is one row of a file.
type Row struct {
	Line int // physical line it begins on, 1-based, the heading counted
	// Rejected says why the row is no fact; then Fact and Key are not to be used.
	Rejected []fault.Violation
	// Fact is what the row says. The external id of its identity is empty in
	// keyless files: Key and an ordinal make it.
	Fact  flow.Fact
	Key   Key   // of keyless files
	Cells Cells // what the file says where the fact says it in another form
	// Areas and Facility are what the row names for the first time in this
	// file, parents before children, also in a rejected row: whoever reads
	// must register them before this row's fact and those that follow. Now
	// and then one is given again.
	Areas    []area.Area
	Facility *facility.Facility
	// Described is the facility as this very row describes it, in every row;
	// nil when the profile does not describe facilities or the row's cells are
	// none. Rows share it: it must not be changed.
	Described *facility.Facility
}

// Decoder reads the rows of one file; for one goroutine.
type Decoder struct {
	bound  *Bound
	plan   *plan
	source io.Closer
	table  records
	ragged bool // a sheet: its rows end at the last cell that holds something
	width  int  // columns of the file's heading
	row    row

	areas      []map[string]*areaEntry // by index of plan.areas, then by raw columns
	facilities map[string]*facilityEntry
	scratch    []byte
	shown      map[string]string // column headings by path; not written after Open
	quoted     []quotedField     // the fields of Cells, in their order; not written after Open
}

// row is the record being decoded.
type row struct {
	plan      *plan
	fields    [][]byte
	numbers   []bool // which fields are stored as numbers; nil when all are text
	bad       []fault.Violation
	areas     []area.Area
	facility  *facility.Facility // the first time
	described *facility.Facility // always
}

// raw is a column's bytes, trimmed when the format says so; valid until the
// next record.
func (r *row) raw(c *column) []byte {
	if c.at < 0 {
		return nil // optional, and the file lacks it
	}
	if r.plan.trim {
		return trimSpace(r.fields[c.at])
	}
	return r.fields[c.at]
}

// violate notes a violation, each only once: two fields may share a column.
func (r *row) violate(v fault.Violation) {
	if !slices.Contains(r.bad, v) {
		r.bad = append(r.bad, v)
	}
}

// Open reads the heading of a file (packed or plain) and returns a decoder for
// its rows. Error: *fault.Fault of kind Malformed or Invalid when the file is
// not of this profile, naming headings that are unknown, missing or doubled;
// TooLarge beyond the limits; otherwise what src failed with. Close frees the
// decoder, not src.
//
// A workbook (XLSX) is told by its first bytes and read from the sheet that the
// profile names, or the first. It must be a source that is read in any order: a
// file, or anything else with ReadAt and Size.
func (b *Bound) Open(src io.Reader, limits Limits) (*Decoder, error) {
	build := &builder{doc: b.profile.doc, parameters: b.parameters}
	d := &Decoder{bound: b, plan: build.build()}
	if err := d.openTable(src, limits); err != nil {
		return nil, fileFault(err)
	}
	d.areas = make([]map[string]*areaEntry, len(d.plan.areas))
	d.row.plan = d.plan
	if err := d.heading(); err != nil {
		return nil, errors.Join(err, d.source.Close())
	}
	d.shown, d.quoted = d.plan.headings(), d.plan.quoted()
	return d, nil
}

// Close frees what the decoder holds.
func (d *Decoder) Close() error { return d.source.Close() }

// heading finds the profile's columns in the file's first record.
func (d *Decoder) heading() error {
	rec, err := d.table.Read()
	var broken *table.BrokenRecord
	switch {
	case errors.Is(err, io.EOF):
		return &fault.Fault{Kind: fault.Malformed, Detail: "the file is empty: it has no heading",
			Violations: []fault.Violation{onLine(1, flow.Violates(RuleFileEmpty, "file", "", "The first line must name the columns."))}}
	case errors.As(err, &broken):
		return &fault.Fault{Kind: fault.Malformed, Detail: "the file's heading cannot be read",
			Violations: []fault.Violation{brokenViolation(broken)}}
	case err != nil:
		return fileFault(err)
	}
	return d.match(rec)
}

// match pairs headings and columns.
func (d *Decoder) match(rec table.Record) error {
	d.width = len(rec.Fields)
	var bad []fault.Violation
	fail := func(rule, heading string) {
		bad = append(bad, onLine(rec.Line, flow.Violates(rule, fault.Clip(heading), heading, "")))
	}
	seen := map[string]bool{}
	for at, raw := range rec.Fields {
		shown := string(raw)
		name := strings.TrimSpace(shown)
		if IsResult(name) || d.ragged && name == "" {
			continue
		}
		if seen[name] {
			fail(RuleHeadingTwice, shown)
			continue
		}
		seen[name] = true
		switch c := d.plan.columns[name]; {
		case c != nil:
			c.at, c.shown = at, shown
		case !d.plan.ignored[name]:
			fail(RuleHeadingUnknown, shown)
		}
		if len(bad) >= 50 {
			break
		}
	}
	for _, name := range d.names() {
		if !seen[name] {
			fail(RuleHeadingMissing, name)
		}
	}
	if len(bad) > 0 {
		return &fault.Fault{Kind: fault.Invalid, Violations: bad,
			Detail: fmt.Sprintf("the file's headings are not those of profile %s", d.bound.profile.Name())}
	}
	return nil
}

// names lists every column that a file must have, ignored ones included: a
// file without them is another kind of file.
func (d *Decoder) names() []string {
	var names []string
	for name := range d.plan.columns {
		names = append(names, name)
	}
	for name := range d.plan.ignored {
		names = append(names, name)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return d.plan.optional[name] })
	slices.Sort(names)
	return names
}

// Next returns the next row. Errors: io.EOF at the end; *fault.Fault when the
// file itself cannot be read on (cut gzip, over the limits); otherwise what
// the source failed with. After an error there are no more rows.
func (d *Decoder) Next() (Row, error) {
	rec, err := d.table.Read()
	var broken *table.BrokenRecord
	switch {
	case errors.Is(err, io.EOF):
		return Row{}, io.EOF
	case errors.As(err, &broken):
		return Row{Line: broken.Line, Rejected: []fault.Violation{brokenViolation(broken)}}, nil
	case err != nil:
		return Row{}, fileFault(err)
	}
	if d.ragged {
		for len(rec.Fields) < d.width {
			rec.Fields = append(rec.Fields, nil)
		}
	}
	if len(rec.Fields) != d.width {
		return Row{Line: rec.Line, Rejected: []fault.Violation{onLine(rec.Line, flow.Violates(RuleColumnCount, "row",
			fmt.Sprintf("%d columns", len(rec.Fields)), fmt.Sprintf("The heading has %d.", d.width)))}}, nil
	}
	r := &d.row
	r.fields, r.numbers, r.bad, r.areas, r.facility, r.described = rec.Fields, rec.Numbers, nil, nil, nil, nil
	out := Row{Line: rec.Line, Fact: d.fact(r)}
	out.Areas, out.Facility, out.Described = r.areas, r.facility, r.described
	if len(r.bad) > 0 {
		return d.rejected(out), nil
	}
	out.Fact.Identity = flow.Identity{Reporter: d.bound.Reporter(), Source: d.bound.Source()}
	if d.plan.keyless {
		out.Key = d.key(r, &out.Fact)
	} else {
		out.Fact.Identity.ExternalID = d.externalID(r, out.Fact.When.Occurred)
		if len(r.bad) > 0 {
			return d.rejected(out), nil
		}
	}
	out.Cells = d.cells(r)
	return out, nil
}

// rejected turns a row into one that is no fact, for what stands in d.row.bad.
func (d *Decoder) rejected(out Row) Row {
	out.Rejected, out.Fact = d.row.bad, flow.Fact{}
	for i := range out.Rejected {
		out.Rejected[i].Line = out.Line
	}
	return out
}

func onLine(line int, v fault.Violation) fault.Violation {
	v.Line = line
	return v
}

func brokenViolation(b *table.BrokenRecord) fault.Violation {
	return onLine(b.Line, flow.Violates(b.Rule, "row", b.Value, b.Reason))
}

// fileFault says what is wrong with a file that cannot be unpacked or read.
func fileFault(err error) error {
	var large *table.TooLarge
	var book *sheet.Broken
	var f *fault.Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &large):
		return &fault.Fault{Kind: fault.TooLarge, Detail: large.Error(), Cause: err,
			Violations: []fault.Violation{flow.Violates(large.Rule, "file", "", large.Allowed())}}
	case errors.As(err, &book):
		return &fault.Fault{Kind: fault.Malformed, Detail: book.Reason, Cause: err,
			Violations: []fault.Violation{flow.Violates(RuleWorkbook, "file", "", fault.Clip(err.Error()))}}
	case table.IsPacking(err):
		return &fault.Fault{Kind: fault.Malformed, Detail: "the compressed file is damaged or cut short", Cause: err,
			Violations: []fault.Violation{flow.Violates(RuleFileDamaged, "file", "", "")}}
	}
	return fmt.Errorf("read file: %w", err)
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
