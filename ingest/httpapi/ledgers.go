package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// shownStock is the stock of one material.
type shownStock struct {
	Waste    string `json:"waste_code,omitempty"`
	Fraction string `json:"fraction,omitempty"`
	Product  string `json:"product,omitempty"`
	Tonnes   string `json:"mass_t"` // exact, six places
}

func showStock(lines []event.StockLine) []shownStock {
	out := make([]shownStock, len(lines))
	for i, l := range lines {
		out[i] = shownStock{Waste: string(l.Material.Waste), Fraction: l.Material.Fraction, Product: l.Material.Product, Tonnes: l.Net.Tonnes()}
	}
	return out
}

// shownClose is how a ledger was closed.
type shownClose struct {
	EventID    string            `json:"event_id"`
	Position   eventlog.Position `json:"position"`
	RecordedAt string            `json:"recorded_at"`
	Actor      string            `json:"actor,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Digest     string            `json:"digest"`       // as it was recorded
	Events     uint64            `json:"events"`       // that the digest covers
	Holds      bool              `json:"digest_holds"` // computed again over the log, it is the same
	Stock      []shownStock      `json:"stock"`        // closing stock
}

// shownFact is a fact that stands, or stood, in a ledger.
type shownFact struct {
	FactID   string         `json:"fact_id"`
	EventID  string         `json:"event_id"` // that holds its last version here
	Standing string         `json:"standing"` // live, cancelled, moved
	Versions []shownVersion `json:"versions"` // those of this ledger, in order
}

// shownLedger is the state of a ledger, with a page of what it holds.
type shownLedger struct {
	Facility string `json:"facility"`
	Period   string `json:"period"`
	Ledger   string `json:"ledger"`
	Events   uint64 `json:"events"` // of the ledger, as far as this page sees it
	Status   string `json:"status"` // open or closed
	Live     int    `json:"live"`   // facts that count

	Digest string       `json:"digest"` // over those events but the closing itself
	Stock  []shownStock `json:"stock"`  // as it happened: late facts and corrections included
	Closed *shownClose  `json:"closed,omitempty"`

	View            string         `json:"view"`
	BookedElsewhere int            `json:"booked_elsewhere"`  // events of this ledger that are booked in another month
	BookedHere      int            `json:"booked_here"`       // events of other ledgers that are booked in this month
	Facts           []shownFact    `json:"facts,omitempty"`   // view occurred
	Entries         []shownVersion `json:"entries,omitempty"` // view booked
	Next            string         `json:"next,omitempty"`    // cursor of the next page
}

// ledgerKey reads the address of a ledger.
func (h *Handler) ledgerKey(r *http.Request) (ledger.Key, error) {
	key := ledger.Key{Facility: facility.ID(r.PathValue("facility")), Period: r.PathValue("period")}
	if parsed, err := ledger.ParseStream(key.Stream()); err != nil || parsed != key {
		return key, fault.New(fault.NotFound, "there is no ledger of %q for %q: a month is yyyymm, a year yyyy",
			fault.Clip(string(key.Facility)), fault.Clip(key.Period))
	}
	if _, ok := h.deps.Register.Facility(key.Facility); !ok {
		return key, fault.New(fault.NotFound, "facility %q is not registered", fault.Clip(string(key.Facility)))
	}
	return key, nil
}

// folding reads a ledger once, from its first event on.
type folding struct {
	key      ledger.Key
	state    *ledger.State
	digest   ledger.Digester
	closed   *version
	closing  string // digest over what was there before the closing
	upTo     uint64 // events to read; 0 for all
	elsewise int    // events booked in another month
}

// fold calls each with every event of the ledger, as far as it is to be read.
func (h *Handler) fold(ctx context.Context, f *folding, each func(version)) error {
	f.state = ledger.NewState(f.key)
	for rec, err := range h.deps.Streams.ReadStream(ctx, f.key.Stream(), 0) {
		if err != nil {
			return logFault(err)
		}
		if f.upTo > 0 && rec.Revision >= f.upTo {
			break
		}
		ev, err := event.Decode(rec.Type, rec.Data)
		if err == nil {
			err = f.state.Apply(ev)
		}
		if err != nil {
			return fmt.Errorf("read %s, revision %d: %w", rec.Stream, rec.Revision, err)
		}
		v := version{rec: rec, event: ev}
		if rec.Type == event.TypeLedgerClosed {
			f.closed = &v
			f.closing, _ = f.digest.Sum()
			continue
		}
		f.digest.Add(rec.ID, rec.Type, rec.Data)
		if !f.ownMonth(ev) {
			f.elsewise++
		}
		each(v)
	}
	return nil
}

// ownMonth tells whether an event is booked in the month that it stands in.
func (f *folding) ownMonth(ev event.Event) bool {
	booked := bookedIn(ev)
	return booked == "" || booked == f.key.Period
}

func bookedIn(ev event.Event) string {
	switch e := ev.(type) {
	case event.Recorded:
		return e.BookedIn
	case event.Corrected:
		return e.BookedIn
	case event.Moved:
		return e.BookedIn
	case event.Cancelled:
		return e.BookedIn
	case event.Arrived, event.LedgerClosed, event.FacilityRegistered, event.AreaRegistered:
	}
	return ""
}

// getLedger shows a ledger: as things occurred, or as they are booked.
func (h *Handler) getLedger(w http.ResponseWriter, r *http.Request) error {
	key, err := h.ledgerKey(r)
	if err != nil {
		return err
	}
	values, err := query(r, "view", "after", "limit")
	if err != nil {
		return err
	}
	limit, err := pageSize(values.Get("limit"))
	if err != nil {
		return err
	}
	f := &folding{key: key}
	var shown shownLedger
	switch view := values.Get("view"); view {
	case "", "occurred":
		shown, err = h.asOccurred(r.Context(), f, values.Get("after"), limit)
	case "booked":
		shown, err = h.asBooked(r.Context(), f, values.Get("after"), limit)
	default:
		return badQuery("view", view, "It must be occurred or booked.")
	}
	if err != nil {
		return err
	}
	if err := h.describe(r.Context(), f, &shown); err != nil {
		return err
	}
	h.write(w, r, http.StatusOK, "application/json", shown)
	return nil
}

// describe fills in what both views share.
func (h *Handler) describe(ctx context.Context, f *folding, out *shownLedger) error {
	out.Facility, out.Period, out.Ledger = string(f.key.Facility), f.key.Period, f.key.Stream()
	out.Events, out.Live, out.Status = f.state.Events(), f.state.Live(), "open"
	out.Digest, _ = f.digest.Sum()
	out.Stock, out.BookedElsewhere = showStock(f.state.Stock()), f.elsewise
	for _, err := range h.deps.Intake.Booked(ctx, f.key.Facility, f.key.Period) {
		if err != nil {
			return err
		}
		out.BookedHere++
	}
	if f.closed == nil {
		return nil
	}
	closed, err := showClose(*f.closed, f.closing)
	out.Status, out.Closed = "closed", &closed
	return err
}

func showClose(v version, again string) (shownClose, error) {
	meta, err := event.DecodeMeta(v.rec.Meta)
	if err != nil {
		return shownClose{}, err
	}
	e, ok := v.event.(event.LedgerClosed)
	if !ok {
		return shownClose{}, fault.New(fault.Internal, "event %s closes no ledger", v.rec.ID)
	}
	return shownClose{EventID: v.rec.ID.String(), Position: v.rec.Position, RecordedAt: moment(v.rec.RecordedAt), Actor: meta.Actor, Reason: meta.Reason,
		Digest: e.Digest, Events: e.Events, Holds: e.Digest == again, Stock: showStock(e.Stock)}, nil
}

// asOccurred shows the facts that occurred in the ledger's period, in the order
// in which they came. All pages see the ledger as the first one did.
func (h *Handler) asOccurred(ctx context.Context, f *folding, after string, limit int) (out shownLedger, err error) {
	list := "occurred " + f.key.Stream()
	skip, upTo, err := readCursor(after, list)
	if err != nil {
		return out, err
	}
	f.upTo = upTo
	out.View = "occurred"
	seen := map[uuid.UUID]bool{}
	page := map[uuid.UUID]int{}
	var failed error
	more, last := false, skip
	if err := h.fold(ctx, f, func(v version) {
		id := factIDOf(v.event)
		if !seen[id] {
			seen[id] = true
			switch {
			case uint64(len(seen)) <= skip:
			case len(page) == limit:
				more = true
			default:
				page[id] = len(out.Facts)
				out.Facts = append(out.Facts, shownFact{FactID: id.String()})
				last++
			}
		}
		i, ok := page[id]
		if !ok {
			return
		}
		one, err := showVersion(v)
		if err != nil {
			failed = err
			return
		}
		fact := &out.Facts[i]
		fact.EventID, fact.Standing = one.EventID, standingAfter(v.event)
		fact.Versions = append(fact.Versions, one)
	}); err != nil {
		return out, err
	}
	if more {
		out.Next = cursor(list, last, f.state.Events())
	}
	return out, failed
}

func standingAfter(ev event.Event) string {
	switch ev.(type) {
	case event.Cancelled:
		return "cancelled"
	case event.Moved:
		return "moved"
	}
	return "live"
}

// asBooked shows what was entered in the books of the month: the ledger's own
// events that are not booked elsewhere, and those of other months that are
// booked here, in the order of the log.
func (h *Handler) asBooked(ctx context.Context, f *folding, after string, limit int) (out shownLedger, err error) {
	list := "booked " + f.key.Stream()
	commit, prepare, err := readCursor(after, list)
	if err != nil {
		return out, err
	}
	from := eventlog.Position{Commit: commit, Prepare: prepare}
	out.View = "booked"
	late, err := h.lateEntries(ctx, f.key, from, limit)
	if err != nil {
		return out, err
	}
	var page []version
	add := func(v version) {
		if len(page) <= limit {
			page = append(page, v)
		}
	}
	err = h.fold(ctx, f, func(v version) {
		if !f.ownMonth(v.event) || v.rec.Position.Compare(from) <= 0 {
			return
		}
		for len(late) > 0 && late[0].rec.Position.Compare(v.rec.Position) < 0 {
			add(late[0])
			late = late[1:]
		}
		add(v)
	})
	if err != nil {
		return out, err
	}
	for _, v := range late {
		add(v)
	}
	if len(page) > limit {
		page = page[:limit]
		end := page[limit-1].rec.Position
		out.Next = cursor(list, end.Commit, end.Prepare)
	}
	for _, v := range page {
		one, err := showVersion(v)
		if err != nil {
			return out, err
		}
		out.Entries = append(out.Entries, one)
	}
	return out, nil
}

// lateEntries reads the next events of other months that are booked in this
// one: one more than a page takes.
func (h *Handler) lateEntries(ctx context.Context, key ledger.Key, from eventlog.Position, limit int) ([]version, error) {
	var places []index.Placed
	for p, err := range h.deps.Intake.Booked(ctx, key.Facility, key.Period) {
		if err != nil {
			return nil, err
		}
		if p.Position.Compare(from) <= 0 || p.Place.Stream == key.Stream() {
			continue
		}
		if places = append(places, p); len(places) > limit {
			break
		}
	}
	records, err := h.readPlaces(ctx, places)
	if err != nil {
		return nil, err
	}
	late := make([]version, len(records))
	for i, rec := range records {
		ev, err := event.Decode(rec.Type, rec.Data)
		if err != nil {
			return nil, err
		}
		late[i] = version{rec: rec, event: ev}
	}
	return late, nil
}

// closed is the answer to a closing.
type closedLedger struct {
	Status string `json:"status"` // closed, already_recorded
	Ledger string `json:"ledger"`
	shownClose
}

// closeLedger closes the books of a month.
func (h *Handler) closeLedger(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	key, err := h.ledgerKey(r)
	if err != nil {
		return err
	}
	reason, err := h.closingReason(w, r)
	if err != nil {
		return err
	}
	meta := h.meta(r, 0)
	meta.Reason = reason
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.SubmitTimeout)
	defer cancel()
	res := h.deps.Intake.Submit(ctx, []intake.Item{{Command: ledger.Close{}, Ledger: key, Meta: meta}})[0]
	if res.Err != nil {
		return timedOut(res.Err)
	}
	f := &folding{key: key}
	if err := h.fold(r.Context(), f, func(version) {}); err != nil {
		return err
	}
	if f.closed == nil {
		return fault.New(fault.Internal, "ledger %s was closed and is not", key.Stream())
	}
	closed, err := showClose(*f.closed, f.closing)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if res.Status == ledger.StatusAlreadyRecorded {
		status = http.StatusOK
	}
	w.Header().Set("Location", "/v1/ledgers/"+string(key.Facility)+"/"+key.Period)
	h.write(w, r, status, "application/json", closedLedger{string(res.Status), key.Stream(), closed})
	return nil
}

// closingReason reads the body of a closing, which may be left out.
func (h *Handler) closingReason(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.ContentLength == 0 && !strings.Contains(r.Header.Get("Content-Type"), "json") {
		_, err := io.Copy(io.Discard, io.LimitReader(r.Body, 1))
		return "", err
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := h.readJSON(w, r, &body); err != nil {
		return "", err
	}
	if body.Reason == "" {
		return "", nil
	}
	return body.Reason, goodReason(body.Reason)
}
