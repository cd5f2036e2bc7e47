package verify

import (
	"context"
	"embed"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// projection is the name of the position that covers all tables here.
const projection = "flows"

//go:embed sql/*.sql
var statements embed.FS

// Conn is the part of clickhouse-go's connection that is needed. The database
// is the connection's own.
type Conn interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// Options bound a verification.
type Options struct {
	ChunkEvents    int // events whose rows are compared at a time
	MaxDifferences int // differences that are named; all are counted
	// Progress is called after every chunk with the number of events compared,
	// when it is not nil.
	Progress func(events uint64)
}

// DefaultOptions is what Run uses.
func DefaultOptions() Options { return Options{ChunkEvents: 20_000, MaxDifferences: 100} }

// Run compares the tables with the log. The report says what differs; an
// error means that the comparison could not be made: the log or the tables
// cannot be read.
func Run(ctx context.Context, log eventlog.Reader, tables Conn) (Report, error) {
	return RunWith(ctx, log, tables, DefaultOptions())
}

// RunWith is Run with other bounds.
func RunWith(ctx context.Context, log eventlog.Reader, conn Conn, o Options) (Report, error) {
	if o.ChunkEvents < 1 || o.MaxDifferences < 0 {
		return Report{}, fmt.Errorf("verify: bounds must be positive, got %d events, %d differences", o.ChunkEvents, o.MaxDifferences)
	}
	began := time.Now()
	v := &verification{options: o, log: log, conn: conn, seen: map[*table]*tally{}, here: map[string]bool{}}
	v.report.Masses = map[string]Sum{}
	for _, t := range tables() {
		v.seen[t] = &tally{}
	}
	if err := v.run(ctx); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	for _, t := range tables() {
		n := v.seen[t]
		v.report.Tables = append(v.report.Tables, TableReport{
			Table: t.name, LogRows: n.logRows, TableRows: n.tableRows, LogDigest: n.log.String(), TableDigest: n.table.String(),
			Beyond: n.beyond, Differences: n.differences,
		})
	}
	v.report.Took = time.Since(began)
	return v.report, nil
}

// tally counts one table.
type tally struct {
	logRows, tableRows, beyond, differences uint64
	log, table                              digest
}

type verification struct {
	options Options
	log     eventlog.Reader
	conn    Conn
	report  Report
	seen    map[*table]*tally
	here    map[string]bool  // tables that can be compared
	held    map[*table][]row // rows of the tables that say how far the others are, of one moment

	rollup    rollup
	positions positions
}

// run does the steps in an order that a running system cannot upset: the
// position first, then the log's end (everything the position covers is before
// it), then rows.
func (v *verification) run(ctx context.Context) error {
	if err := v.schema(ctx); err != nil {
		return err
	}
	if err := v.hold(ctx); err != nil {
		return err
	}
	if err := v.readPositions(ctx); err != nil {
		return err
	}
	if err := v.readSegments(ctx); err != nil {
		return err
	}
	end, err := v.log.End(ctx)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	v.report.LogEnd = end.Commit
	if err := v.foldAll(ctx, end.Commit); err != nil {
		return err
	}
	if err := v.beyondLog(ctx, end.Commit); err != nil {
		return err
	}
	v.comparePositions()
	if err := v.compareSnapshot(ctx); err != nil {
		return err
	}
	return v.closeSegments(ctx, math.MaxUint64)
}

// chunk is what a span of events makes.
type chunk struct {
	after, upto uint64
	events      int
	rows        map[*table]map[string]row
}

func newChunk(after uint64) *chunk {
	c := &chunk{after: after, upto: after, rows: map[*table]map[string]row{}}
	for _, t := range rangeTables() {
		c.rows[t] = map[string]row{}
	}
	return c
}

// rangeTables are the tables whose rows belong to single events.
func rangeTables() []*table {
	return []*table{factsTable, facilitiesTable, areasTable, quarantineTable}
}

func (c *chunk) add(t *table, r row) { c.rows[t][t.keyOf(r)] = r }

// foldAll folds the log up to end, and compares chunk by chunk.
func (v *verification) foldAll(ctx context.Context, end uint64) error {
	c := newChunk(0)
	for rec, err := range v.log.ReadAll(ctx, eventlog.Position{}, followed()) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		at := rec.Position.Commit
		if at > end {
			break // came after the end was found
		}
		if c.events >= v.options.ChunkEvents && at != c.upto {
			if err := v.compareChunk(ctx, c); err != nil {
				return err
			}
			c = newChunk(c.upto)
		}
		c.events++
		c.upto = at
		if err := v.foldOne(ctx, c, rec); err != nil {
			return err
		}
	}
	c.upto = max(c.upto, end)
	return v.compareChunk(ctx, c)
}

