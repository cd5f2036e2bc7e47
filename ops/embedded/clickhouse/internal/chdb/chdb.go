//go:build linux

// Package chdb calls the ClickHouse engine that libchdb.so contains, through
// its C interface and without cgo.
//
// It promises binary-safe statements and results (lengths, never NUL-terminated
// text), connections that share nothing but the data path, and results that are
// streamed chunk by chunk where the engine can do so. It leaves out everything
// above a single statement: settings, accounts, limits and formats that span
// chunks are the business of the packages that call it.
//
// The library can be loaded once in a process and one process can open one data
// path; a process that loads it should do nothing else (see package engine).
package chdb

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Error is what the engine answered instead of a result. Message is the
// engine's own text: "Code: 60. DB::Exception: … (UNKNOWN_TABLE)".
type Error struct{ Message string }

// Error returns the engine's text.
func (e *Error) Error() string { return e.Message }

// errStreaming is how the engine refuses to stream a statement that is not a
// SELECT. The text is the engine's and there is no code of its own for it.
const errStreaming = "Streaming query is not supported"

// Stats counts what a statement did so far.
type Stats struct {
	RowsRead     uint64 // rows read from storage
	BytesRead    uint64 // bytes read from storage, uncompressed
	RowsWritten  uint64
	BytesWritten uint64
	ResultRows   uint64
}

