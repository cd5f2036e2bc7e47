package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// batchEvents is how many events a subscription delivers at a time at most.
const batchEvents = 1000

// ReadStream implements eventlog.Reader.
func (l *Log) ReadStream(ctx context.Context, name string, from uint64) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		events, err := l.streamEvents(name, from)
		if err != nil {
			yield(eventlog.Recorded{}, fmt.Errorf("read stream %s from revision %d: %w", name, from, err))
			return
		}
		yieldAll(ctx, events, yield)
	}
}

func (l *Log) streamEvents(name string, from uint64) ([]eventlog.Recorded, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, eventlog.ErrClosed
	}
	s, ok := l.streams[name]
	if !ok {
		return nil, nil
	}
	if s.deleted {
		return nil, eventlog.ErrStreamDeleted
	}
	var events []eventlog.Recorded
	for i := from; i < uint64(len(s.index)); i++ {
		events = append(events, l.all[s.index[i]])
	}
	return events, nil
}

func yieldAll(ctx context.Context, events []eventlog.Recorded, yield func(eventlog.Recorded, error) bool) {
	for _, e := range events {
		if err := ctx.Err(); err != nil {
			yield(eventlog.Recorded{}, fmt.Errorf("read the log: %w: %w", eventlog.ErrUnavailable, err))
			return
		}
		if !yield(e, nil) {
			return
		}
	}
}

// ReadAll implements eventlog.Reader.
func (l *Log) ReadAll(ctx context.Context, after eventlog.Position, filter eventlog.Filter) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		l.mu.Lock()
		closed := l.closed
		events := l.from(after)
		l.mu.Unlock()
		if closed {
			yield(eventlog.Recorded{}, fmt.Errorf("read the log after %s: %w", after, eventlog.ErrClosed))
			return
		}
		yieldAll(ctx, events, func(e eventlog.Recorded, err error) bool {
			return err == nil && !passes(filter, e) || yield(e, err)
		})
	}
}

// from returns the events after a position. What it returns never changes. The
// caller holds mu.
func (l *Log) from(after eventlog.Position) []eventlog.Recorded {
	i, found := slices.BinarySearchFunc(l.all, after, func(e eventlog.Recorded, p eventlog.Position) int { return e.Position.Compare(p) })
	if found {
		i++
	}
	return l.all[i:len(l.all):len(l.all)]
}

func passes(filter eventlog.Filter, e eventlog.Recorded) bool {
	if strings.HasPrefix(e.Type, "$") {
		return false
	}
	return len(filter.StreamPrefixes) == 0 ||
		slices.ContainsFunc(filter.StreamPrefixes, func(p string) bool { return strings.HasPrefix(e.Stream, p) })
}

// End implements eventlog.Reader.
func (l *Log) End(ctx context.Context) (eventlog.Position, error) {
	if err := ctx.Err(); err != nil {
		return eventlog.Position{}, fmt.Errorf("read the end of the log: %w: %w", eventlog.ErrUnavailable, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return eventlog.Position{}, fmt.Errorf("read the end of the log: %w", eventlog.ErrClosed)
	}
	for _, e := range slices.Backward(l.all) {
		if passes(eventlog.Filter{}, e) {
			return e.Position, nil
		}
	}
	return eventlog.Position{}, nil
}

// Follow implements eventlog.Feed. The subscription ends with ctx as well as
// with Close.
func (l *Log) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter) (eventlog.Subscription, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	return &subscription{log: l, caller: ctx, filter: filter, at: after, closed: make(chan struct{})}, nil
}

type subscription struct {
	log    *Log
	caller context.Context // Follow's
	filter eventlog.Filter
	at     eventlog.Position // covers everything delivered and filtered out
	told   bool              // the caller knows that it is caught up

	once   sync.Once
	closed chan struct{}
}

// Next implements eventlog.Subscription.
func (s *subscription) Next(ctx context.Context) (eventlog.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return eventlog.Batch{}, err
		}
		select {
		case <-s.closed:
			return eventlog.Batch{}, fmt.Errorf("subscription: %w", eventlog.ErrClosed)
		case <-s.caller.Done():
			return eventlog.Batch{}, fmt.Errorf("subscription: %w: %w", s.caller.Err(), eventlog.ErrClosed)
		default:
		}
		batch, changed, err := s.take()
		if changed == nil || err != nil {
			return batch, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.caller.Done():
		case <-s.closed:
		}
	}
}

// take returns what there is; when there is nothing new, a channel that is
// closed when there may be.
func (s *subscription) take() (eventlog.Batch, <-chan struct{}, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if s.log.closed {
		return eventlog.Batch{}, nil, fmt.Errorf("subscription: %w", eventlog.ErrClosed)
	}
	waiting := s.log.from(s.at)
	if len(waiting) == 0 && s.told {
		return eventlog.Batch{}, s.log.changed, nil
	}
	var batch eventlog.Batch
	for _, e := range waiting {
		s.at = e.Position
		if passes(s.filter, e) {
			batch.Events = append(batch.Events, e)
		}
		if len(batch.Events) == batchEvents {
			break
		}
	}
	batch.Checkpoint = s.at
	batch.CaughtUp = s.at == s.log.end() || len(waiting) == 0
	s.told = batch.CaughtUp
	return batch, nil, nil
}

// Close implements eventlog.Subscription.
func (s *subscription) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}
