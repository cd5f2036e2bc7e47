package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

const (
	queuedRequests  = 4096
	maxGroupEvents  = 1 << 14
	maxGroupBytes   = 1 << 20 // more would keep callers waiting for the disk that could send meanwhile
	groupsInFlight  = 64
	smallGroupBytes = 16 << 10 // below it a group waits for the sync under way
	cachedStreams   = 1 << 15
	recoverInterval = 250 * time.Millisecond
	preloadBytes    = 16 << 20
	preloadEvents   = 10_000
)

// writer decides all writes, in order of arrival. It runs in one goroutine; a
// second one, the acknowledger, waits for the disk and answers, so that the
// next group is decided while the last one is being synced.
type writer struct {
	store  *Store
	db     *pebble.DB
	cache  *streamCache
	recent *recentIDs
	held   *request // taken from the queue, and for the next group
	syncs  *syncs   // groups on their way to the disk

	position uint64 // of the last event written, durable or not
	number   uint64 // of the last stream created
	created  int64  // recorded time of the last event, ticks
}

// group is what one commit makes durable.
type group struct {
	batch    *pebble.Batch // nil if nothing had to be written
	requests []*request
	touched  []string
	position uint64 // of the last event up to and including this group
	events   int
	bytes    int
	start    time.Time
}

func newWriter(s *Store, db *pebble.DB) (*writer, error) {
	if err := checkFormat(db); err != nil {
		return nil, err
	}
	w := &writer{store: s, db: db, cache: newStreamCache(cachedStreams), recent: newRecentIDs(s.cfg.RecentEvents), syncs: newSyncs()}
	if err := w.loadLastNumber(); err != nil {
		return nil, err
	}
	if err := w.loadTail(); err != nil {
		return nil, err
	}
	return w, nil
}

// loadLastNumber finds the highest stream number: a stream and its first
// event are written together, so the end of the index tells.
func (w *writer) loadLastNumber() (err error) {
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixStream}, UpperBound: []byte{prefixStream + 1}})
	if err != nil {
		return fmt.Errorf("last stream number: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if it.Last() {
		number, _, err := parseStreamKey(it.Key())
		if err != nil {
			return &CorruptionError{Err: err}
		}
		w.number = number
	}
	return it.Error()
}

