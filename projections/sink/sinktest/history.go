package sinktest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// history is a made-up log, and what it says by a fold of its own.
type history struct {
	events []eventlog.Recorded
	marks  []mark // one per event
}

// mark is the truth after an event.
type mark struct {
	position   uint64
	live       map[string]flow.Fact // by external id
	facilities int
	areas      int
	poison     int
}

// newHistory makes n events: receptions, sortings, totals, corrections, moves,
// cancellations, registrations, and some that cannot be projected.
func newHistory(tb testing.TB, seed uint64, n int) *history {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // a test that can be repeated
	h := &history{}
	live := map[string]flow.Fact{}
	now := mark{position: 1000}
	id := func() string {
		ids := slices.Sorted(maps.Keys(live))
		return ids[rng.IntN(len(ids))]
	}
	for i := range n {
		var ev event.Event
		var stream string
		draw := rng.IntN(20)
		if len(live) < 3 && draw < 9 {
			draw = 19
		}
		switch {
		case draw < 3:
			was := live[id()]
			is := was
			is.Mass.Net += mass.Grams(rng.IntN(1000) + 1)
			live[is.Identity.ExternalID] = is
			stream = ledgerOf(was)
			ev = event.Corrected{FactID: [16]byte{1}, Corrects: [16]byte{2}, Revision: 2, Reason: "typed wrong", Was: was, Is: is}
		case draw == 3:
			was := live[id()]
			if was.When.IsPeriod() {
				continue
			}
			is := was
			is.When.Occurred = is.When.Occurred.AddDate(0, 1, 0)
			live[is.Identity.ExternalID] = is
			stream = ledgerOf(was)
			ev = event.Moved{FactID: [16]byte{1}, Corrects: [16]byte{2}, Revision: 2, Reason: "wrong month", Was: was, Is: is, To: ledgerOf(is)}
		case draw < 6:
			was := live[id()]
			delete(live, was.Identity.ExternalID)
			stream = ledgerOf(was)
			ev = event.Cancelled{FactID: [16]byte{1}, Cancels: [16]byte{2}, Revision: 2, Reason: "never came", Was: was}
		case draw == 6:
			now.facilities++
			fid := facility.ID(fmt.Sprintf("dk-p-%d", i))
			stream = "facility-" + string(fid)
			ev = event.FacilityRegistered{Revision: 1, Source: "made up", Facility: facility.Facility{ID: fid, Name: "F", TimeZone: "UTC"}}
		case draw == 7:
			now.areas++
			stream = "areas-dk"
			ev = event.AreaRegistered{Revision: 1, Source: "made up", Area: area.Area{
				ID: area.ID(fmt.Sprintf("dk-%04d", i)), Level: area.Municipality, Name: "A", Country: "DK", Parent: "dk",
			}}
		default:
			f := madeUpFact(rng, i)
			live[f.Identity.ExternalID] = f
			stream = ledgerOf(f)
			ev = event.Recorded{Revision: 1, Fact: f}
		}
		rec := encode(tb, ev)
		now.position += uint64(rng.IntN(900) + 1) //nolint:gosec // positive
		rec.Stream, rec.Revision = stream, uint64(i)
		rec.Position = eventlog.Position{Commit: now.position, Prepare: now.position}
		rec.RecordedAt = time.Date(2024, 6, 1, 0, 0, i, 0, time.UTC)
		if draw == 8 { // of a version nobody knows
			rec.Type += "9"
			now.poison++
			if r, ok := ev.(event.Recorded); ok {
				delete(live, r.Fact.Identity.ExternalID)
			}
		}
		now.live = maps.Clone(live)
		h.events = append(h.events, rec)
		h.marks = append(h.marks, now)
	}
	require.Positive(tb, now.poison*now.areas*now.facilities, "the seed leaves out a kind of event")
	return h
}

func encode(tb testing.TB, ev event.Event) eventlog.Recorded {
	tb.Helper()
	p, err := event.Encode(event.WithID(ev))
	require.NoError(tb, err)
	return eventlog.Recorded{ID: p.ID, Type: p.Type, Data: p.Data, Meta: []byte("{}")}
}

