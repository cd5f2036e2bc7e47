package logcopy

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
	"github.com/stofstrom/stofstrom/ops/backup"
)

// A log file is text in lines, compressed with zstd: a line that says what it
// is, one JSON object for each event in the order of the log, and a line with
// their number, the end of the log, and the SHA-256 of all bytes before it.
// A file without the last line, or with another sum, is refused before one
// event of it is used.
const (
	fileFormat = "stofstrom-log"
	// fileVersion 1: fields as in fileEvent.
	fileVersion = 1
	// mostLineBytes bounds one line: an event of 1 MiB of bytes that each need
	// six characters, twice.
	mostLineBytes = 16 << 20
)

// ErrFile tells that a file is no log file, or a damaged one.
var ErrFile = errors.New("not a whole log file")

type fileHeader struct {
	Format     string    `json:"format"`
	Version    int       `json:"version"`
	Program    string    `json:"program"`
	ExportedAt time.Time `json:"exported_at"`
}

// fileEvent is an event, or the end. Data and metadata are text with the very
// characters of the event, or base64 when they are not UTF-8.
type fileEvent struct {
	Stream     string    `json:"stream,omitzero"`
	Revision   uint64    `json:"revision"`
	Position   string    `json:"position,omitzero"`
	ID         uuid.UUID `json:"id,omitzero"`
	Type       string    `json:"type,omitzero"`
	RecordedAt time.Time `json:"recorded_at,omitzero"`
	JSON       bool      `json:"json,omitzero"`
	Data       string    `json:"data,omitzero"`
	Data64     string    `json:"data_base64,omitzero"`
	Meta       string    `json:"metadata,omitzero"`
	Meta64     string    `json:"metadata_base64,omitzero"`

	End *fileEnd `json:"end,omitzero"`
}

type fileEnd struct {
	Events   uint64 `json:"events"`
	Position string `json:"position"`
	SHA256   string `json:"sha256"`
}

// textOr64 splits bytes into what a JSON string can hold and what it cannot.
func textOr64(b []byte) (text, in64 string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return "", base64.StdEncoding.EncodeToString(b)
}

func bytesOf(text, in64 string) ([]byte, error) {
	if in64 != "" {
		return base64.StdEncoding.DecodeString(in64)
	}
	if text == "" {
		return nil, nil
	}
	return []byte(text), nil
}

// Export writes a log, up to its end as it is now, to a file that must not
// exist. The file appears when it is whole and on disk.
func Export(ctx context.Context, from Source, name, program string, progress func(Progress)) (sum Sum, err error) {
	if _, err := os.Lstat(name); err == nil {
		return Sum{}, fmt.Errorf("%s: %w", name, os.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".partial-*")
	if err != nil {
		return Sum{}, err
	}
	defer func() {
		if rmErr := os.Remove(f.Name()); rmErr != nil {
			err = errors.Join(err, rmErr)
		}
	}()
	sum, err = exportTo(ctx, from, f, program, progress)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return Sum{}, fmt.Errorf("export to %s: %w", name, err)
	}
	// Link, unlike rename, never replaces what somebody has put there meanwhile.
	if err = os.Link(f.Name(), name); err != nil {
		return Sum{}, err
	}
	if err = backup.SyncDir(filepath.Dir(name)); err != nil {
		return Sum{}, fmt.Errorf("export to %s: %w", name, err)
	}
	return sum, nil
}

func exportTo(ctx context.Context, from Source, w io.Writer, program string, progress func(Progress)) (Sum, error) {
	packer, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return Sum{}, err
	}
	sum, err := writeLines(ctx, from, packer, program, progress)
	return sum, errors.Join(err, packer.Close())
}

func writeLines(ctx context.Context, from Source, w io.Writer, program string, progress func(Progress)) (Sum, error) {
	end, err := from.StoredEnd(ctx)
	if err != nil {
		return Sum{}, err
	}
	state, digest, all := Progress{End: end}, newDigest(), sha256.New()
	out := io.MultiWriter(w, all)
	write := func(out io.Writer, line any) error {
		raw, err := json.Marshal(line)
		if err != nil {
			return err
		}
		_, err = out.Write(append(raw, '\n'))
		return err
	}
	if err := write(out, fileHeader{Format: fileFormat, Version: fileVersion, Program: program, ExportedAt: time.Now().UTC()}); err != nil {
		return Sum{}, err
	}
	for e, err := range kept(from.Stored(ctx, eventlog.Position{}), false) {
		if err != nil {
			return Sum{}, fmt.Errorf("source: %w", err)
		}
		if e.Position.Compare(end) > 0 {
			break
		}
		if err := write(out, toFile(e)); err != nil {
			return Sum{}, err
		}
		digest.add(e)
		state.Events++
		state.At = e.Position
		if state.Events%maxEvents == 0 {
			progress(state)
		}
	}
	sum := digest.sum()
	return sum, write(w, fileEvent{End: &fileEnd{Events: sum.Events, Position: state.At.String(), SHA256: hex.EncodeToString(all.Sum(nil))}})
}

func toFile(e eventstore.Stored) fileEvent {
	out := fileEvent{
		Stream: e.Stream, Revision: e.Revision, Position: e.Position.String(), ID: e.ID, Type: e.Type,
		RecordedAt: e.RecordedAt.UTC(), JSON: e.JSON,
	}
	out.Data, out.Data64 = textOr64(e.Data)
	out.Meta, out.Meta64 = textOr64(e.Meta)
	return out
}

