// Package index is a local, disposable fold of the log: where each identity
// stands, where each event stands, and the latest entry of each facility and
// area, in a Pebble store.
//
// It promises that what it holds on disk is exactly the fold of the log up to
// its position (both change in one batch), and that what this instance itself
// appended is visible from Note on, before the log has delivered it. Deleting
// the folder costs time and nothing else. A store of another layout, of
// another log, or one that cannot be read is dropped with a log line and
// built anew.
//
// It leaves out deciding: the ledger of an identity has the last word on it
// (ingest/intake).
package index

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// layout is the version of keys and values below. It is raised whenever they
// change meaning, which makes every older store be dropped and built anew.
//
//	m layout            → this number
//	m position          → anchor: the last event folded
//	i scope identity    → Entry
//	e event id          → Place
//	a Moved event id    → Arrival, until its Arrived is there
//	r f|a id            → latest FacilityRegistered or AreaRegistered, whole
//	f facility position → Place: what stands in a facility's own streams, in log order
//	b facility month position → Place: what is booked in another month than its own
const layout = 2

const (
	prefixMeta     = 'm'
	prefixIdentity = 'i'
	prefixEvent    = 'e'
	prefixArrival  = 'a'
	prefixRegister = 'r'
	prefixFeed     = 'f'
	prefixBooked   = 'b'
)

// Config says where the index lies and what it may use. Zero values take the
// defaults.
type Config struct {
	Dir           string // a folder of its own
	CacheBytes    int64  // block cache; 64 MiB
	MemtableBytes uint64 // written to disk when full; what a kill makes it fold again; 8 MiB
	Logger        *slog.Logger
}

// ErrInUse means that the index is open already, here or in another process.
var ErrInUse = errors.New("identity index is in use")

// ErrDamaged means that the store cannot be read; Reset drops it.
var ErrDamaged = errors.New("identity index is damaged")

// Index is an open index. All methods may be called from any goroutine, but
// Apply, Verify and Reset only by the one that follows the log.
type Index struct {
	cfg    Config
	logger *slog.Logger
	lock   *os.File // holds cfg.Dir for the whole life of the Index

	dbMu sync.RWMutex // held for reading while db is used, for writing while it is replaced
	db   *pebble.DB

	anchor  atomic.Pointer[anchor]
	corrupt atomic.Pointer[error] // what the store found wrong with itself, in the background
	overlay overlay
}

// anchor is the last event folded into the store: its position, and enough to
// recognise the log it came from.
type anchor struct {
	position eventlog.Position
	place    Place
	id       uuid.UUID
}

// Open opens the index, or makes an empty one. A store of another layout or a
// damaged one is dropped. Errors: ErrInUse; a folder that cannot be used.
func Open(cfg Config) (*Index, error) {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 64 << 20
	}
	if cfg.MemtableBytes == 0 {
		cfg.MemtableBytes = 8 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("identity index: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	ix := &Index{cfg: cfg, logger: cfg.Logger, lock: lock}
	ix.overlay.reset()
	if err := ix.openOrDrop(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return ix, nil
}

// lockDir takes the folder for this Index alone. The lock ends with the
// process, however that ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("identity index: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (ix *Index) storeDir() string { return filepath.Join(ix.cfg.Dir, "store") }

func (ix *Index) openOrDrop() error {
	err := ix.openStore()
	if err == nil || isEnvironment(err) {
		return err
	}
	ix.logger.Warn("identity index cannot be used, building it anew from the log", "dir", ix.cfg.Dir, "reason", err)
	return ix.dropAndOpen()
}

// isEnvironment tells troubles that a fresh store would have as well.
func isEnvironment(err error) bool {
	return errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.EAGAIN)
}

func (ix *Index) dropAndOpen() error {
	if err := os.RemoveAll(ix.storeDir()); err != nil {
		return fmt.Errorf("drop identity index: %w", err)
	}
	ix.overlay.reset()
	return ix.openStore()
}

func (ix *Index) openStore() error {
	opts := &pebble.Options{
		// Named, so that no watch for slow disks is put around it: it would stay
		// behind when a damaged store cannot be opened.
		FS:           vfs.Default,
		CacheSize:    ix.cfg.CacheBytes,
		MemTableSize: ix.cfg.MemtableBytes,
		// No write-ahead log: memtables are flushed in order and each holds
		// batches whole, so that after a kill the store is the fold up to an
		// earlier position, from which it goes on.
		DisableWAL:         true,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             storeLogger{ix.logger},
		EventListener: &pebble.EventListener{
			// The store would end the process. Ours is disposable: from here on
			// every call fails with ErrDamaged, until Reset.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				err := fmt.Errorf("%w: %s: %w", ErrDamaged, info.Path, info.Details)
				ix.corrupt.CompareAndSwap(nil, &err)
			},
			BackgroundError: func(err error) {
				ix.logger.Error("identity index store has trouble in the background", "error", err)
			},
		},
	}
	for i := range opts.Levels {
		// Most look-ups are for identities never seen before.
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	ix.corrupt.Store(nil)
	db, err := pebble.Open(ix.storeDir(), opts)
	if err != nil {
		return fmt.Errorf("open identity index: %w", err)
	}
	a, err := readMeta(db)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	ix.db = db
	ix.anchor.Store(&a)
	ix.overlay.followed(a.position)
	return nil
}

var (
	keyLayout   = []byte{prefixMeta, 'l'}
	keyPosition = []byte{prefixMeta, 'p'}
)

// readMeta reads the anchor, and writes the layout into an empty store.
func readMeta(db *pebble.DB) (anchor, error) {
	stamp, found, err := get(db, keyLayout)
	if err != nil {
		return anchor{}, err
	}
	if !found {
		if empty, err := isEmpty(db); err != nil || !empty {
			return anchor{}, errors.Join(fmt.Errorf("%w: no layout stamp", ErrDamaged), err)
		}
		return anchor{}, db.Set(keyLayout, []byte{layout}, pebble.NoSync)
	}
	if len(stamp) != 1 || stamp[0] != layout {
		return anchor{}, fmt.Errorf("identity index has layout %v, this program uses %d", stamp, layout)
	}
	value, found, err := get(db, keyPosition)
	if err != nil || !found {
		return anchor{}, err
	}
	d := decoder{rest: value}
	a := anchor{position: d.position(), place: Place{Stream: d.string(), Revision: d.uvarint()}, id: d.id()}
	return a, d.end("position")
}

func isEmpty(db *pebble.DB) (bool, error) {
	it, err := db.NewIter(nil)
	if err != nil {
		return false, err
	}
	any := it.First()
	return !any, errors.Join(it.Error(), it.Close())
}

// get copies a value out of the store.
func get(db *pebble.DB, key []byte) ([]byte, bool, error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, damaged(err)
	}
	own := append([]byte(nil), value...)
	return own, true, closer.Close()
}

