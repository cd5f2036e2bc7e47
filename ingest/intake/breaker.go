package intake

import (
	"sync"
	"time"
)

// breaker remembers that the log was away, so that callers learn it at once
// instead of each waiting for it. It uses the machine's own clock: it measures
// pauses, not times that anybody records.
type breaker struct {
	first time.Duration

	mu    sync.Mutex
	until time.Time     // zero while the log answers
	pause time.Duration // the last one
}

func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.until)
}

// fail notes that the log is away and returns how long to leave it alone.
func (b *breaker) fail() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); !now.Before(b.until) { // of several that fail together the first counts
		b.pause = min(max(2*b.pause, b.first), 16*b.first)
		b.until = now.Add(b.pause)
	}
	return b.pause
}

func (b *breaker) succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until, b.pause = time.Time{}, 0
}
