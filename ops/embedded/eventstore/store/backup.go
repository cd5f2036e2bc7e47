package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// Backup writes a copy of the log as of now into dir, which must not exist,
// while the log goes on being read and written. Within one file system it
// links what never changes instead of copying it. Keep the copy elsewhere: it
// shares the disk's fate until it is moved.
func (s *Store) Backup(dir string) error {
	return s.view(func(db *pebble.DB) error {
		head := s.durable.Load()
		if err := db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
			return fmt.Errorf("back up the event log to %s: %w", dir, err)
		}
		if err := errors.Join(writeHeadFile(dir, head), syncDir(dir)); err != nil {
			return fmt.Errorf("back up the event log to %s: %w", dir, err)
		}
		return nil
	})
}

// Restore copies a backup into dir, which must be missing or empty, and checks
// all of it. The backup is not changed. If the check fails the copy is removed
// and the error says what is damaged.
func Restore(ctx context.Context, backup, dir string, log *slog.Logger) (Report, error) {
	if _, err := os.Stat(backup); err != nil {
		return Report{}, fmt.Errorf("restore: backup: %w", err)
	}
	if err := requireEmptyDir(dir); err != nil {
		return Report{}, fmt.Errorf("restore: data folder: %w", err)
	}
	if err := copyDir(ctx, backup, dir); err != nil {
		return Report{}, errors.Join(fmt.Errorf("restore: %w", err), os.RemoveAll(dir))
	}
	report, err := checkDir(ctx, dir, log)
	if err != nil {
		return report, errors.Join(fmt.Errorf("restore: the backup %s is not usable: %w", backup, err), os.RemoveAll(dir))
	}
	return report, nil
}

func checkDir(ctx context.Context, dir string, log *slog.Logger) (Report, error) {
	s, err := New(Config{Dir: dir, Logger: log})
	if err != nil {
		return Report{}, err
	}
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(runCtx) }()
	select {
	case err := <-ended:
		return Report{}, err
	case <-s.Ready():
	}
	report, err := s.Check(ctx)
	stop()
	return report, errors.Join(err, <-ended)
}

func copyDir(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Name() == ballastName || e.Name() == "LOCK" {
			continue
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s is not a plain file; a backup holds nothing else", filepath.Join(from, e.Name()))
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return syncDir(to)
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return dst.Sync()
}

func syncDir(dir string) (err error) {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

// Compact flushes what is in memory and rewrites all files into their smallest
// form. Readers and writers go on meanwhile.
func (s *Store) Compact(ctx context.Context) error {
	return s.view(func(db *pebble.DB) error {
		if err := db.Flush(); err != nil {
			return fmt.Errorf("flush the event log: %w", err)
		}
		if err := db.Compact(ctx, []byte{prefixLog}, []byte{prefixStream + 1}, true); err != nil {
			return fmt.Errorf("compact the event log: %w", err)
		}
		return nil
	})
}
