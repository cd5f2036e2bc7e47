package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// version is one event of a fact's life, decoded.
type version struct {
	rec     eventlog.Recorded
	event   event.Event
	arrived uuid.UUID // of a move: the event that notes it in the other ledger; zero while it is due
}

// holds tells whether an event id names the version.
func (v version) holds(id uuid.UUID) bool {
	return id == v.rec.ID || v.arrived != uuid.Nil && id == v.arrived
}

// holder is the event that the ledger knows the version by.
func (v version) holder() uuid.UUID {
	if v.arrived != uuid.Nil {
		return v.arrived
	}
	return v.rec.ID
}

// history is the life of one fact, in order, across ledgers.
type history struct {
	factID   uuid.UUID
	versions []version
}

func (h history) last() version { return h.versions[len(h.versions)-1] }

// fact is the last version of the fact, whether it counts or not.
func (h history) fact() flow.Fact {
	was, is, _ := sides(h.last().event)
	if is != nil {
		return *is
	}
	return *was
}

// sides are what an event about a fact takes out and puts in; ok is false for
// other events.
func sides(ev event.Event) (was, is *flow.Fact, ok bool) {
	switch e := ev.(type) {
	case event.Recorded:
		return nil, &e.Fact, true
	case event.Corrected:
		return &e.Was, &e.Is, true
	case event.Moved:
		return &e.Was, &e.Is, true
	case event.Cancelled:
		return &e.Was, nil, true
	case event.Arrived, event.LedgerClosed, event.FacilityRegistered, event.AreaRegistered:
	}
	return nil, nil, false
}

// factIDOf is the id of the fact that an event is about; zero for none.
func factIDOf(ev event.Event) uuid.UUID {
	switch e := ev.(type) {
	case event.Recorded:
		return e.ID
	case event.Corrected:
		return e.FactID
	case event.Moved:
		return e.FactID
	case event.Arrived:
		return e.FactID
	case event.Cancelled:
		return e.FactID
	case event.LedgerClosed, event.FacilityRegistered, event.AreaRegistered:
	}
	return uuid.Nil
}

// eventAt reads the event of an id where the index says that it stands.
func (h *Handler) eventAt(ctx context.Context, text string) (eventlog.Recorded, index.Place, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return eventlog.Recorded{}, index.Place{}, fault.New(fault.NotFound, "there is no event %q", fault.Clip(text))
	}
	place, found, err := h.deps.Intake.Event(ctx, id)
	if err != nil {
		return eventlog.Recorded{}, index.Place{}, err
	}
	if !found {
		return eventlog.Recorded{}, index.Place{}, fault.New(fault.NotFound, "there is no event %s", id)
	}
	for rec, err := range h.deps.Streams.ReadStream(ctx, place.Stream, place.Revision) {
		if err != nil {
			return eventlog.Recorded{}, index.Place{}, logFault(err)
		}
		if rec.ID != id {
			break
		}
		return rec, place, nil
	}
	return eventlog.Recorded{}, index.Place{}, fault.New(fault.Internal, "event %s is not where the index says", id)
}

// historyOf follows a fact from its first event on, from ledger to ledger
// where it was moved. It reads no more of a ledger than what follows.
func (h *Handler) historyOf(ctx context.Context, factID uuid.UUID) (history, error) {
	out := history{factID: factID}
	place, found, err := h.deps.Intake.Event(ctx, factID)
	if err != nil {
		return out, err
	}
	if !found {
		return out, fault.New(fault.Internal, "the first event of fact %s is nowhere", factID)
	}
	read := map[string]uint64{place.Stream: place.Revision} // where to read on in each ledger
	for stream := place.Stream; stream != ""; {
		if stream, err = h.stretch(ctx, &out, stream, read); err != nil {
			return out, err
		}
	}
	if len(out.versions) == 0 {
		return out, fault.New(fault.Internal, "fact %s is not where the index says", factID)
	}
	return out, nil
}

// stretch reads on in a ledger until the fact leaves it, and returns the one
// that it goes to; "" when it stays.
func (h *Handler) stretch(ctx context.Context, out *history, stream string, read map[string]uint64) (next string, err error) {
	for rec, err := range h.deps.Streams.ReadStream(ctx, stream, read[stream]) {
		if err != nil {
			return "", logFault(err)
		}
		read[stream] = rec.Revision + 1
		ev, err := event.Decode(rec.Type, rec.Data)
		if err != nil {
			return "", err
		}
		if factIDOf(ev) != out.factID {
			continue
		}
		if arrived, ok := ev.(event.Arrived); ok {
			if n := len(out.versions); n > 0 && out.versions[n-1].rec.ID == arrived.Moved {
				out.versions[n-1].arrived = rec.ID
			}
			continue
		}
		out.versions = append(out.versions, version{rec: rec, event: ev})
		if moved, ok := ev.(event.Moved); ok {
			return moved.To, nil
		}
	}
	return "", nil
}

