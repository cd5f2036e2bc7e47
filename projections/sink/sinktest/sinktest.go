// Package sinktest is the suite that every sink.Sink must pass: a projector
// writes a made-up history to it while everything fails that can, and readers
// look at it all the while.
//
// It promises that a store which passes shows each event exactly once after
// any crash between two steps of a flush, any repeated or late insert, other
// batch boundaries and a second writer; that no reader ever sees half a flush
// or goes back; and that rollup and facts agree at every moment. The numbers
// come from a fold of the history that shares no code with the projection. It
// leaves out killing the store itself (the end-to-end tests do).
package sinktest

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/projections/sink"
)

// SegmentEvents and FanIn are the measures of the rollup that the store under
// test must be opened with: small, so that the history fills several levels.
const (
	SegmentEvents = 8
	FanIn         = 3
)

// Store is a store under test with tables of its own, empty.
type Store struct {
	// Open returns a sink as a new process would have it.
	Open func(tb testing.TB) sink.Sink
	// Reader reads as a question does.
	Reader Reader
	// Hide makes a table missing until restore is called.
	Hide func(tb testing.TB, table string) (restore func())
	// Lose empties the table of facts, as a power cut without fsync could.
	Lose func(tb testing.TB)
}

// Snapshot is what a question finds out first.
type Snapshot struct {
	Committed uint64
	Watermark uint64
	Builds    []uuid.UUID
}

// Key are the dimensions that the suite compares sums by.
type Key struct {
	Measure, Facility, Waste string
	Year                     uint16
	Month                    uint8
}

// Sum is what a reader sums up.
type Sum struct{ Grams, Events int64 }

// Sums are sums by key, keys whose sums are zero left out.
type Sums map[Key]Sum

// Add adds to a key, and drops the key when nothing is left.
func (s Sums) Add(k Key, add Sum) {
	sum := Sum{Grams: s[k].Grams + add.Grams, Events: s[k].Events + add.Events}
	if sum == (Sum{}) {
		delete(s, k)
		return
	}
	s[k] = sum
}

// Reader reads tables as the questions do.
type Reader interface {
	// Snapshot finds out how far the tables are.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Sums sums up the builds of the snapshot and the facts above its
	// watermark up to its committed position.
	Sums(ctx context.Context, s Snapshot) (Sums, error)
	// FactSums sums up facts alone, up to the committed position.
	FactSums(ctx context.Context, s Snapshot) (Sums, error)
	// Count counts the rows of a table up to a position, repeated ones once.
	Count(ctx context.Context, table string, committed uint64) (uint64, error)
}

// Run runs the suite; open makes a store for each test.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"a history is shown exactly once", testHistory},
		{"the same rows twice are one", testTwice},
		{"a late insert is harmless", testLate},
		{"a second writer fences the first and is not harmed by it", testTwoWriters},
		{"a stale writer's segments are harmless", testStaleRollup},
		{"a store that is away empties nothing into quarantine", testAway},
		{"lost facts are found at start", testLostFacts},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
	t.Run("a missing table stops the flush", func(t *testing.T) {
		for table, fills := range hidden() {
			t.Run(table, func(t *testing.T) { testMissingTable(t, open(t), table, fills) })
		}
	})
	t.Run("a crash at any step", func(t *testing.T) { eachPoint(t, open, testCrash) })
	t.Run("a failure of any step", func(t *testing.T) { eachPoint(t, open, testFailure) })
}
