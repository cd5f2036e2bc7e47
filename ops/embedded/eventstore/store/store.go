package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// Config of a store. Zero values mean the default named at the field.
type Config struct {
	// Dir is the data folder; created with mode 0700 if it is missing.
	Dir string
	// Logger must not be nil.
	Logger *slog.Logger
	// Registerer may be nil.
	Registerer prometheus.Registerer
	// Now is the clock of recorded time. Default time.Now.
	Now func() time.Time
	// FS is the file system, Default vfs.Default.
	FS vfs.FS
	// CacheBytes is the size of the block cache. Default 32 MiB.
	CacheBytes int64
	// MemTableBytes is the size of one memtable. Default 16 MiB.
	MemTableBytes uint64
	// RecentEvents is how many event ids are remembered for [ExpectAny]. Default 65536.
	RecentEvents int
	// ReserveBytes of free disk space below which writes are refused. Default 256 MiB.
	ReserveBytes uint64
	// BallastBytes of the file that is given up when the disk is full after
	// all. Default 64 MiB.
	BallastBytes uint64
	// QueuedBytes bounds what waits to be written. Default 64 MiB.
	QueuedBytes int64
}

const (
	defaultCacheBytes    = 32 << 20
	defaultMemTableBytes = 16 << 20
	defaultRecentEvents  = 1 << 16
	defaultReserveBytes  = 256 << 20
	defaultBallastBytes  = 64 << 20
	defaultQueuedBytes   = 64 << 20
)

func (c *Config) setDefaults() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.MemTableBytes == 0 {
		c.MemTableBytes = defaultMemTableBytes
	}
	if c.RecentEvents == 0 {
		c.RecentEvents = defaultRecentEvents
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = defaultReserveBytes
	}
	if c.BallastBytes == 0 {
		c.BallastBytes = defaultBallastBytes
	}
	if c.QueuedBytes == 0 {
		c.QueuedBytes = defaultQueuedBytes
	}
}

// Store is the log. Its methods may be called from any goroutine between the
// moment [Store.Ready] is closed and the end of [Store.Run].
type Store struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	hub     *hub
	disk    *diskGuard
	lock    *pebble.Lock
	head    *headFile // set before the writer starts
	ready   chan struct{}
	stopped chan struct{} // closed when Run no longer accepts writes
	failure *failure

	queue   chan *request
	room    *semaphore.Weighted // bytes waiting in queue
	durable atomic.Uint64       // position of the last durable event

	mu sync.RWMutex // held for reading while db is in use, for writing while it is replaced
	db *pebble.DB   // nil before Run, after it, and while reopening; guarded by mu
}

// New checks the configuration. It touches no file.
func New(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("event store: Dir is empty; name the data folder")
	}
	if cfg.Logger == nil {
		return nil, errors.New("event store: Logger is nil")
	}
	cfg.setDefaults()
	if cfg.RecentEvents < 2*maxGroupEvents {
		return nil, fmt.Errorf("event store: RecentEvents is %d, want at least %d (two groups of appends)", cfg.RecentEvents, 2*maxGroupEvents)
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, log: cfg.Logger, metrics: m, hub: newHub(),
		ready: make(chan struct{}), stopped: make(chan struct{}),
		failure: newFailure(),
		queue:   make(chan *request, queuedRequests),
		room:    semaphore.NewWeighted(cfg.QueuedBytes),
	}
	s.disk = &diskGuard{fs: cfg.FS, dir: cfg.Dir, reserve: cfg.ReserveBytes, ballast: cfg.BallastBytes, onFull: func() {
		s.log.Error("event log: disk is full, ballast file given up", "dir", cfg.Dir)
	}}
	return s, nil
}

// Ready is closed once the store serves.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// Head is the position of the last durable event, 0 for an empty log.
func (s *Store) Head() uint64 { return s.durable.Load() }

// DiskFull says whether the last attempt to write was refused for lack of space.
func (s *Store) DiskFull() bool { return s.disk.full() }

// Watch wakes its owner when the stream (or with "" the log) has grown.
func (s *Store) Watch(stream string) *Watch { return s.hub.watch(stream) }

// Run opens the log, serves until ctx ends, makes what it accepted durable and
// closes the log. It may be called once. It returns nil after an orderly end.
func (s *Store) Run(ctx context.Context) (err error) {
	defer close(s.stopped)
	if err := s.lockDir(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.unlock()) }()
	if s.head, err = openHead(s.cfg.FS, s.cfg.Dir); err != nil {
		return err
	}
	if err := s.disk.restore(); err != nil {
		// No room for the ballast is no reason not to serve reads.
		s.log.Error("event log: no ballast against a full disk", "err", err)
		s.disk.spent = true
	}
	ended := make(chan error, 1)
	go func() { ended <- s.openAndRun(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-s.failure.ch:
		// The engine may hold the goroutine that called it for ever, see engineLogger.
		return s.failure.err()
	}
}

