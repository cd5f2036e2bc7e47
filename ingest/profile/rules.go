package profile

import (
	"errors"

	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/waste"
)

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
)

// ruleOfWaste names the rule of the catalogue that a waste code breaks.
func ruleOfWaste(err error) string {
	var code *waste.CodeError
	if errors.As(err, &code) && code.Reason == waste.WrongStar {
		return flow.RuleWasteStar
	}
	return flow.RuleWasteUnknown
}

// ruleOfMass names the rule of the catalogue that a mass breaks.
func ruleOfMass(err error) string {
	switch {
	case errors.Is(err, mass.ErrTooFine):
		return flow.RuleMassTooFine
	case errors.Is(err, mass.ErrRange):
		return flow.RuleMassOutOfRange
	}
	return flow.RuleMassMalformed
}
