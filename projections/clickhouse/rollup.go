package clickhouse

import (
	"context"
	_ "embed" // the statements
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/projections/sink"
)

// The statements of the rollup.
var (
	//go:embed sql/rollup_bounds.sql
	boundsSQL string
	//go:embed sql/rollup_fill.sql
	fillSQL string
	//go:embed sql/rollup_merge.sql
	mergeSQL string
	//go:embed sql/rollup_count.sql
	countSQL string
)

// rollupState is what Rollup remembers between calls. It only saves questions:
// everything in it can be read from the tables, and another writer may have
// gone further meanwhile without harm.
type rollupState struct {
	loaded   bool
	segments []sink.Segment
	fresh    atomic.Int64 // events above the rollup when last counted, and rows inserted since: at least the events there are
}

// inserted notes facts that a next segment may be made of.
func (st *rollupState) inserted(b sink.Block) {
	if b.Table == factsTable {
		st.fresh.Add(int64(b.Rows))
	}
}

const (
	factsTable    = "flow_facts"
	segmentsTable = "rollup_segments"
	boundsAtOnce  = 64
)

// Rollup implements sink.Sink. Each attempt writes under a build id of its
// own and is named in rollup_segments only when it is known to be complete:
// what a failed attempt left behind, or leaves behind later, nobody reads.
func (s *Sink) Rollup(ctx context.Context, committed uint64) ([]sink.Segment, error) {
	st := &s.rollups
	if !st.loaded {
		segments, err := s.segments(ctx)
		if err != nil {
			return nil, err
		}
		st.segments, st.loaded = segments, true
		st.fresh.Store(int64(s.cfg.SegmentEvents)) // not known: ask once
	}
	// An event has at least one row, so that fewer rows cannot make a segment.
	if committed == 0 || st.fresh.Load() < int64(s.cfg.SegmentEvents) {
		return nil, nil
	}
	began := time.Now()
	var made []sink.Segment
	for {
		from := sink.End(st.segments, 0)
		bounds, err := s.bounds(ctx, from, committed)
		if err != nil {
			return made, err
		}
		filled, err := s.fill(ctx, from, bounds)
		made = append(made, filled...)
		if err != nil {
			return made, err
		}
		merged, err := s.merge(ctx)
		made = append(made, merged...)
		switch {
		case err != nil:
			return made, err
		case len(bounds) < boundsAtOnce:
			return made, s.settle(ctx)
		case time.Since(began) > s.cfg.RollupTime:
			return made, nil // fresh stays: the rest is for the next call
		}
	}
}

// settle counts again what is left for a next segment.
func (s *Sink) settle(ctx context.Context) error {
	var left uint64
	if err := s.db.conn.QueryRow(ctx, "SELECT count(DISTINCT position) FROM flow_facts WHERE position > ?",
		sink.End(s.rollups.segments, 0)).Scan(&left); err != nil {
		return fmt.Errorf("count facts above the rollup: %w", err)
	}
	s.rollups.fresh.Store(int64(left)) //nolint:gosec // a count of rows
	return nil
}

// fill makes consecutive segments out of facts, by one statement.
func (s *Sink) fill(ctx context.Context, from uint64, bounds []uint64) ([]sink.Segment, error) {
	if len(bounds) == 0 {
		return nil, nil
	}
	after := from
	segments := make([]sink.Segment, len(bounds))
	ends := make([]string, len(bounds))
	for i, to := range bounds {
		segments[i] = sink.Segment{From: from, To: to, Build: uuid.New()}
		ends[i] = number(to)
		from = to
	}
	if err := s.db.conn.Exec(clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"after": number(after), "last": number(from), "bounds": "[" + strings.Join(ends, ",") + "]", "builds": builds(segments),
	})), fillSQL); err != nil {
		return nil, fmt.Errorf("roll up (%d, %d]: %w", after, from, err)
	}
	return segments, s.complete(ctx, segments, nil)
}

// merge makes the larger segments that are due.
func (s *Sink) merge(ctx context.Context) ([]sink.Segment, error) {
	var made []sink.Segment
	for {
		children := sink.NextMerge(s.rollups.segments, s.cfg.FanIn)
		if children == nil {
			return made, nil
		}
		seg := []sink.Segment{sink.Merged(children, uuid.New())}
		if err := s.db.conn.Exec(clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
			"after": number(seg[0].From), "last": number(seg[0].To), "build": seg[0].Build.String(), "children": builds(children),
		})), mergeSQL); err != nil {
			return made, fmt.Errorf("merge (%d, %d]: %w", seg[0].From, seg[0].To, err)
		}
		if err := s.complete(ctx, seg, children); err != nil {
			return made, err
		}
		made = append(made, seg...)
	}
}

