package eventstore

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives the pauses between attempts: doubling from first to most, each
// shortened at random by up to half, so that many clients do not come back in
// step.
type backoff struct {
	first, most time.Duration
	next        time.Duration
}

func (b *backoff) pause() time.Duration {
	if b.next == 0 {
		b.next = b.first
	}
	d := b.next
	b.next = min(2*b.next, b.most)
	return d - rand.N(d/2+1)
}

func (b *backoff) reset() { b.next = 0 }

// sleep waits for d or until ctx is done, and returns ctx's error then.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
