package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/ingest/codec"
	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// chunk is some lines of a stream, or the error that ends it.
type chunk struct {
	items []codec.Item
	err   error
}

// postLines records a stream of events, one a line, and answers with one line
// each, in order, while the stream goes on. A part of the stream is submitted
// when it is full or when the sender pauses.
func (h *Handler) postLines(w http.ResponseWriter, r *http.Request, body io.Reader, decoder *codec.Decoder) error {
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	chunks := make(chan chunk, 1) // one is read while the one before is recorded
	stop := make(chan struct{})
	defer func() {
		close(stop)
		for range chunks { // waits for the reader to end
		}
	}()
	go readChunks(decoder.Lines(body), h.cfg.ChunkEvents, chunks, stop)
	out := jsontext.NewEncoder(w)
	line := 0
	for c := range chunks {
		results := h.submit(r, c.items)
		for _, res := range results {
			line = res.Line
		}
		if c.err != nil {
			note(r.Context(), c.err)
			results = append(results, brokenOff(c.err, line+1))
		}
		h.writeBy(w, time.Now().Add(h.cfg.IdleTimeout))
		for _, res := range results {
			if err := json.MarshalEncode(out, res); err != nil {
				note(r.Context(), err)
				return nil
			}
		}
		if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			note(r.Context(), err)
			return nil
		}
	}
	return nil
}

// brokenOff is the last line of an answer whose stream could not be read to
// its end: what follows was not seen.
func brokenOff(err error, line int) Result {
	p := problemOf(readFault(err))
	if p.Status == http.StatusInternalServerError {
		p.Type, p.Title, p.Status = ProblemPrefix+"broken-off", "The stream broke off", http.StatusBadRequest
		p.Detail = fmt.Sprintf("the stream could not be read on from line %d; send what follows again", line)
	}
	return Result{Line: line, Status: "broken_off", Problem: &p}
}

func readChunks(lines *codec.Lines, size int, chunks chan<- chunk, stop <-chan struct{}) {
	defer close(chunks)
	var c chunk
	send := func() bool {
		select {
		case chunks <- c:
			c = chunk{}
			return true
		case <-stop:
			return false
		}
	}
	for {
		item, err := lines.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.err = err
			}
			if len(c.items) > 0 || c.err != nil {
				send()
			}
			return
		}
		c.items = append(c.items, item)
		if (len(c.items) >= size || lines.Waiting()) && !send() {
			return
		}
	}
}

// plainBody is the body without its Content-Encoding, bounded in bytes unless
// it is a stream, and in time.
func (h *Handler) plainBody(w http.ResponseWriter, r *http.Request, stream bool) (io.ReadCloser, error) {
	limits := table.UnpackLimits{Bytes: h.cfg.MaxBodyBytes}
	body := http.MaxBytesReader(w, r.Body, h.cfg.MaxBodyBytes)
	if stream {
		limits.Bytes = 1 << 50
		body = r.Body
	}
	control := http.NewResponseController(w)
	var timed io.Reader = &impatient{src: body, control: control, idle: h.cfg.IdleTimeout}
	if !stream {
		if err := control.SetReadDeadline(time.Now().Add(h.cfg.BodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return nil, err
		}
		timed = body
	}
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return struct {
			io.Reader
			io.Closer
		}{timed, body}, nil
	case "gzip", "zstd":
		packed := bufio.NewReader(timed)
		if beginning, err := packed.Peek(4); err == nil && !table.IsPacked(beginning) {
			return nil, damagedBody(nil)
		}
		plain, err := table.Unpack(packed, limits)
		if err != nil {
			return nil, packedFault(err)
		}
		return unpackedBody{plain}, nil
	default:
		return nil, unsupported("the Content-Encoding must be gzip, zstd or identity")
	}
}

// unpackedBody gives the failures of unpacking their kind.
type unpackedBody struct{ io.ReadCloser }

// Read reads.
func (u unpackedBody) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = packedFault(err)
	}
	return n, err
}

// impatient gives each read of a stream its own time.
type impatient struct {
	src     io.Reader
	control *http.ResponseController
	idle    time.Duration
}

// Read reads with a deadline.
func (i *impatient) Read(p []byte) (int, error) {
	if err := i.control.SetReadDeadline(time.Now().Add(i.idle)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return i.src.Read(p)
}
