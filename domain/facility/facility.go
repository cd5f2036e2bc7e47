// Package facility holds what is known of the places that handle waste: who
// they are, where they lie, in which time zone they keep their books and what
// their permit allows.
//
// It promises that an id is fit for stream names, and that the time zone of an
// entry without violations is one the program knows. It leaves out what
// facilities report (package flow) and the register (ingest/register).
package facility

import (
	"slices"

	"github.com/stofstrom/stofstrom/domain/area"
)

// Facility is a place that handles waste and keeps a ledger.
type Facility struct {
	ID       ID
	Name     string
	Area     area.ID    // municipality or planning area it lies in
	Locality string     // district or town, as the source says it; may be ""
	Location area.Point // WGS 84; zero when not known
	TimeZone string     // IANA name; the ledger's month is taken in it
	Permit   string     // permit number as the authority writes it; may be ""
	// Operations that the permit allows; empty when not known, and then no
	// operation is refused.
	Operations []string
}

// Equal tells whether two entries say the same. No operations and an empty
// list of them are the same.
func (f Facility) Equal(g Facility) bool {
	return f.ID == g.ID && f.Name == g.Name && f.Area == g.Area && f.Locality == g.Locality &&
		f.Location == g.Location && f.TimeZone == g.TimeZone && f.Permit == g.Permit &&
		slices.Equal(f.Operations, g.Operations)
}
