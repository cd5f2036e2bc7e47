// Package answers keeps the answers to requests that carry an Idempotency-Key,
// so that a sender who did not get one can ask again and gets the same.
//
// It promises that an answer is on disk, fsynced, before Keep returns; that it
// is given back until it is Config.KeepFor old, also after a restart; and that
// two requests of one sender with one key are never under way at once. When
// there are more answers, or more bytes of them, than the limits allow, the
// oldest go first.
//
// It leaves out what a request is (ingest/httpapi) and whether repeating it
// does harm: it does not, because every fact is known by its identity. What is
// kept here is the answer, not the fact.
package answers

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-json-experiment/json"
)

// Config says where the answers lie and how many are kept. Zero values take
// the defaults.
type Config struct {
	Dir        string        // a folder of its own; required
	KeepFor    time.Duration // how long an answer is given back; 24 h
	MaxAnswers int           // answers kept; 100,000
	MaxBytes   int64         // bytes of all answers kept; 256 MiB
	Now        func() time.Time
	Logger     *slog.Logger
}

// Answer is what was answered, and to what.
type Answer struct {
	Request string              `json:"request"` // route, parameters, and whatever else besides the body decides the answer
	Digest  [sha256.Size]byte   `json:"digest"`  // SHA-256 of the body
	Status  int                 `json:"status"`
	Header  map[string][]string `json:"header"`
	Body    []byte              `json:"body"`
	At      time.Time           `json:"at"` // when it was kept
}

// Errors of the package.
var (
	// ErrUnderWay: a request with this key is being answered.
	ErrUnderWay = errors.New("a request with this key is under way")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store of answers is closed")
)

// Store is an open store. All methods may be called from any goroutine.
type Store struct {
	cfg Config

	mu       sync.Mutex // guards everything below
	db       *pebble.DB // nil when closed
	underWay map[hash]bool
	count    int
	bytes    int64
}

// hash names a sender and a key.
type hash [sha256.Size]byte

// Keys of the store:
//
//	a hash        → Answer as JSON
//	t nanos hash  → bytes of that answer: oldest first
const (
	prefixAnswer = 'a'
	prefixTime   = 't'
)

