package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// kind of write a request asks for.
type kind uint8

const (
	kindAppend kind = iota
	kindDelete
	kindTombstone
)

// request is one write on its way to the writer goroutine and back.
type request struct {
	ctx      context.Context // lets the writer skip what nobody waits for any more
	kind     kind
	stream   string
	expected Expected
	events   []Proposed
	bytes    int64

	result Result
	err    error
	done   chan struct{} // one value when result and err are set
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// ErrInvalidStream is wrapped in the refusal of a stream name.
var ErrInvalidStream = errors.New("invalid stream name")

// CheckStreamName refuses names that no stream can have.
func CheckStreamName(stream string) error {
	switch {
	case stream == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidStream)
	case stream == "$all":
		return fmt.Errorf("%w: $all is the whole log, it cannot be written to or deleted", ErrInvalidStream)
	case stream == metastreamPrefix:
		return fmt.Errorf("%w: %q names the metadata of no stream", ErrInvalidStream, stream)
	case isMetastream(stream) && isMetastream(originalOf(stream)):
		return fmt.Errorf("%w: %q would be the metadata of metadata", ErrInvalidStream, stream)
	case len(stream) > maximumStreamNameLen:
		return fmt.Errorf("%w: %d bytes long, at most %d are allowed", ErrInvalidStream, len(stream), maximumStreamNameLen)
	}
	return nil
}

// Append writes the events to the end of the stream, all or none, if what is
// expected of the stream holds, and returns when they are durable. The events
// must not be changed until it returns.
//
// A repeat of an append that is in the log already writes nothing and returns
// the same result: exactly so when it carries the original expected revision,
// and as far as the window of recent ids reaches with Any or StreamExists.
// Appending to a deleted stream brings it back; its revisions go on where they
// were.
//
// Errors: [*WrongRevisionError], [*StreamDeletedError], [*DiskFullError],
// [*CorruptionError], [ErrInvalidStream], [ErrStopped], [ErrOutcomeUnknown],
// and the context's own, after which the outcome is unknown as well.
func (s *Store) Append(ctx context.Context, stream string, expected Expected, events []Proposed) (Result, error) {
	return s.submit(ctx, kindAppend, stream, expected, events)
}

// Delete hides the stream's events from readers until it is written again.
// The result is the place of the metadata event that says so. Errors as Append.
func (s *Store) Delete(ctx context.Context, stream string, expected Expected) (Result, error) {
	return s.submit(ctx, kindDelete, stream, expected, nil)
}

// Tombstone ends the stream for ever. Errors as Append.
func (s *Store) Tombstone(ctx context.Context, stream string, expected Expected) (Result, error) {
	return s.submit(ctx, kindTombstone, stream, expected, nil)
}

func (s *Store) submit(ctx context.Context, k kind, stream string, expected Expected, events []Proposed) (Result, error) {
	if err := CheckStreamName(stream); err != nil {
		return Result{}, err
	}
	select {
	case <-s.stopped:
		return Result{}, ErrStopped
	default:
	}
	r, ok := requests.Get().(*request)
	if !ok {
		return Result{}, errors.New("event store: request pool holds a foreign value")
	}
	r.ctx, r.kind, r.stream, r.expected, r.events = ctx, k, stream, expected, events
	r.bytes = int64(len(stream))
	for i := range events {
		r.bytes += int64(events[i].Size()) + recordFixed
	}
	r.bytes = min(r.bytes, s.cfg.QueuedBytes) // an append larger than the queue still gets its turn, alone
	if err := s.room.Acquire(ctx, r.bytes); err != nil {
		return Result{}, fmt.Errorf("wait for the write queue: %w", err)
	}
	select {
	case s.queue <- r:
	case <-s.stopped:
		s.room.Release(r.bytes)
		return Result{}, ErrStopped
	case <-ctx.Done():
		s.room.Release(r.bytes)
		return Result{}, ctx.Err()
	}
	select {
	case <-r.done:
		result, err := r.result, r.err
		*r = request{done: r.done}
		requests.Put(r)
		return result, err
	case <-ctx.Done():
		// The writer still owns r; it is left to the garbage collector.
		return Result{}, ctx.Err()
	case <-s.stopped:
		return settle(r)
	case <-s.failure.ch:
		return settle(r)
	}
}

// settle prefers an answer that arrived together with the end.
func settle(r *request) (Result, error) {
	select {
	case <-r.done:
		return r.result, r.err
	default:
		return Result{}, ErrOutcomeUnknown
	}
}

func (s *Store) answer(r *request) {
	s.room.Release(r.bytes)
	r.done <- struct{}{}
}
