package imports

import (
	"context"
	"sync"
)

// tracker lets an identity be in one batch under way only: of two rows with
// one id, the first of the file is decided first.
type tracker struct {
	mu      sync.Mutex
	held    map[[16]byte]int
	changed chan struct{} // closed at the next release
}

func newTracker() *tracker {
	return &tracker{held: map[[16]byte]int{}, changed: make(chan struct{})}
}

// admit waits until no batch under way has an identity of b.
func (t *tracker) admit(ctx context.Context, b *batch) error {
	for {
		t.mu.Lock()
		clash := false
		for _, id := range b.ids {
			if t.held[id] > 0 {
				clash = true
				break
			}
		}
		changed := t.changed
		if !clash {
			for _, id := range b.ids {
				t.held[id]++
			}
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *tracker) release(b *batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range b.ids {
		if t.held[id]--; t.held[id] == 0 {
			delete(t.held, id)
		}
	}
	close(t.changed)
	t.changed = make(chan struct{})
}