// Library holds the functions of a loaded libchdb.so.
type Library struct {
	connect  func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closing  func(conn unsafe.Pointer)
	query    func(conn, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	stream   func(conn, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	fetch    func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancel   func(conn, stream unsafe.Pointer)
	destroy  func(result unsafe.Pointer)
	buffer   func(result unsafe.Pointer) unsafe.Pointer
	length   func(result unsafe.Pointer) uintptr
	fault    func(result unsafe.Pointer) string
	rows     func(result unsafe.Pointer) uint64
	readRows func(result unsafe.Pointer) uint64
	readSize func(result unsafe.Pointer) uint64
	wroteRow func(result unsafe.Pointer) uint64
	wroteLen func(result unsafe.Pointer) uint64
}

// Load maps the library at path into this process. Its signal handlers are
// switched off, so that those of the Go runtime stay in place.
func Load(path string) (lib *Library, err error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load the ClickHouse engine %s: %w", path, err)
	}
	lib = &Library{}
	var signals func(enabled int32)
	for name, fn := range map[string]any{
		"chdb_set_signal_handlers_enabled": &signals,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closing,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_stream_query_with_params_n":  &lib.stream,
		"chdb_stream_fetch_result":         &lib.fetch,
		"chdb_stream_cancel_query":         &lib.cancel,
		"chdb_destroy_query_result":        &lib.destroy,
		"chdb_result_buffer":               &lib.buffer,
		"chdb_result_length":               &lib.length,
		"chdb_result_error":                &lib.fault,
		"chdb_result_rows_read":            &lib.rows,
		"chdb_result_storage_rows_read":    &lib.readRows,
		"chdb_result_storage_bytes_read":   &lib.readSize,
		"chdb_result_rows_written":         &lib.wroteRow,
		"chdb_result_bytes_written":        &lib.wroteLen,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("load the ClickHouse engine %s: it has no function %s; is this libchdb 26.5 or later? %w", path, name, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	signals(0)
	return lib, nil
}

// Conn is one session of the engine: one statement at a time, its own current
// database, settings and role. Opening one costs about a tenth of a millisecond,
// so callers open one per request and nothing leaks from one to the next.
type Conn struct {
	lib    *Library
	handle unsafe.Pointer // pointer to the connection, as the C side returned it
}

// Open opens a session; args are command-line arguments of the engine such as
// "--path=…". Only the first session of a process can choose the path.
func (l *Library) Open(args ...string) (*Conn, error) {
	words := append([]string{"clickhouse"}, args...)
	argv := make([]unsafe.Pointer, 0, len(words)+1)
	for _, word := range words {
		if strings.ContainsRune(word, 0) {
			return nil, fmt.Errorf("engine argument %q: contains a zero byte", word)
		}
		text := append([]byte(word), 0)
		argv = append(argv, unsafe.Pointer(&text[0]))
	}
	argv = append(argv, nil)
	handle := l.connect(int32(len(words)), unsafe.Pointer(&argv[0]))
	runtime.KeepAlive(argv)
	if handle == nil {
		return nil, errors.New("the ClickHouse engine did not open its data path; its own words are above, on standard error")
	}
	return &Conn{lib: l, handle: handle}, nil
}

// Close ends the session. The last Close of a process flushes and closes the
// data path.
func (c *Conn) Close() {
	if c.handle != nil {
		c.lib.closing(c.handle)
		c.handle = nil
	}
}

// Statement is one statement, its named parameters ({name:Type} in the text)
// and the output format used when the text has no FORMAT of its own.
type Statement struct {
	SQL    string
	Format string
	Params map[string]string
}

// Query runs a statement to its end and hands the whole result to emit once.
// The bytes are the engine's and are valid only until emit returns.
func (c *Conn) Query(s Statement, emit func([]byte) error) (Stats, error) {
	result := c.call(c.lib.query, s)
	defer c.lib.destroy(result)
	if message := c.lib.fault(result); message != "" {
		return Stats{}, &Error{Message: message}
	}
	stats := c.stats(result)
	if data := c.bytes(result); len(data) > 0 {
		if err := emit(data); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

// Exec runs a statement and drops its result.
func (c *Conn) Exec(sql string) error {
	_, err := c.Query(Statement{SQL: sql, Format: "Null"}, func([]byte) error { return nil })
	return err
}

// ErrNotStreamed says that nothing was run, because the engine streams only
// SELECT.
var ErrNotStreamed = errors.New("the engine streams SELECT only")

// Stream runs a SELECT and hands its result to emit chunk by chunk, each chunk
// a complete text of the format. It stops at emit's first error, which it
// returns, and cancels the statement. For anything but SELECT it returns
// ErrNotStreamed and has done nothing.
func (c *Conn) Stream(s Statement, emit func([]byte) error) (Stats, error) {
	stream := c.call(c.lib.stream, s)
	defer c.lib.destroy(stream)
	if message := c.lib.fault(stream); message != "" {
		if strings.Contains(message, errStreaming) {
			return Stats{}, ErrNotStreamed
		}
		return Stats{}, &Error{Message: message}
	}
	conn := *(*unsafe.Pointer)(c.handle)
	var total Stats
	for {
		done, stats, err := c.next(conn, stream, emit)
		total.add(stats)
		if done || err != nil {
			return total, err
		}
	}
}

// next fetches one chunk of a stream.
func (c *Conn) next(conn, stream unsafe.Pointer, emit func([]byte) error) (done bool, _ Stats, _ error) {
	chunk := c.lib.fetch(conn, stream)
	defer c.lib.destroy(chunk)
	if message := c.lib.fault(chunk); message != "" {
		return true, Stats{}, &Error{Message: message}
	}
	data := c.bytes(chunk)
	if len(data) == 0 {
		return true, Stats{}, nil
	}
	stats := c.stats(chunk)
	if err := emit(data); err != nil {
		c.lib.cancel(conn, stream)
		return true, stats, err
	}
	return false, stats, nil
}

func (c *Conn) call(
	fn func(conn, q unsafe.Pointer, qn uintptr, f unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer,
	s Statement,
) unsafe.Pointer {
	var names, values texts
	for name, value := range s.Params {
		names.add(name)
		values.add(value)
	}
	conn := *(*unsafe.Pointer)(c.handle)
	result := fn(conn, pointer(s.SQL), uintptr(len(s.SQL)), pointer(s.Format), uintptr(len(s.Format)),
		names.array(), names.lengths(), values.array(), values.lengths(), uintptr(len(names.starts)))
	runtime.KeepAlive(names)
	runtime.KeepAlive(values)
	runtime.KeepAlive(s)
	return result
}

func (c *Conn) bytes(result unsafe.Pointer) []byte {
	n := c.lib.length(result)
	start := c.lib.buffer(result)
	if n == 0 || start == nil {
		return nil
	}
	return unsafe.Slice((*byte)(start), n)
}

func (c *Conn) stats(result unsafe.Pointer) Stats {
	return Stats{
		RowsRead: c.lib.readRows(result), BytesRead: c.lib.readSize(result),
		RowsWritten: c.lib.wroteRow(result), BytesWritten: c.lib.wroteLen(result),
		ResultRows: c.lib.rows(result),
	}
}

func (s *Stats) add(more Stats) {
	s.RowsRead += more.RowsRead
	s.BytesRead += more.BytesRead
	s.RowsWritten += more.RowsWritten
	s.BytesWritten += more.BytesWritten
	s.ResultRows += more.ResultRows
}

// texts is an array of strings in the shape C wants: starts and lengths.
type texts struct {
	starts []unsafe.Pointer
	sizes  []uintptr
}

func (t *texts) add(s string) {
	t.starts = append(t.starts, pointer(s))
	t.sizes = append(t.sizes, uintptr(len(s)))
}

func (t *texts) array() unsafe.Pointer {
	if len(t.starts) == 0 {
		return nil
	}
	return unsafe.Pointer(&t.starts[0])
}

func (t *texts) lengths() unsafe.Pointer {
	if len(t.sizes) == 0 {
		return nil
	}
	return unsafe.Pointer(&t.sizes[0])
}

// pointer returns the address of s's bytes, never nil: the C side builds a
// std::string from it even when the length is zero.
func pointer(s string) unsafe.Pointer {
	if s == "" {
		s = "\x00"
	}
	return unsafe.Pointer(unsafe.StringData(s))
}
