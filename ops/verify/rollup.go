package verify

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// rollup folds facts into the segments that the tables say are complete.
type rollup struct {
	all     []*segment // by beginning, then by end
	pending []*segment // those of all that begin at or after the position reached
	open    []*segment // those that the position reached lies in, or that wait to be compared
}

// segment is a range of positions (from, to] and what the log makes of it.
type segment struct {
	named    row
	from, to uint64
	facts    uint64
	sums     map[string]*sum
}

type sum struct {
	dims                 row // from measure to method
	grams, events, facts int64
}

// Columns of a fact that the rollup keeps apart, before the days and after.
var (
	dimsBefore = factColumnsOf("measure", "kind", "year", "month", "period")
	dimsAfter  = factColumnsOf("origin_area", "target_area", "facility", "sector", "site_category", "waste_code", "fraction", "operation", "fate", "method")
	columnKind = factsTable.column("kind")
	columnOn   = factsTable.column("occurred_on")
	columnTo   = factsTable.column("until_on")
)

func factColumnsOf(names ...string) []int {
	columns := make([]int, len(names))
	for i, name := range names {
		columns[i] = factsTable.column(name)
	}
	return columns
}

// readSegments reads which segments there are, and checks that they nest.
func (v *verification) readSegments(ctx context.Context) error {
	if !v.here[segmentsTable.name] {
		return nil
	}
	var enclosing []*segment // those that the next one may lie in
	err := v.read(ctx, segmentsTable, nil, func(r row) error {
		from, errFrom := strconv.ParseUint(r[0], 10, 64)
		to, errTo := strconv.ParseUint(r[1], 10, 64)
		if errFrom != nil || errTo != nil {
			return fmt.Errorf("segment from %q to %q", r[0], r[1])
		}
		v.rollup.all = append(v.rollup.all, &segment{named: r, from: from, to: to, sums: map[string]*sum{}})
		enclosing = slices.DeleteFunc(enclosing, func(e *segment) bool { return e.to <= from })
		// They come by beginning, then by end: one that begins inside an
		// earlier one must end inside it.
		for _, e := range enclosing {
			if from > e.from && to > e.to {
				v.differ(segmentsTable, Difference{Kind: Extra, Row: fmt.Sprintf("%s, which overlaps seg_from %d, seg_to %d", segmentsTable.nameOf(r), e.from, e.to)})
			}
		}
		if from >= to {
			v.differ(segmentsTable, Difference{Kind: Extra, Row: segmentsTable.nameOf(r) + ", which is empty"})
		}
		enclosing = append(enclosing, v.rollup.all[len(v.rollup.all)-1])
		return nil
	})
	v.rollup.pending = v.rollup.all
	return err
}

// cover picks the segments that readers sum up: from 0 on, always the widest
// that begins where the last one ended, none beyond the committed position.
func (u *rollup) cover(committed uint64) (watermark uint64, builds []string) {
	widest := map[uint64]*segment{}
	for _, s := range u.all {
		if s.to <= committed && s.to > s.from && (widest[s.from] == nil || s.to > widest[s.from].to) {
			widest[s.from] = s
		}
	}
	for s := widest[0]; s != nil; s = widest[watermark] {
		watermark, builds = s.to, append(builds, s.named[3])
	}
	slices.Sort(builds)
	return watermark, builds
}

// add sums a fact up in every segment it lies in.
func (u *rollup) add(position uint64, fact row) error {
	for len(u.pending) > 0 && u.pending[0].from < position {
		u.open = append(u.open, u.pending[0])
		u.pending = u.pending[1:]
	}
	var dims row
	var key string
	for _, s := range u.open {
		if position <= s.from || position > s.to {
			continue
		}
		if dims == nil {
			var err error
			if dims, err = dimsOf(fact); err != nil {
				return err
			}
			key = list(dims)
		}
		into, ok := s.sums[key]
		if !ok {
			into = &sum{dims: dims}
			s.sums[key] = into
		}
		grams, errMass := strconv.ParseInt(fact[columnMass], 10, 64)
		events, errEvents := strconv.ParseInt(fact[columnEvents], 10, 64)
		if errMass != nil || errEvents != nil || grams > 0 && into.grams > math.MaxInt64-grams || grams < 0 && into.grams < math.MinInt64-grams {
			return fmt.Errorf("sum of position %d does not fit in 64 bits of grams", position)
		}
		into.grams += grams
		into.events += events
		into.facts++
		s.facts++
	}
	return nil
}

