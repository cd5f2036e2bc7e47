package profile

// Rules of reading rows. The rules of facts, those of masses and codes among
// them, stand in the catalogue of domain/flow; these come before there is a
// fact.
const (
	RuleTextEncoding   = "text-encoding"
	RuleValueUnknown   = "value-unknown"
	RuleValueMissing   = "value-missing"
	RuleValueAmbiguous = "value-ambiguous"
	RuleColumnCount    = "csv-column-count"
	RuleTimeSyntax     = "time-malformed"
	RuleNumberSyntax   = "number-malformed"
	RuleOutsideGrid    = "coordinate-outside"
	RuleFlagUnknown    = "flag-unknown"
	RuleAreaID         = "area-id-malformed"
	RuleFacilityID     = "facility-id-malformed"
	RuleHeadingUnknown = "heading-unknown"
	RuleHeadingMissing = "heading-missing"
	RuleHeadingTwice   = "heading-twice"
	RuleFileEmpty      = "file-empty"
	RuleFileDamaged    = "file-damaged"
	RuleWorkbook       = "workbook-unreadable"
)
