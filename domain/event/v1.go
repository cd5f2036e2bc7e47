package event

// Pieces of payloads, version 1. Frozen: every payload of version 1 is made
// of them. Masses are whole grams; times are RFC 3339 in UTC with a Z and as
// many places as needed; days are YYYY-MM-DD; what is not stated is left out.

// IdentityV1 is who reported a fact, from which system, under which name.
type IdentityV1 struct {
	Reporter   string `json:"reporter" doc:"organisation or publisher"`
	Source     string `json:"source" doc:"their system, or data set and period of a file without keys"`
	ExternalID string `json:"external_id" doc:"the fact's own id there"`
}

// MaterialV1 is what flowed.
type MaterialV1 struct {
	Waste     string `json:"waste,omitzero" doc:"code of the European list of waste, six digits"`
	Fraction  string `json:"fraction,omitzero" doc:"household fraction"`
	Product   string `json:"product,omitzero" doc:"product group or secondary material"`
	Hazardous *bool  `json:"hazardous,omitzero" doc:"as declared; left out when not declared"`
	Form      string `json:"form,omitzero" doc:"solid, liquid, sludge, powder or gas"`
}

// MassV1 is how much, and how that was found.
type MassV1 struct {
	Net    int64  `json:"net_g" doc:"net mass, grams"`
	Gross  int64  `json:"gross_g,omitzero" doc:"gross mass, grams"`
	Tare   int64  `json:"tare_g,omitzero" doc:"tare, grams"`
	Method string `json:"method,omitzero" doc:"weighed, volume, estimated or declared"`
}

// PlaceV1 is one end of a flow.
type PlaceV1 struct {
	Area     string `json:"area,omitzero" doc:"area id"`
	Facility string `json:"facility,omitzero" doc:"facility id of the other side"`
	Sector   string `json:"sector,omitzero" doc:"producer sector"`
}

// OutputV1 is one thing that came out of a treatment.
type OutputV1 struct {
	Role     string     `json:"role" doc:"output, residue, loss, bottom_ash, fly_ash or metals"`
	Material MaterialV1 `json:"material,omitzero" doc:"what came out"`
	Net      int64      `json:"net_g" doc:"net mass, grams"`
}

// PeriodV1 is a half-open span of local calendar days.
type PeriodV1 struct {
	From string `json:"from" doc:"first day"`
	To   string `json:"to" doc:"day after the last"`
}

// WarningV1 is a rule that was broken and did not stop the fact.
type WarningV1 struct {
	Rule    string `json:"rule" doc:"id in the rule catalogue"`
	Field   string `json:"field,omitzero" doc:"path of the field"`
	Value   string `json:"value,omitzero" doc:"what was given"`
	Message string `json:"message,omitzero" doc:"one English sentence"`
	Line    int    `json:"line,omitzero" doc:"line of the file, 1-based"`
}

// CommonV1 is what all single facts but stock counts share.
type CommonV1 struct {
	Identity     IdentityV1        `json:"identity" doc:"who reported it, from where, under which id"`
	Revision     uint32            `json:"revision" doc:"ordinal among the events of this identity, 1 for the first"`
	Facility     string            `json:"facility" doc:"facility whose ledger it is"`
	Occurred     string            `json:"occurred" doc:"when it happened"`
	Material     MaterialV1        `json:"material,omitzero" doc:"what flowed; the input of a treatment"`
	Mass         MassV1            `json:"mass" doc:"how much; the input of a treatment"`
	Operation    string            `json:"operation,omitzero" doc:"R1 to R13, D1 to D15, NS or OF"`
	Origin       PlaceV1           `json:"origin,omitzero" doc:"where it came from"`
	SiteCategory string            `json:"site_category,omitzero" doc:"what the site is, as the source says it"`
	Fate         string            `json:"fate,omitzero" doc:"what becomes of it, as the source says it"`
	Consignment  string            `json:"consignment,omitzero" doc:"document number shared by both sides"`
	Tags         map[string]string `json:"tags,omitzero" doc:"the source's own classifications"`
}

// RecordV1 is what the record of every fact ends with.
type RecordV1 struct {
	Reason   string      `json:"reason,omitzero" doc:"why the identity returns, from revision 2 on"`
	BookedIn string      `json:"booked_in,omitzero" doc:"month the fact is booked in, yyyymm, when its own was closed"`
	Warnings []WarningV1 `json:"warnings,omitzero" doc:"rules broken that do not stop a fact"`
}