// shownVersion is one version of a fact: what changed, who said so and why.
type shownVersion struct {
	EventID    string            `json:"event_id"`
	Change     string            `json:"change"` // recorded, corrected, moved, cancelled
	Revision   uint32            `json:"revision"`
	Ledger     string            `json:"ledger"`             // that the event stands in
	MovedTo    string            `json:"moved_to,omitempty"` // ledger
	Arrived    string            `json:"arrived,omitempty"`  // event that notes a move in the other ledger
	Position   eventlog.Position `json:"position"`
	RecordedAt string            `json:"recorded_at"`
	Actor      string            `json:"actor,omitempty"`
	Import     string            `json:"import,omitempty"`
	Line       int               `json:"line,omitzero"`
	Reason     string            `json:"reason,omitempty"`
	BookedIn   string            `json:"booked_in,omitempty"`
	Was        *event.FactV1     `json:"was,omitempty"`
	Is         *event.FactV1     `json:"is,omitempty"`
	Warnings   []fault.Violation `json:"warnings,omitempty"`
}

func showVersion(v version) (shownVersion, error) {
	meta, err := event.DecodeMeta(v.rec.Meta)
	if err != nil {
		return shownVersion{}, err
	}
	out := shownVersion{EventID: v.rec.ID.String(), Ledger: v.rec.Stream, Position: v.rec.Position, RecordedAt: moment(v.rec.RecordedAt),
		Actor: meta.Actor, Import: meta.Import, Line: meta.Line}
	switch e := v.event.(type) {
	case event.Recorded:
		out.Change, out.Revision, out.Reason, out.BookedIn, out.Warnings = "recorded", e.Revision, e.Reason, e.BookedIn, e.Warnings
	case event.Corrected:
		out.Change, out.Revision, out.Reason, out.BookedIn, out.Warnings = "corrected", e.Revision, e.Reason, e.BookedIn, e.Warnings
	case event.Moved:
		out.Change, out.Revision, out.Reason, out.BookedIn, out.Warnings = "moved", e.Revision, e.Reason, e.BookedIn, e.Warnings
		out.MovedTo = e.To
		if v.arrived != uuid.Nil {
			out.Arrived = v.arrived.String()
		}
	case event.Cancelled:
		out.Change, out.Revision, out.Reason, out.BookedIn = "cancelled", e.Revision, e.Reason, e.BookedIn
	case event.Arrived:
		out.Change, out.Revision = "arrived", e.Revision
		fact := event.FactPayload(e.Fact)
		out.Is = &fact
	case event.LedgerClosed, event.FacilityRegistered, event.AreaRegistered:
	}
	was, is, _ := sides(v.event)
	if was != nil {
		fact := event.FactPayload(*was)
		out.Was = &fact
	}
	if is != nil {
		fact := event.FactPayload(*is)
		out.Is = &fact
	}
	return out, nil
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// recordedEvent is an event of the log and, when it is about a fact, the life
// of that fact.
type recordedEvent struct {
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	Stream     string            `json:"stream"`
	Revision   uint64            `json:"revision"`
	Position   eventlog.Position `json:"position"`
	RecordedAt string            `json:"recorded_at"`
	Data       jsontext.Value    `json:"data"`
	Meta       jsontext.Value    `json:"meta"`

	FactID   string         `json:"fact_id,omitempty"`
	Standing string         `json:"standing,omitempty"` // live or cancelled
	Current  string         `json:"current,omitempty"`  // event that holds the last version
	Versions []shownVersion `json:"versions,omitempty"` // in their order
}

func showEvent(rec eventlog.Recorded) recordedEvent {
	return recordedEvent{ID: rec.ID.String(), Type: rec.Type, Stream: rec.Stream, Revision: rec.Revision, Position: rec.Position,
		RecordedAt: moment(rec.RecordedAt), Data: rec.Data, Meta: rec.Meta}
}

// getEvent shows a recorded event as the log holds it, and the versions of its
// fact.
func (h *Handler) getEvent(w http.ResponseWriter, r *http.Request) error {
	rec, _, err := h.eventAt(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	shown := showEvent(rec)
	ev, err := event.Decode(rec.Type, rec.Data)
	if err != nil {
		return err
	}
	if id := factIDOf(ev); id != uuid.Nil {
		life, err := h.historyOf(r.Context(), id)
		if err != nil {
			return err
		}
		shown.FactID, shown.Current, shown.Standing = id.String(), life.last().holder().String(), "live"
		if _, ok := life.last().event.(event.Cancelled); ok {
			shown.Standing = "cancelled"
		}
		for _, v := range life.versions {
			one, err := showVersion(v)
			if err != nil {
				return err
			}
			shown.Versions = append(shown.Versions, one)
		}
	}
	h.write(w, r, http.StatusOK, "application/json", shown)
	return nil
}
