package eventstore

import (
	"sync/atomic"
	"time"
)

// clock is a clock that stands still until it is set.
type clock struct{ at atomic.Pointer[time.Time] }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.set(at)
	return c
}

func (c *clock) set(at time.Time) { c.at.Store(&at) }

func (c *clock) now() time.Time { return *c.at.Load() }
