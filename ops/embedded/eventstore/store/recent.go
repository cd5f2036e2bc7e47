package store

// recentIDs remembers where the last events of the log went, by event id, so
// that a repeated append with [ExpectAny] can be recognised. It is bounded:
// recognition beyond it is best effort, as with EventStoreDB itself.
//
// It belongs to the writer goroutine alone.
type recentIDs struct {
	ring []recentEvent
	next int
	byID map[[16]byte]int32 // id → slot in ring
}

type recentEvent struct {
	id       [16]byte
	stream   uint64
	revision uint64
	position uint64 // 0 = slot never used
}

func newRecentIDs(events int) *recentIDs {
	return &recentIDs{ring: make([]recentEvent, events), byID: make(map[[16]byte]int32, events)}
}

func (r *recentIDs) add(e recentEvent) {
	slot := &r.ring[r.next]
	// The evicted id may have been written again since; then the newer slot keeps it.
	if at, ok := r.byID[slot.id]; ok && slot.position != 0 && int(at) == r.next {
		delete(r.byID, slot.id)
	}
	*slot = e
	r.byID[e.id] = int32(r.next)
	r.next++
	if r.next == len(r.ring) {
		r.next = 0
	}
}

func (r *recentIDs) find(id [16]byte) (recentEvent, bool) {
	at, ok := r.byID[id]
	if !ok {
		return recentEvent{}, false
	}
	return r.ring[at], true
}
