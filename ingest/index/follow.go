package index

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Apply folds events that the log delivered, in order, and moves the position
// to the last of them, all in one batch.
func (ix *Index) Apply(events []Followed) error {
	if len(events) == 0 {
		return nil
	}
	last := events[len(events)-1].Recorded
	a := anchor{position: last.Position, place: Place{Stream: last.Stream, Revision: last.Revision}, id: last.ID}

	ix.dbMu.RLock()
	defer ix.dbMu.RUnlock()
	if err := ix.usable(); err != nil {
		return err
	}
	batch := ix.db.NewBatch()
	defer batch.Close()
	var buf []byte
	for _, f := range events {
		var err error
		if buf, err = writeMutation(batch, mutate(f), f.Recorded, buf); err != nil {
			return fmt.Errorf("fold into identity index: %w", err)
		}
	}
	value := appendPosition(buf[:0], a.position)
	value = appendPlace(value, a.place)
	value = append(value, a.id[:]...)
	if err := batch.Set(keyPosition, value, nil); err != nil {
		return fmt.Errorf("fold into identity index: %w", err)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("fold into identity index: %w", damaged(err))
	}
	ix.anchor.Store(&a)
	ix.overlay.followed(a.position)
	return nil
}

func writeMutation(batch *pebble.Batch, m mutation, rec eventlog.Recorded, buf []byte) ([]byte, error) {
	var key [128]byte
	var errs []error
	set := func(prefix byte, name []byte, value []byte) {
		errs = append(errs, batch.Set(append(append(key[:0], prefix), name...), value, nil))
	}
	buf = appendPlace(buf[:0], m.place)
	set(prefixEvent, m.event[:], buf)
	for _, p := range m.puts {
		buf = appendEntry(buf[:0], p.entry)
		set(prefixIdentity, p.key[:], buf)
	}
	if m.due != nil {
		buf = appendArrival(buf[:0], *m.due)
		set(prefixArrival, m.due.Moved[:], buf)
	}
	if m.arrived != uuid.Nil {
		errs = append(errs, batch.Delete(append(append(key[:0], prefixArrival), m.arrived[:]...), nil))
	}
	if m.facility != "" {
		buf = appendPlace(buf[:0], m.place)
		set(prefixFeed, feedKey(m.facility, rec.Position), buf)
		if m.booked != "" {
			set(prefixBooked, append(bookedPrefix(m.facility, m.booked), positionKey(rec.Position)...), buf)
		}
	}
	if m.register != "" {
		buf = appendRecorded(buf[:0], rec)
		set(prefixRegister, []byte(m.register), buf)
	}
	return buf, errors.Join(errs...)
}

// Note makes the events of one append visible that this instance has just
// made, at the position of the last of them. The store takes them when the log
// delivers them.
func (ix *Index) Note(position eventlog.Position, events []Followed) {
	mutations := make([]mutation, len(events))
	for i, f := range events {
		mutations[i] = mutate(f)
	}
	ix.overlay.note(position, mutations)
}

// Verify compares the index with the log it is to follow. An index that is
// ahead of the log, or whose last event the log does not hold in that place,
// was made from another log: it is dropped, and following starts anew.
func (ix *Index) Verify(ctx context.Context, log eventlog.Reader) error {
	a := *ix.anchor.Load()
	if a.position.IsStart() {
		return nil
	}
	end, err := log.End(ctx)
	if err != nil {
		return fmt.Errorf("verify identity index: %w", err)
	}
	if end.Compare(a.position) < 0 {
		return ix.Reset(fmt.Sprintf("it is at %s, the log ends at %s", a.position, end))
	}
	for rec, err := range log.ReadStream(ctx, a.place.Stream, a.place.Revision) {
		if err != nil {
			return fmt.Errorf("verify identity index: %w", err)
		}
		if rec.ID == a.id && rec.Revision == a.place.Revision && rec.Position == a.position {
			return nil
		}
		break
	}
	return ix.Reset(fmt.Sprintf("the log does not hold event %s as revision %d of %s", a.id, a.place.Revision, a.place.Stream))
}

