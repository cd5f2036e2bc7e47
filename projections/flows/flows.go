// Package flows turns events of the log into rows: facts (one row per leg of
// a material-flow event), facilities and areas.
//
// It promises that rows are a pure function of the event and the stream it
// stands in: the same event makes the same rows, in the same order, on every
// machine and at every time; that they add up (what an event takes back is a
// row with sign -1); and that an event is taken whole or not at all. It leaves
// out where rows go (package sink) and when (package runner), and anything
// that needs more than one event to know.
package flows

import (
	"fmt"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/projections/sink"
)

// Name is the projection's name in the table of positions.
const Name = "flows"

// The tables it fills.
const (
	FactsTable      = "flow_facts"
	FacilitiesTable = "facilities"
	AreasTable      = "areas"
)

// Filter passes the events the projection takes.
func Filter() eventlog.Filter {
	return eventlog.Filter{StreamPrefixes: []string{ledger.StreamPrefix, facilityPrefix, areasPrefix}}
}

const (
	facilityPrefix = "facility-"
	areasPrefix    = "areas-"
)

// Projection is the projection for package runner.
func Projection() sink.Projection {
	return sink.Projection{Name: Name, Filter: Filter(), NewBatch: func() sink.Batch { return NewRows() }}
}

// MemorySchema describes the tables to a sink.Memory.
func MemorySchema(segmentEvents, fanIn int) sink.Schema {
	return sink.Schema{
		Keys: map[string][]string{
			FactsTable:           {"position", "leg"},
			FacilitiesTable:      {"facility", "position"},
			AreasTable:           {"area", "position"},
			sink.QuarantineTable: {"projection", "position"},
		},
		Facts: FactsTable, SegmentEvents: segmentEvents, FanIn: fanIn,
		Dims: []string{
			"measure", "kind", "year", "month", "period", "origin_area", "target_area", "facility", "sector",
			"site_category", "waste_code", "fraction", "operation", "fate", "method",
		},
	}
}

// Rows is a batch of rows in the making. For one goroutine.
type Rows struct {
	facts      factColumns
	facilities facilityColumns
	areas      areaColumns
	legs       []leg // scratch of Add
}

var _ sink.Batch = (*Rows)(nil)

// NewRows returns an empty batch.
func NewRows() *Rows { return &Rows{} }

// Add decodes a recorded event and adds its rows. An error means that the
// event can never be projected as it is and by this program; nothing of it is
// added. It wraps the codec's *event.UnknownType and *event.Malformed.
func (r *Rows) Add(rec eventlog.Recorded) error {
	ev, err := event.Decode(rec.Type, rec.Data)
	if err != nil {
		return err
	}
	meta, err := event.DecodeMeta(rec.Meta)
	if err != nil {
		return err
	}
	return r.AddEvent(rec, ev, meta)
}

// AddEvent adds the rows of a decoded event; of rec it uses what the log knows
// (stream, position, id, type, time), not the payload.
func (r *Rows) AddEvent(rec eventlog.Recorded, ev event.Event, meta event.Meta) error {
	r.legs = r.legs[:0]
	at := entry{rec: &rec, meta: &meta}
	var err error
	switch e := ev.(type) {
	case event.Recorded:
		at.revision, at.bookedIn, at.reason, at.warnings = e.Revision, e.BookedIn, e.Reason, e.Warnings
		err = r.legsOf(&e.Fact, rec.Stream, +1)
	case event.Corrected:
		at.first, at.revision, at.bookedIn, at.reason, at.warnings = e.FactID, e.Revision, e.BookedIn, e.Reason, e.Warnings
		if err = r.legsOf(&e.Was, rec.Stream, -1); err == nil {
			err = r.legsOf(&e.Is, rec.Stream, +1)
		}
	case event.Moved:
		at.first, at.revision, at.bookedIn, at.reason, at.warnings = e.FactID, e.Revision, e.BookedIn, e.Reason, e.Warnings
		if err = r.legsOf(&e.Was, rec.Stream, -1); err == nil {
			err = r.legsOf(&e.Is, e.To, +1)
		}
	case event.Cancelled:
		at.first, at.revision, at.bookedIn, at.reason = e.FactID, e.Revision, e.BookedIn, e.Reason
		err = r.legsOf(&e.Was, rec.Stream, -1)
	case event.Arrived, event.LedgerClosed:
		// Moved carries the mass of what arrives; a closed month moves none.
	case event.FacilityRegistered:
		if want := facilityPrefix + string(e.Facility.ID); rec.Stream != want {
			return fmt.Errorf("facility %s stands in stream %s, want %s", e.Facility.ID, rec.Stream, want)
		}
		r.facilities.add(&rec, &e)
	case event.AreaRegistered:
		r.areas.add(&rec, &e)
	default:
		return fmt.Errorf("event %T has no rows defined", ev)
	}
	if err != nil {
		return err
	}
	if len(r.legs) > maxLegs {
		return fmt.Errorf("event has %d legs, at most %d", len(r.legs), maxLegs)
	}
	r.facts.add(at, r.legs)
	return nil
}

// maxLegs is what the column leg (UInt16) can count.
const maxLegs = 1 << 16

// Len implements sink.Batch.
func (r *Rows) Len() int {
	return len(r.facts.position) + len(r.facilities.position) + len(r.areas.position)
}

// Facts implements sink.Batch.
func (r *Rows) Facts() sink.Block { return r.facts.block() }

// Registers implements sink.Batch.
func (r *Rows) Registers() []sink.Block {
	var blocks []sink.Block
	if b := r.facilities.block(); b.Rows > 0 {
		blocks = append(blocks, b)
	}
	if b := r.areas.block(); b.Rows > 0 {
		blocks = append(blocks, b)
	}
	return blocks
}

// Reset implements sink.Batch.
func (r *Rows) Reset() {
	r.facts.reset()
	r.facilities.reset()
	r.areas.reset()
}

// degrees gives a point's two coordinates, nil where the point is not known.
func degrees(p area.Point) (lat, lon *float64) {
	if p == (area.Point{}) {
		return nil, nil
	}
	return &p.Lat, &p.Lon
}

func operations(f facility.Facility) []string {
	if f.Operations == nil {
		return []string{}
	}
	return f.Operations
}
