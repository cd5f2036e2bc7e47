package httpapi

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// problem is an RFC 9457 problem document.
type problem struct {
	Type       string      `json:"type"`
	Title      string      `json:"title"`
	Status     int         `json:"status"`
	Detail     string      `json:"detail"`
	Violations []violation `json:"violations,omitempty"`
}

// violation is a fault.Violation of a question, which has no lines.
type violation struct {
	Rule    string `json:"rule"`
	Field   string `json:"field"`
	Value   string `json:"value"`
	Message string `json:"message"`
}

// statusOf maps kinds of failure to HTTP. A question names what it wants in
// its URL: too large is the answer, never the request's body.
func statusOf(kind fault.Kind) int {
	switch kind {
	case fault.Malformed, fault.Invalid:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.TooLarge:
		return http.StatusUnprocessableEntity
	case fault.Unavailable, fault.NoRoom:
		return http.StatusServiceUnavailable
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.Conflict, fault.Cancelled:
		return http.StatusConflict
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// problem answers with an error: the user sees detail and violations, the
// operator the cause, in the log, when it is ours.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, status int, err error) {
	kind := fault.KindOf(err)
	p := problem{Type: "about:blank", Status: status, Detail: "the question cannot be answered; the operator's log says why"}
	var f *fault.Fault
	if errors.As(err, &f) {
		p.Detail = f.Detail
		for _, v := range f.Violations {
			p.Violations = append(p.Violations, violation{v.Rule, v.Field, v.Value, v.Message})
		}
	}
	var form *notAcceptable
	if errors.As(err, &form) {
		p.Status, p.Detail, kind = http.StatusNotAcceptable, form.Error(), fault.Invalid
	}
	p.Title = http.StatusText(p.Status)
	switch {
	case r.Context().Err() != nil: // the asker went away; nobody reads this
		h.deps.Logger.DebugContext(r.Context(), "asker went away", slog.Any("error", err))
	case kind == fault.Internal, kind == fault.Unavailable:
		h.deps.Logger.ErrorContext(r.Context(), "question not answered", slog.String("question", r.URL.Path), slog.Any("error", err))
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	body, err := json.Marshal(p, json.Deterministic(true))
	if err != nil { // strings that are not UTF-8: refuse without repeating them
		body = []byte(`{"type":"about:blank","title":"Bad Request","status":400,"detail":"the question is not UTF-8"}`)
		p.Status = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Del("Content-Disposition")
	w.WriteHeader(p.Status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		h.deps.Logger.DebugContext(r.Context(), "asker did not take the refusal", slog.Any("error", err))
	}
}
