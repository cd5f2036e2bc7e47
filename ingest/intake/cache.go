package intake

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/ledger"
)

// loaded is a ledger as far as it was read from the log or appended by us.
type loaded struct {
	stream   string
	state    *ledger.State
	exists   bool   // whether the stream has events
	revision uint64 // of the last one
	fresh    bool   // read from the log in this turn
}

// expected is what an append decided on this state must find.
func (l *loaded) expected() eventlog.Expected {
	if !l.exists {
		return eventlog.NoStream()
	}
	return eventlog.Exactly(l.revision)
}

// apply shows the ledger events that are to be appended.
func (l *loaded) apply(events []event.Event) error {
	for _, ev := range events {
		if err := l.state.Apply(ev); err != nil {
			return fmt.Errorf("apply %s to %s: %w", ev.Type(), l.stream, err)
		}
	}
	return nil
}

// behind tells whether the log is known to hold a later event.
func (l *loaded) behind(seen uint64) bool { return !l.exists || l.revision < seen }

// cache keeps the states of ledgers that were written lately, by their
// estimated size. A state is either in the cache or with one writer.
type cache struct {
	mu      sync.Mutex
	limit   int64
	bytes   int64
	order   *list.List // of *cached; the latest used in front
	entries map[string]*list.Element
	out     map[string]*uint64 // ledgers with a writer: highest revision the log delivered meanwhile

	metrics *Metrics
}

type cached struct {
	*loaded
	bytes int64
}

func newCache(limit int64, metrics *Metrics) *cache {
	return &cache{
		limit: limit, order: list.New(), entries: map[string]*list.Element{},
		out: map[string]*uint64{}, metrics: metrics,
	}
}

// take gives a writer the state of its ledger; nil when it must be loaded.
func (c *cache) take(stream string) *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out[stream] = new(uint64)
	el := c.entries[stream]
	if el == nil {
		return nil
	}
	return c.remove(el).loaded
}

// put takes the state back from its writer, nil when it is not to be kept.
func (c *cache) put(stream string, l *loaded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.out[stream]
	delete(c.out, stream)
	if l == nil || !l.exists || seen != nil && *seen > 0 && l.behind(*seen-1) {
		return
	}
	l.fresh = false
	e := &cached{loaded: l, bytes: l.state.Size() + int64(len(stream)) + cachedOverhead}
	c.entries[stream] = c.order.PushFront(e)
	c.bytes += e.bytes
	for c.bytes > c.limit && c.order.Len() > 1 {
		c.remove(c.order.Back())
	}
	c.metrics.cacheBytes.Set(float64(c.bytes))
}

// cachedOverhead is what a cached state takes beside the state itself.
const cachedOverhead = 256

// see drops a state when the log delivers an event that it does not have: one
// of another instance.
func (c *cache) see(stream string, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seen, ok := c.out[stream]; ok {
		*seen = max(*seen, revision+1)
		return
	}
	if el, ok := c.entries[stream]; ok {
		if e, ok := el.Value.(*cached); ok && e.behind(revision) {
			c.remove(el)
		}
	}
}

// clear drops everything that no writer has.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order.Init()
	clear(c.entries)
	c.bytes = 0
	c.metrics.cacheBytes.Set(0)
}

// remove takes an element out. The caller holds mu.
func (c *cache) remove(el *list.Element) *cached {
	e, _ := c.order.Remove(el).(*cached)
	delete(c.entries, e.stream)
	c.bytes -= e.bytes
	c.metrics.cacheBytes.Set(float64(c.bytes))
	return e
}