// CollectedV1 is a collection in an area.
type CollectedV1 struct {
	CommonV1
	RecordV1
}

// ReceivedV1 is a load that came in.
type ReceivedV1 struct {
	CommonV1
	RecordV1
}

// DispatchedV1 is a load that went out.
type DispatchedV1 struct {
	CommonV1
	Target PlaceV1 `json:"target,omitzero" doc:"where it went to"`
	RecordV1
}

// RejectedV1 is a load, or part of one, refused on reception.
type RejectedV1 struct {
	CommonV1
	Target  PlaceV1 `json:"target,omitzero" doc:"where it went to"`
	Rejects string  `json:"rejects" doc:"external id of the reception it refers to"`
	RecordV1
}

// SortedV1 is a sorting: one input, many outputs.
type SortedV1 struct {
	CommonV1
	Outputs []OutputV1 `json:"outputs,omitzero" doc:"what came out"`
	RecordV1
}

// ReusedV1 is a preparing for reuse.
type ReusedV1 struct {
	CommonV1
	Target    PlaceV1    `json:"target,omitzero" doc:"where it went to"`
	Outputs   []OutputV1 `json:"outputs,omitzero" doc:"what came out besides"`
	Items     int64      `json:"items,omitzero" doc:"pieces"`
	Displaces string     `json:"displaces,omitzero" doc:"product group it stands in for"`
	RecordV1
}

// RecycledV1 is a recycling.
type RecycledV1 struct {
	CommonV1
	Outputs []OutputV1 `json:"outputs,omitzero" doc:"what came out"`
	RecordV1
}

// IncineratedV1 is an incineration.
type IncineratedV1 struct {
	CommonV1
	Outputs   []OutputV1 `json:"outputs,omitzero" doc:"what came out"`
	EnergyKWh int64      `json:"energy_kwh,omitzero" doc:"energy out, kilowatt-hours"`
	RecordV1
}

// LandfilledV1 is a disposal on land for good.
type LandfilledV1 struct {
	CommonV1
	RecordV1
}

// ExportedV1 is a load that left the country.
type ExportedV1 struct {
	CommonV1
	Target PlaceV1 `json:"target,omitzero" doc:"where it went to"`
	RecordV1
}

// StockCountedV1 is a count of what lies at a facility, of one material.
type StockCountedV1 struct {
	Identity     IdentityV1        `json:"identity" doc:"who reported it, from where, under which id"`
	Revision     uint32            `json:"revision" doc:"ordinal among the events of this identity, 1 for the first"`
	Facility     string            `json:"facility" doc:"facility whose ledger it is"`
	Occurred     string            `json:"occurred" doc:"when it was counted"`
	Material     MaterialV1        `json:"material,omitzero" doc:"what lies there"`
	Mass         MassV1            `json:"mass" doc:"how much"`
	SiteCategory string            `json:"site_category,omitzero" doc:"what the site is, as the source says it"`
	Tags         map[string]string `json:"tags,omitzero" doc:"the source's own classifications"`
	RecordV1
}

// PeriodReportedV1 is a total over a period, of one measure.
type PeriodReportedV1 struct {
	Identity     IdentityV1        `json:"identity" doc:"who reported it, from where, under which id"`
	Revision     uint32            `json:"revision" doc:"ordinal among the events of this identity, 1 for the first"`
	Facility     string            `json:"facility" doc:"facility whose ledger it is"`
	Period       PeriodV1          `json:"period" doc:"the days it covers"`
	Measure      string            `json:"measure" doc:"what the mass measures"`
	Material     MaterialV1        `json:"material,omitzero" doc:"what flowed"`
	Mass         MassV1            `json:"mass" doc:"how much"`
	Operation    string            `json:"operation,omitzero" doc:"R1 to R13, D1 to D15, NS or OF"`
	Origin       PlaceV1           `json:"origin,omitzero" doc:"where it came from"`
	Target       PlaceV1           `json:"target,omitzero" doc:"where it went to"`
	SiteCategory string            `json:"site_category,omitzero" doc:"what the site is, as the source says it"`
	Fate         string            `json:"fate,omitzero" doc:"what becomes of it, as the source says it"`
	Tags         map[string]string `json:"tags,omitzero" doc:"the source's own classifications"`
	RecordV1
}
