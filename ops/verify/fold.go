package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Streams of which the tables are made.
const (
	ledgerStreams   = "ledger-"
	facilityStreams = "facility-"
	areaStreams     = "areas-"
)

func followed() eventlog.Filter {
	return eventlog.Filter{StreamPrefixes: []string{ledgerStreams, facilityStreams, areaStreams}}
}

// folded is what one event makes.
type folded struct {
	facts             []row
	facilities, areas []row
}

// errWrong marks an event that makes no row and belongs into quarantine.
var errWrong = errors.New("event is wrong")

// fold turns one event into rows, by docs/legs.md. Errors wrap errWrong.
func fold(rec eventlog.Recorded) (folded, error) {
	decoded, err := event.Decode(rec.Type, rec.Data)
	if err != nil {
		return folded{}, fmt.Errorf("%w: %w", errWrong, err)
	}
	meta, err := event.DecodeMeta(rec.Meta)
	if err != nil {
		return folded{}, fmt.Errorf("%w: %w", errWrong, err)
	}
	c := entry{rec: rec, meta: meta}
	var out folded
	switch e := decoded.(type) {
	case event.Recorded:
		c.about(uuid.Nil, e.Revision, e.BookedIn, e.Reason, e.Warnings)
		err = c.book(e.Fact, rec.Stream, +1)
	case event.Corrected:
		c.about(e.FactID, e.Revision, e.BookedIn, e.Reason, e.Warnings)
		err = errors.Join(c.book(e.Was, rec.Stream, -1), c.book(e.Is, rec.Stream, +1))
	case event.Moved:
		c.about(e.FactID, e.Revision, e.BookedIn, e.Reason, e.Warnings)
		err = errors.Join(c.book(e.Was, rec.Stream, -1), c.book(e.Is, e.To, +1))
	case event.Cancelled:
		c.about(e.FactID, e.Revision, e.BookedIn, e.Reason, nil)
		err = c.book(e.Was, rec.Stream, -1)
	case event.Arrived, event.LedgerClosed:
	case event.FacilityRegistered:
		if rec.Stream != facilityStreams+string(e.Facility.ID) {
			err = fmt.Errorf("facility %s in stream %s", e.Facility.ID, rec.Stream)
		}
		out.facilities = []row{facilityRow(rec, e)}
	case event.AreaRegistered:
		out.areas = []row{areaRow(rec, e)}
	default:
		err = fmt.Errorf("event %T is not known to verify", decoded)
	}
	if err != nil {
		return folded{}, fmt.Errorf("%w: %w", errWrong, err)
	}
	out.facts = c.rows
	return out, nil
}

// entry is what the rows of one event share.
type entry struct {
	rec      eventlog.Recorded
	meta     event.Meta
	first    uuid.UUID
	revision uint32
	bookedIn string
	reason   string
	warnings []string // not yet on a row
	rows     []row
}

func (c *entry) about(first uuid.UUID, revision uint32, bookedIn, reason string, warnings []fault.Violation) {
	c.first, c.revision, c.bookedIn, c.reason = first, revision, bookedIn, reason
	for _, w := range warnings {
		c.warnings = append(c.warnings, w.Rule)
	}
}

// booking is one row before it is written as text.
type booking struct {
	measure  string
	material flow.Material
	grams    int64
	from, to flow.Place
	own      bool // the fact's own leg
}

// book adds the rows of a fact that stands in the ledger of a stream.
func (c *entry) book(f flow.Fact, stream string, sign int64) error {
	when, err := days(f, stream)
	if err != nil {
		return err
	}
	bookings, err := bookingsOf(f)
	if err != nil {
		return err
	}
	for _, b := range bookings {
		if b.grams >= 1e18 || b.grams <= -1e18 {
			return fmt.Errorf("mass of %d g does not fit", b.grams)
		}
		c.rows = append(c.rows, c.factRow(f, b, when, sign))
	}
	return nil
}

