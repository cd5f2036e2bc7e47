// Package wire is the protocol between the endpoint and its engine child: HTTP
// over a private unix socket, one POST per statement, the answer a sequence of
// frames (one kind byte, a big-endian length of four bytes, a payload).
//
// It promises that a reader can tell a complete answer (it ends with a Done
// frame) from one cut short by the death of the child, and an engine's refusal
// (an Error frame) from both. It leaves out versions: the two ends are always
// the same binary.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
)

// Paths of the child's HTTP interface.
const (
	PathQuery = "/query"
	PathAlive = "/alive"
)

// Request is one statement to run in a session of its own.
type Request struct {
	Tag     string            `json:"tag"`     // unique among running requests; how a cancelled one is found again
	Prelude []string          `json:"prelude"` // statements that set the session up: role, settings, database
	SQL     string            `json:"sql"`
	Format  string            `json:"format"` // used when SQL has no FORMAT clause
	Params  map[string]string `json:"params,omitempty"`
	Stream  bool              `json:"stream"` // chunks of the format may be concatenated
}

// Summary closes a complete answer.
type Summary struct {
	ReadRows     uint64 `json:"read_rows"`
	ReadBytes    uint64 `json:"read_bytes"`
	WrittenRows  uint64 `json:"written_rows"`
	WrittenBytes uint64 `json:"written_bytes"`
	ResultRows   uint64 `json:"result_rows"`
	ElapsedNS    int64  `json:"elapsed_ns"`
}

// Kinds of frame.
const (
	kindData  = 'D'
	kindError = 'E'
	kindDone  = 'S'
)

// maxFrame bounds one frame's payload, in bytes; longer data is split.
const maxFrame = 1 << 20

// ErrCut is what a reader returns when the answer ends without Done or Error:
// the child died, and whether the statement took effect is unknown.
var ErrCut = errors.New("the engine stopped before it had answered")

// EngineError is the engine's refusal in its own words.
type EngineError struct{ Message string }

func (e *EngineError) Error() string { return e.Message }

// Writer writes an answer.
type Writer struct {
	W     io.Writer
	Flush func() error // sends a whole frame on its way; may be nil
}

// Data writes result bytes.
func (w Writer) Data(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), maxFrame)
		if err := w.frame(kindData, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// Error writes the engine's refusal and ends the answer.
func (w Writer) Error(message string) error {
	return w.frame(kindError, []byte(message[:min(len(message), maxFrame)]))
}

// Done ends a complete answer.
func (w Writer) Done(s Summary) error {
	p, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	return w.frame(kindDone, p)
}

func (w Writer) frame(kind byte, p []byte) error {
	var head [5]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(p)))
	if _, err := w.W.Write(head[:]); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if _, err := w.W.Write(p); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	if w.Flush == nil {
		return nil
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("send frame: %w", err)
	}
	return nil
}

// Reader reads an answer.
type Reader struct {
	R       io.Reader
	Summary Summary // set once Next has returned io.EOF
	buf     []byte
}

// Next returns the next result bytes, valid until the next call. At the end it
// returns io.EOF; an *EngineError when the engine refused; an error that wraps
// ErrCut when the answer breaks off.
func (r *Reader) Next() ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r.R, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCut, err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return nil, fmt.Errorf("%w: frame of %d bytes, at most %d allowed", ErrCut, n, maxFrame)
	}
	if cap(r.buf) < int(n) {
		r.buf = make([]byte, n)
	}
	p := r.buf[:n]
	if _, err := io.ReadFull(r.R, p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCut, err)
	}
	switch head[0] {
	case kindData:
		return p, nil
	case kindError:
		return nil, &EngineError{Message: string(p)}
	case kindDone:
		if err := json.Unmarshal(p, &r.Summary); err != nil {
			return nil, fmt.Errorf("decode summary: %w", err)
		}
		return nil, io.EOF
	default:
		return nil, fmt.Errorf("%w: frame of unknown kind %q", ErrCut, head[0])
	}
}
