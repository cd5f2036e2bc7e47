package store

import "math"

// streamState is what the writer knows about a stream, the decided but not yet
// durable events included.
type streamState struct {
	name   string
	number uint64 // 0 until the stream has its first event
	last   int64  // last revision, NoRevision or RevisionTombstone

	metaLoaded bool
	meta       streamMetadata
	rawMeta    []byte
}

func (s *streamState) tombstoned() bool { return s.last == RevisionTombstone }

// verdict of an expectation check.
type verdict uint8

const (
	verdictWrite      verdict = iota // go ahead
	verdictIdempotent                // all events are there already
)

// decision is a verdict with what belongs to it.
type decision struct {
	verdict verdict
	// undelete: the stream was deleted and the write brings it back.
	undelete bool
	// where the repeated append ended; for verdictIdempotent.
	result Result
}

// decide checks the expectation against the stream's state, by EventStoreDB's
// rules:
//
//   - A tombstoned stream refuses everything.
//   - Any and StreamExists recognise a repeat if every event id is among the
//     recently written ones of this stream; if only some are, it is a conflict.
//   - An exact revision (or NoStream) below the current one is a repeat if the
//     events that follow it have the proposed ids, one by one; else a conflict.
//   - An exact revision above the current one is a conflict.
//   - A deleted stream accepts NoStream, Any and its exact last revision.
func (w *writer) decide(st *streamState, expected Expected, events []Proposed) (decision, error) {
	dead, err := w.isDead(st)
	if err != nil {
		return decision{}, err
	}
	if dead {
		return decision{}, &StreamDeletedError{Stream: st.name}
	}
	if err := w.loadMeta(st); err != nil {
		return decision{}, err
	}
	deleted := st.meta.softDeleted()
	conflict := &WrongRevisionError{Stream: st.name, Expected: expected, Current: st.last}

	switch expected.Kind {
	case ExpectStreamExists:
		exists, err := w.existsForWriter(st)
		if err != nil {
			return decision{}, err
		}
		if !exists {
			return decision{}, conflict
		}
		return w.recognise(st, events, deleted, conflict)
	case ExpectAny:
		return w.recognise(st, events, deleted, conflict)
	case ExpectNoStream, ExpectRevision:
		return w.compare(st, expected.number(), events, deleted, expected.Kind == ExpectNoStream, conflict)
	}
	return decision{}, conflict
}

// isDead says whether the stream, or the one whose metadata it holds, was tombstoned.
func (w *writer) isDead(st *streamState) (bool, error) {
	if st.tombstoned() || !isMetastream(st.name) {
		return st.tombstoned(), nil
	}
	original, err := w.stream(originalOf(st.name))
	if err != nil {
		return false, err
	}
	return original.tombstoned(), nil
}

// existsForWriter is EventStoreDB's notion for StreamExists: an event, or
// metadata, and not deleted.
func (w *writer) existsForWriter(st *streamState) (bool, error) {
	if st.meta.softDeleted() {
		return false, nil
	}
	if st.last != NoRevision {
		return true, nil
	}
	metastream, err := w.stream(metastreamOf(st.name))
	if err != nil {
		return false, err
	}
	return metastream.last != NoRevision, nil
}

// recognise looks the ids up among the recent ones.
func (w *writer) recognise(st *streamState, events []Proposed, deleted bool, conflict *WrongRevisionError) (decision, error) {
	var last recentEvent
	for i := range events {
		e, ok := w.recent.find(events[i].ID)
		if !ok || e.stream != st.number {
			if i > 0 {
				return decision{}, conflict
			}
			return decision{verdict: verdictWrite, undelete: deleted}, nil
		}
		last = e
	}
	if len(events) == 0 {
		return decision{verdict: verdictWrite}, nil
	}
	return repeated(last.revision, last.position), nil
}

