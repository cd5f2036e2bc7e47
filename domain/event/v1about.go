package event

// Payloads about facts, ledgers and registers, version 1. Frozen.

// FactV1 is a whole fact of any kind, as events about facts carry it.
type FactV1 struct {
	Kind         string            `json:"kind" doc:"kind of fact"`
	Identity     IdentityV1        `json:"identity" doc:"who reported it, from where, under which id"`
	Facility     string            `json:"facility" doc:"facility whose ledger it is"`
	Occurred     string            `json:"occurred,omitzero" doc:"when it happened; left out for period totals"`
	Period       PeriodV1          `json:"period,omitzero" doc:"the days it covers; period totals only"`
	Measure      string            `json:"measure,omitzero" doc:"what the mass measures; period totals only"`
	Material     MaterialV1        `json:"material,omitzero" doc:"what flowed"`
	Mass         MassV1            `json:"mass" doc:"how much"`
	Operation    string            `json:"operation,omitzero" doc:"R1 to R13, D1 to D15, NS or OF"`
	Origin       PlaceV1           `json:"origin,omitzero" doc:"where it came from"`
	Target       PlaceV1           `json:"target,omitzero" doc:"where it went to"`
	SiteCategory string            `json:"site_category,omitzero" doc:"what the site is, as the source says it"`
	Fate         string            `json:"fate,omitzero" doc:"what becomes of it, as the source says it"`
	Consignment  string            `json:"consignment,omitzero" doc:"document number shared by both sides"`
	Rejects      string            `json:"rejects,omitzero" doc:"external id of the reception it refers to"`
	Outputs      []OutputV1        `json:"outputs,omitzero" doc:"what came out of a treatment"`
	Items        int64             `json:"items,omitzero" doc:"pieces"`
	Displaces    string            `json:"displaces,omitzero" doc:"product group it stands in for"`
	EnergyKWh    int64             `json:"energy_kwh,omitzero" doc:"energy out, kilowatt-hours"`
	Tags         map[string]string `json:"tags,omitzero" doc:"the source's own classifications"`
}

// CorrectedV1 says that a fact is otherwise than recorded.
type CorrectedV1 struct {
	FactID   string      `json:"fact_id" doc:"id of the fact: that of its first event"`
	Corrects string      `json:"corrects" doc:"id of the event that held the version up to now"`
	Revision uint32      `json:"revision" doc:"ordinal among the events of the identity of is"`
	Reason   string      `json:"reason" doc:"why"`
	Was      FactV1      `json:"was" doc:"the fact up to now"`
	Is       FactV1      `json:"is" doc:"the fact from now on"`
	BookedIn string      `json:"booked_in,omitzero" doc:"month the change is booked in, yyyymm, when the fact's own was closed"`
	Warnings []WarningV1 `json:"warnings,omitzero" doc:"rules broken that do not stop a fact"`
}

// MovedV1 is a correction that changes month or facility; it carries the mass
// of both ends.
type MovedV1 struct {
	FactID   string      `json:"fact_id" doc:"id of the fact: that of its first event"`
	Corrects string      `json:"corrects" doc:"id of the event that held the version up to now"`
	Revision uint32      `json:"revision" doc:"ordinal among the events of the identity of is"`
	Reason   string      `json:"reason" doc:"why"`
	Was      FactV1      `json:"was" doc:"the fact up to now"`
	Is       FactV1      `json:"is" doc:"the fact from now on"`
	To       string      `json:"to" doc:"name of the ledger stream it moves to"`
	BookedIn string      `json:"booked_in,omitzero" doc:"month the change is booked in, yyyymm, when the fact's own was closed"`
	Warnings []WarningV1 `json:"warnings,omitzero" doc:"rules broken that do not stop a fact"`
}

// ArrivedV1 notes in a ledger that a fact was moved into it; it carries no
// mass of its own.
type ArrivedV1 struct {
	FactID   string `json:"fact_id" doc:"id of the fact: that of its first event"`
	Moved    string `json:"moved" doc:"id of the moved event"`
	From     string `json:"from" doc:"name of the ledger stream it came from"`
	Revision uint32 `json:"revision" doc:"ordinal among the events of the identity"`
	Fact     FactV1 `json:"fact" doc:"the fact as it arrived"`
}