func (v *verification) foldOne(ctx context.Context, c *chunk, rec eventlog.Recorded) error {
	at := rec.Position.Commit
	if err := v.closeSegments(ctx, at); err != nil {
		return err
	}
	out, err := fold(rec)
	if err != nil {
		c.add(quarantineTable, quarantineRow(rec))
	}
	for _, r := range out.facts {
		c.add(factsTable, r)
		if err := v.rollup.add(at, r); err != nil {
			return err
		}
	}
	for _, r := range out.facilities {
		c.add(facilitiesTable, r)
	}
	for _, r := range out.areas {
		c.add(areasTable, r)
	}
	if at > v.report.Committed {
		v.report.Ahead++
		return nil
	}
	v.report.Events++
	if err != nil {
		v.report.Quarantined++
	}
	v.positions.covers(rec, len(out.facts))
	return nil
}

// compareChunk compares the rows of a span of events in every table.
func (v *verification) compareChunk(ctx context.Context, c *chunk) error {
	for _, t := range rangeTables() {
		if err := v.compareRange(ctx, t, c.after, c.upto, c.rows[t]); err != nil {
			return err
		}
	}
	if v.options.Progress != nil {
		v.options.Progress(v.report.Events + v.report.Ahead)
	}
	return nil
}

func (v *verification) compareRange(ctx context.Context, t *table, after, upto uint64, want map[string]row) error {
	position := t.column("position")
	within := func(r row) (bool, error) {
		at, err := strconv.ParseUint(r[position], 10, 64)
		return at <= v.report.Committed, err
	}
	return v.compare(ctx, t, want, within, clickhouse.Named("after", after), clickhouse.Named("upto", upto))
}

// beyondLog looks at rows of positions after the end that the log had. Those
// that it has reached meanwhile are not compared; those beyond its end now come
// from nowhere.
func (v *verification) beyondLog(ctx context.Context, end uint64) error {
	now, err := v.log.End(ctx)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	for _, t := range rangeTables() {
		if err := v.compareRange(ctx, t, max(end, now.Commit), math.MaxUint64, map[string]row{}); err != nil {
			return err
		}
	}
	return nil
}

// compare holds the rows of a table against those wanted, by key. Rows that
// are not within the committed position must be right, and need not be there.
func (v *verification) compare(ctx context.Context, t *table, want map[string]row, within func(row) (bool, error), args ...any) error {
	if !v.here[t.name] {
		return nil
	}
	n := v.seen[t]
	err := v.read(ctx, t, args, func(got row) error {
		counts, err := within(got)
		if err != nil {
			return err
		}
		if counts {
			n.tableRows++
			n.table.add(t, got)
			v.weigh(t, got, func(s *Sum, g int64, events int64) { s.Table += mass.Grams(g); s.TableEvents += events })
		} else {
			n.beyond++
		}
		key := t.keyOf(got)
		wanted, ok := want[key]
		if !ok {
			v.differ(t, Difference{Kind: Extra, Row: t.nameOf(got)})
			return nil
		}
		delete(want, key)
		v.expect(t, wanted, counts)
		for i := range wanted {
			if wanted[i] != got[i] && !t.free[i] {
				v.differ(t, Difference{Kind: Differs, Row: t.nameOf(got), Column: t.columns[i], Want: wanted[i], Got: got[i]})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.missing(t, want, within)
}

// missing names what is wanted and was not found, in the order of keys.
func (v *verification) missing(t *table, want map[string]row, within func(row) (bool, error)) error {
	for _, wanted := range sortedRows(want) {
		counts, err := within(wanted)
		if err != nil {
			return err
		}
		if !counts {
			continue
		}
		v.expect(t, wanted, true)
		v.differ(t, Difference{Kind: Missing, Row: t.nameOf(wanted)})
	}
	return nil
}

// expect counts a row that the log makes.
func (v *verification) expect(t *table, wanted row, counts bool) {
	if !counts {
		return
	}
	v.seen[t].logRows++
	v.seen[t].log.add(t, wanted)
	v.weigh(t, wanted, func(s *Sum, g int64, events int64) { s.Log += mass.Grams(g); s.LogEvents += events })
}

// weigh adds a row of facts to the sums by measure.
func (v *verification) weigh(t *table, r row, add func(s *Sum, grams, events int64)) {
	if t != factsTable {
		return
	}
	grams, errMass := strconv.ParseInt(r[columnMass], 10, 64)
	events, errEvents := strconv.ParseInt(r[columnEvents], 10, 64)
	if errMass != nil || errEvents != nil {
		return // beyond 64 bits: the row itself is named as a difference
	}
	sum := v.report.Masses[r[columnMeasure]]
	add(&sum, grams, events)
	v.report.Masses[r[columnMeasure]] = sum
}

func (v *verification) differ(t *table, d Difference) {
	d.Table = t.name
	v.seen[t].differences++
	v.report.Count++
	if len(v.report.Differences) < v.options.MaxDifferences {
		v.report.Differences = append(v.report.Differences, d)
	}
}
