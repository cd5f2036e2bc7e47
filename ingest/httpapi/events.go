package httpapi

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/codec"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// Result is what became of one event.
type Result struct {
	Line     int                `json:"line,omitzero"` // of a stream or batch, 1-based
	Status   string             `json:"status"`        // recorded, already_recorded, corrected, cancelled, moved, conflict, rejected, unavailable, failed
	EventID  string             `json:"event_id,omitempty"`
	FactID   string             `json:"fact_id,omitempty"`
	Ledger   string             `json:"ledger,omitempty"`
	Position *eventlog.Position `json:"position,omitempty"` // of the append; absent when already recorded
	Warnings []fault.Violation  `json:"warnings,omitempty"`
	Problem  *Problem           `json:"problem,omitempty"` // of an event that was not recorded
}

// postEvents takes one event, a batch, or a stream of lines.
func (h *Handler) postEvents(w http.ResponseWriter, r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return unsupported("the Content-Type cannot be read")
	}
	atomic, err := atomicMode(r)
	if err != nil {
		return err
	}
	body, err := h.plainBody(w, r, media == "application/x-ndjson" && !atomic)
	if err != nil {
		return err
	}
	defer body.Close() // frees a decoder of memory, nothing else
	decoder := codec.NewDecoder(h.cfg.Events)
	if atomic && (media == "application/cloudevents-batch+json" || media == "application/x-ndjson") {
		return h.postTogether(w, r, body, decoder, media)
	}
	switch media {
	case "application/cloudevents+json":
		return h.postOne(w, r, body, decoder.Structured)
	case "application/cloudevents-batch+json":
		return h.postBatch(w, r, body, decoder)
	case "application/x-ndjson":
		return h.postLines(w, r, body, decoder)
	case "application/json":
		if codec.IsBinary(r.Header) {
			return h.postOne(w, r, body, func(text []byte) (codec.Message, error) { return decoder.Binary(r.Header, text) })
		}
	case "":
		if codec.IsBinary(r.Header) {
			return h.postOne(w, r, body, func(text []byte) (codec.Message, error) { return decoder.Binary(r.Header, text) })
		}
	}
	return unsupported("an event is sent as application/cloudevents+json, several as application/cloudevents-batch+json or, " +
		"one a line, application/x-ndjson; in binary mode as application/json with ce- headers")
}

// command is what a message asks of a ledger.
func command(m codec.Message) ledger.Command {
	switch {
	case m.Cancel:
		return ledger.Cancel{Identity: m.Fact.Identity, Reason: m.Reason}
	case m.Reason != "":
		return ledger.Correct{Fact: m.Fact, Reason: m.Reason}
	}
	return ledger.Record{Fact: m.Fact}
}

func (h *Handler) meta(r *http.Request, line int) event.Meta {
	id := requestID(r.Context())
	return event.Meta{CorrelationID: id, CausationID: id, Actor: h.deps.Actor(r), Line: line}
}

func (h *Handler) postOne(w http.ResponseWriter, r *http.Request, body io.Reader, decode func([]byte) (codec.Message, error)) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	m, err := decode(text)
	if err != nil {
		h.deps.Intake.Refused(err)
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.SubmitTimeout)
	defer cancel()
	res := h.deps.Intake.Submit(ctx, []intake.Item{{Command: command(m), Meta: h.meta(r, 0)}})[0]
	if res.Err != nil {
		return timedOut(res.Err)
	}
	status := http.StatusCreated
	if res.Status == ledger.StatusAlreadyRecorded {
		status = http.StatusOK
	}
	w.Header().Set("Location", "/v1/events/"+res.EventID.String())
	h.write(w, r, status, "application/json", resultOf(res, 0))
	return nil
}

// timedOut: what was not recorded in time may be sent again.
func timedOut(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Unavailable, err, "recording takes too long; send it again, it is recorded once whatever happened")
	}
	return err
}

