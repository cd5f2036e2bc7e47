// Package memory is the twin in memory of the event log's port, for tests and
// for reasoning: all of eventlog.Log, with the same order, expectations and
// idempotency as the real log, a clock of one's own, and failures on demand.
//
// It promises what the suite eventlogtest checks. It leaves out durability:
// the events end with the process.
package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// DefaultMaxAppendBytes is the size limit of one append where Config has none.
const DefaultMaxAppendBytes = 768 << 10

// bytesPerEvent is what an event takes besides its data, metadata and type.
const bytesPerEvent = 256

// Config says how a Log behaves. The zero value is good.
type Config struct {
	// Now is the clock of recorded time. A clock that goes backwards is held
	// at the latest time it told. Default: a clock that begins at the start of
	// 2026 and moves one millisecond with each append.
	Now func() time.Time
	// MaxAppendBytes limits one append. Default 768 KiB.
	MaxAppendBytes int
}

// Fault is a way for an append to fail.
type Fault uint8

const (
	// NoFault lets the append through.
	NoFault Fault = iota
	// FailBeforeStoring fails with ErrUnavailable and records nothing.
	FailBeforeStoring
	// LoseAnswer records the events and fails with ErrUnavailable.
	LoseAnswer
	// NoRoom fails with ErrNoRoom and records nothing.
	NoRoom
)

// Log is an event log in memory. It is safe for concurrent use.
type Log struct {
	now      func() time.Time
	maxBytes int

	mu      sync.Mutex
	all     []eventlog.Recorded // guarded by mu; in order of position
	streams map[string]*stream  // guarded by mu
	last    time.Time           // guarded by mu; the latest recorded time
	faults  []Fault             // guarded by mu; for the next appends, in order
	closed  bool                // guarded by mu
	changed chan struct{}       // guarded by mu; closed and replaced at every change
}

type stream struct {
	index   []int // in all, by revision
	deleted bool
}

var _ eventlog.Log = (*Log)(nil)

// New returns an empty log.
func New(c Config) *Log {
	l := &Log{now: c.Now, maxBytes: c.MaxAppendBytes, streams: make(map[string]*stream), changed: make(chan struct{})}
	if l.now == nil {
		begin, ticks := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC), 0
		l.now = func() time.Time { // called with mu held
			ticks++
			return begin.Add(time.Duration(ticks) * time.Millisecond)
		}
	}
	if l.maxBytes == 0 {
		l.maxBytes = DefaultMaxAppendBytes
	}
	return l
}

// Inject sets how the next appends fail, the first fault for the next append.
// Appends with a valid request only use one up.
func (l *Log) Inject(faults ...Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, faults...)
}

// Tombstone deletes a stream for good. Its events stay in the whole log.
func (l *Log) Tombstone(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream(name).deleted = true
}

// Close ends the log: everything fails with ErrClosed from here on.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.broadcast()
	return nil
}

func (l *Log) broadcast() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) stream(name string) *stream {
	s, ok := l.streams[name]
	if !ok {
		s = &stream{}
		l.streams[name] = s
	}
	return s
}

