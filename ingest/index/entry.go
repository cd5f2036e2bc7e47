package index

import (
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Status is what is known of an identity.
type Status uint8

// The statuses. Their numbers are stored.
const (
	Live      Status = 1 // its fact counts
	Cancelled Status = 2 // its fact was cancelled
	Replaced  Status = 3 // another identity took its place
)

// String is the status in one word.
func (s Status) String() string {
	switch s {
	case Live:
		return "live"
	case Cancelled:
		return "cancelled"
	case Replaced:
		return "replaced"
	}
	return "unknown"
}

// Entry is what the index holds of one identity.
type Entry struct {
	Status     Status
	Ledger     string    // ledger stream the identity stands in
	FactID     uuid.UUID // id of the fact's first event
	EventID    uuid.UUID // event that holds its version now
	Content    [16]byte  // flow.Fact.ContentHash of that version
	ExternalID string
	Position   eventlog.Position // of that event
}
