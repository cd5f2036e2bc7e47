package index

import (
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
)

// Followed is an event of the log with what it says.
type Followed struct {
	Recorded eventlog.Recorded
	// Event is nil when this program does not know the event: its place is
	// indexed, and nothing else.
	Event event.Event
}

// mutation is what one event changes in the index.
type mutation struct {
	event    uuid.UUID
	place    Place
	puts     []identityPut
	due      *Arrival  // a move that waits for its Arrived
	arrived  uuid.UUID // the Moved event whose Arrived this is
	register string    // key of the register entry that the event replaces
	facility facility.ID
	booked   string // month it is booked in, yyyymm, when that is not its own
}

type identityPut struct {
	key   Key
	entry Entry
}

// mutate tells what an event changes. It is a pure function of the event: the
// same for events followed, followed again, and just appended, so that the
// index is a fold of the log whatever its history.
func mutate(f Followed) mutation {
	rec := f.Recorded
	m := mutation{event: rec.ID, place: Place{Stream: rec.Stream, Revision: rec.Revision}}
	if key, err := ledger.ParseStream(rec.Stream); err == nil {
		m.facility = key.Facility
	}
	put := func(fact flow.Fact, e Entry) {
		e.ExternalID = fact.Identity.ExternalID
		e.Content = fact.ContentHash()
		e.Position = rec.Position
		m.puts = append(m.puts, identityPut{KeyOf(fact.Identity), e})
	}
	switch e := f.Event.(type) {
	case event.Recorded:
		put(e.Fact, Entry{Status: Live, Ledger: rec.Stream, FactID: e.ID, EventID: e.ID})
		m.booked = e.BookedIn
	case event.Corrected:
		if e.Was.Identity != e.Is.Identity {
			put(e.Was, Entry{Status: Replaced, Ledger: rec.Stream, FactID: e.FactID, EventID: e.ID})
		}
		put(e.Is, Entry{Status: Live, Ledger: rec.Stream, FactID: e.FactID, EventID: e.ID})
		m.booked = e.BookedIn
	case event.Moved:
		if e.Was.Identity != e.Is.Identity {
			put(e.Was, Entry{Status: Replaced, Ledger: rec.Stream, FactID: e.FactID, EventID: e.ID})
		}
		put(e.Is, Entry{Status: Live, Ledger: e.To, FactID: e.FactID, EventID: e.ID})
		m.booked = e.BookedIn
		m.due = &Arrival{Moved: e.ID, At: m.place, Target: e.To}
	case event.Arrived:
		put(e.Fact, Entry{Status: Live, Ledger: rec.Stream, FactID: e.FactID, EventID: e.ID})
		m.arrived = e.Moved
	case event.Cancelled:
		put(e.Was, Entry{Status: Cancelled, Ledger: rec.Stream, FactID: e.FactID, EventID: e.ID})
		m.booked = e.BookedIn
	case event.FacilityRegistered:
		m.register = "f" + string(e.Facility.ID)
		m.facility = e.Facility.ID
	case event.AreaRegistered:
		m.register = "a" + string(e.Area.ID)
	case event.LedgerClosed, nil:
	}
	return m
}
