package sink

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// Schema tells a Memory what it must know of its tables.
type Schema struct {
	Keys          map[string][]string // key columns by table
	Facts         string              // the table that is rolled up, with columns position, mass_t and events
	Dims          []string            // columns of it that sums keep apart
	SegmentEvents int                 // events that hold facts in a segment of level 0
	FanIn         int                 // segments that a segment of the next level sums up
}

// Memory is a Sink in memory, with the same laws as the real one. It is safe
// for concurrent use.
type Memory struct {
	schema Schema

	mu        sync.Mutex                           // guards all below
	tables    map[string]map[string]map[string]any // table → key → row
	positions map[string]Position                  // by projection
	segments  []Segment                            // complete ones
	sums      map[uuid.UUID]map[string]Sum         // by build, then dimensions joined
}

// Sum is what a rollup keeps of facts that agree in all dimensions.
type Sum struct {
	Row    map[string]any // the dimensions
	Grams  int64
	Events int64
	Facts  uint64
}

// NewMemory returns an empty Memory.
func NewMemory(s Schema) *Memory {
	return &Memory{
		schema:    s,
		tables:    map[string]map[string]map[string]any{},
		positions: map[string]Position{},
		sums:      map[uuid.UUID]map[string]Sum{},
	}
}

var _ Sink = (*Memory)(nil)

// Position implements Sink.
func (m *Memory) Position(ctx context.Context, projection string) (Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.positions[projection], ctx.Err()
}

// Check implements Sink.
func (m *Memory) Check(ctx context.Context, p Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found uint64
	for _, row := range m.tables[m.schema.Facts] {
		if position, ok := row["position"].(uint64); ok && position <= p.Log.Commit {
			found++
		}
	}
	if found < p.Facts {
		return &LostFacts{Commit: p.Log.Commit, Want: p.Facts, Found: found}
	}
	return ctx.Err()
}

// Insert implements Sink.
func (m *Memory) Insert(ctx context.Context, b Block) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.Validate(); err != nil {
		return err
	}
	b = b.Clone()
	m.mu.Lock()
	defer m.mu.Unlock()
	keys, ok := m.schema.Keys[b.Table]
	if !ok {
		return fmt.Errorf("table %s does not exist", b.Table)
	}
	table := m.tables[b.Table]
	if table == nil {
		table = map[string]map[string]any{}
		m.tables[b.Table] = table
	}
	for i := range b.Rows {
		row := b.Row(i)
		table[join(row, keys)] = row
	}
	return nil
}

// Move implements Sink.
func (m *Memory) Move(ctx context.Context, projection string, p Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Log.Compare(m.positions[projection].Log) >= 0 {
		m.positions[projection] = p
	}
	return nil
}

// Rollup implements Sink.
func (m *Memory) Rollup(ctx context.Context, committed uint64) ([]Segment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var made []Segment
	for {
		from := End(m.segments, 0)
		to, ok := m.bound(from, committed)
		if !ok {
			break
		}
		seg := Segment{From: from, To: to, Build: uuid.New()}
		sums := m.fold(from, to)
		for _, s := range sums {
			seg.Facts += s.Facts
		}
		seg.Rows = uint64(len(sums))
		m.sums[seg.Build] = sums
		m.segments = append(m.segments, seg)
		made = append(made, seg)
	}
	for {
		children := NextMerge(m.segments, m.schema.FanIn)
		if children == nil {
			return made, nil
		}
		seg := Merged(children, uuid.New())
		sums := map[string]Sum{}
		for _, c := range children {
			for key, s := range m.sums[c.Build] {
				t := sums[key]
				sums[key] = Sum{Row: s.Row, Grams: t.Grams + s.Grams, Events: t.Events + s.Events, Facts: t.Facts + s.Facts}
			}
		}
		seg.Rows = uint64(len(sums))
		m.sums[seg.Build] = sums
		m.segments = append(m.segments, seg)
		made = append(made, seg)
	}
}

// bound is the position of the SegmentEvents-th event with facts after from,
// if it is committed.
func (m *Memory) bound(from, committed uint64) (to uint64, ok bool) {
	seen := map[uint64]bool{}
	for _, row := range m.tables[m.schema.Facts] {
		if position, isPosition := row["position"].(uint64); isPosition && position > from && position <= committed {
			seen[position] = true
		}
	}
	if m.schema.SegmentEvents < 1 || len(seen) < m.schema.SegmentEvents {
		return 0, false
	}
	positions := make([]uint64, 0, len(seen))
	for position := range seen {
		positions = append(positions, position)
	}
	slices.Sort(positions)
	return positions[m.schema.SegmentEvents-1], true
}

// fold sums up the facts in (from, to].
func (m *Memory) fold(from, to uint64) map[string]Sum {
	sums := map[string]Sum{}
	for _, row := range m.tables[m.schema.Facts] {
		position, _ := row["position"].(uint64)
		if position <= from || position > to {
			continue
		}
		key := join(row, m.schema.Dims)
		s := sums[key]
		if s.Row == nil {
			s.Row = map[string]any{}
			for _, d := range m.schema.Dims {
				s.Row[d] = row[d]
			}
		}
		mass, _ := row["mass_t"].(int64)
		events, _ := row["events"].(int8)
		s.Grams += mass
		s.Events += int64(events)
		s.Facts++
		sums[key] = s
	}
	return sums
}

// Cover tells the segments that readers take up to a position.
func (m *Memory) Cover(committed uint64) []Segment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Cover(m.segments, committed)
}

// Built returns the sums of a build.
func (m *Memory) Built(build uuid.UUID) []Sum {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.sums[build]))
}

// Fold sums up the facts with positions in (from, to].
func (m *Memory) Fold(from, to uint64) []Sum {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.fold(from, to)))
}

// Rows returns the rows of a table, in no order.
func (m *Memory) Rows(table string) []map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := make([]map[string]any, 0, len(m.tables[table]))
	for _, row := range m.tables[table] {
		rows = append(rows, row)
	}
	return rows
}

// Hide makes a table missing until restore is called.
func (m *Memory) Hide(table string) (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := m.schema.Keys[table]
	delete(m.schema.Keys, table)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.schema.Keys[table] = keys
	}
}

// Drop empties a table, as a power cut or an operator might.
func (m *Memory) Drop(table string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tables, table)
}

func join(row map[string]any, columns []string) string {
	var b strings.Builder
	for _, c := range columns {
		s := fmt.Sprint(row[c])
		fmt.Fprintf(&b, "%d:%s", len(s), s)
	}
	return b.String()
}