// damaged marks what a fresh store would not suffer from.
func damaged(err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, errEntry) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// Close writes what is in memory to disk and closes the store.
func (ix *Index) Close() error {
	ix.dbMu.Lock()
	defer ix.dbMu.Unlock()
	if ix.db == nil {
		return nil
	}
	err := errors.Join(ix.db.Flush(), ix.db.Close(), ix.lock.Close())
	ix.db = nil
	return err
}

// Position is that of the last event folded; following goes on from there.
func (ix *Index) Position() eventlog.Position { return ix.anchor.Load().position }

// Unfollowed is how many identities and events this instance appended that
// the log has not delivered yet: memory, to be bounded by the caller.
func (ix *Index) Unfollowed() int { return ix.overlay.size() }

// Lookup tells where an identity stands. Errors: ErrDamaged, or the store's.
func (ix *Index) Lookup(id flow.Identity) (Entry, bool, error) { return ix.LookupKey(KeyOf(id)) }

// LookupKey is Lookup for a key at hand.
func (ix *Index) LookupKey(k Key) (Entry, bool, error) {
	// The overlay first: an entry leaves it only after the store has it.
	if e, ok := ix.overlay.entry(k); ok {
		return e, true, nil
	}
	value, found, err := ix.get(append(append(make([]byte, 0, 33), prefixIdentity), k[:]...))
	if err != nil || !found {
		return Entry{}, false, err
	}
	e, err := readEntry(value)
	if err != nil {
		return Entry{}, false, damaged(err)
	}
	return e, true, nil
}

// Event tells where an event stands in the log.
func (ix *Index) Event(id uuid.UUID) (Place, bool, error) {
	if p, ok := ix.overlay.event(id); ok {
		return p, true, nil
	}
	value, found, err := ix.get(append(append(make([]byte, 0, 17), prefixEvent), id[:]...))
	if err != nil || !found {
		return Place{}, false, err
	}
	p, err := readPlace(value)
	if err != nil {
		return Place{}, false, damaged(err)
	}
	return p, true, nil
}

func (ix *Index) get(key []byte) ([]byte, bool, error) {
	ix.dbMu.RLock()
	defer ix.dbMu.RUnlock()
	if err := ix.usable(); err != nil {
		return nil, false, err
	}
	return get(ix.db, key)
}

// usable tells why the store cannot be used, if so. The caller holds dbMu.
func (ix *Index) usable() error {
	if ix.db == nil {
		return errClosed
	}
	if err := ix.corrupt.Load(); err != nil {
		return *err
	}
	return nil
}

var errClosed = errors.New("identity index is closed")

// storeLogger passes the store's own messages on.
type storeLogger struct{ logger *slog.Logger }

func (l storeLogger) Infof(format string, args ...any) {
	l.logger.Debug("identity index store", "message", fmt.Sprintf(format, args...))
}

func (l storeLogger) Errorf(format string, args ...any) {
	l.logger.Error("identity index store", "message", fmt.Sprintf(format, args...))
}

// Fatalf is called when the store can neither go on nor return an error; the
// store demands that it does not return. The index is disposable, so that
// ending the process loses nothing.
func (l storeLogger) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	l.logger.Error("identity index store cannot go on", "message", message)
	panic("identity index store: " + message)
}
