package store

import (
	"errors"
	"fmt"
	"math"
)

// ErrStopped is returned for a call on a store that is not running (any more).
var ErrStopped = errors.New("event store is stopped")

// ErrOutcomeUnknown is returned for an append whose group could not be
// confirmed as durable: it may or may not be in the log. A retry with the
// original expected revision settles it.
var ErrOutcomeUnknown = errors.New("the write was not confirmed by the disk; its outcome is unknown")

// NoRevision is the current revision of a stream that has no events.
const NoRevision = -1

// RevisionTombstone is the revision of the event that ends a stream for ever,
// as EventStoreDB numbers it.
const RevisionTombstone = math.MaxInt64

// WrongRevisionError says that a stream was not where the writer expected it.
type WrongRevisionError struct {
	Stream   string
	Expected Expected
	// Current is the stream's last revision, [NoRevision] if it has none.
	Current int64
}

func (e *WrongRevisionError) Error() string {
	current := "no stream"
	if e.Current != NoRevision {
		current = fmt.Sprintf("revision %d", e.Current)
	}
	return fmt.Sprintf("stream %q: expected %s, but it is at %s", e.Stream, e.Expected, current)
}

// StreamDeletedError says that a stream was tombstoned.
type StreamDeletedError struct{ Stream string }

func (e *StreamDeletedError) Error() string {
	return fmt.Sprintf("stream %q is deleted for ever (tombstoned)", e.Stream)
}

// DiskFullError says that a write was refused, and not attempted, because the
// disk has less free space than the store keeps in reserve.
type DiskFullError struct {
	Dir          string
	FreeBytes    uint64
	ReserveBytes uint64
}

func (e *DiskFullError) Error() string {
	return fmt.Sprintf("disk full: %d bytes are free for %s, the log keeps %d in reserve; free some space, writing goes on by itself",
		e.FreeBytes, e.Dir, e.ReserveBytes)
}

// CorruptionError says which stored thing was found damaged.
type CorruptionError struct {
	// Position of the record in the log; 0 when a whole block of a file is
	// damaged and Err names the file instead.
	Position uint64
	Err      error
}

func (e *CorruptionError) Error() string {
	if e.Position == 0 {
		return fmt.Sprintf("event log is damaged: %v", e.Err)
	}
	return fmt.Sprintf("event log is damaged at position %d: %v", e.Position, e.Err)
}

func (e *CorruptionError) Unwrap() error { return e.Err }
