package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openStore(t testing.TB, cfg Config) (*Store, func()) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.ReserveBytes, cfg.BallastBytes = 1<<20, 1<<20
	s, err := New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		require.NoError(t, err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func numbered(start, n int) []Proposed {
	events := make([]Proposed, n)
	for i := range events {
		binary.BigEndian.PutUint64(events[i].ID[8:], uint64(start+i)*0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(events[i].ID[:8], uint64(start+i))
		events[i].JSON = true
		events[i].Type = []byte("dk.stofstrom.flow.received.v1")
		data := fmt.Appendf(nil, `{"facility":"dk-sor-%04d","ticket":%d,"mass_g":"%d","hash":"%016x"`, i%900, start+i, (start+i)*7919%27_000_000, uint64(start+i)*0xbf58476d1ce4e5b9)
		events[i].Data = append(data, strings.Repeat(" ", 393-len(data))+"}"...)
	}
	return events
}

// TestALargeLogOpensInLittleMemory: nothing is scanned at open, so neither time nor
// memory may depend on the number of events. STOFSTROM_LONG=1 takes ten million.
func TestALargeLogOpensInLittleMemory(t *testing.T) {
	count := 200_000
	if os.Getenv("STOFSTROM_LONG") != "" {
		count = 10_000_000
	}
	dir := t.TempDir()
	s, stop := openStore(t, Config{Dir: dir})
	const each = 1000
	start := time.Now()
	for n := 0; n < count; n += each {
		_, err := s.Append(context.Background(), fmt.Sprintf("ledger-f%d-2026%02d", n/each%500, 1+n%12), Expected{}, numbered(n, each))
		require.NoError(t, err)
	}
	t.Logf("%d events written in %s", count, time.Since(start))
	stop()

	before := heap()
	start = time.Now()
	s, _ = openStore(t, Config{Dir: dir})
	took := time.Since(start)
	grown := heap() - before
	require.EqualValues(t, count, s.Head())
	t.Logf("%d events: opened in %s, %d MiB of heap, %d MiB on disk", count, took, grown>>20, diskSize(t, dir)>>20)
	// How long it takes is measured by make bench-log BENCH_ARGS="-open 10000000".
	require.Less(t, grown, int64(300<<20))
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

func diskSize(t testing.TB, dir string) int64 {
	t.Helper()
	size := int64(0)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		size += info.Size()
	}
	return size
}

// tamper changes the database under a stopped store.
func tamper(t testing.TB, dir string, change func(*pebble.DB)) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatTableFormatV6, Logger: &engineLogger{log: slog.New(slog.DiscardHandler), failure: newFailure()}})
	require.NoError(t, err)
	change(db)
	require.NoError(t, db.Close())
}

// TestCheckFindsWhatIsWrong breaks each rule of the layout in turn, behind the
// back of Pebble's own checksums.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	s, stop := openStore(t, Config{Dir: dir})
	for i := range 10 {
		_, err := s.Append(context.Background(), fmt.Sprintf("s%d", i%2), Expected{}, numbered(i*10, 3))
		require.NoError(t, err)
	}
	report, err := s.Check(context.Background())
	require.NoError(t, err)
	require.Equal(t, Report{Events: 30, Streams: 2}, report)
	stop()

	record := func(db *pebble.DB, position uint64) []byte {
		v, closer, err := db.Get(logKey(position))
		require.NoError(t, err)
		defer func() { require.NoError(t, closer.Close()) }()
		return append([]byte{}, v...)
	}
	set := func(db *pebble.DB, key, value []byte) { require.NoError(t, db.Set(key, value, pebble.Sync)) }
	cases := map[string]struct {
		change func(*pebble.DB)
		says   string
	}{
		"a bit in a record": {func(db *pebble.DB) {
			v := record(db, 7)
			v[40] ^= 1
			set(db, logKey(7), v)
		}, "at position 7: record checksum"},
		"a record at another's place": {func(db *pebble.DB) { set(db, logKey(8), record(db, 9)) }, "at position 8: record checksum"},
		"a record that is gone":       {func(db *pebble.DB) { require.NoError(t, db.Delete(logKey(5), pebble.Sync)) }, "at position 5: the record is missing"},
		"an index entry that is gone": {func(db *pebble.DB) { require.NoError(t, db.Delete(streamKey(1, 4), pebble.Sync)) }, "found: false"},
		"an index entry that is wrong": {func(db *pebble.DB) {
			set(db, streamKey(1, 4), binary.AppendUvarint(nil, 3))
		}, "says position 3"},
		"an index entry too many": {func(db *pebble.DB) {
			set(db, streamKey(9, 0), binary.AppendUvarint(nil, 3))
		}, "31 entries for 30 events"},
		"a stream without its number": {func(db *pebble.DB) { require.NoError(t, db.Delete(nameKey("s1"), pebble.Sync)) }, `stream "s1" has no number`},
		"the end of the log is gone":  {func(db *pebble.DB) { require.NoError(t, db.Delete(logKey(30), pebble.Sync)) }, "events up to 30 were acknowledged"},
		"a layout of the future": {func(db *pebble.DB) {
			set(db, formatKey, binary.AppendUvarint(nil, formatVersion+1))
		}, "format version 2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			copied := t.TempDir()
			require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
			tamper(t, copied, c.change)
			_, err := checkDir(context.Background(), copied, slog.New(slog.DiscardHandler))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestAStoppedStoreSaysSo(t *testing.T) {
	s, stop := openStore(t, Config{Dir: t.TempDir()})
	stop()
	_, err := s.Append(context.Background(), "s", Expected{}, numbered(0, 1))
	require.ErrorIs(t, err, ErrStopped)
	require.ErrorIs(t, s.ScanAll(1, false, func(*Record) bool { return true }), ErrStopped)
	_, err = s.Stream("s")
	require.ErrorIs(t, err, ErrStopped)
}
