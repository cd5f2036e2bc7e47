// Package sink is the port between projections and the tables they fill:
// what a batch of rows is, and what a store must promise about it.
//
// It promises nothing itself; the contract stands on Sink, a twin in memory in
// Memory, and the suite that every store must pass in sink/sinktest. It leaves
// out what rows mean (package flows) and when they are written (package
// runner).
package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Column is one column of a block: a slice with one element per row, of a
// type that belongs to the table's column:
//
//	[]uint8 … []uint64, []int8 … []int64   integers of that width
//	[]string                               String, LowCardinality(String)
//	[]*bool, []*float64                    Nullable(Bool), Nullable(Float64)
//	[]time.Time                            Date (midnight UTC), DateTime64
//	[]uuid.UUID                            UUID
//	[][]string, []map[string]string        Array and Map of strings
//	Millionths                             Decimal with six places
type Column struct {
	Name   string
	Values any
}

// Millionths are exact decimals with six places: 1 is 0.000001. A mass in
// grams is a mass in millionths of a tonne.
type Millionths []int64

// Block is rows of one table, by column. It is only valid until the batch it
// comes from is reset: who keeps it, clones it.
type Block struct {
	Table   string
	Rows    int
	Columns []Column
}

// Position says how far a projection has come.
type Position struct {
	Log        eventlog.Position
	RecordedAt time.Time // the log's time of the last event covered; zero before the first
	Events     uint64    // events covered, since the first
	Facts      uint64    // rows of facts that these events make
	Epoch      uint64    // of the writer that moved the position
	FlushedAt  time.Time // by the writer's clock
}

// Segment is a range of positions (From, To] whose facts are summed up.
type Segment struct {
	From, To uint64
	Level    uint8 // 0: from facts; n: the sum of consecutive segments of level n-1
	Build    uuid.UUID
	Facts    uint64 // rows of facts summed up
	Rows     uint64 // rows of sums
}

// Sink is a store of tables. Every method may fail with an unknown outcome
// (a time-out, a lost answer, a process killed): the caller repeats it with
// the same rows, and a failed attempt may still take effect at any later
// time. None of that may change what readers see. For one writer at a time;
// a second writer, fenced or not, must do no harm.
type Sink interface {
	// Position tells the committed position of a projection, the zero
	// Position before its first flush.
	Position(ctx context.Context, projection string) (Position, error)
	// Check tells whether the facts that position covers are in the tables;
	// *LostFacts when there are fewer.
	Check(ctx context.Context, p Position) error
	// Insert writes rows and returns once they are durable. A row whose key
	// is there already takes its place, and is the same row, since rows are
	// pure functions of the log.
	Insert(ctx context.Context, b Block) error
	// Rollup sums up whole segments of what is committed, if there are new
	// ones, and returns them. committed is a position that was moved to
	// before: beyond it rows may still be missing. The bounds of segments are
	// a pure function of the facts, so that any writer finds the same.
	Rollup(ctx context.Context, committed uint64) ([]Segment, error)
	// Move makes p the committed position of the projection, unless it is
	// further already: readers see everything up to it from now on.
	Move(ctx context.Context, projection string, p Position) error
}

// Batch collects the rows of events. For one goroutine.
type Batch interface {
	// Add makes the rows of an event. On an error nothing of the event is in
	// the batch, and the same event would fail again: it is for quarantine.
	Add(rec eventlog.Recorded) error
	// Len counts the rows so far, of all tables.
	Len() int
	// Facts is the block of facts so far.
	Facts() Block
	// Registers are the blocks of everything else so far, empty ones left out.
	Registers() []Block
	// Reset empties the batch and keeps its memory.
	Reset()
}

// Projection is how events become rows.
type Projection struct {
	Name     string          // of its position: never changed, never reused
	Filter   eventlog.Filter // the events it takes
	NewBatch func() Batch
}

// LostFacts says that the tables hold fewer facts than the position covers,
// as a power cut can make it. The remedy is a rebuild.
type LostFacts struct {
	Commit      uint64
	Want, Found uint64
}

func (e *LostFacts) Error() string {
	return fmt.Sprintf("tables hold %d facts up to position %d, %d were committed: rebuild the projection",
		e.Found, e.Commit, e.Want)
}

// Quarantined is an event that a projection could not take.
type Quarantined struct {
	Event eventlog.Recorded
	Err   string
	At    time.Time // by the projector's clock
}

// QuarantineTable is the table of quarantined events.
const QuarantineTable = "quarantine"

// QuarantineBlock is the block of quarantined events.
func QuarantineBlock(projection string, qs []Quarantined) Block {
	n := len(qs)
	var (
		name                             = make([]string, n)
		position, prepare, rev           = make([]uint64, n), make([]uint64, n), make([]uint64, n)
		stream, typ, data, meta, problem = make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		id                               = make([]uuid.UUID, n)
		recorded, at                     = make([]time.Time, n), make([]time.Time, n)
	)
	for i, q := range qs {
		e := q.Event
		name[i], position[i], prepare[i] = projection, e.Position.Commit, e.Position.Prepare
		stream[i], rev[i], id[i], typ[i] = e.Stream, e.Revision, e.ID, e.Type
		data[i], meta[i], problem[i] = string(e.Data), string(e.Meta), q.Err
		recorded[i], at[i] = e.RecordedAt.UTC(), q.At.UTC()
	}
	return Block{Table: QuarantineTable, Rows: n, Columns: []Column{
		{"projection", name}, {"position", position}, {"prepare", prepare}, {"stream", stream},
		{"revision", rev}, {"event_id", id}, {"event_type", typ}, {"data", data}, {"meta", meta},
		{"error", problem}, {"recorded_at", recorded}, {"quarantined_at", at},
	}}
}
