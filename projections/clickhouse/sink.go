package clickhouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"github.com/stofstrom/stofstrom/projections/sink"
)

// SinkConfig are the measures of the rollup. They may change at any time:
// segments that are there stay as they are.
type SinkConfig struct {
	SegmentEvents int           // events with facts in a segment; default 8,192
	FanIn         int           // segments that the next larger one sums up; default 16
	RollupTime    time.Duration // after which a Rollup leaves further segments to the next; default 5 s
}

// Sink is a sink.Sink on a migrated database.
type Sink struct {
	db  *DB
	cfg SinkConfig

	mu      sync.Mutex                                // guards types
	types   map[string][]clickhouse.ColumnNameAndType // of the tables inserted into, by table
	rollups rollupState                               // of Rollup, which has one caller at a time
}

var _ sink.Sink = (*Sink)(nil)

// NewSink returns the sink of a database.
func NewSink(db *DB, cfg SinkConfig) *Sink {
	if cfg.SegmentEvents <= 0 {
		cfg.SegmentEvents = 8192
	}
	if cfg.FanIn <= 1 {
		cfg.FanIn = 16
	}
	if cfg.RollupTime <= 0 {
		cfg.RollupTime = 5 * time.Second
	}
	return &Sink{db: db, cfg: cfg, types: map[string][]clickhouse.ColumnNameAndType{}}
}

// Position implements sink.Sink.
func (s *Sink) Position(ctx context.Context, projection string) (sink.Position, error) {
	var p sink.Position
	err := s.db.conn.QueryRow(ctx, `SELECT commit, prepare, recorded_at, events, facts, epoch, flushed_at
		FROM projection_positions WHERE projection = ? ORDER BY commit DESC, prepare DESC LIMIT 1`, projection).
		Scan(&p.Log.Commit, &p.Log.Prepare, &p.RecordedAt, &p.Events, &p.Facts, &p.Epoch, &p.FlushedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return sink.Position{}, nil
	}
	if err != nil {
		return sink.Position{}, fmt.Errorf("read position of %s: %w", projection, err)
	}
	if p.RecordedAt.Unix() == 0 {
		p.RecordedAt = time.Time{}
	}
	return p, nil
}

// Check implements sink.Sink.
func (s *Sink) Check(ctx context.Context, p sink.Position) error {
	if p.Facts == 0 {
		return nil
	}
	var found uint64
	if err := s.db.conn.QueryRow(ctx, "SELECT count() FROM flow_facts FINAL WHERE position <= ?", p.Log.Commit).Scan(&found); err != nil {
		return fmt.Errorf("count facts: %w", err)
	}
	if found < p.Facts {
		return &sink.LostFacts{Commit: p.Log.Commit, Want: p.Facts, Found: found}
	}
	return nil
}

// Insert implements sink.Sink: one block, one INSERT, one part.
func (s *Sink) Insert(ctx context.Context, b sink.Block) error {
	if err := s.insert(ctx, b); err != nil {
		s.mu.Lock()
		delete(s.types, b.Table) // they may have changed under us
		s.mu.Unlock()
		return fmt.Errorf("insert %d rows into %s: %w", b.Rows, b.Table, err)
	}
	s.rollups.inserted(b)
	return nil
}

func (s *Sink) insert(ctx context.Context, b sink.Block) (err error) {
	types, err := s.columnTypes(ctx, b)
	if err != nil {
		return err
	}
	names := make([]string, len(b.Columns))
	for i, c := range b.Columns {
		names[i] = quote(c.Name)
	}
	batch, err := s.db.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(types)),
		"INSERT INTO "+b.Table+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return err
	}
	defer func() {
		if !batch.IsSent() {
			err = errors.Join(err, batch.Abort())
		}
	}()
	for i, c := range b.Columns {
		if err := batch.Column(i).Append(values(c.Values)); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return batch.Send()
}

// values turns what the driver does not know into what it does.
func values(v any) any {
	millionths, ok := v.(sink.Millionths)
	if !ok {
		return v
	}
	out := make([]decimal.Decimal, len(millionths))
	for i, m := range millionths {
		out[i] = decimal.New(m, -6)
	}
	return out
}

// columnTypes are the types of a block's columns in its table, asked for once.
func (s *Sink) columnTypes(ctx context.Context, b sink.Block) (types []clickhouse.ColumnNameAndType, err error) {
	s.mu.Lock()
	types = s.types[b.Table]
	s.mu.Unlock()
	if types != nil {
		return types, nil
	}
	rows, err := s.db.conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = ? AND table = ?", s.db.database, b.Table)
	if err != nil {
		return nil, err
	}
	defer closeRows(rows, &err)
	known := map[string]string{}
	for rows.Next() {
		var name, typ string
		if err := rows.Scan(&name, &typ); err != nil {
			return nil, err
		}
		known[name] = typ
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("table %s does not exist in database %s", b.Table, s.db.database)
	}
	for _, c := range b.Columns {
		typ, ok := known[c.Name]
		if !ok {
			return nil, fmt.Errorf("table %s has no column %s: is the database migrated?", b.Table, c.Name)
		}
		types = append(types, clickhouse.ColumnNameAndType{Name: c.Name, Type: typ})
	}
	s.mu.Lock()
	s.types[b.Table] = types
	s.mu.Unlock()
	return types, nil
}

// Move implements sink.Sink. Readers take the greatest position, so that a
// row which comes late moves nothing back.
func (s *Sink) Move(ctx context.Context, projection string, p sink.Position) error {
	recorded := p.RecordedAt
	if recorded.IsZero() {
		recorded = time.Unix(0, 0)
	}
	return s.Insert(ctx, sink.Block{Table: "projection_positions", Rows: 1, Columns: []sink.Column{
		{Name: "projection", Values: []string{projection}},
		{Name: "commit", Values: []uint64{p.Log.Commit}}, {Name: "prepare", Values: []uint64{p.Log.Prepare}},
		{Name: "recorded_at", Values: []time.Time{recorded.UTC()}}, {Name: "events", Values: []uint64{p.Events}},
		{Name: "facts", Values: []uint64{p.Facts}}, {Name: "epoch", Values: []uint64{p.Epoch}},
		{Name: "flushed_at", Values: []time.Time{p.FlushedAt.UTC()}},
	}})
}

// closeRows closes rows and keeps what that says, unless there is an error.
func closeRows(rows driver.Rows, err *error) {
	if closeErr := rows.Close(); *err == nil {
		*err = closeErr
	}
}