// CancelledV1 says that a fact did not happen.
type CancelledV1 struct {
	FactID   string `json:"fact_id" doc:"id of the fact: that of its first event"`
	Cancels  string `json:"cancels" doc:"id of the event that held the version up to now"`
	Revision uint32 `json:"revision" doc:"ordinal among the events of the identity"`
	Reason   string `json:"reason" doc:"why"`
	Was      FactV1 `json:"was" doc:"the fact up to now"`
	BookedIn string `json:"booked_in,omitzero" doc:"month the change is booked in, yyyymm, when the fact's own was closed"`
}

// LedgerClosedV1 closes the books of a ledger.
type LedgerClosedV1 struct {
	Facility string        `json:"facility" doc:"facility whose ledger it is"`
	Month    string        `json:"month" doc:"month yyyymm, or year yyyy of period totals"`
	Stock    []StockLineV1 `json:"stock,omitzero" doc:"closing stock by material"`
	Digest   string        `json:"digest" doc:"SHA-256 over the hashes of the ledger's events in order, lower-case hex"`
	Events   uint64        `json:"events" doc:"number of events the digest covers"`
}

// StockLineV1 is the stock of one material.
type StockLineV1 struct {
	Material MaterialV1 `json:"material,omitzero" doc:"what lies there"`
	Net      int64      `json:"net_g" doc:"net mass, grams; negative when more went out than came in"`
}

// PointV1 is a place on the earth, WGS 84.
type PointV1 struct {
	Lat float64 `json:"lat" doc:"degrees north"`
	Lon float64 `json:"lon" doc:"degrees east"`
}

// FacilityRegisteredV1 is what is known of a facility from now on.
type FacilityRegisteredV1 struct {
	ID         string   `json:"id" doc:"facility id"`
	Revision   uint32   `json:"revision" doc:"1 for the first entry"`
	Name       string   `json:"name" doc:"name"`
	Area       string   `json:"area,omitzero" doc:"area id it lies in"`
	Locality   string   `json:"locality,omitzero" doc:"district or town, as the source says it"`
	Location   *PointV1 `json:"location,omitzero" doc:"where it lies, when known"`
	TimeZone   string   `json:"time_zone" doc:"IANA time zone its months are taken in"`
	Permit     string   `json:"permit,omitzero" doc:"permit number as the authority writes it"`
	Operations []string `json:"operations,omitzero" doc:"operations the permit allows, when known"`
	Source     string   `json:"source" doc:"who says so"`
}

// AreaRegisteredV1 is what is known of an area from now on.
type AreaRegisteredV1 struct {
	ID       string   `json:"id" doc:"area id"`
	Revision uint32   `json:"revision" doc:"1 for the first entry"`
	Level    string   `json:"level" doc:"country, region or municipality"`
	Name     string   `json:"name" doc:"name, as its own people write it"`
	Country  string   `json:"country" doc:"ISO 3166-1 alpha-2"`
	Code     string   `json:"code,omitzero" doc:"official code within its country"`
	Parent   string   `json:"parent,omitzero" doc:"id of the area it lies in"`
	NUTS     string   `json:"nuts,omitzero" doc:"NUTS 2021 code"`
	Centre   *PointV1 `json:"centre,omitzero" doc:"its middle, when known"`
	Source   string   `json:"source" doc:"who says so"`
}

// MetaV1 is the metadata beside every event. The names that begin with $ are
// the log server's own.
type MetaV1 struct {
	CorrelationID string `json:"$correlationId,omitzero" doc:"request or job that the event belongs to"`
	CausationID   string `json:"$causationId,omitzero" doc:"event or message that caused it"`
	Actor         string `json:"actor,omitzero" doc:"key id, single-user, or stofstrom for built-in registers"`
	Import        string `json:"import,omitzero" doc:"id of the import job"`
	Line          int    `json:"line,omitzero" doc:"line of that file, 1-based"`
	Reason        string `json:"reason,omitzero" doc:"why, of an event whose payload has no place for it"`
}