func resultOf(res intake.Result, line int) Result {
	if res.Err != nil {
		return refusedResult(res.Err, line)
	}
	out := Result{Line: line, Status: string(res.Status), EventID: res.EventID.String(), FactID: res.FactID.String(), Ledger: res.Ledger, Warnings: res.Warnings}
	if res.Position != (eventlog.Position{}) {
		out.Position = &res.Position
	}
	return out
}

func refusedResult(err error, line int) Result {
	err = timedOut(err)
	p := problemOf(err)
	for i := range p.Violations {
		p.Violations[i].Line = line
	}
	out := Result{Line: line, Problem: &p}
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Cancelled:
		out.Status = "conflict"
	case fault.Unavailable, fault.NoRoom:
		out.Status = "unavailable"
	case fault.Internal:
		out.Status = "failed"
		if errors.Is(err, context.Canceled) {
			out.Status = "unavailable"
		}
	case fault.Malformed, fault.Invalid, fault.NotFound, fault.TooLarge, fault.Forbidden:
		out.Status = "rejected"
	}
	return out
}

// submit records the events of items that could be read, and returns one
// result per item, in order.
func (h *Handler) submit(r *http.Request, items []codec.Item) []Result {
	results := make([]Result, len(items))
	var send []intake.Item
	var of []int
	for i, item := range items {
		if item.Err != nil {
			h.deps.Intake.Refused(item.Err)
			results[i] = refusedResult(item.Err, item.Line)
			continue
		}
		send, of = append(send, intake.Item{Command: command(item.Message), Meta: h.meta(r, item.Line)}), append(of, i)
	}
	if len(send) == 0 {
		return results
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.SubmitTimeout)
	defer cancel()
	for n, res := range h.deps.Intake.Submit(ctx, send) {
		results[of[n]] = resultOf(res, items[of[n]].Line)
		if res.Err != nil && fault.KindOf(res.Err) == fault.Internal {
			note(r.Context(), res.Err)
		}
	}
	return results
}

// postBatch answers 200 when every event is in the books, 207 otherwise, with
// one result per event.
func (h *Handler) postBatch(w http.ResponseWriter, r *http.Request, body io.Reader, decoder *codec.Decoder) error {
	items, err := decoder.Batch(body)
	if err != nil {
		h.deps.Intake.Refused(err)
		return err
	}
	results := h.submit(r, items)
	status, away := http.StatusOK, 0
	for _, res := range results {
		if res.Problem != nil {
			status = http.StatusMultiStatus
		}
		if res.Status == "unavailable" {
			away++
		}
	}
	if away > 0 {
		w.Header().Set("Retry-After", retryAfter)
		if away == len(results) {
			return fault.New(fault.Unavailable, "%s", results[0].Problem.Detail)
		}
	}
	h.write(w, r, status, "application/json", results)
	return nil
}

func logFault(err error) error {
	if errors.Is(err, eventlog.ErrUnavailable) {
		return fault.Wrap(fault.Unavailable, err, "the event log is away; try again later")
	}
	return err
}

// decodeStrictly reads a JSON body into a value; unknown and doubled names and
// wrong types are refused with their place.
func decodeStrictly(body io.Reader, into any) error {
	err := json.UnmarshalRead(body, into, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	rule, field := codec.RuleSyntax, "body"
	switch {
	case err == nil:
		return nil
	case errors.As(err, &semantic):
		rule, field = codec.RuleType, pointerPath(semantic.JSONPointer)
		if errors.Is(err, json.ErrUnknownName) {
			rule = codec.RuleUnknownField
		}
	case errors.As(err, &syntactic):
		field = pointerPath(syntactic.JSONPointer)
		if errors.Is(syntactic.Err, jsontext.ErrDuplicateName) {
			rule = codec.RuleDuplicate
		}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
	default:
		return err
	}
	return &fault.Fault{Kind: fault.Malformed, Detail: "the body is not accepted", Cause: err,
		Violations: []fault.Violation{flow.Violates(rule, field, "", "")}}
}
