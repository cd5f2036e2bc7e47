package eventstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// buffer holds what a subscription has received and not delivered, bounded in
// events and bytes. One goroutine fills it, one takes.
type buffer struct {
	maxEvents, maxBytes int
	ready               chan struct{} // holds a token when there may be something to take
	room                chan struct{} // holds a token when there may be room again

	mu       sync.Mutex
	events   []eventlog.Recorded // guarded by mu
	bytes    int                 // guarded by mu
	at       cursor              // guarded by mu; covers everything received
	caughtUp bool                // guarded by mu
	told     told                // guarded by mu
	err      error               // guarded by mu; why there will be no more
}

// told is what the taker already knows.
type told struct {
	checkpoint eventlog.Position
	caughtUp   bool
}

func (b *buffer) init(maxEvents, maxBytes int, from cursor) {
	b.maxEvents, b.maxBytes, b.at = maxEvents, maxBytes, from
	b.told.checkpoint = from.position
	b.ready, b.room = make(chan struct{}, 1), make(chan struct{}, 1)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a token is there already
	}
}

func sizeOf(e eventlog.Recorded) int {
	return len(e.Data) + len(e.Meta) + len(e.Stream) + len(e.Type) + bytesPerEvent
}

// put adds an event, waiting for room. The error is ctx's.
func (b *buffer) put(ctx context.Context, e eventlog.Recorded) error {
	for {
		b.mu.Lock()
		if len(b.events) < b.maxEvents && (len(b.events) == 0 || b.bytes+sizeOf(e) <= b.maxBytes) {
			b.events = append(b.events, e)
			b.bytes += sizeOf(e)
			b.at = cursor{started: true, revision: e.Revision, position: e.Position}
			b.mu.Unlock()
			signal(b.ready)
			return nil
		}
		b.mu.Unlock()
		select {
		case <-b.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// checkpoint notes that everything up to p was received or filtered out.
func (b *buffer) checkpoint(p eventlog.Position) {
	b.mu.Lock()
	if b.at.position.Compare(p) < 0 {
		b.at.position = p
	}
	b.mu.Unlock()
	signal(b.ready)
}

func (b *buffer) setCaughtUp(yes bool) {
	b.mu.Lock()
	b.caughtUp = yes
	b.mu.Unlock()
	signal(b.ready)
}

// caughtUpAt notes that nothing lay beyond at, unless more has come since.
func (b *buffer) caughtUpAt(at cursor) {
	b.mu.Lock()
	if b.at == at && len(b.events) == 0 {
		b.caughtUp = true
	}
	b.mu.Unlock()
	signal(b.ready)
}

func (b *buffer) isCaughtUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.caughtUp
}

// fail says that there will be no more. What was received is still delivered,
// unless the subscription's owner ended it and waits for nothing.
func (b *buffer) fail(err error) {
	b.mu.Lock()
	b.err = err
	if errors.Is(err, eventlog.ErrClosed) {
		b.events, b.bytes = nil, 0
	}
	b.mu.Unlock()
	signal(b.ready)
}

func (b *buffer) end() cursor {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *buffer) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events)
}

// oldest tells how old the first waiting event is, in seconds, and how many
// wait.
func (b *buffer) oldest(now time.Time) (seconds float64, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.events) == 0 {
		return 0, 0
	}
	return max(0, now.Sub(b.events[0].RecordedAt).Seconds()), len(b.events)
}

// take returns all that is there; ok is false when there is nothing new. What
// was received before the subscription ended is delivered before its error.
func (b *buffer) take() (batch eventlog.Batch, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && len(b.events) == 0 {
		signal(b.ready) // whoever asks again gets the same answer
		return eventlog.Batch{}, false, b.err
	}
	if len(b.events) == 0 && b.at.position == b.told.checkpoint && (!b.caughtUp || b.told.caughtUp) {
		return eventlog.Batch{}, false, nil // nothing new
	}
	batch = eventlog.Batch{Events: b.events, Checkpoint: b.at.position, CaughtUp: b.caughtUp}
	b.events, b.bytes = nil, 0
	b.told = told{checkpoint: b.at.position, caughtUp: b.caughtUp}
	signal(b.room)
	return batch, true, nil
}
