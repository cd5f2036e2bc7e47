package httpapi

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/answers"
)

// Answers keeps what was answered under an Idempotency-Key. *answers.Store is
// one.
type Answers interface {
	Begin(sender, key string) (*answers.Answer, *answers.Turn, error)
}

// maxKeyBytes bounds an Idempotency-Key.
const maxKeyBytes = 200

// Rules of the Idempotency-Key.
const (
	RuleKeyMalformed = "idempotency-key-malformed"
	RuleKeyReused    = "idempotency-key-reused"
)

// keptHeaders are those of an answer that are kept with it.
var keptHeaders = []string{"Content-Type", "Location"}

// idempotencyKey is the key of a request that changes something; "" when it
// has none.
func idempotencyKey(r *http.Request) (string, error) {
	given := r.Header.Values("Idempotency-Key")
	if len(given) == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return "", nil
	}
	key := given[0]
	if len(given) > 1 || key == "" || len(key) > maxKeyBytes || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return "", &fault.Fault{Kind: fault.Invalid, Detail: "the Idempotency-Key is not accepted", Violations: []fault.Violation{
			flow.Violates(RuleKeyMalformed, "Idempotency-Key", strings.Join(given, ", "), fmt.Sprintf("It may have at most %d characters.", maxKeyBytes))}}
	}
	return key, nil
}

// requested is what, besides the body, decides an answer: method, path, query
// and what the headers say of the body.
func requested(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s?%s", r.Method, r.URL.EscapedPath(), r.URL.Query().Encode())
	var names []string
	for name := range r.Header {
		if name == "Content-Type" || name == "Content-Encoding" || strings.HasPrefix(name, "Ce-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "\n%s: %q", name, r.Header[name])
	}
	return b.String()
}

// serve answers a request; one that carries an Idempotency-Key as it was
// answered before, if it was.
//
// The answer to a first one is withheld until it is kept. Refusals are not
// kept: they recorded nothing, and what is mended may be sent under the same
// key. Nor are answers over Config.MaxKeptBytes, which leave as they come; a
// repetition is then answered by what is recorded.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	key, err := idempotencyKey(r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if key == "" {
		h.mux.ServeHTTP(w, r)
		return
	}
	before, turn, err := h.deps.Answers.Begin(h.deps.Actor(r), key)
	switch {
	case errors.Is(err, answers.ErrUnderWay):
		w.Header().Set("Retry-After", retryAfter)
		err = &httpError{http.StatusConflict, "key-under-way", "It is being answered",
			"a request with this Idempotency-Key is under way; ask again when it has ended"}
	case errors.Is(err, answers.ErrClosed):
		err = fault.Wrap(fault.Unavailable, err, "the service is stopping; try again later")
	case err == nil && before != nil:
		if err = h.again(w, r, before); err == nil {
			return
		}
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	defer turn.End()
	h.serveTurn(w, r, turn)
}

// serveTurn answers the first request with a key, and keeps the answer.
func (h *Handler) serveTurn(w http.ResponseWriter, r *http.Request, turn *answers.Turn) {
	kept := answers.Answer{Request: requested(r)}
	body := &digesting{ReadCloser: r.Body, sum: sha256.New()}
	r.Body = body
	held := &withheld{ResponseWriter: w, limit: h.cfg.MaxKeptBytes}
	h.mux.ServeHTTP(held, r)
	if held.status == 0 {
		held.status = http.StatusOK
	}
	if held.status < http.StatusBadRequest && !held.gone {
		// What the route did not need to read belongs to the request as well.
		if _, err := io.Copy(io.Discard, &impatient{src: r.Body, control: http.NewResponseController(w), idle: h.cfg.IdleTimeout}); err != nil {
			note(r.Context(), fmt.Errorf("answer not kept, the body could not be read to its end: %w", err))
		} else {
			kept.Digest = [sha256.Size]byte(body.sum.Sum(nil))
			kept.Status, kept.Header, kept.Body = held.status, map[string][]string{}, held.buf.Bytes()
			for _, name := range keptHeaders {
				if values := w.Header().Values(name); len(values) > 0 {
					kept.Header[name] = values
				}
			}
			if err := turn.Keep(kept); err != nil {
				// What is recorded stays so, and the sender is told; asked again
				// it is answered by what is recorded.
				h.log.Error("answer to a request with a key is not kept", "request", requestID(r.Context()), "error", err)
			}
		}
	}
	if err := held.release(); err != nil {
		note(r.Context(), err)
	}
}

// again gives an earlier answer to the same request.
func (h *Handler) again(w http.ResponseWriter, r *http.Request, before *answers.Answer) error {
	reused := func(what string) error {
		return &fault.Fault{Kind: fault.Invalid, Detail: "the Idempotency-Key was used for another request", Violations: []fault.Violation{
			flow.Violates(RuleKeyReused, "Idempotency-Key", r.Header.Get("Idempotency-Key"), what)}}
	}
	if before.Request != requested(r) {
		return reused("Route, parameters or content type differ.")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, &impatient{src: r.Body, control: http.NewResponseController(w), idle: h.cfg.IdleTimeout}); err != nil {
		return err
	}
	if [sha256.Size]byte(sum.Sum(nil)) != before.Digest {
		return reused("The body differs.")
	}
	for name, values := range before.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(before.Status)
	if _, err := w.Write(before.Body); err != nil {
		note(r.Context(), err)
	}
	return nil
}

// digesting digests a body while it is read.
type digesting struct {
	io.ReadCloser
	sum hash.Hash
}

// Read reads.
func (d *digesting) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.sum.Write(p[:n])
	return n, err
}

// Close leaves the body open: it is read to its end when the route is done, and
// the server closes it.
func (d *digesting) Close() error { return nil }

// withheld keeps an answer back until it is released, or too large for that.
type withheld struct {
	http.ResponseWriter
	limit  int
	status int
	buf    bytes.Buffer
	gone   bool // it was too large, and goes out as it comes
}

// WriteHeader notes the status.
func (w *withheld) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write keeps back, as long as there is room.
func (w *withheld) Write(p []byte) (int, error) {
	if w.gone {
		return w.ResponseWriter.Write(p)
	}
	if w.buf.Len()+len(p) <= w.limit {
		return w.buf.Write(p)
	}
	if err := w.release(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// FlushError flushes what is not kept back.
func (w *withheld) FlushError() error {
	if !w.gone {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *withheld) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// release sends what was kept back.
func (w *withheld) release() error {
	if w.gone {
		return nil
	}
	w.gone = true
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.ResponseWriter.WriteHeader(w.status)
	_, err := w.ResponseWriter.Write(w.buf.Bytes())
	return err
}
