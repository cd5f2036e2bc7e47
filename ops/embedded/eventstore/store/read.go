package store

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/cockroachdb/pebble/v2"
)

// Visit receives one record and says whether to go on. The record and its
// slices are valid only during the call.
type Visit func(*Record) (more bool)

func currentRecord(it *pebble.Iterator) (Record, error) {
	var r Record
	err := decodeCurrent(it, &r)
	return r, err
}

func decodeCurrent(it *pebble.Iterator, r *Record) error {
	position, err := logPosition(it.Key())
	if err != nil {
		return &CorruptionError{Err: err}
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return fmt.Errorf("record at position %d: %w", position, corrupted(err))
	}
	if err := decodeRecord(r, position, v); err != nil {
		return &CorruptionError{Position: position, Err: err}
	}
	return nil
}

// ScanAll visits the durable events in log order: forwards those at position
// from and after, backwards those at position from and before. It stops when
// visit returns false. The log's files stay pinned until it returns, so a
// caller that waits for a slow reader should take what it can hold, return,
// and scan on later.
func (s *Store) ScanAll(from uint64, backwards bool, visit Visit) error {
	return s.view(func(db *pebble.DB) error { return s.scanAll(db, from, backwards, visit) })
}

func (s *Store) scanAll(db *pebble.DB, from uint64, backwards bool, visit Visit) (err error) {
	head := s.durable.Load()
	if backwards {
		from = min(from, head)
	}
	from = max(from, 1)
	if head == 0 || from > head {
		return nil
	}
	opts := &pebble.IterOptions{LowerBound: logKey(from), UpperBound: logKey(head + 1)}
	if backwards {
		opts = &pebble.IterOptions{LowerBound: logKey(1), UpperBound: logKey(from + 1)}
	}
	it, err := db.NewIter(opts)
	if err != nil {
		return fmt.Errorf("scan the log: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	return scanLog(it, from, head, backwards, visit)
}

// scanLog checks on its way that no position is missing.
func scanLog(it *pebble.Iterator, from, head uint64, backwards bool, visit Visit) error {
	var r Record
	next := from
	var ok bool
	if backwards {
		ok = it.Last()
	} else {
		ok = it.First()
	}
	for ; ok; ok = step(it, backwards) {
		if err := decodeCurrent(it, &r); err != nil {
			return err
		}
		if r.Position != next {
			return &CorruptionError{Position: next, Err: errors.New("the record is missing")}
		}
		if !visit(&r) {
			return nil
		}
		if backwards {
			next--
		} else {
			next++
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("scan the log: %w", err)
	}
	if (backwards && next != 0) || (!backwards && next != head+1) {
		return &CorruptionError{Position: next, Err: errors.New("the record is missing")}
	}
	return nil
}

func step(it *pebble.Iterator, backwards bool) bool {
	if backwards {
		return it.Prev()
	}
	return it.Next()
}

// StreamView is what a reader may see of a stream at one moment.
type StreamView struct {
	Name string
	// Found is false if the stream never had an event or is deleted.
	Found bool
	// First and Last are the first and last revision to be seen; First > Last
	// if all of them are truncated. Meaningful if Found.
	First, Last int64

	number uint64
	head   uint64 // durable position the view was taken at
}

// Stream looks a stream up and applies its $tb, $maxCount and $maxAge. It
// fails with a [*StreamDeletedError] if the stream was tombstoned.
func (s *Store) Stream(name string) (StreamView, error) {
	var view StreamView
	err := s.view(func(db *pebble.DB) (err error) {
		view, err = s.streamView(db, name)
		return err
	})
	return view, err
}

func (s *Store) streamView(db *pebble.DB, name string) (StreamView, error) {
	v := StreamView{Name: name, head: s.durable.Load()}
	number, ok, err := streamNumber(db, name)
	if err != nil {
		return v, err
	}
	last := int64(NoRevision)
	if ok {
		if last, _, err = lastRevision(db, number, v.head); err != nil {
			return v, err
		}
	}
	if err := s.refuseTombstoned(db, name, last, v.head); err != nil {
		return v, err
	}
	if last == NoRevision {
		return v, nil
	}
	v.number, v.Last = number, last
	if isMetastream(name) {
		v.Found = true
		v.First = max(0, last+1-metastreamsOwnCount)
		return v, nil
	}
	meta, _, err := loadMetadata(db, name, v.head)
	if err != nil {
		return v, err
	}
	if meta.softDeleted() {
		return v, nil
	}
	v.Found = true
	v.First, err = s.firstVisible(db, number, last, meta)
	return v, err
}

func (s *Store) refuseTombstoned(db *pebble.DB, name string, last int64, head uint64) error {
	if last == RevisionTombstone {
		return &StreamDeletedError{Stream: name}
	}
	if !isMetastream(name) {
		return nil
	}
	number, ok, err := streamNumber(db, originalOf(name))
	if err != nil || !ok {
		return err
	}
	last, _, err = lastRevision(db, number, head)
	if err == nil && last == RevisionTombstone {
		err = &StreamDeletedError{Stream: name}
	}
	return err
}

// firstVisible is the first revision that the stream's metadata leaves
// readable. Recorded time never goes backwards, so age is searched by halves.
func (s *Store) firstVisible(db *pebble.DB, number uint64, last int64, meta streamMetadata) (int64, error) {
	first := max(0, meta.truncateBefore)
	if meta.maxCount > 0 {
		first = max(first, last+1-meta.maxCount)
	}
	if meta.maxAge == 0 || first > last {
		return first, nil
	}
	oldest := s.cfg.Now().UnixNano()/int64(Tick) - meta.maxAge
	var failed error
	young := sort.Search(int(last-first+1), func(i int) bool {
		if failed != nil {
			return true
		}
		position, ok, err := positionOf(db, number, uint64(first+int64(i)))
		if err == nil && !ok {
			err = &CorruptionError{Err: fmt.Errorf("stream index has no revision %d, but later ones", first+int64(i))}
		}
		if err != nil {
			failed = err
			return true
		}
		created := int64(math.MinInt64)
		failed = withRecord(db, position, func(r *Record) { created = r.Created })
		return created >= oldest
	})
	return first + int64(young), failed
}

// ScanStream visits the events of a view in order of revision: forwards those
// at revision from and after, backwards those at from and before, within the
// view's First and Last. See [Store.ScanAll] for what else holds.
func (s *Store) ScanStream(v StreamView, from int64, backwards bool, visit Visit) error {
	if !v.Found {
		return nil
	}
	low, high := max(from, v.First), v.Last
	if backwards {
		low, high = v.First, min(from, v.Last)
	}
	if low > high {
		return nil
	}
	return s.view(func(db *pebble.DB) (err error) {
		index, err := db.NewIter(&pebble.IterOptions{
			LowerBound: streamKey(v.number, uint64(low)),
			UpperBound: streamKey(v.number, uint64(high)+1),
		})
		if err != nil {
			return fmt.Errorf("scan stream %q: %w", v.Name, err)
		}
		defer func() { err = errors.Join(err, index.Close()) }()
		log, err := db.NewIter(&pebble.IterOptions{LowerBound: logKey(1), UpperBound: logKey(v.head + 1)})
		if err != nil {
			return fmt.Errorf("scan stream %q: %w", v.Name, err)
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		return scanStream(index, log, v.Name, low, high, backwards, visit)
	})
}

func scanStream(index, log *pebble.Iterator, name string, low, high int64, backwards bool, visit Visit) error {
	var r Record
	var at uint64 // position under the log iterator, 0 if nowhere
	key := make([]byte, logKeyLen)
	next := low
	var ok bool
	if backwards {
		next, ok = high, index.Last()
	} else {
		ok = index.First()
	}
	for ; ok; ok = step(index, backwards) {
		revision, position, err := indexEntry(index)
		if err != nil {
			return err
		}
		if int64(revision) != next {
			return &CorruptionError{Err: fmt.Errorf("stream %q: revision %d is missing from the index", name, next)}
		}
		// Events of one append lie next to each other in the log.
		var found bool
		switch {
		case at != 0 && position == at+1:
			found = log.Next()
		case at != 0 && position == at-1:
			found = log.Prev()
		default:
			putLogKey(key, position)
			found = log.SeekGE(key)
		}
		if !found {
			return errors.Join(log.Error(), &CorruptionError{Position: position, Err: fmt.Errorf("revision %d of stream %q: the record is missing", revision, name)})
		}
		if err := decodeCurrent(log, &r); err != nil {
			return err
		}
		if r.Position != position || r.Revision != revision || string(r.Stream) != name {
			return &CorruptionError{Position: position, Err: fmt.Errorf("holds another event than revision %d of stream %q", revision, name)}
		}
		at = position
		if !visit(&r) {
			return nil
		}
		if backwards {
			next--
		} else {
			next++
		}
	}
	if err := index.Error(); err != nil {
		return fmt.Errorf("scan stream %q: %w", name, err)
	}
	if (backwards && next != low-1) || (!backwards && next != high+1) {
		return &CorruptionError{Err: fmt.Errorf("stream %q: revision %d is missing from the index", name, next)}
	}
	return nil
}
