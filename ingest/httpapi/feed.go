package httpapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// Pages of feeds and ledgers.
const (
	defaultPage = 100
	maxPage     = 1000
)

// cursor says where a page ends. It means nothing to anybody else, and is good
// for the list that it was given with only.
func cursor(list string, a, b uint64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "1 %s %d %d", list, a, b))
}

func readCursor(text, list string) (a, b uint64, err error) {
	if text == "" {
		return 0, 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		rest, ok := strings.CutPrefix(string(raw), "1 "+list+" ")
		first, second, both := strings.Cut(rest, " ")
		var err1, err2 error
		a, err1 = strconv.ParseUint(first, 10, 64)
		b, err2 = strconv.ParseUint(second, 10, 64)
		if ok && both && err1 == nil && err2 == nil {
			return a, b, nil
		}
	}
	return 0, 0, badQuery("after", text, "It must be the cursor next of an earlier page of the same list.")
}

func pageSize(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, badQuery("limit", text, fmt.Sprintf("It must be a number from 1 to %d.", maxPage))
	}
	return n, nil
}

// getFeed lists what the log holds of a facility, in the order of the log.
func (h *Handler) getFeed(w http.ResponseWriter, r *http.Request) error {
	id := facility.ID(r.PathValue("id"))
	if _, ok := h.deps.Register.Facility(id); !ok {
		return fault.New(fault.NotFound, "facility %q is not registered", fault.Clip(string(id)))
	}
	values, err := query(r, "after", "limit")
	if err != nil {
		return err
	}
	limit, err := pageSize(values.Get("limit"))
	if err != nil {
		return err
	}
	list := "feed " + string(id)
	commit, prepare, err := readCursor(values.Get("after"), list)
	if err != nil {
		return err
	}
	after := eventlog.Position{Commit: commit, Prepare: prepare}
	var places []index.Placed
	for p, err := range h.deps.Intake.Feed(r.Context(), id, after) {
		if err != nil {
			return err
		}
		if places = append(places, p); len(places) > limit {
			break
		}
	}
	more := len(places) > limit
	if more {
		places = places[:limit]
	}
	records, err := h.readPlaces(r.Context(), places)
	if err != nil {
		return err
	}
	events := make([]recordedEvent, len(records))
	for i, rec := range records {
		events[i], after = showEvent(rec), rec.Position
	}
	h.write(w, r, http.StatusOK, "application/json", struct {
		Events []recordedEvent `json:"events"`
		Next   string          `json:"next"`
		More   bool            `json:"more"`
	}{events, cursor(list, after.Commit, after.Prepare), more})
	return nil
}

// readPlaces reads events from the log, neighbours of one stream at once.
func (h *Handler) readPlaces(ctx context.Context, places []index.Placed) ([]eventlog.Recorded, error) {
	records := make([]eventlog.Recorded, 0, len(places))
	for len(records) < len(places) {
		first := places[len(records)].Place
		want := len(records)
		for rec, err := range h.deps.Streams.ReadStream(ctx, first.Stream, first.Revision) {
			if err != nil {
				return nil, logFault(err)
			}
			if want == len(places) || places[want].Place != (index.Place{Stream: rec.Stream, Revision: rec.Revision}) {
				break
			}
			records = append(records, rec)
			want++
		}
		if len(records) < len(places) && places[len(records)].Place == first {
			return nil, fault.New(fault.Internal, "revision %d of %s is not in the log", first.Revision, first.Stream)
		}
	}
	return records, nil
}