// compare checks an exact expectation, where -1 stands for no stream.
func (w *writer) compare(st *streamState, expected int64, events []Proposed, deleted, noStream bool, conflict *WrongRevisionError) (decision, error) {
	if expected == st.last {
		return decision{verdict: verdictWrite, undelete: deleted && len(events) > 0}, nil
	}
	if noStream && deleted {
		same, d, err := w.sameEvents(st, expected, events)
		if err != nil {
			return decision{}, err
		}
		if same {
			return d, nil
		}
		return decision{verdict: verdictWrite, undelete: len(events) > 0}, nil
	}
	if expected > st.last || len(events) == 0 {
		return decision{}, conflict
	}
	same, d, err := w.sameEvents(st, expected, events)
	if err != nil {
		return decision{}, err
	}
	if !same {
		return decision{}, conflict
	}
	return d, nil
}

// sameEvents says whether the revisions after expected hold exactly the
// proposed ids.
func (w *writer) sameEvents(st *streamState, expected int64, events []Proposed) (bool, decision, error) {
	if len(events) == 0 || expected > math.MaxInt64-int64(len(events)) || expected+int64(len(events)) > st.last {
		return false, decision{}, nil
	}
	var position uint64
	for i := range events {
		revision := uint64(expected + 1 + int64(i))
		pos, same, err := w.hasEvent(st, revision, events[i].ID)
		if err != nil || !same {
			return false, decision{}, err
		}
		position = pos
	}
	return true, repeated(uint64(expected)+uint64(len(events)), position), nil
}

// hasEvent looks at the recent ids first, which also hold what is decided and
// not yet in the database.
func (w *writer) hasEvent(st *streamState, revision uint64, id [16]byte) (position uint64, same bool, err error) {
	if e, ok := w.recent.find(id); ok && e.stream == st.number && e.revision == revision {
		return e.position, true, nil
	}
	position, ok, err := positionOf(w.db, st.number, revision)
	if err != nil || !ok {
		return 0, false, err
	}
	err = withRecord(w.db, position, func(r *Record) { same = r.ID == id })
	return position, same, err
}

func repeated(revision, position uint64) decision {
	return decision{verdict: verdictIdempotent, result: Result{Revision: int64(revision), Position: position, Idempotent: true}}
}

// stream returns the writer's state of a stream, loading it if need be.
func (w *writer) stream(name string) (*streamState, error) {
	if st := w.cache.get(name); st != nil {
		return st, nil
	}
	st := &streamState{name: name, last: NoRevision}
	number, ok, err := streamNumber(w.db, name)
	if err != nil {
		return nil, err
	}
	if ok {
		st.number = number
		if st.last, _, err = lastRevision(w.db, number, math.MaxUint64); err != nil {
			return nil, err
		}
	}
	w.cache.put(st)
	return st, nil
}

// loadMeta fills in the stream's metadata. Metastreams have none of their own.
func (w *writer) loadMeta(st *streamState) error {
	if st.metaLoaded {
		return nil
	}
	if !isMetastream(st.name) {
		meta, raw, err := loadMetadata(w.db, st.name, math.MaxUint64)
		if err != nil {
			return err
		}
		st.meta, st.rawMeta = meta, raw
	}
	st.metaLoaded = true
	return nil
}

// streamCache is bounded by forgetting in generations: what was not used
// during the last generation goes. It must not forget between two commits,
// since it also holds what the database does not hold yet; turn is called
// right after a commit.
type streamCache struct {
	limit    int
	young    map[string]*streamState
	previous map[string]*streamState
}

func newStreamCache(limit int) *streamCache {
	return &streamCache{limit: limit, young: make(map[string]*streamState), previous: make(map[string]*streamState)}
}

func (c *streamCache) get(name string) *streamState {
	if st, ok := c.young[name]; ok {
		return st
	}
	st, ok := c.previous[name]
	if !ok {
		return nil
	}
	c.young[name] = st
	return st
}

func (c *streamCache) put(st *streamState) { c.young[st.name] = st }

func (c *streamCache) turn() {
	if len(c.young) < c.limit {
		return
	}
	c.previous = c.young
	c.young = make(map[string]*streamState, c.limit/4)
}