// dimsOf is what the rollup keeps of a fact, with its days widened to months
// unless it is a period total.
func dimsOf(fact row) (row, error) {
	dims := make(row, 0, len(dimsBefore)+2+len(dimsAfter))
	for _, i := range dimsBefore {
		dims = append(dims, fact[i])
	}
	from, until := fact[columnOn], fact[columnTo]
	if fact[columnKind] != "period_reported" {
		month, err := time.Parse("2006-01", from[:7])
		if err != nil {
			return nil, fmt.Errorf("month of a fact: %w", err)
		}
		from, until = month.Format(time.DateOnly), month.AddDate(0, 1, 0).Format(time.DateOnly)
	}
	dims = append(dims, from, until)
	for _, i := range dimsAfter {
		dims = append(dims, fact[i])
	}
	return dims, nil
}

// closeSegments compares the segments that end before a position and forgets
// them.
func (v *verification) closeSegments(ctx context.Context, before uint64) error {
	if before == math.MaxUint64 { // the end: everything is compared, begun or not
		v.rollup.open = append(v.rollup.open, v.rollup.pending...)
		v.rollup.pending = nil
	}
	kept := v.rollup.open[:0]
	for _, s := range v.rollup.open {
		if s.to >= before && before != math.MaxUint64 {
			kept = append(kept, s)
			continue
		}
		if err := v.compareSegment(ctx, s); err != nil {
			return err
		}
		s.sums = nil
	}
	v.rollup.open = kept
	return nil
}

func (v *verification) compareSegment(ctx context.Context, s *segment) error {
	t := segmentsTable
	n := v.seen[t]
	want := append(row{}, s.named...)
	want[4], want[5] = number(s.facts), strconv.Itoa(len(s.sums))
	n.logRows++
	n.tableRows++
	n.log.add(t, want)
	n.table.add(t, s.named)
	if s.to > v.report.Committed {
		v.differ(t, Difference{Kind: Extra, Row: t.nameOf(s.named) + fmt.Sprintf(", which ends after the committed position %d", v.report.Committed)})
	}
	for i := range want {
		if want[i] != s.named[i] {
			v.differ(t, Difference{Kind: Differs, Row: t.nameOf(want), Column: t.columns[i], Want: want[i], Got: s.named[i]})
		}
	}
	rows := map[string]row{}
	build := s.named[3]
	for _, sum := range s.sums {
		r := append(row{s.named[0], s.named[1], build}, sum.dims...)
		r = append(r, number(sum.grams), number(sum.events), number(sum.facts))
		rows[rollupTable.keyOf(r)] = r
	}
	all := func(row) (bool, error) { return true, nil }
	return v.compare(ctx, rollupTable, rows, all, clickhouse.Named("seg_to", s.to), clickhouse.Named("build", build))
}

// compareSnapshot compares the view that readers ask before they read.
func (v *verification) compareSnapshot(ctx context.Context) error {
	t := snapshotTable
	if !v.here[t.name] {
		return nil
	}
	watermark, builds := v.rollup.cover(v.report.Committed)
	want := row{number(v.report.Committed), "0", instant(time.UnixMilli(0)), number(watermark), list(builds)}
	for _, r := range v.positions.rows {
		if r[0] == projection {
			want[1], want[2] = r[2], r[3]
		}
	}
	one := map[string]row{t.keyOf(want): want}
	return v.compare(ctx, t, one, func(row) (bool, error) { return true, nil })
}