// Open opens the store, or makes an empty one.
func Open(cfg Config) (*Store, error) {
	if cfg.KeepFor <= 0 {
		cfg.KeepFor = 24 * time.Hour
	}
	if cfg.MaxAnswers <= 0 {
		cfg.MaxAnswers = 100_000
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 256 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	db, err := pebble.Open(cfg.Dir, &pebble.Options{
		FS: vfs.Default, CacheSize: 4 << 20, MemTableSize: 4 << 20,
		FormatMajorVersion: pebble.FormatNewest, Logger: quiet{cfg.Logger},
	})
	if err != nil {
		return nil, fmt.Errorf("open the store of answers %s: %w", cfg.Dir, err)
	}
	s := &Store{cfg: cfg, db: db, underWay: map[hash]bool{}}
	if err := s.oldest(func(e entry) bool {
		s.count, s.bytes = s.count+1, s.bytes+e.bytes
		return true
	}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Close closes the store. Requests under way keep nothing any more.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	return err
}

// Turn is a request under way: End it.
type Turn struct {
	store *Store
	of    hash
}

// Begin begins a request of a sender with a key. It returns the answer that
// was given before, or a turn in which the request is answered now. Errors:
// ErrUnderWay, ErrClosed, or the disk's.
func (s *Store) Begin(sender, key string) (*Answer, *Turn, error) {
	of := hashOf(sender, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, nil, ErrClosed
	}
	if s.underWay[of] {
		return nil, nil, ErrUnderWay
	}
	kept, err := s.get(of)
	if err != nil {
		return nil, nil, err
	}
	if kept != nil && s.cfg.Now().Sub(kept.At) < s.cfg.KeepFor {
		return kept, nil, nil
	}
	s.underWay[of] = true
	return nil, &Turn{store: s, of: of}, nil
}

// Keep keeps the answer of a turn. It is durable then.
func (t *Turn) Keep(a Answer) error {
	s := t.store
	a.At = s.cfg.Now().UTC()
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return ErrClosed
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	dropped, err := s.makeRoom(batch, a.At, int64(len(text)))
	if err != nil {
		return err
	}
	size := binary.AppendUvarint(nil, uint64(len(text)))
	err = errors.Join(batch.Set(answerKey(t.of), text, nil), batch.Set(timeKey(a.At, t.of), size, nil))
	if err == nil {
		err = batch.Commit(pebble.Sync)
	}
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	s.count += 1 - dropped.count
	s.bytes += int64(len(text)) - dropped.bytes
	return nil
}

// End ends the turn, whether an answer was kept or not.
func (t *Turn) End() {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	delete(t.store.underWay, t.of)
}

type tally struct {
	count int
	bytes int64
}

// makeRoom drops what is too old (an earlier answer of the same key is: else
// there were no turn), and as many of the oldest as a new answer needs. The
// caller holds mu.
func (s *Store) makeRoom(batch *pebble.Batch, now time.Time, bytes int64) (dropped tally, err error) {
	var failed error
	err = s.oldest(func(e entry) bool {
		tooOld := now.Sub(e.at) >= s.cfg.KeepFor
		tooMany := s.count-dropped.count+1 > s.cfg.MaxAnswers || s.bytes-dropped.bytes+bytes > s.cfg.MaxBytes
		if !tooOld && !tooMany {
			return false
		}
		if failed = errors.Join(batch.Delete(timeKey(e.at, e.of), nil), batch.Delete(answerKey(e.of), nil)); failed != nil {
			return false
		}
		dropped.count, dropped.bytes = dropped.count+1, dropped.bytes+e.bytes
		return true
	})
	return dropped, errors.Join(err, failed)
}

// entry is one answer in the order of time.
type entry struct {
	at    time.Time
	of    hash
	bytes int64
}

// oldest calls each with the answers, oldest first, until it returns false.
func (s *Store) oldest(each func(entry) bool) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixTime}, UpperBound: []byte{prefixTime + 1}})
	if err != nil {
		return fmt.Errorf("read the store of answers: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		key := it.Key()
		if len(key) != 1+8+sha256.Size {
			return fmt.Errorf("read the store of answers: a key of %d bytes", len(key))
		}
		size, n := binary.Uvarint(it.Value())
		if n <= 0 {
			return errors.New("read the store of answers: an entry without its size")
		}
		e := entry{at: time.Unix(0, int64(binary.BigEndian.Uint64(key[1:]))).UTC(), of: hash(key[9:]), bytes: int64(size)}
		if !each(e) {
			break
		}
	}
	return it.Error()
}

// get reads an answer; nil when there is none. The caller holds mu.
func (s *Store) get(of hash) (*Answer, error) {
	text, closer, err := s.db.Get(answerKey(of))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the store of answers: %w", err)
	}
	a := new(Answer)
	err = json.Unmarshal(text, a)
	if err = errors.Join(err, closer.Close()); err != nil {
		return nil, fmt.Errorf("read the store of answers: %w", err)
	}
	return a, nil
}

func hashOf(sender, key string) hash {
	b := binary.AppendUvarint(nil, uint64(len(sender)))
	return sha256.Sum256(append(append(b, sender...), key...))
}

func answerKey(of hash) []byte { return append([]byte{prefixAnswer}, of[:]...) }

func timeKey(at time.Time, of hash) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{prefixTime}, uint64(at.UnixNano())), of[:]...)
}

// quiet passes the store's own messages on at debug level.
type quiet struct{ logger *slog.Logger }

func (q quiet) Infof(format string, args ...any) {
	q.logger.Debug("store of answers", "message", fmt.Sprintf(format, args...))
}

func (q quiet) Errorf(format string, args ...any) {
	q.logger.Error("store of answers", "message", fmt.Sprintf(format, args...))
}

// Fatalf is called when the store can neither go on nor return an error; it
// demands that this does not return.
func (q quiet) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	q.logger.Error("store of answers cannot go on", "message", message)
	panic("store of answers: " + message)
}
