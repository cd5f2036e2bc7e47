//go:build linux

package clickhouse

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// answer writes one result. Until holdBytes of it are there nothing is sent, so
// that an early exception still gets its own HTTP status; with
// wait_end_of_query nothing is sent before the end, whatever the size.
type answer struct {
	w       http.ResponseWriter
	params  url.Values
	accept  string // Accept-Encoding
	spool   string // folder for results that are held back
	queryID string
	format  string
	summary wire.Summary
	size    int64 // bytes of result so far, uncompressed

	held bytes.Buffer
	file *os.File // what is held back once it has outgrown memory

	sent    bool
	tag     string
	encoded io.WriteCloser // HTTP encoding
	out     io.Writer      // block compression over encoded, or encoded itself
}

// Sizes of what is held back: at first, and in memory with wait_end_of_query.
const (
	holdBytes       = 64 << 10
	holdMemoryBytes = 8 << 20
)

func newAnswer(w http.ResponseWriter, r *http.Request, params url.Values, spool string) *answer {
	a := &answer{w: w, params: params, spool: spool}
	if v := params.Get("enable_http_compression"); v == "" || enabled(v) {
		a.accept = r.Header.Get("Accept-Encoding")
	}
	return a
}

// write takes result bytes.
func (a *answer) write(p []byte) error {
	a.size += int64(len(p))
	if a.sent {
		_, err := a.out.Write(p)
		return err
	}
	if enabled(a.params.Get("wait_end_of_query")) {
		return a.hold(p)
	}
	a.held.Write(p)
	if a.held.Len() < holdBytes {
		return nil
	}
	return a.send()
}

// hold keeps p back, in memory or in a file.
func (a *answer) hold(p []byte) error {
	if a.file == nil && a.held.Len()+len(p) <= holdMemoryBytes {
		a.held.Write(p)
		return nil
	}
	if a.file == nil {
		file, err := os.CreateTemp(a.spool, "result-*")
		if err != nil {
			return fmt.Errorf("hold the result back: %w", err)
		}
		a.file = file
		if _, err := a.held.WriteTo(file); err != nil {
			return fmt.Errorf("hold the result back: %w", err)
		}
	}
	if _, err := a.file.Write(p); err != nil {
		return fmt.Errorf("hold the result back: %w", err)
	}
	return nil
}

// send writes the header and what was held back; from here the status is 200.
func (a *answer) send() error {
	h := a.w.Header()
	a.tag = rand.Text()[:16]
	a.identify(h)
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	h.Set("Content-Type", contentType(a.format))
	if a.format != "" {
		h.Set("X-ClickHouse-Format", a.format)
	}
	encoding := ""
	if a.size > 0 {
		encoding = chooseEncoding(a.accept)
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
		h.Add("Vary", "Accept-Encoding")
	}
	encoded, err := encodeBody(a.w, encoding)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	a.encoded, a.out = encoded, encoded
	if enabled(a.params.Get("compress")) {
		blocks, err := newBlockWriter(encoded, a.params.Get("network_compression_method"))
		if err != nil {
			return exceptionf(codeBadArguments, "%v", err)
		}
		a.out = blocks
	}
	a.sent = true
	a.w.WriteHeader(http.StatusOK)
	if a.file != nil {
		if _, err := a.file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read the result back: %w", err)
		}
		_, err := io.Copy(a.out, a.file)
		return err
	}
	if a.held.Len() == 0 {
		return nil // an empty body keeps Content-Length 0, which clients look for
	}
	_, err = a.held.WriteTo(a.out)
	return err
}

func (a *answer) identify(h http.Header) {
	if a.queryID != "" {
		h.Set("X-ClickHouse-Query-Id", a.queryID)
	}
	h.Set("X-ClickHouse-Timezone", "UTC")
}

// finish ends a complete answer.
func (a *answer) finish() error {
	if !a.sent {
		if err := setSummary(a.w.Header(), a.summary); err != nil {
			return err
		}
		if err := a.send(); err != nil {
			return err
		}
	}
	return a.encoded.Close()
}

func setSummary(h http.Header, s wire.Summary) error {
	text, err := json.Marshal(struct {
		ReadRows     uint64 `json:"read_rows,string"`
		ReadBytes    uint64 `json:"read_bytes,string"`
		WrittenRows  uint64 `json:"written_rows,string"`
		WrittenBytes uint64 `json:"written_bytes,string"`
		Total        uint64 `json:"total_rows_to_read,string"`
		ResultRows   uint64 `json:"result_rows,string"`
		ResultBytes  uint64 `json:"result_bytes,string"`
		Elapsed      int64  `json:"elapsed_ns,string"`
	}{s.ReadRows, s.ReadBytes, s.WrittenRows, s.WrittenBytes, 0, s.ResultRows, 0, s.ElapsedNS})
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	h.Set("X-ClickHouse-Summary", string(text))
	return nil
}

// fail tells the client of an exception: with a status of its own while nothing
// was sent, else inside the body between marks that no format can produce by
// chance (the tag is in the header).
func (a *answer) fail(problem *Exception) error {
	if !a.sent {
		a.identify(a.w.Header())
		a.w.Header().Del("X-ClickHouse-Summary")
		writeException(a.w, problem)
		return nil
	}
	text := problem.Error()
	_, err := fmt.Fprintf(a.encoded, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", a.tag, text, len(text)+1, a.tag)
	return errors.Join(err, a.encoded.Close())
}

// discard removes what was held back on disk.
func (a *answer) discard() {
	if a.file != nil {
		_ = a.file.Close() // only ever read back through this handle
		_ = os.Remove(a.file.Name())
	}
}

// writeException answers with an exception and its HTTP status.
func writeException(w http.ResponseWriter, problem *Exception) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(problem.Code))
	status := problem.status()
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if status == http.StatusServiceUnavailable || status == http.StatusForbidden {
		// The Go driver drops its client, and with it an open connection, each
		// time its first statement fails; a closed one cannot pile up.
		h.Set("Connection", "close")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, problem.Error()+"\n") // a client that is gone needs no answer
}

// contentType names the media type of a format as a ClickHouse server does.
func contentType(format string) string {
	switch {
	case format == "JSONEachRow" || format == "JSONLines" || format == "NDJSON" || strings.HasPrefix(format, "JSON") && strings.Contains(format, "EachRow"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		header := "absent"
		if strings.Contains(format, "WithNames") {
			header = "present"
		}
		return "text/csv; charset=UTF-8; header=" + header
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"), format == "":
		return "text/tab-separated-values; charset=UTF-8"
	case format == "XML":
		return "application/xml; charset=UTF-8"
	case strings.HasPrefix(format, "Pretty"), format == "Vertical", format == "Values", format == "TSKV", format == "Markdown", format == "SQLInsert":
		return "text/plain; charset=UTF-8"
	default:
		return "application/octet-stream"
	}
}
