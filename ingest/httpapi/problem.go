package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type       string            `json:"type"`
	Title      string            `json:"title"`
	Status     int               `json:"status"`
	Detail     string            `json:"detail"`
	RequestID  string            `json:"request_id,omitempty"`
	Violations []fault.Violation `json:"violations,omitempty"`
}

// ProblemPrefix begins the type of every problem.
const ProblemPrefix = "urn:stofstrom:problem:"

// failures maps kinds of failure to answers and back. Two kinds may share a
// status, never a type.
var failures = []struct {
	kind   fault.Kind
	status int
	typ    string // behind ProblemPrefix
	title  string
}{
	{fault.Internal, http.StatusInternalServerError, "internal", "Something failed here"},
	{fault.Malformed, http.StatusBadRequest, "malformed", "It cannot be read"},
	{fault.Invalid, http.StatusUnprocessableEntity, "invalid", "It breaks a rule"},
	{fault.NotFound, http.StatusNotFound, "not-found", "There is no such thing"},
	{fault.Conflict, http.StatusConflict, "conflict", "It contradicts what is recorded"},
	{fault.Cancelled, http.StatusConflict, "cancelled", "The fact was cancelled"},
	{fault.TooLarge, http.StatusRequestEntityTooLarge, "too-large", "It is over a limit"},
	{fault.Unavailable, http.StatusServiceUnavailable, "unavailable", "Try again later"},
	{fault.Forbidden, http.StatusForbidden, "forbidden", "It is not allowed"},
	{fault.NoRoom, http.StatusInsufficientStorage, "no-room", "A disk is full"},
}

// StatusOf is the HTTP status of a kind of failure.
func StatusOf(kind fault.Kind) int {
	for _, f := range failures {
		if f.kind == kind {
			return f.status
		}
	}
	return http.StatusInternalServerError
}

// KindOf is the kind of failure that a problem reports: for clients of this
// API. Unknown types are Internal.
func KindOf(p Problem) fault.Kind {
	for _, f := range failures {
		if ProblemPrefix+f.typ == p.Type {
			return f.kind
		}
	}
	return fault.Internal
}

// httpError is a refusal that has to do with HTTP itself.
type httpError struct {
	status int
	typ    string
	title  string
	detail string
}

func (e *httpError) Error() string { return e.detail }

func unsupported(detail string) error {
	return &httpError{http.StatusUnsupportedMediaType, "content-type", "The content type is not taken", detail}
}

// problemOf says what is wrong to the user: detail and violations, never the
// cause.
func problemOf(err error) Problem {
	var web *httpError
	if errors.As(err, &web) {
		return Problem{Type: ProblemPrefix + web.typ, Title: web.title, Status: web.status, Detail: web.detail}
	}
	p := Problem{Detail: "the operator's log says why, under the request id"}
	kind := fault.Internal
	var f *fault.Fault
	if errors.As(err, &f) {
		kind, p.Detail, p.Violations = f.Kind, f.Detail, f.Violations
	}
	for _, t := range failures {
		if t.kind == kind {
			p.Type, p.Title, p.Status = ProblemPrefix+t.typ, t.title, t.status
		}
	}
	return p
}

// retryAfter is how many seconds a sender should wait before trying again.
const retryAfter = "2"

// refuse answers a request with a problem.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	err = readFault(err)
	p := problemOf(err)
	p.RequestID = requestID(r.Context())
	note(r.Context(), err)
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	h.write(w, r, p.Status, "application/problem+json", p)
}

// readFault gives the failures of reading a body their kind.
func readFault(err error) error {
	var f *fault.Fault
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return err
	case errors.As(err, &large):
		return &fault.Fault{Kind: fault.TooLarge, Cause: err, Detail: "the body is too large", Violations: []fault.Violation{
			flow.Violates("body-too-large", "body", "", "It may have at most "+bytesText(large.Limit)+"."),
		}}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &httpError{http.StatusRequestTimeout, "timeout", "The body came too slowly", "the body did not arrive in time; send it again"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Wrap(fault.Malformed, err, "the body ends too early")
	}
	return err
}

// write answers with JSON.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, status int, contentType string, body any) {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		note(r.Context(), err)
		http.Error(w, `{"type":"urn:stofstrom:problem:internal","title":"Something failed here","status":500}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	h.writeBy(w, time.Now().Add(h.cfg.IdleTimeout))
	w.WriteHeader(status)
	if _, err := w.Write(append(text, '\n')); err != nil {
		note(r.Context(), err)
	}
}
