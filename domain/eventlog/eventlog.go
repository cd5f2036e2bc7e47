// Package eventlog is the port through which the domain meets its log: what
// can be appended, what comes back, and in which order.
//
// It promises one global order (Position), one order within a stream
// (revision), and appends that are all or nothing and decided on an explicit
// expectation. It leaves out how a log is stored and how it is reached: the
// adapter for EventStoreDB lives in ingest/eventstore, a twin in memory in
// eventlog/memory, and both pass the suite in eventlog/eventlogtest.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Position is a place in the global order of the log. The zero value lies
// before the first event. Both numbers are kept because the server's
// subscriptions resume from both.
type Position struct {
	Commit  uint64 `json:"commit"`
	Prepare uint64 `json:"prepare"`
}

// Compare orders positions: negative when p is before q, zero when equal.
func (p Position) Compare(q Position) int {
	switch {
	case p.Commit < q.Commit:
		return -1
	case p.Commit > q.Commit:
		return 1
	case p.Prepare < q.Prepare:
		return -1
	case p.Prepare > q.Prepare:
		return 1
	}
	return 0
}

// IsStart tells whether p is before the first event.
func (p Position) IsStart() bool { return p == Position{} }

// String writes a position as C:commit/P:prepare, the server's own notation.
func (p Position) String() string { return fmt.Sprintf("C:%d/P:%d", p.Commit, p.Prepare) }

// Proposed is an event that somebody wants recorded.
type Proposed struct {
	ID   uuid.UUID // decided by the caller, the same on every retry
	Type string    // for example dk.stofstrom.flow.received.v1
	Data []byte    // JSON payload, frozen per type
	Meta []byte    // JSON metadata: who, which request, which import
}

// Recorded is an event as the log holds it.
type Recorded struct {
	Stream     string
	Revision   uint64 // 0 for the first event of the stream
	Position   Position
	ID         uuid.UUID
	Type       string
	Data       []byte
	Meta       []byte
	RecordedAt time.Time // the log's own clock; never goes backwards along Position
}

// Appended tells where an append went.
type Appended struct {
	Revision uint64   // of the last event appended
	Position Position // of the last event appended
}

// Appender records events.
type Appender interface {
	// Append records all events, in order, at the end of the stream, or none
	// of them, and returns once they are durable.
	//
	// A retry of an append with the same ids, the same events and the same
	// Exactly or NoStream expectation succeeds and records nothing twice.
	// Errors: *WrongRevision when the stream is not as expected;
	// ErrUnavailable (the outcome may be unknown: retry with the same
	// expectation); ErrTooLarge; ErrStreamDeleted. Safe for concurrent use.
	Append(ctx context.Context, stream string, expected Expected, events []Proposed) (Appended, error)
}

// Reader reads events back.
type Reader interface {
	// ReadStream yields the events of a stream from the given revision on. A
	// stream that does not exist yields nothing. An error is yielded once, as
	// the last element: a cut connection never looks like the end of a stream.
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[Recorded, error]
	// ReadAll yields every event that passes the filter with a position
	// greater than after, up to the end of the log as it was at the call.
	ReadAll(ctx context.Context, after Position, filter Filter) iter.Seq2[Recorded, error]
	// End tells the position of the last event of the log now (any stream
	// but the server's own).
	End(ctx context.Context) (Position, error)
}

// Feed follows the log.
type Feed interface {
	// Follow opens a catch-up subscription that delivers every event that
	// passes the filter with a position greater than after. It reconnects by
	// itself, with back-off, from the last event delivered; the caller never
	// sees an event twice or misses one within one subscription.
	Follow(ctx context.Context, after Position, filter Filter) (Subscription, error)
}

// Subscription is a running catch-up subscription, for one goroutine.
type Subscription interface {
	// Next waits for events and returns those that are there: at least one
	// event, or a Batch without events when only Checkpoint or CaughtUp
	// changed. The error is ctx's, ErrClosed, or permanent; passing troubles
	// of the connection are waited out inside.
	Next(ctx context.Context) (Batch, error)
	// Close ends the subscription and frees what it holds. It may be called
	// more than once and from any goroutine.
	Close() error
}

// Batch is what a subscription delivers at a time.
type Batch struct {
	Events []Recorded
	// Checkpoint covers everything delivered and filtered out so far: a
	// subscription from here misses nothing. At least the position of the
	// last event of Events.
	Checkpoint Position
	// CaughtUp tells that, when the batch was made, nothing more was known to
	// be in the log.
	CaughtUp bool
}

// Log is the whole port.
type Log interface {
	Appender
	Reader
	Feed
}

// Filter limits what is read from the whole log. The zero value passes
// everything but the server's own events (types that begin with $).
type Filter struct {
	// StreamPrefixes passes the streams that begin with one of these.
	StreamPrefixes []string
}

// Expected is what an append takes the stream to be. It is closed: build it
// with Any, NoStream or Exactly.
type Expected struct {
	kind     expectedKind
	revision uint64
}

type expectedKind uint8

const (
	expectAny expectedKind = iota
	expectNoStream
	expectExactly
)

// Any expects nothing. Retries are idempotent only by the server's best
// effort, so that no fact is ever appended with it.
func Any() Expected { return Expected{kind: expectAny} }

// NoStream expects the stream not to exist yet.
func NoStream() Expected { return Expected{kind: expectNoStream} }

// Exactly expects the last event of the stream to have this revision.
func Exactly(revision uint64) Expected { return Expected{kind: expectExactly, revision: revision} }

// IsAny tells whether nothing is expected.
func (e Expected) IsAny() bool { return e.kind == expectAny }

// IsNoStream tells whether the stream is expected not to exist.
func (e Expected) IsNoStream() bool { return e.kind == expectNoStream }

// Revision returns the expected last revision; ok is false for Any and NoStream.
func (e Expected) Revision() (revision uint64, ok bool) {
	return e.revision, e.kind == expectExactly
}

// String writes the expectation for people and for message metadata:
// "any", "no-stream" or the number.
func (e Expected) String() string {
	switch e.kind {
	case expectNoStream:
		return "no-stream"
	case expectExactly:
		return fmt.Sprintf("%d", e.revision)
	case expectAny:
	}
	return "any"
}

// Errors of the port, matched with errors.Is.
var (
	// ErrUnavailable: the log did not answer, or not for certain. An append
	// may or may not be recorded; retry with the same expectation.
	ErrUnavailable = errors.New("event log unavailable")
	// ErrTooLarge: the append is over the log's limit; nothing was recorded.
	ErrTooLarge = errors.New("append too large for the event log")
	// ErrStreamDeleted: the stream was tombstoned; nothing can be recorded.
	ErrStreamDeleted = errors.New("stream deleted for good")
	// ErrNoRoom: the log has no room left on its disk; nothing was recorded.
	ErrNoRoom = errors.New("event log has no room left")
	// ErrClosed: the log or subscription was closed by its owner.
	ErrClosed = errors.New("event log closed")
)

// WrongRevision refuses an append because the stream is not as expected.
type WrongRevision struct {
	Stream   string
	Expected Expected
	Actual   Expected // NoStream or Exactly
}

func (e *WrongRevision) Error() string {
	return fmt.Sprintf("stream %s: expected revision %s, found %s", e.Stream, e.Expected, e.Actual)
}
