package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/ingest/imports"
)

// Folders below the watched one. A file is taken by renaming it into a folder
// of its own below working, whose name is the key of its request: after a kill
// the same file is sent under the same key, and is the same import.
const (
	doneDir    = "done"
	failedDir  = "failed"
	workingDir = ".working"
	endingFile = ".ending.json"
	reportName = ".report"
	newPrefix  = ".new-"

	watchPause    = time.Second      // between two looks at the folder
	longestPause  = 30 * time.Second // before a server that is away is asked again
	maxNamesTried = 10_000
)

// ending is where a file and what is said of it go. It is written before
// anything is moved, so that a kill in between is made up for.
type ending struct {
	Dir    string `json:"dir"`
	File   string `json:"file"`   // names below Dir
	Report string `json:"report"` // "" when there is nothing to say
}

// watcher takes files that are dropped into a folder.
type watcher struct {
	s      streams
	server string
	o      importOptions
	seen   map[string]sighting
}

// sighting is how a file looked at first when it was last changed.
type sighting struct {
	size  int64
	at    time.Time // of its last change, as the disk says
	since time.Time // when it was first seen so
}

// watchFolder works until ctx ends, and returns nil then.
func watchFolder(ctx context.Context, s streams, server string, o importOptions) error {
	if err := checkServer(server); err != nil {
		return err
	}
	o.progress = false
	w := &watcher{s: s, server: server, o: o, seen: map[string]sighting{}}
	for _, dir := range []string{doneDir, failedDir, workingDir} {
		if err := os.MkdirAll(filepath.Join(o.watch, dir), 0o755); err != nil {
			return fmt.Errorf("--watch: %w", err)
		}
	}
	lock, err := os.OpenFile(filepath.Join(o.watch, workingDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("--watch: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("--watch: another process watches %s already: %w", o.watch, err)
	}
	fmt.Fprintf(s.out, "watching %s\n", o.watch)
	again := time.NewTicker(watchPause)
	defer again.Stop()
	for {
		err := w.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// round finishes what was taken, then takes what is complete.
func (w *watcher) round(ctx context.Context) error {
	taken, err := os.ReadDir(filepath.Join(w.o.watch, workingDir))
	if err != nil {
		return fmt.Errorf("--watch: %w", err)
	}
	for _, dir := range taken {
		if _, err := uuid.Parse(dir.Name()); err != nil || !dir.IsDir() {
			continue
		}
		if err := w.finish(ctx, dir.Name()); err != nil {
			return err
		}
	}
	names, err := w.complete()
	if err != nil {
		return err
	}
	for _, name := range names {
		key, err := w.take(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody took it back
		}
		if err != nil {
			return err
		}
		if err := w.finish(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// complete lists the files that have not changed for as long as they must.
func (w *watcher) complete() ([]string, error) {
	entries, err := os.ReadDir(w.o.watch)
	if err != nil {
		return nil, fmt.Errorf("--watch: %w", err)
	}
	now := time.Now()
	var names []string
	still := map[string]sighting{}
	for _, e := range entries {
		if !e.Type().IsRegular() || unfinished(e.Name()) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("--watch: %w", err)
		}
		seen, known := w.seen[e.Name()]
		if !known || seen.size != info.Size() || !seen.at.Equal(info.ModTime()) {
			seen = sighting{size: info.Size(), at: info.ModTime(), since: now}
		}
		still[e.Name()] = seen
		if now.Sub(seen.since) >= w.o.settle {
			names = append(names, e.Name())
		}
	}
	w.seen = still
	return names, nil
}

// unfinished tells whether a name is one that programs give to a file while
// they write it.
func unfinished(name string) bool {
	lower := strings.ToLower(name)
	for _, end := range []string{".tmp", ".part", ".partial", ".crdownload", ".filepart", "~"} {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$")
}

// take moves a file into a folder of its own.
func (w *watcher) take(name string) (key string, err error) {
	id, err := uuid.NewV7() // they sort by time: what came first goes first
	if err != nil {
		return "", err
	}
	dir := filepath.Join(w.o.watch, workingDir, id.String())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("--watch: %w", err)
	}
	if err := os.Rename(filepath.Join(w.o.watch, name), filepath.Join(dir, name)); err != nil {
		return "", errors.Join(fmt.Errorf("--watch: %w", err), os.Remove(dir))
	}
	return id.String(), nil
}

// finish brings a taken file to its end, however often it must ask.
func (w *watcher) finish(ctx context.Context, key string) error {
	dir := filepath.Join(w.o.watch, workingDir, key)
	end, err := readEnding(dir)
	if errors.Is(err, fs.ErrNotExist) {
		var name string
		if name, err = taken(dir); err != nil {
			return err
		}
		if name == "" {
			return removeTaken(dir) // killed before the file was in it
		}
		end, err = w.send(ctx, key, dir, name)
	}
	if err != nil {
		return err
	}
	return w.put(dir, end)
}

// taken is the file in a folder of working; "" when there is none.
func taken(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("--watch: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") { // no file with such a name is taken
			return e.Name(), nil
		}
	}
	return "", nil
}

// send imports a file and says where it goes.
func (w *watcher) send(ctx context.Context, key, dir, name string) (ending, error) {
	o := w.o
	o.key = key
	var attention bool
	var job imports.Job
	err := w.patiently(ctx, name, func() (err error) {
		if job.ID == "" {
			if job, err = sendFile(ctx, w.server, filepath.Join(dir, name), o); err != nil {
				return err
			}
		}
		if job, err = follow(ctx, w.s, w.server, job, false); err != nil {
			return err
		}
		attention, err = printJob(ctx, w.s, w.server, name, job)
		return err
	})
	var no *refusedError
	if errors.As(err, &no) {
		fmt.Fprintf(w.s.out, "%s: refused\n%s\n", name, no)
		return w.ending(dir, failedDir, name, ".txt", []byte(no.Error()+"\n"))
	}
	if err != nil {
		return ending{}, err
	}
	var report []byte
	err = w.patiently(ctx, name, func() (err error) {
		report, err = ask(ctx, w.server, "/v1/imports/"+job.ID+"/report?"+url.Values{"format": {"file"}, "lang": {o.lang}}.Encode())
		return err
	})
	if err != nil {
		return ending{}, fmt.Errorf("%s: %w", name, err)
	}
	extension := ".csv"
	if strings.HasPrefix(string(report), "PK") {
		extension = filepath.Ext(name)
	}
	if attention {
		return w.ending(dir, failedDir, name, extension, report)
	}
	return w.ending(dir, doneDir, name, extension, report)
}

// ending chooses names that are free and writes them down, and the report
// beside the file.
func (w *watcher) ending(dir, to, name, extension string, report []byte) (ending, error) {
	base, own := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name)
	for n := 1; n <= maxNamesTried; n++ {
		tried := base
		if n > 1 {
			tried = fmt.Sprintf("%s-%d", base, n)
		}
		end := ending{Dir: to, File: tried + own, Report: tried + "-report" + extension}
		if w.isThere(to, end.File) || w.isThere(to, end.Report) {
			continue
		}
		if err := writeWhole(filepath.Join(dir, reportName), report); err != nil {
			return end, fmt.Errorf("--watch: %w", err)
		}
		text, err := json.Marshal(end)
		if err != nil {
			return end, err
		}
		return end, writeWhole(filepath.Join(dir, endingFile), text)
	}
	return ending{}, fmt.Errorf("--watch: %s holds %d files called %s: move them away", to, maxNamesTried, name)
}

func (w *watcher) isThere(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(w.o.watch, dir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// put moves file and report to where they end; what was moved before a kill is
// not there any more.
func (w *watcher) put(dir string, end ending) error {
	to := filepath.Join(w.o.watch, end.Dir)
	if err := renameIfThere(filepath.Join(dir, reportName), filepath.Join(to, end.Report)); err != nil {
		return err
	}
	name, err := taken(dir)
	if err != nil {
		return err
	}
	if name != "" {
		if err := renameIfThere(filepath.Join(dir, name), filepath.Join(to, end.File)); err != nil {
			return err
		}
	}
	fmt.Fprintf(w.s.out, "moved to %s\n", filepath.Join(end.Dir, end.File))
	return removeTaken(dir)
}

func renameIfThere(from, to string) error {
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--watch: %w", err)
	}
	return nil
}

// removeTaken removes a folder of working, with what was written down in it:
// nothing else, so that no file of anybody's can go with it.
func removeTaken(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("--watch: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name == endingFile || name == reportName || strings.HasPrefix(name, newPrefix) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("--watch: %w", err)
			}
		}
	}
	if err := os.Remove(dir); err != nil {
		return fmt.Errorf("--watch: %w", err)
	}
	return nil
}

func readEnding(dir string) (ending, error) {
	var end ending
	text, err := os.ReadFile(filepath.Join(dir, endingFile))
	if err != nil {
		return end, err
	}
	if err := json.Unmarshal(text, &end); err != nil {
		return end, fmt.Errorf("--watch: %s: %w", filepath.Join(dir, endingFile), err)
	}
	return end, nil
}

// writeWhole writes a file that is there whole or not at all, also after a
// power cut.
func writeWhole(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), newPrefix+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// patiently asks again while the server is away or busy. What it refuses for
// good comes back as *refusedError.
func (w *watcher) patiently(ctx context.Context, name string, do func() error) error {
	pause := watchPause
	for {
		err := do()
		var no *refusedError
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case errors.As(err, &no) && no.code < http.StatusInternalServerError && no.code != http.StatusTooManyRequests && no.code != http.StatusRequestTimeout:
			return err
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.As(err, new(usageError)):
			return err
		}
		fmt.Fprintf(w.s.err, "%s: waiting, then asking again: %v\n", name, err)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, longestPause)
	}
}
