// Package backup seals a folder that holds a backup, and tells whether a
// sealed folder still is what it was.
//
// It promises that a sealed folder from which a file is missing, to which one
// was added, or in which a byte was changed is refused with the name of the
// file. It leaves out what the files mean: whoever restores them checks that.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// SealName is the file that seals a folder.
	SealName = "backup.json"
	// format 1: a JSON object as Seal describes it, SHA-256 over each file.
	format = 1
	// mostSealBytes bounds what is read of a seal: about 400,000 files.
	mostSealBytes = 64 << 20
)

// Errors of Check, matched with errors.Is.
var (
	// ErrNoBackup: the folder has no seal. It was never a backup, or one that
	// was not finished.
	ErrNoBackup = errors.New("not a finished backup")
	// ErrDamaged: the folder is not as it was sealed.
	ErrDamaged = errors.New("the backup is damaged")
)

// Seal is what is known of a backup.
type Seal struct {
	Format  int       `json:"format"`
	Kind    string    `json:"kind"`    // what was backed up
	Program string    `json:"program"` // version of the program that did it
	MadeAt  time.Time `json:"made_at"`
	Files   []File    `json:"files"` // all of them, by path
}

// File is one file of a backup.
type File struct {
	Path   string `json:"path"` // within the folder, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Bytes is the size of all files.
func (s Seal) Bytes() int64 {
	var n int64
	for _, f := range s.Files {
		n += f.Bytes
	}
	return n
}

// Write sums up all files of dir and seals it. The seal is written last and
// whole: a folder with one is complete, and on disk.
func Write(ctx context.Context, dir, kind, program string, now time.Time) (Seal, error) {
	s := Seal{Format: format, Kind: kind, Program: program, MadeAt: now.UTC()}
	paths, err := list(dir)
	if err != nil {
		return s, fmt.Errorf("seal %s: %w", dir, err)
	}
	for _, p := range paths {
		f, err := sumUp(ctx, dir, p)
		if err != nil {
			return s, fmt.Errorf("seal %s: %w", dir, err)
		}
		s.Files = append(s.Files, f)
	}
	raw, err := json.Marshal(s, jsontext.WithIndent("  "))
	if err == nil {
		err = writeSynced(filepath.Join(dir, SealName), append(raw, '\n'))
	}
	if err == nil {
		err = syncTree(dir)
	}
	if err != nil {
		return s, fmt.Errorf("seal %s: %w", dir, err)
	}
	return s, nil
}

// Check reads all of a backup and compares it with its seal. It fails with
// ErrNoBackup, or with ErrDamaged and the name of the first file that is not
// as it was.
func Check(ctx context.Context, dir, kind string) (Seal, error) {
	s, err := read(dir)
	if err != nil {
		return s, err
	}
	if s.Format != format {
		return s, fmt.Errorf("%s has format %d, this program reads %d", filepath.Join(dir, SealName), s.Format, format)
	}
	if s.Kind != kind {
		return s, fmt.Errorf("%s is a backup of %q, not of %q", dir, s.Kind, kind)
	}
	paths, err := list(dir)
	if err != nil {
		return s, fmt.Errorf("check the backup %s: %w", dir, err)
	}
	sealed := make(map[string]bool, len(s.Files))
	for _, want := range s.Files {
		sealed[want.Path] = true
		if !slices.Contains(paths, want.Path) {
			return s, fmt.Errorf("%w: %s is missing", ErrDamaged, filepath.Join(dir, want.Path))
		}
		got, err := sumUp(ctx, dir, want.Path)
		if err != nil {
			return s, fmt.Errorf("check the backup %s: %w", dir, err)
		}
		switch {
		case got.Bytes != want.Bytes:
			return s, fmt.Errorf("%w: %s has %d bytes instead of %d", ErrDamaged, filepath.Join(dir, want.Path), got.Bytes, want.Bytes)
		case got.SHA256 != want.SHA256:
			return s, fmt.Errorf("%w: %s has another content, its SHA-256 is %s instead of %s", ErrDamaged, filepath.Join(dir, want.Path), got.SHA256, want.SHA256)
		}
	}
	for _, p := range paths {
		if !sealed[p] {
			return s, fmt.Errorf("%w: %s was not in it when it was made", ErrDamaged, filepath.Join(dir, p))
		}
	}
	return s, nil
}

func read(dir string) (Seal, error) {
	name := filepath.Join(dir, SealName)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return Seal{}, fmt.Errorf("%w: %w", ErrNoBackup, err)
		}
		return Seal{}, fmt.Errorf("%w: %s has no %s", ErrNoBackup, dir, SealName)
	}
	if err != nil {
		return Seal{}, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	defer f.Close()
	var s Seal
	if err := json.UnmarshalRead(io.LimitReader(f, mostSealBytes), &s, json.RejectUnknownMembers(true)); err != nil {
		return Seal{}, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return s, nil
}

// list names all files of a folder but its seal, sorted. There is nothing but
// files and folders in a backup.
func list(dir string) ([]string, error) {
	var paths []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || p == SealName:
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a plain file", filepath.Join(dir, p))
		}
		paths = append(paths, p)
		return nil
	})
	slices.Sort(paths)
	return paths, err
}

func sumUp(ctx context.Context, dir, path string) (File, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(path)))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &endingReader{ctx, f})
	if err != nil {
		return File{}, fmt.Errorf("reading %s: %w", filepath.Join(dir, path), err)
	}
	return File{Path: path, Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// endingReader ends a long read with its context.
type endingReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func writeSynced(name string, data []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// syncTree makes the names of all files last.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return SyncDir(p)
	})
}

// SyncDir makes the names in a folder last.
func SyncDir(dir string) (err error) {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

// RequireFree fails when something is at dir that a backup would be lost in:
// anything but an empty folder.
func RequireFree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: it holds %s", dir, entries[0].Name())
	}
	return nil
}
