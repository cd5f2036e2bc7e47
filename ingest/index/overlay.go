package index

import (
	"container/heap"
	"sync"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// overlay holds what this instance appended and the log has not delivered
// yet. The store beneath stays a plain fold of the log up to one position.
type overlay struct {
	mu       sync.RWMutex
	position eventlog.Position // up to which the store has everything
	entries  map[Key]Entry
	events   map[uuid.UUID]Place
	appends  noted // what to forget when the store has it, by position
}

func (o *overlay) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.position = eventlog.Position{}
	o.entries = map[Key]Entry{}
	o.events = map[uuid.UUID]Place{}
	o.appends = nil
}

func (o *overlay) size() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.entries) + len(o.events)
}

func (o *overlay) entry(k Key) (Entry, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e, ok := o.entries[k]
	return e, ok
}

func (o *overlay) event(id uuid.UUID) (Place, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	p, ok := o.events[id]
	return p, ok
}

func (o *overlay) scope(scope scopeKey) map[Key]Entry {
	o.mu.RLock()
	defer o.mu.RUnlock()
	found := map[Key]Entry{}
	for k, e := range o.entries {
		if scopeKey(k[:16]) == scope {
			found[k] = e
		}
	}
	return found
}

// note takes the events of one append, unless the log was quicker to deliver
// them than to answer. All of them bear the position of the last one: the
// store has the append whole once it is there.
func (o *overlay) note(position eventlog.Position, mutations []mutation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if position.Compare(o.position) <= 0 {
		return
	}
	for _, m := range mutations {
		o.events[m.event] = m.place
		for _, p := range m.puts {
			p.entry.Position = position
			if old, ok := o.entries[p.key]; !ok || old.Position.Compare(position) <= 0 {
				o.entries[p.key] = p.entry
			}
		}
	}
	heap.Push(&o.appends, notedAppend{position, mutations})
}

// followed forgets what the store holds by now.
func (o *overlay) followed(position eventlog.Position) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.position = position
	for len(o.appends) > 0 && o.appends[0].position.Compare(position) <= 0 {
		done, _ := heap.Pop(&o.appends).(notedAppend)
		for _, m := range done.mutations {
			delete(o.events, m.event)
			for _, p := range m.puts {
				if o.entries[p.key].Position == done.position {
					delete(o.entries, p.key)
				}
			}
		}
	}
}

type notedAppend struct {
	position  eventlog.Position
	mutations []mutation
}

// noted is a heap: appends are noted in nearly, but not quite, their order.
type noted []notedAppend

func (n noted) Len() int           { return len(n) }
func (n noted) Less(i, j int) bool { return n[i].position.Compare(n[j].position) < 0 }
func (n noted) Swap(i, j int)      { n[i], n[j] = n[j], n[i] }

// Push is part of heap.Interface.
func (n *noted) Push(x any) {
	if a, ok := x.(notedAppend); ok {
		*n = append(*n, a)
	}
}

// Pop is part of heap.Interface.
func (n *noted) Pop() any {
	old := *n
	last := old[len(old)-1]
	old[len(old)-1] = notedAppend{}
	*n = old[:len(old)-1]
	return last
}
