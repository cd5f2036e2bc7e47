package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Report is what a full check of the log found in order.
type Report struct {
	Events  uint64
	Streams uint64
}

// checkStep is how many records are looked at before the log's files are let
// go of and the context is asked.
const checkStep = 10_000

// checker walks the log and remembers what each stream must show next.
type checker struct {
	report  Report
	created int64
	streams map[string]*checkedStream
	failed  error
}

type checkedStream struct {
	number uint64
	next   uint64
	ended  bool
}

// Check reads the whole log and its stream index and fails with a
// [*CorruptionError] at the first thing that is not as it must be: a record
// whose checksum does not match, a missing position or revision, an index
// entry that is missing, wrong or left over, a recorded time that goes
// backwards. It runs beside readers and writers and covers what was durable
// when it began.
func (s *Store) Check(ctx context.Context) (Report, error) {
	head := s.Head()
	c := &checker{streams: make(map[string]*checkedStream)}
	for next := uint64(1); next <= head; {
		if err := ctx.Err(); err != nil {
			return c.report, err
		}
		err := s.view(func(db *pebble.DB) error {
			steps := 0
			err := s.scanAll(db, next, false, func(r *Record) bool {
				c.failed = c.record(db, r)
				next = r.Position + 1
				steps++
				return c.failed == nil && steps < checkStep && next <= head
			})
			return errors.Join(err, c.failed)
		})
		if err != nil {
			return c.report, err
		}
	}
	return c.report, s.view(func(db *pebble.DB) error { return c.leftOvers(db, head) })
}

func (c *checker) record(db *pebble.DB, r *Record) error {
	damage := func(format string, args ...any) error {
		return &CorruptionError{Position: r.Position, Err: fmt.Errorf(format, args...)}
	}
	st := c.streams[string(r.Stream)]
	if st == nil {
		number, ok, err := streamNumber(db, string(r.Stream))
		if err != nil {
			return err
		}
		if !ok {
			return damage("stream %q has no number", r.Stream)
		}
		st = &checkedStream{number: number}
		c.streams[string(r.Stream)] = st
		c.report.Streams++
	}
	switch {
	case st.ended:
		return damage("stream %q goes on after its tombstone", r.Stream)
	case r.Revision == RevisionTombstone:
		st.ended = true
	case r.Revision != st.next:
		return damage("stream %q has revision %d where %d must follow", r.Stream, r.Revision, st.next)
	}
	if r.Created < c.created {
		return damage("recorded time goes backwards, from %d to %d ticks", c.created, r.Created)
	}
	position, ok, err := positionOf(db, st.number, r.Revision)
	if err != nil {
		return err
	}
	if !ok || position != r.Position {
		return damage("the index of stream %q says position %d (found: %t) for revision %d", r.Stream, position, ok, r.Revision)
	}
	st.next++
	c.created = r.Created
	c.report.Events++
	return nil
}

// leftOvers finds index entries that no record stands behind: all records have
// theirs, so it is enough to count.
func (c *checker) leftOvers(db *pebble.DB, head uint64) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixStream}, UpperBound: []byte{prefixStream + 1}})
	if err != nil {
		return fmt.Errorf("check the stream index: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	entries := uint64(0)
	for ok := it.First(); ok; ok = it.Next() {
		_, position, err := indexEntry(it)
		if err != nil {
			return err
		}
		if position <= head {
			entries++
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("check the stream index: %w", err)
	}
	if entries != c.report.Events {
		return &CorruptionError{Err: fmt.Errorf("the stream index has %d entries for %d events", entries, c.report.Events)}
	}
	return nil
}