func madeUpFact(rng *rand.Rand, i int) flow.Fact {
	f := flow.Fact{
		Kind: flow.Received, Facility: facility.ID(fmt.Sprintf("gb-ea-a-%d", rng.IntN(3))),
		Identity: flow.Identity{Reporter: "r", Source: "s", ExternalID: fmt.Sprintf("t-%d", i)},
		When:     flow.When{Occurred: time.Date(2024, time.Month(1+rng.IntN(3)), 1+rng.IntN(28), rng.IntN(24), 0, 0, 0, time.UTC)},
		Material: flow.Material{Waste: "200301"},
		Mass:     flow.Mass{Net: mass.Grams(rng.Int64N(28_000_000) + 1), Method: flow.Weighed},
		Origin:   flow.Place{Area: "dk-0101"}, Operation: "R12",
		Tags: map[string]string{"form": "skip"},
	}
	switch rng.IntN(4) {
	case 0:
		f.Kind = flow.Sorted
		f.Outputs = []flow.Output{
			{Role: flow.RoleOutput, Material: flow.Material{Waste: "191204"}, Net: f.Mass.Net / 2},
			{Role: flow.RoleLoss, Net: f.Mass.Net - f.Mass.Net/2},
		}
	case 1:
		f.Kind, f.Measure = flow.PeriodReported, flow.MeasureReceived
		f.When = flow.When{Period: flow.Period{From: "2024-01-01", To: "2025-01-01"}}
	}
	return f
}

func ledgerOf(f flow.Fact) string {
	period := f.When.Occurred.Format("200601")
	if f.When.IsPeriod() {
		period = string(f.When.Period.From[:4])
	}
	return "ledger-" + string(f.Facility) + "-" + period
}

func (h *history) end() eventlog.Position { return h.events[len(h.events)-1].Position }

// at is the truth up to a position, which is one of an event, or 0.
func (h *history) at(position uint64) (m mark, ok bool) {
	if position == 0 {
		return mark{}, true
	}
	for _, m := range h.marks {
		if m.position == position {
			return m, true
		}
	}
	return mark{}, false
}

// sums folds the facts that are live: each once, as it is now.
func (m mark) sums() Sums {
	sums := Sums{}
	for _, f := range m.live {
		k := Key{Measure: string(f.Kind), Facility: string(f.Facility), Waste: string(f.Material.Waste)}
		if f.Kind == flow.PeriodReported {
			k.Measure, k.Year = string(f.Measure), 2024
		} else {
			k.Year, k.Month = uint16(f.When.Occurred.Year()), uint8(f.When.Occurred.Month()) //nolint:gosec // a date
		}
		sums.Add(k, Sum{Grams: int64(f.Mass.Net), Events: 1})
		for _, o := range f.Outputs {
			k.Measure, k.Waste = string(o.Role), string(o.Material.Waste)
			sums.Add(k, Sum{Grams: int64(o.Net)})
		}
	}
	return sums
}

// Follow implements eventlog.Feed: the history, a few events at a time.
func (h *history) Follow(_ context.Context, after eventlog.Position, _ eventlog.Filter) (eventlog.Subscription, error) {
	s := &subscription{h: h}
	for s.next < len(h.events) && h.events[s.next].Position.Compare(after) <= 0 {
		s.next++
	}
	return s, nil
}

type subscription struct {
	h    *history
	next int
	idle bool
}

func (s *subscription) Next(ctx context.Context) (eventlog.Batch, error) {
	if s.idle {
		<-ctx.Done()
		return eventlog.Batch{}, ctx.Err()
	}
	to := min(s.next+7, len(s.h.events))
	b := eventlog.Batch{Events: s.h.events[s.next:to], CaughtUp: to == len(s.h.events), Checkpoint: s.h.events[to-1].Position}
	s.next, s.idle = to, b.CaughtUp
	return b, ctx.Err()
}

func (s *subscription) Close() error { return nil }