func fromFile(e fileEvent) (eventstore.Stored, error) {
	position, err := eventstore.ParsePosition(e.Position)
	if err != nil {
		return eventstore.Stored{}, err
	}
	data, err := bytesOf(e.Data, e.Data64)
	if err != nil {
		return eventstore.Stored{}, fmt.Errorf("data_base64: %w", err)
	}
	meta, err := bytesOf(e.Meta, e.Meta64)
	if err != nil {
		return eventstore.Stored{}, fmt.Errorf("metadata_base64: %w", err)
	}
	return eventstore.Stored{JSON: e.JSON, Recorded: eventlog.Recorded{
		Stream: e.Stream, Revision: e.Revision, Position: position, ID: e.ID, Type: e.Type,
		Data: data, Meta: meta, RecordedAt: e.RecordedAt,
	}}, nil
}

// File is a log file that was read to its end and found whole. It is a Source.
type File struct {
	name string
	end  fileEnd
	at   eventlog.Position
}

// OpenFile reads all of a file, to see that it is whole. The error is ErrFile
// when it is not.
func OpenFile(ctx context.Context, name string) (*File, error) {
	f := &File{name: name}
	for _, err := range f.lines(ctx, true) {
		if err != nil {
			return nil, err
		}
	}
	var err error
	if f.at, err = eventstore.ParsePosition(f.end.Position); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFile, name, err)
	}
	return f, nil
}

// StoredEnd implements Source.
func (f *File) StoredEnd(context.Context) (eventlog.Position, error) { return f.at, nil }

// Stored implements Source.
func (f *File) Stored(ctx context.Context, from eventlog.Position) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for e, err := range f.lines(ctx, false) {
			if err == nil && e.Position.Compare(from) < 0 {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// lines yields the events of the file. With whole it fails unless the end is
// there and says what was read.
func (f *File) lines(ctx context.Context, whole bool) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		fail := func(line uint64, err error) {
			yield(eventstore.Stored{}, fmt.Errorf("%w: %s, line %d: %w", ErrFile, f.name, line, err))
		}
		file, err := os.Open(f.name)
		if err != nil {
			yield(eventstore.Stored{}, err)
			return
		}
		defer file.Close()
		unpacker, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
		if err != nil {
			fail(0, err)
			return
		}
		defer unpacker.Close()
		r := &lineReader{in: bufio.NewScanner(unpacker), sum: sha256.New()}
		r.in.Buffer(make([]byte, 64<<10), mostLineBytes)
		if err := r.header(); err != nil {
			fail(1, err)
			return
		}
		for {
			if err := ctx.Err(); err != nil {
				yield(eventstore.Stored{}, err)
				return
			}
			e, end, err := r.next()
			switch {
			case err != nil:
				fail(r.read+1, err)
				return
			case end != nil:
				if whole {
					f.end = *end
				}
				return
			case !yield(e, nil):
				return
			}
		}
	}
}

// lineReader reads the lines of a file and sums them up.
type lineReader struct {
	in   *bufio.Scanner
	sum  hash.Hash
	read uint64 // lines
	last eventlog.Position
}

func (r *lineReader) line() ([]byte, error) {
	if !r.in.Scan() {
		if err := r.in.Err(); err != nil {
			return nil, err
		}
		return nil, errors.New("it ends before its last line")
	}
	r.read++
	return r.in.Bytes(), nil
}

func (r *lineReader) add(line []byte) {
	r.sum.Write(line)
	r.sum.Write([]byte{'\n'})
}

func (r *lineReader) header() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	var h fileHeader
	if err := json.Unmarshal(line, &h); err != nil {
		return err
	}
	if h.Format != fileFormat || h.Version != fileVersion {
		return fmt.Errorf("format %q version %d, wanted %q version %d", h.Format, h.Version, fileFormat, fileVersion)
	}
	r.add(line)
	return nil
}

// next is an event, or the end.
func (r *lineReader) next() (eventstore.Stored, *fileEnd, error) {
	line, err := r.line()
	if err != nil {
		return eventstore.Stored{}, nil, err
	}
	var raw fileEvent
	if err := json.Unmarshal(line, &raw, json.RejectUnknownMembers(true)); err != nil {
		return eventstore.Stored{}, nil, err
	}
	if raw.End != nil {
		return eventstore.Stored{}, raw.End, r.check(*raw.End)
	}
	r.add(line)
	e, err := fromFile(raw)
	if err == nil && e.Position.Compare(r.last) <= 0 {
		err = fmt.Errorf("position %s does not come after %s", e.Position, r.last)
	}
	r.last = e.Position
	return e, nil, err
}

// check compares the end with what was read.
func (r *lineReader) check(end fileEnd) error {
	if got := hex.EncodeToString(r.sum.Sum(nil)); got != end.SHA256 {
		return fmt.Errorf("the SHA-256 of the lines is %s, the last line says %s", got, end.SHA256)
	}
	if events := r.read - 2; events != end.Events {
		return fmt.Errorf("%d events, the last line says %d", events, end.Events)
	}
	if r.in.Scan() {
		return errors.New("there is something after the last line")
	}
	return r.in.Err()
}
