// Package flow is the vocabulary of material flow: the kinds of fact that a
// facility reports, their fields, and the rules they must obey.
//
// It promises that a fact without violations is one that package event can
// write, and that every rule has an id of its own with a sentence in English
// and Danish. Facts here are what the program works with; what is written to
// the log are the frozen payloads of package event, which translates both
// ways. It leaves out what a ledger holds already (package ledger).
package flow

import (
	"time"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// Kind is a kind of material-flow fact.
type Kind string

// The kinds of fact. Corrections, moves and cancellations are not facts but
// events about facts (package ledger).
const (
	Collected      Kind = "collected"       // origin area and sector → facility
	Received       Kind = "received"        // a load came in
	Dispatched     Kind = "dispatched"      // a load went out
	Rejected       Kind = "rejected"        // wholly or partly, on reception
	Sorted         Kind = "sorted"          // one input, many outputs, residue, loss
	Reused         Kind = "reused"          // prepared for reuse
	Recycled       Kind = "recycled"        // R2–R11
	Incinerated    Kind = "incinerated"     // R1, D10
	Landfilled     Kind = "landfilled"      // D1–D12
	Exported       Kind = "exported"        // left the country
	StockCounted   Kind = "stock_counted"   // what lies there, by material
	PeriodReported Kind = "period_reported" // a total over a period, of one measure
)

// Measure names what a mass measures, so that a tonne is counted once:
// totals across measures are refused.
type Measure string

// The measures a question can ask for.
const (
	MeasureCollected   Measure = "collected"
	MeasureReceived    Measure = "received"
	MeasureDispatched  Measure = "dispatched"
	MeasureRejected    Measure = "rejected"
	MeasureSorted      Measure = "sorted"
	MeasureReused      Measure = "reused"
	MeasureRecycled    Measure = "recycled"
	MeasureIncinerated Measure = "incinerated"
	MeasureLandfilled  Measure = "landfilled"
	MeasureExported    Measure = "exported"
)

// Method is how a mass was found.
type Method string

// The methods of measurement.
const (
	Weighed   Method = "weighed"   // weighbridge or scale
	Volume    Method = "volume"    // container volume × density
	Estimated Method = "estimated" // anything else
	Declared  Method = "declared"  // taken from a statistic that does not say
)

// Identity is who reports a fact, from which of their systems, under which
// name of its own. The month is not part of it: one identity, one place.
type Identity struct {
	Reporter   string // organisation or publisher
	Source     string // system, or data set and period of a keyless file
	ExternalID string // the fact's own id there
}

// When is when a fact happened: an instant, or a half-open period [From, To)
// for period totals. Exactly one of the two is set.
type When struct {
	// Occurred is the instant; zero for period totals. In a fact that was
	// taken in, it is told by the facility's own clock (LocalTime), so that
	// its calendar day is the facility's.
	Occurred time.Time
	Period   Period // zero for single facts
}

// Period is a half-open span of local calendar days at the facility.
type Period struct {
	From Date // first day
	To   Date // day after the last
}

// Date is a calendar day as YYYY-MM-DD. The zero value is "".
type Date string

// Material is what flows.
type Material struct {
	Waste    waste.Code // EU list of waste; required unless Product is given
	Fraction string     // household fraction code where one is used, e.g. "food-waste"
	Product  string     // product group (reuse) or secondary material (recycling output)
	// Hazardous is what the reporter declared; nil when not declared. The
	// list of waste may say otherwise, which is a warning.
	Hazardous *bool
	Form      string // solid, liquid, sludge, powder, gas; "" when not stated
}

// Mass is an amount with how it was found.
type Mass struct {
	Net    mass.Grams
	Gross  mass.Grams // 0 when not weighed in and out
	Tare   mass.Grams
	Method Method
}

// Place is one end of a flow: a facility, an area, or both unknown.
type Place struct {
	Area     area.ID     // where the matter comes from or goes to
	Facility facility.ID // the other facility of a consignment
	Sector   string      // household, service, industry, construction, …; producer sector of an origin
}

// OutputRole is the part an output plays in a treatment.
type OutputRole string

// The roles of outputs.
const (
	RoleOutput    OutputRole = "output"     // sorted fraction or secondary material
	RoleResidue   OutputRole = "residue"    // what is left for further treatment
	RoleLoss      OutputRole = "loss"       // water, dust, gas: left the system, stated
	RoleBottomAsh OutputRole = "bottom_ash" // incineration
	RoleFlyAsh    OutputRole = "fly_ash"    // incineration
	RoleMetals    OutputRole = "metals"     // recovered from bottom ash
)

// Output is one thing that came out of a treatment.
type Output struct {
	Role     OutputRole
	Material Material
	Net      mass.Grams
}

// Fact is one reported material flow. Which fields a kind needs, allows and
// forbids stands in the rule catalogue of this package.
type Fact struct {
	Kind      Kind
	Identity  Identity
	Facility  facility.ID // whose ledger it is
	When      When
	Measure   Measure // of period totals; derived from Kind for all others
	Material  Material
	Mass      Mass // the input of a treatment; the stock of a count
	Operation operation.Code
	Origin    Place // where it came from
	Target    Place // where it went to

	SiteCategory string // what the site is, as the source says it; belongs to the fact
	Fate         string // what becomes of it, as the source says it

	Consignment string // document number shared by both sides
	Rejects     string // Rejected: external id of the reception it refers to
	Outputs     []Output
	Items       int64  // Reused: pieces
	Displaces   string // Reused: product group it stands in for
	EnergyKWh   int64  // Incinerated: energy out

	// Tags carry the source's own classifications, verbatim: at most 16, keys
	// of at most 40 bytes [a-z0-9_], values of at most 200 bytes without
	// control characters. Never personal data: intake refuses what looks so.
	Tags map[string]string
}

// MeasureOf tells which measure the net mass of a fact counts towards; "" for
// stock counts, which measure no flow.
func MeasureOf(f Fact) Measure {
	switch f.Kind {
	case PeriodReported:
		return f.Measure
	case Collected, Received, Dispatched, Rejected, Sorted, Reused, Recycled, Incinerated, Landfilled, Exported:
		return Measure(f.Kind)
	case StockCounted:
	}
	return ""
}
