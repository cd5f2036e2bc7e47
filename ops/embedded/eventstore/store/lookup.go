package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// streamNumber finds a stream's number; ok is false if it never had an event.
func streamNumber(db *pebble.DB, stream string) (number uint64, ok bool, err error) {
	v, closer, err := db.Get(nameKey(stream))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("number of stream %q: %w", stream, err)
	}
	number, parseErr := parseUvarint(v)
	if err := closer.Close(); err != nil {
		return 0, false, err
	}
	if parseErr != nil {
		return 0, false, &CorruptionError{Err: fmt.Errorf("number of stream %q: %w", stream, parseErr)}
	}
	return number, true, nil
}

// lastRevision finds the last revision of a stream whose position is at most
// upTo, [NoRevision] if there is none.
func lastRevision(db *pebble.DB, number, upTo uint64) (revision int64, position uint64, err error) {
	it, err := streamIter(db, number)
	if err != nil {
		return NoRevision, 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.Last(); ok; ok = it.Prev() {
		rev, pos, err := indexEntry(it)
		if err != nil {
			return NoRevision, 0, err
		}
		if pos <= upTo {
			return int64(rev), pos, nil
		}
	}
	return NoRevision, 0, it.Error()
}

func streamIter(db *pebble.DB, number uint64) (*pebble.Iterator, error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: streamKey(number, 0),
		UpperBound: streamKey(number+1, 0),
	})
	if err != nil {
		return nil, fmt.Errorf("iterate stream index: %w", err)
	}
	return it, nil
}

func indexEntry(it *pebble.Iterator) (revision, position uint64, err error) {
	_, revision, err = parseStreamKey(it.Key())
	if err != nil {
		return 0, 0, &CorruptionError{Err: err}
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return 0, 0, fmt.Errorf("stream index: %w", err)
	}
	position, err = parseUvarint(v)
	if err != nil {
		return 0, 0, &CorruptionError{Err: fmt.Errorf("stream index at revision %d: %w", revision, err)}
	}
	return revision, position, nil
}

// positionOf finds where a revision of a stream is in the log.
func positionOf(db *pebble.DB, number, revision uint64) (position uint64, ok bool, err error) {
	v, closer, err := db.Get(streamKey(number, revision))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("stream index at revision %d: %w", revision, err)
	}
	position, parseErr := parseUvarint(v)
	if err := closer.Close(); err != nil {
		return 0, false, err
	}
	if parseErr != nil {
		return 0, false, &CorruptionError{Err: fmt.Errorf("stream index at revision %d: %w", revision, parseErr)}
	}
	return position, true, nil
}

// withRecord reads one record that the index says is there.
func withRecord(db *pebble.DB, position uint64, fn func(*Record)) error {
	v, closer, err := db.Get(logKey(position))
	if errors.Is(err, pebble.ErrNotFound) {
		return &CorruptionError{Position: position, Err: errors.New("the stream index names a record that is missing")}
	}
	if err != nil {
		return fmt.Errorf("record at position %d: %w", position, err)
	}
	var r Record
	decodeErr := decodeRecord(&r, position, v)
	if decodeErr == nil {
		fn(&r)
	}
	if err := closer.Close(); err != nil {
		return err
	}
	if decodeErr != nil {
		return &CorruptionError{Position: position, Err: decodeErr}
	}
	return nil
}

// loadMetadata reads what the last durable event of a stream's metastream
// says. raw is a copy.
func loadMetadata(db *pebble.DB, stream string, upTo uint64) (meta streamMetadata, raw []byte, err error) {
	number, ok, err := streamNumber(db, metastreamOf(stream))
	if err != nil || !ok {
		return streamMetadata{}, nil, err
	}
	revision, position, err := lastRevision(db, number, upTo)
	if err != nil || revision == NoRevision {
		return streamMetadata{}, nil, err
	}
	err = withRecord(db, position, func(r *Record) {
		if string(r.Type) == typeMetadata {
			raw = append([]byte{}, r.Data...)
			meta = parseMetadata(raw)
		}
	})
	return meta, raw, err
}