func bookingsOf(f flow.Fact) ([]booking, error) {
	own := booking{measure: string(f.Kind), material: f.Material, grams: int64(f.Mass.Net), own: true}
	here := flow.Place{Facility: f.Facility}
	own.from, own.to = f.Origin, here
	if f.Kind == flow.PeriodReported {
		own.measure = string(f.Measure)
	}
	switch own.measure {
	case "collected", "received", "sorted", "reused", "recycled", "incinerated", "landfilled":
	case "dispatched", "exported":
		own.from, own.to = here, f.Target
	case "rejected":
		own.from, own.to = here, f.Target
		if own.to == (flow.Place{}) {
			own.to = f.Origin
		}
	case string(flow.StockCounted):
		own.measure, own.from = "stock", here
	default:
		return nil, fmt.Errorf("measure %q is not known", own.measure)
	}
	all := []booking{own}
	for _, o := range f.Outputs {
		out := booking{measure: string(o.Role), material: o.Material, grams: int64(o.Net), from: here, to: here}
		switch o.Role {
		case flow.RoleLoss:
			out.to = flow.Place{}
		case flow.RoleOutput, flow.RoleResidue, flow.RoleBottomAsh, flow.RoleFlyAsh, flow.RoleMetals:
		default:
			return nil, fmt.Errorf("role %q is not known", o.Role)
		}
		all = append(all, out)
	}
	return all, nil
}

func (c *entry) factRow(f flow.Fact, b booking, when span, sign int64) row {
	var events, items, energy int64
	var method, displaces, hazardous string
	if b.own {
		events, items, energy = sign, sign*f.Items, sign*f.EnergyKWh
		method, displaces = string(f.Mass.Method), f.Displaces
	}
	if b.material.Hazardous != nil {
		hazardous = map[bool]string{false: "0", true: "1"}[*b.material.Hazardous]
	}
	var warnings []string
	if sign > 0 {
		warnings, c.warnings = c.warnings, nil
	}
	commit, prepare := c.rec.Position.Commit, c.rec.Position.Prepare
	return row{
		number(commit), number(len(c.rows)), number(int64(commit - prepare)), number(sign), c.rec.ID.String(), c.first.String(), //nolint:gosec // a difference of neighbours
		number(c.revision), c.rec.Type, string(f.Kind), b.measure, string(f.Facility),
		string(f.Origin.Area), string(f.Origin.Facility), string(f.Target.Area), string(f.Target.Facility),
		string(b.from.Area), string(b.from.Facility), string(b.to.Area), string(b.to.Facility), f.Origin.Sector,
		string(b.material.Waste), b.material.Fraction, b.material.Product, b.material.Form, hazardous,
		string(f.Operation), f.SiteCategory, f.Fate, method,
		number(sign * b.grams), number(events), number(items), number(energy), displaces,
		number(when.year), number(when.month), when.period, when.on, when.until, when.at,
		c.bookedIn, instant(c.rec.RecordedAt), f.Identity.Reporter, f.Identity.Source, f.Identity.ExternalID,
		c.meta.Import, number(max(0, c.meta.Line)), f.Consignment, c.reason, pairs(f.Tags), list(warnings),
	}
}

func facilityRow(rec eventlog.Recorded, e event.FacilityRegistered) row {
	lat, lon := degrees(e.Facility.Location)
	return row{
		string(e.Facility.ID), number(rec.Position.Commit), number(e.Revision), rec.ID.String(), e.Facility.Name, string(e.Facility.Area),
		e.Facility.Locality, lat, lon, e.Facility.TimeZone, e.Facility.Permit, list(e.Facility.Operations), e.Source, instant(rec.RecordedAt),
	}
}

func areaRow(rec eventlog.Recorded, e event.AreaRegistered) row {
	lat, lon := degrees(e.Area.Centre)
	return row{
		string(e.Area.ID), number(rec.Position.Commit), number(e.Revision), rec.ID.String(), string(e.Area.Level), e.Area.Name, e.Area.Country,
		e.Area.Code, string(e.Area.Parent), e.Area.NUTS, lat, lon, e.Source, instant(rec.RecordedAt),
	}
}

func quarantineRow(rec eventlog.Recorded) row {
	return row{
		projection, number(rec.Position.Commit), number(rec.Position.Prepare), rec.Stream, number(rec.Revision), rec.ID.String(), rec.Type,
		string(rec.Data), string(rec.Meta), "", instant(rec.RecordedAt), "",
	}
}

// ledgerOf splits the name of a ledger stream: the facility's id may hold
// dashes, the period never does.
func ledgerOf(stream string) (facility, period string, err error) {
	rest, ok := strings.CutPrefix(stream, ledgerStreams)
	cut := strings.LastIndex(rest, "-")
	if !ok || cut <= 0 {
		return "", "", fmt.Errorf("stream %q is no ledger", stream)
	}
	return rest[:cut], rest[cut+1:], nil
}
