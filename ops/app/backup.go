package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stofstrom/stofstrom/ops/backup"
	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

const (
	// logBackup is the kind of backup that holds an embedded log.
	logBackup = "event log"
	// backupLog is the folder of the log in a backup, as in the data folder.
	backupLog = "log"
	// restoringLog is where a log is restored to before it is put in place.
	restoringLog = "log.restoring"
)

// BackupLog writes a backup of the embedded log of the data folder to dir,
// which must be missing or empty. The program that uses the folder, if one
// runs, goes on meanwhile. A backup that ends early leaves nothing at dir.
//
//	1 copy the log beside dir   2 sum up the files and seal the copy   3 rename it to dir
//
// A kill before 3 leaves a folder dir.partial-… that is not dir.
func BackupLog(ctx context.Context, cfg *config.Config, deps Deps, dir string) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return surroundings{fmt.Errorf("backup: %w", err)}
	}
	if err := backup.RequireFree(dir); err != nil {
		return surroundings{fmt.Errorf("backup: a new or empty folder is wanted: %w", err)}
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, backupLog)); err != nil {
		return surroundings{fmt.Errorf("the data folder holds no event log: %w", err)}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return surroundings{fmt.Errorf("backup: %w", err)}
	}
	partial, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".partial-*")
	if err != nil {
		return surroundings{fmt.Errorf("backup: %w", err)}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if err := copyOfLog(ctx, cfg, deps, filepath.Join(partial, backupLog)); err != nil {
		return err
	}
	seal, err := backup.Write(ctx, partial, logBackup, Version, time.Now())
	if err != nil {
		return err
	}
	if err := os.Rename(partial, dir); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := backup.SyncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if _, err = fmt.Fprintf(deps.Out, "backed up the event log of %s to %s: %d files, %d bytes\n", cfg.Data, dir, len(seal.Files), seal.Bytes()); err != nil {
		return err
	}
	if sameDisk(dir, cfg.Data) {
		_, err = fmt.Fprintln(deps.Out, "it shares files and disk with the log: copy it elsewhere")
	}
	return err
}

// sameDisk tells whether two paths are of one file system. What cannot be
// looked at is not.
func sameDisk(a, b string) bool {
	var sa, sb syscall.Stat_t
	return syscall.Stat(a, &sa) == nil && syscall.Stat(b, &sb) == nil && sa.Dev == sb.Dev
}

// copyOfLog has the running program copy its log, or opens the log itself when
// none runs.
func copyOfLog(ctx context.Context, cfg *config.Config, deps Deps, dir string) error {
	running, found, err := FindRunning(cfg.Data)
	if err != nil {
		return surroundings{err}
	}
	if found && running.Control == "" {
		return surroundings{fmt.Errorf("the program that uses %s has its event log elsewhere; use the tools of that server", cfg.Data)}
	}
	if found {
		return askControl(ctx, running.Control, pathBackup, backupRequest{Dir: dir})
	}
	return withStoppedLog(ctx, cfg, deps, func(node *eventstore.Node) error { return node.Backup(ctx, dir) })
}

// withStoppedLog opens the log of a data folder that no program uses.
func withStoppedLog(ctx context.Context, cfg *config.Config, deps Deps, do func(*eventstore.Node) error) error {
	cfg.LogListen = "127.0.0.1:0"
	ctx, done := context.WithCancel(ctx)
	defer done()
	ran := false
	err := run(ctx, cfg, deps, func(f *foundation, p *program) []stage {
		return []stage{f.embeddedLog(&p.stores), {name: "work", start: func(context.Context) (running, error) {
			return running{run: func(ctx context.Context) error {
				err := do(p.stores.node)
				ran = true
				done() // and be stopped as any part is
				<-ctx.Done()
				return err
			}}, nil
		}}}
	})
	if err == nil && !ran {
		return context.Cause(ctx)
	}
	return err
}

// RestoreLog puts the log of a backup into a data folder that holds nothing.
// The backup is checked against its seal before anything is written, and what
// was written is read back, event by event, before it is put in place. The
// backup is not changed. A kill leaves a data folder without a log; the
// command may be run again.
func RestoreLog(ctx context.Context, cfg *config.Config, deps Deps, dir string) (err error) {
	if _, err := backup.Check(ctx, dir, logBackup); err != nil {
		if errors.Is(err, backup.ErrNoBackup) {
			return surroundings{err}
		}
		return err
	}
	if err := requireNothing(cfg.Data); err != nil {
		return surroundings{err}
	}
	f, err := openFolder(cfg.Data)
	if err != nil {
		return surroundings{err}
	}
	defer f.close()
	if err := requireNothing(cfg.Data); err != nil { // under the lock
		return surroundings{err}
	}
	restoring := f.sub(restoringLog)
	if err := os.RemoveAll(restoring); err != nil {
		return surroundings{fmt.Errorf("removing what an earlier restore left: %w", err)}
	}
	report, err := eventstore.Restore(ctx, filepath.Join(dir, backupLog), restoring, deps.Logger.With("part", "restore"))
	if err != nil {
		return err
	}
	if err := os.Rename(restoring, f.sub(backupLog)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := backup.SyncDir(f.path); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	_, err = fmt.Fprintf(deps.Out, "restored %d events in %d streams to %s; every one was read back\n", report.Events, report.Streams, f.path)
	return err
}

// requireNothing makes sure that a data folder is missing or holds nothing but
// what an earlier restore left.
func requireNothing(data string) error {
	entries, err := os.ReadDir(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "LOCK" && e.Name() != restoringLog {
			return fmt.Errorf("the data folder %s is not empty: it holds %s; restore into an empty one and move it into place", data, e.Name())
		}
	}
	return nil
}