// Append implements eventlog.Appender.
func (l *Log) Append(ctx context.Context, name string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if err := ctx.Err(); err != nil {
		return eventlog.Appended{}, fmt.Errorf("append to %s: %w: %w", name, eventlog.ErrUnavailable, err)
	}
	if err := l.check(name, events); err != nil {
		return eventlog.Appended{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return eventlog.Appended{}, fmt.Errorf("append to %s: %w", name, eventlog.ErrClosed)
	}
	fault := NoFault
	if len(l.faults) > 0 {
		fault, l.faults = l.faults[0], l.faults[1:]
	}
	switch fault {
	case FailBeforeStoring:
		return eventlog.Appended{}, fmt.Errorf("append to %s: %w: injected before storing", name, eventlog.ErrUnavailable)
	case NoRoom:
		return eventlog.Appended{}, fmt.Errorf("append to %s: %w: injected", name, eventlog.ErrNoRoom)
	case NoFault, LoseAnswer:
	}
	done, err := l.decide(name, expected, events)
	if err == nil && fault == LoseAnswer {
		return eventlog.Appended{}, fmt.Errorf("append to %s: %w: injected after storing", name, eventlog.ErrUnavailable)
	}
	return done, err
}

func (l *Log) check(name string, events []eventlog.Proposed) error {
	if name == "" {
		return errors.New("append: stream name must not be empty")
	}
	if len(events) == 0 {
		return fmt.Errorf("append to %s: no events", name)
	}
	size := 0
	for i, e := range events {
		if e.ID == uuid.Nil {
			return fmt.Errorf("append to %s: event %d of %d has no id", name, i+1, len(events))
		}
		if e.Type == "" {
			return fmt.Errorf("append to %s: event %d of %d (%s) has no type", name, i+1, len(events), e.ID)
		}
		size += len(e.Data) + len(e.Meta) + len(e.Type) + bytesPerEvent
	}
	if size > l.maxBytes {
		return fmt.Errorf("append to %s: %w: %d events make %d bytes, the limit is %d", name, eventlog.ErrTooLarge, len(events), size, l.maxBytes)
	}
	return nil
}

// decide appends, finds the append already done, or refuses it, as the real
// log does: an append on the present end is done; one on an earlier end is a
// repetition when exactly these events stand there.
func (l *Log) decide(name string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	s, exists := l.streams[name]
	if exists && s.deleted {
		return eventlog.Appended{}, fmt.Errorf("append to %s: %w", name, eventlog.ErrStreamDeleted)
	}
	actual := eventlog.NoStream()
	if exists && len(s.index) > 0 {
		actual = eventlog.Exactly(uint64(len(s.index) - 1))
	}
	wrong := fmt.Errorf("append %d events to %s: %w", len(events), name,
		&eventlog.WrongRevision{Stream: name, Expected: expected, Actual: actual})
	if expected == actual {
		return l.store(name, events), nil
	}
	if !exists && !expected.IsAny() {
		return eventlog.Appended{}, wrong
	}
	var first, found int
	switch {
	case expected.IsAny():
		first, found = l.findAny(s, events)
	default:
		if revision, ok := expected.Revision(); ok {
			first = int(revision) + 1
		}
		found = l.matching(s, first, events)
	}
	switch {
	case found == len(events):
		last := l.all[s.index[first+found-1]]
		return eventlog.Appended{Revision: last.Revision, Position: last.Position}, nil
	case expected.IsAny() && found == 0:
		return l.store(name, events), nil
	}
	return eventlog.Appended{}, wrong
}

// matching counts how many of the events stand in the stream from revision
// first on.
func (l *Log) matching(s *stream, first int, events []eventlog.Proposed) int {
	n := 0
	for n < len(events) && first+n < len(s.index) && l.all[s.index[first+n]].ID == events[n].ID {
		n++
	}
	return n
}

func (l *Log) findAny(s *stream, events []eventlog.Proposed) (first, found int) {
	if s == nil {
		return 0, 0
	}
	for i := len(s.index) - 1; i >= 0; i-- {
		if l.all[s.index[i]].ID == events[0].ID {
			return i, l.matching(s, i, events)
		}
	}
	return 0, 0
}

func (l *Log) store(name string, events []eventlog.Proposed) eventlog.Appended {
	now := l.now()
	if now.Before(l.last) {
		now = l.last
	}
	l.last = now
	s := l.stream(name)
	var done eventlog.Appended
	for _, e := range events {
		at := l.end().Commit + bytesPerEvent + uint64(len(e.Data)) // not dense, as in the real log
		r := eventlog.Recorded{
			Stream: name, Revision: uint64(len(s.index)), Position: eventlog.Position{Commit: at, Prepare: at},
			ID: e.ID, Type: e.Type, Data: slices.Clone(e.Data), Meta: slices.Clone(e.Meta), RecordedAt: now,
		}
		s.index = append(s.index, len(l.all))
		l.all = append(l.all, r)
		done = eventlog.Appended{Revision: r.Revision, Position: r.Position}
	}
	l.broadcast()
	return done
}

func (l *Log) end() eventlog.Position {
	if len(l.all) == 0 {
		return eventlog.Position{}
	}
	return l.all[len(l.all)-1].Position
}