// Reset drops everything and starts with an empty index, saying why.
func (ix *Index) Reset(reason string) error {
	ix.logger.Warn("identity index does not fit, building it anew from the log", "dir", ix.cfg.Dir, "reason", reason)
	ix.dbMu.Lock()
	defer ix.dbMu.Unlock()
	if ix.db == nil {
		return errClosed
	}
	// What a damaged store says when it is closed does not matter any more.
	if err := ix.db.Close(); err != nil {
		ix.logger.Debug("closing the dropped identity index", "error", err)
	}
	ix.db = nil
	return ix.dropAndOpen()
}

// Registers yields the latest event of every facility and area folded so far,
// without metadata. An error is yielded once, as the last element.
func (ix *Index) Registers() iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		for kv, err := range ix.scan([]byte{prefixRegister}) {
			if err != nil {
				yield(eventlog.Recorded{}, err)
				return
			}
			rec, err := readRecorded(kv.value)
			if err != nil {
				yield(eventlog.Recorded{}, damaged(err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// Arrivals yields the moves folded so far whose target has no Arrived event.
// An error is yielded once, as the last element.
func (ix *Index) Arrivals() iter.Seq2[Arrival, error] {
	return func(yield func(Arrival, error) bool) {
		for kv, err := range ix.scan([]byte{prefixArrival}) {
			if err != nil {
				yield(Arrival{}, err)
				return
			}
			moved, err := uuid.FromBytes(kv.key[1:])
			if err != nil {
				yield(Arrival{}, damaged(fmt.Errorf("%w: %w", errEntry, err)))
				return
			}
			a, err := readArrival(moved, kv.value)
			if err != nil {
				yield(Arrival{}, damaged(err))
				return
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

// Scope yields the entries, whatever their status, of every identity of a
// reporter and source that is known at the call, each once. One that changes
// meanwhile is seen as it was or as it is. An error is yielded once, as the
// last element.
func (ix *Index) Scope(reporter, source string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		scope := scopeOf(reporter, source)
		// Overlay before store: an entry that moves between the two meanwhile
		// is then seen at least once, and the overlay's is the newer.
		newer := ix.overlay.scope(scope)
		for kv, err := range ix.scan(append([]byte{prefixIdentity}, scope[:]...)) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			e, err := readEntry(kv.value)
			if err != nil {
				yield(Entry{}, damaged(err))
				return
			}
			k := Key(kv.key[1:])
			if n, ok := newer[k]; ok {
				delete(newer, k)
				if n.Position.Compare(e.Position) > 0 {
					e = n
				}
			}
			if !yield(e, nil) {
				return
			}
		}
		for _, e := range newer {
			if !yield(e, nil) {
				return
			}
		}
	}
}

type keyValue struct{ key, value []byte }

// scan yields what begins with prefix, in pages: it holds no lock and no
// snapshot while the caller works, so that a slow caller stops nobody.
func (ix *Index) scan(prefix []byte) iter.Seq2[keyValue, error] { return ix.scanAfter(nil, prefix) }

// scanAfter is scan from behind a key on; nil is from the first one.
func (ix *Index) scanAfter(after, prefix []byte) iter.Seq2[keyValue, error] {
	return func(yield func(keyValue, error) bool) {
		after := after
		for {
			page, err := ix.page(after, prefix)
			if err != nil {
				yield(keyValue{}, damaged(err))
				return
			}
			for _, kv := range page {
				if !yield(kv, nil) {
					return
				}
				after = kv.key
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

const pageSize = 1024

func (ix *Index) page(after, prefix []byte) (page []keyValue, err error) {
	ix.dbMu.RLock()
	defer ix.dbMu.RUnlock()
	if err := ix.usable(); err != nil {
		return nil, err
	}
	upper := bump(append([]byte(nil), prefix...))
	lower := prefix
	if after != nil {
		lower = append(append([]byte(nil), after...), 0)
	}
	it, err := ix.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid() && len(page) < pageSize; it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		page = append(page, keyValue{append([]byte(nil), it.Key()...), append([]byte(nil), value...)})
	}
	return page, it.Error()
}

// bump makes the smallest key after all that begin with prefix.
func bump(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			prefix[i]++
			return prefix[:i+1]
		}
	}
	return nil
}
