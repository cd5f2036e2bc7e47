package httpapi

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/codec"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// subject finds the fact that a change is about, by its own id or that of one
// of its events. version is the event that the ledger must still know it by;
// zero when the fact itself was named.
func (h *Handler) subject(r *http.Request) (life history, version uuid.UUID, err error) {
	rec, _, err := h.eventAt(r.Context(), r.PathValue("id"))
	if err != nil {
		return history{}, uuid.Nil, err
	}
	ev, err := event.Decode(rec.Type, rec.Data)
	if err != nil {
		return history{}, uuid.Nil, err
	}
	id := factIDOf(ev)
	if id == uuid.Nil {
		return history{}, uuid.Nil, fault.New(fault.NotFound, "event %s is not about a fact", rec.ID)
	}
	if life, err = h.historyOf(r.Context(), id); err != nil {
		return life, uuid.Nil, err
	}
	last := life.last()
	switch {
	case rec.ID == id:
		return life, uuid.Nil, nil
	case !last.holds(rec.ID):
		return life, rec.ID, nil // superseded, unless the change is no change: the ledger decides
	case isMove(last) && last.arrived == uuid.Nil:
		return life, uuid.Nil, nil // the ledger will know it by an event that is not there yet
	}
	return life, last.holder(), nil
}

func isMove(v version) bool {
	_, ok := v.event.(event.Moved)
	return ok
}

// query reads a query that may hold only the named parameters, each once.
func query(r *http.Request, known ...string) (url.Values, error) {
	values := r.URL.Query()
	var bad []fault.Violation
	for name, all := range values {
		switch {
		case !slices.Contains(known, name):
			detail := "There are none."
			if len(known) > 0 {
				detail = "There are " + strings.Join(known, ", ") + "."
			}
			bad = append(bad, flow.Violates("query-unknown", fault.Clip(name), all[0], detail))
		case len(all) > 1:
			bad = append(bad, flow.Violates("query-twice", name, strings.Join(all, ", "), ""))
		}
	}
	if len(bad) > 0 {
		slices.SortFunc(bad, func(a, b fault.Violation) int { return strings.Compare(a.Field, b.Field) })
		return nil, &fault.Fault{Kind: fault.Invalid, Detail: "the query is not accepted", Violations: bad}
	}
	return values, nil
}

// badQuery refuses one value of a query.
func badQuery(name, value, detail string) error {
	return &fault.Fault{Kind: fault.Invalid, Detail: "the query is not accepted",
		Violations: []fault.Violation{flow.Violates("query-malformed", name, value, detail)}}
}

// goodReason checks why something changes.
func goodReason(reason string) error {
	if bad := flow.CheckReason(reason); len(bad) > 0 {
		return &fault.Fault{Kind: fault.Invalid, Detail: "a change needs a reason that can be recorded", Violations: bad}
	}
	return nil
}

// postCorrection says what a recorded fact is from now on: a correction, or a
// move when its facility or month change.
func (h *Handler) postCorrection(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "reason")
	if err != nil {
		return err
	}
	life, version, err := h.subject(r)
	if err != nil {
		return err
	}
	m, err := h.readCorrection(w, r, life.fact())
	if err != nil {
		return err
	}
	if given := values.Get("reason"); given != "" {
		if m.Reason != "" && m.Reason != given {
			return badQuery("reason", given, "The body gives another one.")
		}
		m.Reason = given
	}
	if err := goodReason(m.Reason); err != nil {
		return err
	}
	return h.change(w, r, http.StatusCreated, ledger.Correct{Fact: m.Fact, Version: version, Reason: m.Reason})
}

// readCorrection reads the body: a CloudEvent, or its data.
func (h *Handler) readCorrection(w http.ResponseWriter, r *http.Request, of flow.Fact) (codec.Message, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/cloudevents+json" && (media != "application/json" || codec.IsBinary(r.Header)) {
		return codec.Message{}, unsupported("a correction is the whole fact, as application/cloudevents+json, or the data of a CloudEvent as application/json")
	}
	body, err := h.plainBody(w, r, false)
	if err != nil {
		return codec.Message{}, err
	}
	defer body.Close() // frees a decoder of memory, nothing else
	text, err := io.ReadAll(body)
	if err != nil {
		return codec.Message{}, err
	}
	decoder := codec.NewDecoder(h.cfg.Events)
	read := decoder.Correction
	if media == "application/json" {
		read = decoder.CorrectionData
	}
	m, err := read(text, of)
	if err != nil {
		h.deps.Intake.Refused(err)
	}
	return m, err
}

// deleteEvent says that a recorded fact did not happen.
func (h *Handler) deleteEvent(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "reason")
	if err != nil {
		return err
	}
	if err := goodReason(values.Get("reason")); err != nil {
		return err
	}
	life, version, err := h.subject(r)
	if err != nil {
		return err
	}
	return h.change(w, r, http.StatusOK, ledger.Cancel{Identity: life.fact().Identity, Version: version, Reason: values.Get("reason")})
}

// change submits one command about a recorded fact and answers its result.
func (h *Handler) change(w http.ResponseWriter, r *http.Request, done int, c ledger.Command) error {
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.SubmitTimeout)
	defer cancel()
	res := h.deps.Intake.Submit(ctx, []intake.Item{{Command: c, Meta: h.meta(r, 0)}})[0]
	if res.Err != nil {
		return timedOut(res.Err)
	}
	if res.Status == ledger.StatusAlreadyRecorded {
		done = http.StatusOK
	}
	w.Header().Set("Location", "/v1/events/"+res.EventID.String())
	h.write(w, r, done, "application/json", resultOf(res, 0))
	return nil
}
