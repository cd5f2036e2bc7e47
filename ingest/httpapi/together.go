package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/codec"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// atomicMode reads the query of a request with events: each for itself, or all
// in one append.
func atomicMode(r *http.Request) (bool, error) {
	values, err := query(r, "mode")
	if err != nil {
		return false, err
	}
	switch mode := values.Get("mode"); mode {
	case "", "each":
		return false, nil
	case "atomic":
		return true, nil
	default:
		return false, badQuery("mode", mode, "It must be each or atomic.")
	}
}

// postTogether records the events of a batch or of lines in one append to one
// ledger, or none of them. A single event is so by itself.
func (h *Handler) postTogether(w http.ResponseWriter, r *http.Request, body io.Reader, decoder *codec.Decoder, media string) error {
	items, err := readTogether(body, decoder, media, h.cfg.MaxTogether)
	if err != nil {
		h.deps.Intake.Refused(err)
		return err
	}
	refused := &fault.Fault{Kind: fault.Internal, Detail: "nothing was recorded, because some events are refused"}
	blame := func(err error, line int) {
		var f *fault.Fault
		if !errors.As(err, &f) {
			f = fault.Wrap(fault.Internal, err, "it failed here")
		}
		if len(refused.Violations) == 0 && refused.Cause == nil {
			refused.Kind, refused.Cause = f.Kind, err
			if f.Kind != fault.Invalid && f.Kind != fault.Malformed || len(f.Violations) == 0 {
				refused.Detail = "nothing was recorded: " + f.Detail
			}
		}
		for _, v := range f.Violations {
			if v.Rule != intake.RuleOneLedger { // which speaks of all of them
				v.Line = line
			}
			refused.Violations = append(refused.Violations, v)
		}
	}
	send := make([]intake.Item, 0, len(items))
	for _, item := range items {
		if item.Err != nil {
			h.deps.Intake.Refused(item.Err)
			blame(item.Err, item.Line)
			continue
		}
		send = append(send, intake.Item{Command: command(item.Message), Meta: h.meta(r, item.Line)})
	}
	if refused.Cause != nil {
		return refused
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.SubmitTimeout)
	defer cancel()
	results := make([]Result, len(send))
	for i, res := range h.deps.Intake.SubmitAtomic(ctx, send) {
		err := timedOut(res.Err)
		switch {
		case err == nil:
			results[i] = resultOf(res, items[i].Line)
		case errors.Is(err, intake.ErrWithOthers):
		case refused.Cause != nil && sameForAll(err):
		default:
			blame(err, items[i].Line)
		}
	}
	if refused.Cause != nil {
		return refused
	}
	h.write(w, r, http.StatusOK, "application/json", results)
	return nil
}

// sameForAll tells the refusals that speak of all events together, and are
// said once.
func sameForAll(err error) bool {
	var f *fault.Fault
	if !errors.As(err, &f) || len(f.Violations) == 0 {
		return true
	}
	return f.Violations[0].Rule == intake.RuleOneLedger
}

// readTogether reads events that are recorded together: at most limit.
func readTogether(body io.Reader, decoder *codec.Decoder, media string, limit int) ([]codec.Item, error) {
	var items []codec.Item
	if media != "application/x-ndjson" {
		all, err := decoder.Batch(body)
		if err != nil {
			return nil, err
		}
		items = all
	} else {
		lines := decoder.Lines(body)
		for len(items) <= limit {
			item, err := lines.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
	}
	if len(items) > limit {
		return nil, &fault.Fault{Kind: fault.TooLarge, Detail: "too many events are to be recorded together", Violations: []fault.Violation{
			flow.Violates(codec.RuleTooMany, "events", "", fmt.Sprintf("At most %d are; send them with mode=each, or in parts.", limit))}}
	}
	return items, nil
}