func (s *Store) openAndRun(ctx context.Context) error {
	w, err := s.open()
	if err != nil {
		return err
	}
	close(s.ready)
	return w.run(ctx)
}

func (s *Store) lockDir() error {
	if err := s.cfg.FS.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("create data folder: %w", err)
	}
	lock, err := pebble.LockDirectory(s.cfg.Dir, s.cfg.FS)
	if err != nil {
		return fmt.Errorf("lock data folder %s (is another process using it?): %w", s.cfg.Dir, err)
	}
	s.lock = lock
	return nil
}

// unlock releases the folder, unless the engine failed in a way that leaves
// its background work running: then only the end of the process may free it.
func (s *Store) unlock() error {
	if s.failure.err() != nil {
		return nil //nolint:nilerr // told by whoever met it
	}
	var errs []error
	if s.head != nil {
		errs = append(errs, s.head.file.Close())
	}
	if err := errors.Join(append(errs, s.lock.Close())...); err != nil {
		return fmt.Errorf("unlock data folder %s: %w", s.cfg.Dir, err)
	}
	return nil
}

// open opens Pebble and builds the writer's state from it.
func (s *Store) open() (*writer, error) {
	start := s.cfg.Now()
	db, err := pebble.Open(s.cfg.Dir, s.options())
	if err != nil {
		return nil, fmt.Errorf("open event log in %s: %w", s.cfg.Dir, corrupted(err))
	}
	w, err := newWriter(s, db)
	if err == nil {
		err = s.checkHead(w.position)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open event log in %s: %w", s.cfg.Dir, corrupted(err)), db.Close())
	}
	s.mu.Lock()
	s.db = db
	s.mu.Unlock()
	s.durable.Store(w.position)
	s.metrics.position.Set(float64(w.position))
	s.log.Info("event log open", "dir", s.cfg.Dir, "events", w.position, "took", s.cfg.Now().Sub(start))
	return w, nil
}

func (s *Store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.db
	s.db = nil
	if db == nil || s.failure.err() != nil {
		return nil
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close event log: %w", err)
	}
	return nil
}

// view runs fn with the database, which stays open meanwhile.
func (s *Store) view(fn func(*pebble.DB) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return ErrStopped
	}
	return corrupted(fn(s.db))
}

// corrupted names damage that Pebble found as a *CorruptionError.
func corrupted(err error) error {
	var already *CorruptionError
	if err == nil || errors.As(err, &already) || !pebble.IsCorruptionError(err) {
		return err
	}
	return &CorruptionError{Err: err}
}

func (s *Store) options() *pebble.Options {
	o := &pebble.Options{
		FS:        vfs.OnDiskFull(s.cfg.FS, s.disk.release),
		Lock:      s.lock,
		Logger:    &engineLogger{log: s.log, failure: s.failure},
		CacheSize: s.cfg.CacheBytes,
		EventListener: &pebble.EventListener{
			// The read that met the damage fails and says so; there is no need to
			// end the process, as Pebble would.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.log.Error("event log: damaged file", "path", info.Path, "err", info.Details)
			},
		},
		// The format is pinned, so that a store is readable by the version that
		// wrote it. It has log chunks that say how far the log was synced, by
		// which damage in the middle is told from a torn tail.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		MemTableSize:                s.cfg.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].IndexBlockSize = 64 << 10
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	o.Experimental.SpanPolicyFunc = splitBehindLog
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 16 << 20
	}
	return o
}

// splitBehindLog ends each table where the log ends and the indexes begin.
// Tables of the log alone overlap nothing that is there already, so that they
// sink through the levels without being written again; only the indexes are.
func splitBehindLog(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	if len(start) > 0 && start[0] == prefixLog {
		end = []byte{prefixLog + 1}
	}
	return policy, end, nil
}

// checkFormat refuses a layout of another version and stamps a new store.
func checkFormat(db *pebble.DB) error {
	v, closer, err := db.Get(formatKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		stamp := binary.AppendUvarint(nil, formatVersion)
		if err := db.Set(formatKey, stamp, pebble.Sync); err != nil {
			return fmt.Errorf("stamp the format version: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read the format version: %w", err)
	}
	version, parseErr := parseUvarint(v)
	if err := closer.Close(); err != nil {
		return err
	}
	if parseErr != nil {
		return &CorruptionError{Err: fmt.Errorf("format version: %w", parseErr)}
	}
	if version != formatVersion {
		return fmt.Errorf("the log has format version %d, this program reads version %d", version, formatVersion)
	}
	return nil
}

// Dir is the data folder.
func (s *Store) Dir() string { return s.cfg.Dir }

var errDirNotEmpty = errors.New("folder is not empty")

// requireEmptyDir makes sure that dir is missing or empty.
func requireEmptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s: %w", dir, errDirNotEmpty)
	}
	return nil
}