// complete counts what the builds of segments hold, and names them: readers
// take them from now on.
func (s *Sink) complete(ctx context.Context, segments, children []sink.Segment) error {
	after, last := segments[0].From, segments[len(segments)-1].To
	counts, err := s.counts(ctx, after, last, segments)
	if err != nil {
		return fmt.Errorf("count segments in (%d, %d]: %w", after, last, err)
	}
	n := len(segments)
	var (
		from, to, facts, rows = make([]uint64, n), make([]uint64, n), make([]uint64, n), make([]uint64, n)
		level                 = make([]uint8, n)
		build                 = make([]uuid.UUID, n)
		at                    = make([]time.Time, n)
	)
	for i := range segments {
		seg := &segments[i]
		found := counts[seg.Build]
		if found.Facts == 0 || children != nil && found.Facts != seg.Facts {
			return fmt.Errorf("segment (%d, %d] sums up %d facts, want %d", seg.From, seg.To, found.Facts, seg.Facts)
		}
		seg.Facts, seg.Rows = found.Facts, found.Rows
		from[i], to[i], facts[i], rows[i], level[i], build[i], at[i] =
			seg.From, seg.To, seg.Facts, seg.Rows, seg.Level, seg.Build, time.Now().UTC()
	}
	if err := s.Insert(ctx, sink.Block{Table: segmentsTable, Rows: n, Columns: []sink.Column{
		{Name: "seg_from", Values: from}, {Name: "seg_to", Values: to}, {Name: "level", Values: level}, {Name: "build", Values: build},
		{Name: "facts", Values: facts}, {Name: "rows", Values: rows}, {Name: "built_at", Values: at},
	}}); err != nil {
		return err
	}
	s.rollups.segments = append(s.rollups.segments, segments...)
	return nil
}

func (s *Sink) counts(ctx context.Context, after, last uint64, segments []sink.Segment) (counts map[uuid.UUID]sink.Segment, err error) {
	rows, err := s.db.conn.Query(clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"after": number(after), "last": number(last), "builds": builds(segments),
	})), countSQL)
	if err != nil {
		return nil, err
	}
	defer closeRows(rows, &err)
	counts = map[uuid.UUID]sink.Segment{}
	for rows.Next() {
		var (
			build uuid.UUID
			seg   sink.Segment
		)
		if err := rows.Scan(&build, &seg.Rows, &seg.Facts); err != nil {
			return nil, err
		}
		counts[build] = seg
	}
	return counts, rows.Err()
}

// builds writes the builds of segments as an array of UUIDs.
func builds(segments []sink.Segment) string {
	ids := make([]string, len(segments))
	for i, seg := range segments {
		ids[i] = "'" + seg.Build.String() + "'"
	}
	return "[" + strings.Join(ids, ",") + "]"
}

// segments reads the segments that are complete.
func (s *Sink) segments(ctx context.Context) (all []sink.Segment, err error) {
	rows, err := s.db.conn.Query(ctx, "SELECT seg_from, seg_to, level, build, facts, rows FROM rollup_segments FINAL ORDER BY level, seg_to")
	if err != nil {
		return nil, fmt.Errorf("read rollup segments: %w", err)
	}
	defer closeRows(rows, &err)
	for rows.Next() {
		var seg sink.Segment
		if err := rows.Scan(&seg.From, &seg.To, &seg.Level, &seg.Build, &seg.Facts, &seg.Rows); err != nil {
			return nil, err
		}
		all = append(all, seg)
	}
	return all, rows.Err()
}

// bounds asks where the next whole segments end.
func (s *Sink) bounds(ctx context.Context, after, committed uint64) (bounds []uint64, err error) {
	rows, err := s.db.conn.Query(clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"after": number(after), "committed": number(committed),
		"size": strconv.Itoa(s.cfg.SegmentEvents), "most": strconv.Itoa(boundsAtOnce),
	})), boundsSQL)
	if err != nil {
		return nil, fmt.Errorf("find bounds of segments: %w", err)
	}
	defer closeRows(rows, &err)
	for rows.Next() {
		var b uint64
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		bounds = append(bounds, b)
	}
	return bounds, rows.Err()
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
