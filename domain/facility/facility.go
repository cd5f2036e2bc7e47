package facility

import "github.com/stofstrom/stofstrom/domain/area"

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
