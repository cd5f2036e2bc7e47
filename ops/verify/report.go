package verify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stofstrom/stofstrom/domain/mass"
)

// Kind is a kind of difference.
type Kind string

// The kinds of difference.
const (
	Missing Kind = "missing" // the log makes it, the table does not hold it
	Extra   Kind = "extra"   // the table holds it, the log does not make it
	Differs Kind = "differs" // both have the row, and not the same value
)

// Difference is one place where a table is not what the log makes of it.
type Difference struct {
	Table  string
	Kind   Kind
	Row    string // its key, as "position 7, leg 0"
	Column string // of Differs
	Want   string // what the log makes, of Differs
	Got    string // what the table holds, of Differs
}

// String writes a difference on one line.
func (d Difference) String() string {
	if d.Kind == Differs {
		return fmt.Sprintf("%s: %s: %s differs: the log makes %q, the table holds %q", d.Table, d.Row, d.Column, short(d.Want), short(d.Got))
	}
	return fmt.Sprintf("%s: %s: %s", d.Table, d.Row, d.Kind)
}

func short(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// TableReport says what was compared of one table.
type TableReport struct {
	Table       string
	LogRows     uint64 // that the log makes, up to the committed position
	TableRows   uint64 // that the table holds, up to there
	LogDigest   string // of the rows, in any order; equal when the rows are equal
	TableDigest string
	Beyond      uint64 // rows beyond the committed position: compared, need not be complete
	Differences uint64
}

// Sum is the mass of one measure on both sides.
type Sum struct {
	Log, Table             mass.Grams
	LogEvents, TableEvents int64
}

// Report is the outcome of a verification.
type Report struct {
	Committed   uint64         // position up to which everything must be in the tables
	LogEnd      uint64         // position of the log's end
	Events      uint64         // followed events up to Committed
	Ahead       uint64         // followed events after it: not yet in the tables
	Quarantined uint64         // of Events, how many make no rows
	Tables      []TableReport  // in a fixed order
	Masses      map[string]Sum // by measure, from flow_facts
	Differences []Difference   // the first ones; Count counts all
	Count       uint64
	Took        time.Duration
}

// OK tells whether the tables are exactly what the log makes of them.
func (r Report) OK() bool { return r.Count == 0 }

// Write prints the report for people.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "log: %d events up to the committed position %d", r.Events, r.Committed)
	if r.Quarantined > 0 {
		fmt.Fprintf(&b, ", %d of them in quarantine", r.Quarantined)
	}
	fmt.Fprintf(&b, "; %d more up to its end at %d\n\n", r.Ahead, r.LogEnd)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "table\trows by the log\trows in the table\tbeyond\tdifferences\tdigest by the log\tof the table\t\n")
	for _, table := range r.Tables {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.16s\t%.16s\t\n", table.Table, table.LogRows, table.TableRows, table.Beyond, table.Differences, table.LogDigest, table.TableDigest)
	}
	fmt.Fprint(t, "\t\t\t\t\t\t\t\nmeasure\ttonnes by the log\ttonnes in the table\t\t\tevents by the log\tin the table\t\n")
	for _, measure := range slices.Sorted(maps.Keys(r.Masses)) {
		sum := r.Masses[measure]
		fmt.Fprintf(t, "%s\t%s\t%s\t\t\t%d\t%d\t\n", measure, sum.Log.Tonnes(), sum.Table.Tonnes(), sum.LogEvents, sum.TableEvents)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	b.WriteByte('\n')
	for _, d := range r.Differences {
		b.WriteString(d.String() + "\n")
	}
	if hidden := r.Count - uint64(len(r.Differences)); hidden > 0 {
		fmt.Fprintf(&b, "… and %d more differences\n", hidden)
	}
	if r.OK() {
		fmt.Fprintf(&b, "no difference (%s)\n", r.Took.Round(time.Millisecond))
	} else {
		fmt.Fprintf(&b, "%d differences (%s)\n", r.Count, r.Took.Round(time.Millisecond))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}
