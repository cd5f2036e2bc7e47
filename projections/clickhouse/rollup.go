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
		for _, to := range bounds {
			seg := sink.Segment{From: from, To: to, Build: uuid.New()}
			if err := s.complete(ctx, &seg, fillSQL, nil); err != nil {
				return made, err
			}
			from = to
			made = append(made, seg)
			if time.Since(began) > s.cfg.RollupTime {
				return made, nil // fresh stays: the rest is for the next call
			}
		}
		merged, err := s.merge(ctx)
		made = append(made, merged...)
		if err != nil {
			return made, err
		}
		if len(bounds) < boundsAtOnce {
			return made, s.settle(ctx)
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

// merge makes the larger segments that are due.
func (s *Sink) merge(ctx context.Context) ([]sink.Segment, error) {
	var made []sink.Segment
	for {
		children := sink.NextMerge(s.rollups.segments, s.cfg.FanIn)
		if children == nil {
			return made, nil
		}
		seg := sink.Merged(children, uuid.New())
		if err := s.complete(ctx, &seg, mergeSQL, children); err != nil {
			return made, err
		}
		made = append(made, seg)
	}
}

// complete fills a segment by a statement and names its build.
func (s *Sink) complete(ctx context.Context, seg *sink.Segment, statement string, children []sink.Segment) error {
	params := clickhouse.Parameters{
		"seg_from": number(seg.From), "seg_to": number(seg.To), "build": seg.Build.String(),
	}
	counting := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"seg_to": params["seg_to"], "build": params["build"],
	}))
	if children != nil {
		builds := make([]string, len(children))
		for i, c := range children {
			builds[i] = "'" + c.Build.String() + "'"
		}
		params["children"] = "[" + strings.Join(builds, ",") + "]"
	}
	if err := s.db.conn.Exec(clickhouse.Context(ctx, clickhouse.WithParameters(params)), statement); err != nil {
		return fmt.Errorf("roll up (%d, %d]: %w", seg.From, seg.To, err)
	}
	want := seg.Facts // of the children; 0 for a segment of facts
	if err := s.db.conn.QueryRow(counting, countSQL).Scan(&seg.Rows, &seg.Facts); err != nil {
		return fmt.Errorf("count segment (%d, %d]: %w", seg.From, seg.To, err)
	}
	if children != nil && seg.Facts != want || seg.Facts == 0 {
		return fmt.Errorf("segment (%d, %d] sums up %d facts, want %d", seg.From, seg.To, seg.Facts, want)
	}
	if err := s.Insert(ctx, sink.Block{Table: segmentsTable, Rows: 1, Columns: []sink.Column{
		{Name: "seg_from", Values: []uint64{seg.From}}, {Name: "seg_to", Values: []uint64{seg.To}},
		{Name: "level", Values: []uint8{seg.Level}}, {Name: "build", Values: []uuid.UUID{seg.Build}},
		{Name: "facts", Values: []uint64{seg.Facts}}, {Name: "rows", Values: []uint64{seg.Rows}},
		{Name: "built_at", Values: []time.Time{time.Now().UTC()}},
	}}); err != nil {
		return err
	}
	s.rollups.segments = append(s.rollups.segments, *seg)
	return nil
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