// loadTail finds the last position and recorded time, and refills the window
// of recent ids from the end of the log.
func (w *writer) loadTail() (err error) {
	it, err := w.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixLog}, UpperBound: []byte{prefixLog + 1}})
	if err != nil {
		return fmt.Errorf("tail of the log: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var tail []recentEvent
	limit := min(preloadEvents, w.store.cfg.RecentEvents)
	size := 0
	for ok := it.Last(); ok && len(tail) < limit && size < preloadBytes; ok = it.Prev() {
		r, err := currentRecord(it)
		if err != nil {
			return err
		}
		if len(tail) == 0 {
			w.position, w.created = r.Position, r.Created
		}
		st, err := w.stream(string(r.Stream))
		if err != nil {
			return err
		}
		size += len(r.Data) + len(r.Metadata)
		tail = append(tail, recentEvent{id: r.ID, stream: st.number, revision: r.Revision, position: r.Position})
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("tail of the log: %w", corrupted(err))
	}
	for i := len(tail) - 1; i >= 0; i-- {
		w.recent.add(tail[i])
	}
	return nil
}

// run serves until ctx ends or the engine fails for good. After a failed write
// to the disk it reopens the log and goes on.
func (w *writer) run(ctx context.Context) error {
	for {
		err := w.serve(ctx)
		if failed := w.store.failure.err(); failed != nil {
			return failed
		}
		closeErr := w.store.close()
		if err == nil {
			w.refuseRest()
			return closeErr
		}
		w.store.log.Error("event log: a write failed, reopening the log", "err", errors.Join(err, closeErr))
		next, err := w.reopen(ctx)
		if err != nil || next == nil {
			return err
		}
		w = next
	}
}

// refuseRest answers what was still waiting when the store stopped.
func (w *writer) refuseRest() {
	if w.held != nil {
		w.held.err = ErrStopped
		w.store.answer(w.held)
	}
	for {
		select {
		case r := <-w.store.queue:
			r.err = ErrStopped
			w.store.answer(r)
		default:
			return
		}
	}
}

// reopen waits until there is room on the disk and opens the log again. It
// returns nil, nil when ctx ends first.
func (w *writer) reopen(ctx context.Context) (*writer, error) {
	tick := time.NewTicker(recoverInterval)
	defer tick.Stop()
	for {
		if err := w.store.disk.check(); err == nil {
			next, err := w.store.open()
			if err == nil {
				next.held = w.held
				return next, nil
			}
			var damage *CorruptionError
			if errors.As(err, &damage) {
				return nil, err
			}
			w.store.log.Error("event log: reopening failed, trying again", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// serve returns nil when ctx ended, or the error by which a commit failed.
func (w *writer) serve(ctx context.Context) error {
	groups := make(chan *group, groupsInFlight)
	broken := make(chan error, 1)
	acked := make(chan struct{})
	go func() {
		defer close(acked)
		w.store.acknowledge(groups, w.syncs, broken)
	}()
	err := w.decideGroups(ctx, groups, broken)
	close(groups)
	select {
	case <-acked:
	case <-w.store.failure.ch:
		return nil
	}
	if err == nil {
		select {
		case err = <-broken:
		default:
		}
	}
	return err
}

func (w *writer) decideGroups(ctx context.Context, groups chan<- *group, broken <-chan error) error {
	for {
		first := w.held
		w.held = nil
		if first == nil {
			select {
			case first = <-w.store.queue:
			case <-ctx.Done():
				return nil
			case err := <-broken:
				return err
			case <-w.store.failure.ch:
				return nil
			}
		}
		g := w.collect(first)
		w.commit(g)
		w.syncs.begin()
		select {
		case groups <- g:
		case <-w.store.failure.ch:
			return nil
		}
	}
}

// collect takes what is waiting, up to the limits of a group.
func (w *writer) collect(first *request) *group {
	g := &group{requests: make([]*request, 1, 64), start: w.store.cfg.Now()}
	g.requests[0] = first
	events, size := len(first.events), first.bytes
	for events < maxGroupEvents && size < maxGroupBytes {
		r := w.poll()
		if r == nil && size < smallGroupBytes {
			r = w.linger()
		}
		if r == nil {
			return g
		}
		if events+len(r.events) > maxGroupEvents {
			w.held = r
			return g
		}
		g.requests = append(g.requests, r)
		events += len(r.events)
		size += r.bytes
	}
	return g
}

// commit decides the group's requests and hands its batch to the disk.
//
// The steps, and what is lost if one fails:
//  1. room: below the reserve everything is refused and nothing was tried.
//  2. decide and encode: an error concerns its own request.
//  3. apply: the batch enters the write-ahead log as one record, so a crash
//     leaves all of it or nothing.
//  4. sync (by the acknowledger): only then are its events shown and its
//     requests answered, refusals included, since they may rest on events of
//     an earlier group. If it fails the outcome is unknown to everybody, and
//     reopening the log finds out.
func (w *writer) commit(g *group) {
	g.position = w.position
	if err := w.store.disk.check(); err != nil {
		for _, r := range g.requests {
			r.err = err
		}
		return
	}
	size := 0
	for _, r := range g.requests {
		size += int(r.bytes) + (len(r.events)+1)*64
	}
	batch := w.db.NewBatchWithSize(size)
	now := max(w.store.cfg.Now().UnixNano()/int64(Tick), w.created)
	for _, r := range g.requests {
		if err := r.ctx.Err(); err != nil {
			r.err = err
			continue
		}
		r.result, r.err = w.process(batch, g, r, now)
	}
	if batch.Empty() {
		if err := batch.Close(); err != nil {
			w.store.log.Error("event log: close an empty batch", "err", err)
		}
		return
	}
	w.created = now
	g.position = w.position
	if err := w.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		w.store.failure.set(fmt.Errorf("apply a group of appends: %w", err))
		for _, r := range g.requests {
			r.err = ErrOutcomeUnknown
		}
		return
	}
	g.batch = batch
	w.cache.turn()
}

// process decides one request and encodes what it writes.
func (w *writer) process(b *pebble.Batch, g *group, r *request, now int64) (Result, error) {
	st, err := w.stream(r.stream)
	if err != nil {
		return Result{}, err
	}
	d, err := w.decide(st, r.expected, r.events)
	if err != nil {
		return Result{}, err
	}
	if d.verdict == verdictIdempotent {
		return d.result, nil
	}
	switch r.kind {
	case kindDelete:
		return w.truncate(b, g, st, softDeletedTruncate, now)
	case kindTombstone:
		return w.tombstone(b, g, st, now)
	case kindAppend:
		return w.append(b, g, st, r.events, d.undelete, now)
	}
	return Result{}, fmt.Errorf("request of unknown kind %d", r.kind)
}

// append writes the client's events, and around them the metadata that brings
// a deleted stream back.
func (w *writer) append(b *pebble.Batch, g *group, st *streamState, events []Proposed, undelete bool, now int64) (Result, error) {
	if len(events) == 0 {
		return Result{Revision: st.last}, nil
	}
	var original *streamState
	if isMetastream(st.name) {
		var err error
		if original, err = w.stream(originalOf(st.name)); err != nil {
			return Result{}, err
		}
		if err := w.loadMeta(original); err != nil {
			return Result{}, err
		}
	}
	if undelete {
		if _, err := w.truncate(b, g, st, st.last+1, now); err != nil {
			return Result{}, err
		}
	}
	result, err := w.put(b, g, st, events, now)
	if err != nil || original == nil {
		return result, err
	}
	wasDeleted := original.meta.softDeleted()
	original.setMetadata(&events[len(events)-1])
	if wasDeleted {
		// New metadata brings a deleted stream back, without its old events.
		if _, err := w.truncate(b, g, original, original.last+1, now); err != nil {
			return Result{}, err
		}
	}
	return result, nil
}

func (s *streamState) setMetadata(p *Proposed) {
	s.metaLoaded = true
	s.meta, s.rawMeta = streamMetadata{}, nil
	if string(p.Type) == typeMetadata {
		s.rawMeta = append([]byte{}, p.Data...)
		s.meta = parseMetadata(s.rawMeta)
	}
}

// truncate writes the stream's metadata again with another $tb.
func (w *writer) truncate(b *pebble.Batch, g *group, st *streamState, before int64, now int64) (Result, error) {
	if isMetastream(st.name) {
		return Result{}, fmt.Errorf("%w: %q holds metadata and cannot be deleted", ErrInvalidStream, st.name)
	}
	metastream, err := w.stream(metastreamOf(st.name))
	if err != nil {
		return Result{}, err
	}
	data, err := withTruncateBefore(st.rawMeta, before)
	if err != nil {
		return Result{}, err
	}
	event := Proposed{ID: uuid.New(), JSON: true, Type: []byte(typeMetadata), Data: data}
	result, err := w.put(b, g, metastream, []Proposed{event}, now)
	if err != nil {
		return Result{}, err
	}
	st.setMetadata(&event)
	return result, nil
}

// tombstone writes the event that ends the stream.
func (w *writer) tombstone(b *pebble.Batch, g *group, st *streamState, now int64) (Result, error) {
	st.last = RevisionTombstone - 1
	return w.put(b, g, st, []Proposed{{ID: uuid.New(), Type: []byte(typeTombstone)}}, now)
}

// put encodes events at the end of the log and of their stream.
func (w *writer) put(b *pebble.Batch, g *group, st *streamState, events []Proposed, now int64) (Result, error) {
	if st.number == 0 {
		w.number++
		st.number = w.number
		if err := b.Set(nameKey(st.name), binary.AppendUvarint(nil, st.number), nil); err != nil {
			return Result{}, fmt.Errorf("encode stream %q: %w", st.name, err)
		}
	}
	for i := range events {
		p := &events[i]
		w.position++
		st.last++
		revision := uint64(st.last)
		entry := b.SetDeferred(logKeyLen, recordLen(revision, st.name, p))
		putLogKey(entry.Key, w.position)
		putRecord(entry.Value, w.position, revision, now, st.name, p)
		if err := entry.Finish(); err != nil {
			return Result{}, fmt.Errorf("encode record %d: %w", w.position, err)
		}
		index := b.SetDeferred(streamKeyLen, uvarintLen(w.position))
		putStreamKey(index.Key, st.number, revision)
		binary.PutUvarint(index.Value, w.position)
		if err := index.Finish(); err != nil {
			return Result{}, fmt.Errorf("encode index of record %d: %w", w.position, err)
		}
		w.recent.add(recentEvent{id: p.ID, stream: st.number, revision: revision, position: w.position})
		g.bytes += p.Size()
	}
	g.events += len(events)
	g.touched = append(g.touched, st.name)
	return Result{Revision: st.last, Position: w.position}, nil
}
