package flow

import (
	"slices"
	"sync"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// Rule is one intake rule: what a fact must obey, or what is worth a warning.
type Rule struct {
	ID       string // kebab-case; never reused for another meaning
	Severity fault.Severity
	Field    string // path of the field it speaks of; * stands for several
	Stage    Stage
	Text     string // one English sentence
	TextDA   string // the same in Danish
	Source   string // where the rule comes from
}

// Stage is where on its way a fact meets a rule.
type Stage string

// The stages, in their order.
const (
	StageForm   Stage = "form"   // before a line is read: messages, files, register entries
	StageRead   Stage = "read"   // turning text into the domain's types
	StageCheck  Stage = "check"  // Check, with what is known of facility and areas
	StageLedger Stage = "ledger" // deciding against what the ledger holds
)

// Limits of facts.
const (
	MaxTextBytes     = 200                       // of any text
	MaxReasonBytes   = 500                       // of a reason
	MaxTags          = 16                        // tags of a fact
	MaxTagKeyBytes   = 40                        // of a tag's key
	MaxOutputs       = 100                       // outputs of a treatment
	MaxPeriodDays    = 366                       // of a period total
	MaxItems         = 1_000_000_000             // of one fact; millions of facts can be summed in 64 bits
	MaxEnergyKWh     = 1_000_000_000_000         // of one fact
	MaxLoad          = 10_000 * 1_000_000        // grams; single facts other than stock counts
	MaxTotal         = 1_000_000_000 * 1_000_000 // grams; period totals and stock counts
	RoadLoad         = 40 * 1_000_000            // grams; what one lorry can carry
	LikelyKilograms  = 60 * 1_000_000            // grams; above it, "t" were likely kg
	MaxClockSkewSecs = 5 * 60                    // how far ahead a sender's clock may be
	LateWorkingDays  = 2                         // working days to report a fact in
	AddedTag         = "added"                   // tag that says what was added in a treatment (water, lime)
	earliestYear     = 1970                      // of anything reported
)

// Ids of the rules.
const (
	RuleUnitMissing    = "mass-unit-missing"
	RuleUnitUnknown    = "mass-unit-unknown"
	RuleMassMalformed  = "mass-malformed"
	RuleMassTooFine    = "mass-finer-than-gram"
	RuleMassOutOfRange = "mass-out-of-range"
	RuleWasteUnknown   = "waste-code-unknown"
	RuleWasteStar      = "waste-code-star-wrong"
	RuleOperation      = "operation-unknown"

	RuleKindUnknown        = "kind-unknown"
	RuleFieldRequired      = "field-required"
	RuleFieldForbidden     = "field-not-for-kind"
	RuleTextTooLong        = "text-too-long"
	RuleTextNotClean       = "text-not-clean"
	RulePersonalData       = "personal-data"
	RuleFacilityUnknown    = "facility-unknown"
	RuleAreaUnknown        = "area-unknown"
	RuleMaterialMissing    = "material-missing"
	RuleFractionMalformed  = "fraction-malformed"
	RuleFormUnknown        = "form-unknown"
	RuleSectorMalformed    = "sector-malformed"
	RuleMassNotPositive    = "mass-not-positive"
	RuleTotalAboveLimit    = "mass-above-total-limit"
	RuleMassAboveLimit     = "mass-above-load-limit"
	RuleNetDiffers         = "mass-net-differs"
	RuleMethodUnknown      = "mass-method-unknown"
	RuleTimeInFuture       = "time-in-future"
	RuleTimeOutOfRange     = "time-out-of-range"
	RulePeriodMalformed    = "period-malformed"
	RulePeriodTooLong      = "period-too-long"
	RuleMeasureUnknown     = "measure-unknown"
	RuleOperationForKind   = "operation-not-for-kind"
	RuleOperationPermitted = "operation-not-permitted"
	RuleOutputRole         = "output-role-not-for-kind"
	RuleOutputMass         = "output-mass-not-positive"
	RuleOutputsExceed      = "outputs-exceed-input"
	RuleOutputsTooMany     = "outputs-too-many"
	RuleAmountNegative     = "amount-negative"
	RuleItemsAboveLimit    = "items-above-limit"
	RuleEnergyAboveLimit   = "energy-above-limit"
	RuleTagsTooMany        = "tags-too-many"
	RuleTagKey             = "tag-key-malformed"

	RuleRoadLoad        = "mass-above-road-load"
	RuleLikelyKilograms = "mass-likely-kilograms"
	RuleEstimateFinal   = "estimate-at-final-treatment"
	RuleHazard          = "hazard-disagrees"
	RuleReportedLate    = "reported-late"

	RuleConflict      = "identity-conflict"
	RuleCancelled     = "identity-cancelled"
	RuleReplaced      = "identity-replaced"
	RuleElsewhere     = "identity-elsewhere"
	RuleNotRecorded   = "fact-not-recorded"
	RuleSuperseded    = "version-superseded"
	RuleReason        = "reason-missing"
	RuleWrongLedger   = "ledger-not-its-own"
	RuleClosedTwice   = "ledger-closed-already"
	RuleClosedEarly   = "ledger-still-running"
	RuleClosedChanged = "ledger-changed-meanwhile"
	RuleLedgerClosed  = "occurred-in-closed-month"
	RuleStockNegative = "stock-below-zero"
)

const (
	srcADS     = "Danish waste data system (ADS)"
	srcTrack   = "practice of Trackdéchets"
	srcDEFRA   = "practice of DEFRA digital waste tracking"
	srcList    = "Commission Decision 2000/532/EC"
	srcWFD     = "Directive 2008/98/EC, annexes I and II"
	srcGDPR    = "Regulation (EU) 2016/679, article 5(1)(c)"
	srcProject = "Stofstrøm"
)

var rules = []Rule{
	{RuleUnitMissing, fault.Error, "mass.unit", StageRead, "The mass has no unit; a unit is never guessed.", "Massen har ingen enhed; en enhed gættes aldrig.", srcDEFRA},
	{RuleUnitUnknown, fault.Error, "mass.unit", StageRead, "The unit is none of g, kg, t, lb and short_ton.", "Enheden er ikke en af g, kg, t, lb og short_ton.", srcDEFRA},
	{RuleMassMalformed, fault.Error, "mass.value", StageRead, "The mass is not a plain decimal number such as 12.340.", "Massen er ikke et almindeligt decimaltal som 12.340.", srcProject},
	{RuleMassTooFine, fault.Error, "mass.value", StageRead, "The mass is finer than a gram.", "Massen er finere end et gram.", srcProject},
	{RuleMassOutOfRange, fault.Error, "mass.value", StageRead, "The mass is beyond what can be recorded.", "Massen er større, end der kan registreres.", srcProject},
	{RuleWasteUnknown, fault.Error, "material.waste_code", StageRead, "The waste code is not on the European list of waste.", "Affaldskoden (EAK) findes ikke på den europæiske affaldsliste.", srcList},
	{RuleWasteStar, fault.Error, "material.waste_code", StageRead, "The waste code carries the star of hazardous waste, but its entry does not.", "Affaldskoden er mærket som farligt affald, men det er den ikke på listen.", srcList},
	{RuleOperation, fault.Error, "operation", StageRead, "The operation is none of R1 to R13, D1 to D15, NS and OF.", "Behandlingen er ikke en af R1 til R13, D1 til D15, NS og OF.", srcWFD},

	{RuleKindUnknown, fault.Error, "kind", StageCheck, "The kind of event does not exist.", "Hændelsestypen findes ikke.", srcProject},
	{RuleFieldRequired, fault.Error, "*", StageCheck, "The field is required for this kind of event.", "Feltet er påkrævet for denne hændelsestype.", srcADS},
	{RuleFieldForbidden, fault.Error, "*", StageCheck, "The field has no meaning for this kind of event.", "Feltet har ingen mening for denne hændelsestype.", srcDEFRA},
	{RuleTextTooLong, fault.Error, "*", StageCheck, "The text is longer than is allowed.", "Teksten er længere end tilladt.", srcProject},
	{RuleTextNotClean, fault.Error, "*", StageCheck, "The text holds control characters or is not UTF-8.", "Teksten indeholder styretegn eller er ikke UTF-8.", srcProject},
	{RulePersonalData, fault.Error, "*", StageCheck, "The text looks as if it held personal data, which is never recorded.", "Teksten ser ud til at indeholde personoplysninger, som aldrig registreres.", srcGDPR},
	{RuleFacilityUnknown, fault.Error, "facility", StageCheck, "The facility is not registered.", "Anlægget er ikke registreret.", srcADS},
	{RuleAreaUnknown, fault.Error, "*.area", StageCheck, "The area is not registered.", "Området er ikke registreret.", srcADS},
	{RuleMaterialMissing, fault.Error, "material", StageCheck, "The material has neither a waste code nor a product.", "Materialet har hverken affaldskode eller produkt.", srcADS},
	{RuleFractionMalformed, fault.Error, "material.fraction", StageCheck, "The fraction is not a code of 1 to 40 letters, digits, dots, dashes and underscores.", "Fraktionen er ikke en kode på 1 til 40 bogstaver, cifre, punktummer, bindestreger og understreger.", srcADS},
	{RuleFormUnknown, fault.Error, "material.form", StageCheck, "The form is none of solid, liquid, sludge, powder and gas.", "Formen er ikke en af solid, liquid, sludge, powder og gas.", srcDEFRA},
	{RuleSectorMalformed, fault.Error, "*.sector", StageCheck, "The sector is not a code of 1 to 40 lower-case letters, digits, dashes and underscores.", "Sektoren er ikke en kode på 1 til 40 små bogstaver, cifre, bindestreger og understreger.", srcADS},
	{RuleMassNotPositive, fault.Error, "mass.value", StageCheck, "The mass is zero or less.", "Massen er nul eller derunder.", srcDEFRA},
	{RuleMassAboveLimit, fault.Error, "mass.value", StageCheck, "A single load is above 10,000 t; the total of a period is an event of its own kind.", "Et enkelt læs er over 10.000 t; en total for en periode er sin egen hændelsestype.", srcProject},
	{RuleTotalAboveLimit, fault.Error, "mass.value", StageCheck, "A total or a stock is above 1,000,000,000 t.", "En total eller en beholdning er over 1.000.000.000 t.", srcProject},
	{RuleNetDiffers, fault.Error, "mass.value", StageCheck, "The net mass is not gross minus tare.", "Nettomassen er ikke brutto minus tara.", srcProject},
	{RuleMethodUnknown, fault.Error, "mass.method", StageCheck, "The method of measurement is none of weighed, volume, estimated and declared.", "Målemetoden er ikke en af weighed, volume, estimated og declared.", srcADS},
	{RuleTimeInFuture, fault.Error, "occurred", StageCheck, "The time is more than five minutes in the future.", "Tidspunktet ligger mere end fem minutter ude i fremtiden.", srcDEFRA},
	{RuleTimeOutOfRange, fault.Error, "occurred", StageCheck, "The time is before 1970 or after 9999.", "Tidspunktet er før 1970 eller efter 9999.", srcProject},
	{RulePeriodMalformed, fault.Error, "period", StageCheck, "The period is not two days YYYY-MM-DD, the first before the second.", "Perioden er ikke to dage ÅÅÅÅ-MM-DD, den første før den anden.", srcProject},
	{RulePeriodTooLong, fault.Error, "period", StageCheck, "The period is longer than 366 days.", "Perioden er længere end 366 dage.", srcADS},
	{RuleMeasureUnknown, fault.Error, "measure", StageCheck, "The measure is not one that a total can have.", "Målet er ikke et, som en total kan have.", srcProject},
	{RuleOperationForKind, fault.Error, "operation", StageCheck, "The operation is not one of this kind of event.", "Behandlingen hører ikke til denne hændelsestype.", srcWFD},
	{RuleOperationPermitted, fault.Error, "operation", StageCheck, "The facility's permit does not allow the operation.", "Anlæggets godkendelse omfatter ikke behandlingen.", srcADS},
	{RuleOutputRole, fault.Error, "outputs", StageCheck, "The output has no such role in this kind of treatment.", "Outputtet har ikke denne rolle i denne slags behandling.", srcProject},
	{RuleOutputMass, fault.Error, "outputs", StageCheck, "The mass of the output is zero or less.", "Outputtets masse er nul eller derunder.", srcProject},
	{RuleOutputsExceed, fault.Error, "outputs", StageCheck, "More came out than went in, and no tag says what was added.", "Der kom mere ud end ind, og intet mærke siger, hvad der blev tilsat.", "conservation of mass"},
	{RuleOutputsTooMany, fault.Error, "outputs", StageCheck, "There are more than 100 outputs.", "Der er flere end 100 output.", srcProject},
	{RuleAmountNegative, fault.Error, "*", StageCheck, "The amount is below zero.", "Mængden er under nul.", srcProject},
	{RuleItemsAboveLimit, fault.Error, "items", StageCheck, "There are more than 1,000,000,000 items in one event.", "Der er mere end 1.000.000.000 stk. i én hændelse.", srcProject},
	{RuleEnergyAboveLimit, fault.Error, "energy_kwh", StageCheck, "The energy of one event is above 1,000,000,000,000 kWh.", "Energien i én hændelse er over 1.000.000.000.000 kWh.", srcProject},
	{RuleTagsTooMany, fault.Error, "tags", StageCheck, "There are more than 16 tags.", "Der er flere end 16 mærker.", srcProject},
	{RuleTagKey, fault.Error, "tags", StageCheck, "The key of a tag is not 1 to 40 of a-z, 0-9 and underscore.", "Et mærkes nøgle er ikke 1 til 40 af a-z, 0-9 og understreg.", srcProject},

	{RuleRoadLoad, fault.Warning, "mass.value", StageCheck, "The load is above 40 t, more than one lorry carries.", "Læsset er over 40 t, mere end en lastbil kan bære.", srcProject},
	{RuleLikelyKilograms, fault.Warning, "mass.value", StageCheck, "The load is above 60 t; it was likely meant in kilograms.", "Læsset er over 60 t; der menes nok kilogram.", srcTrack},
	{RuleEstimateFinal, fault.Warning, "mass.method", StageCheck, "The mass was estimated, though the waste is incinerated or landfilled for good.", "Massen er et skøn, selv om affaldet forbrændes eller deponeres endeligt.", srcTrack},
	{RuleHazard, fault.Warning, "material.hazardous", StageCheck, "What is declared of hazard disagrees with the list of waste.", "Den oplyste farlighed stemmer ikke med affaldslisten.", srcList},
	{RuleReportedLate, fault.Warning, "occurred", StageCheck, "The fact is reported more than two working days after it happened.", "Hændelsen er indberettet mere end to arbejdsdage efter, at den fandt sted.", srcDEFRA},

	{RuleConflict, fault.Error, "id", StageLedger, "The same identity is recorded with other content; a correction needs a reason.", "Den samme identitet er registreret med andet indhold; en rettelse kræver en begrundelse.", srcTrack},
	{RuleCancelled, fault.Error, "id", StageLedger, "The fact was cancelled.", "Hændelsen er annulleret.", srcTrack},
	{RuleReplaced, fault.Error, "id", StageLedger, "The fact was replaced by another.", "Hændelsen er erstattet af en anden.", srcProject},
	{RuleElsewhere, fault.Error, "id", StageLedger, "The fact is recorded in another ledger; moving it needs a reason.", "Hændelsen er registreret i et andet regnskab; en flytning kræver en begrundelse.", srcProject},
	{RuleNotRecorded, fault.Error, "id", StageLedger, "No fact is recorded under this identity.", "Der er ikke registreret nogen hændelse under denne identitet.", srcProject},
	{RuleSuperseded, fault.Error, "event", StageLedger, "The version that is to be changed does not stand any more.", "Den udgave, der skal ændres, gælder ikke længere.", srcTrack},
	{RuleReason, fault.Error, "reason", StageLedger, "A change needs a reason.", "En ændring kræver en begrundelse.", srcTrack},
	{RuleWrongLedger, fault.Error, "facility", StageLedger, "The fact belongs to another facility's ledger.", "Hændelsen hører til et andet anlægs regnskab.", srcProject},
	{RuleClosedTwice, fault.Error, "month", StageLedger, "The ledger is closed already.", "Regnskabet er allerede lukket.", srcProject},
	{RuleClosedEarly, fault.Error, "month", StageLedger, "The ledger's period has not ended.", "Regnskabets periode er ikke slut.", srcProject},
	{RuleClosedChanged, fault.Error, "events", StageLedger, "The digest to close with covers another number of events than the ledger holds.", "Kontrolsummen dækker et andet antal hændelser, end regnskabet indeholder.", srcProject},
	{RuleLedgerClosed, fault.Warning, "occurred", StageLedger, "The month was closed; the fact is booked in the open month.", "Måneden er lukket; hændelsen bogføres i den åbne måned.", srcProject},
	{RuleStockNegative, fault.Warning, "mass.value", StageLedger, "More of the material went out than the ledger shows to have come in.", "Der er gået mere af materialet ud, end regnskabet viser er kommet ind.", srcProject},
}

// Catalogue lists every intake rule: errors and warnings, of all stages.
func Catalogue() []Rule { return slices.Concat(formRules, rules) }

// RuleOf finds a rule by its id.
func RuleOf(id string) (Rule, bool) {
	r, ok := ruleIndex()[id]
	return r, ok
}

var ruleIndex = sync.OnceValue(func() map[string]Rule {
	m := make(map[string]Rule, len(rules)+len(formRules))
	for _, r := range Catalogue() {
		m[r.ID] = r
	}
	return m
})

// Violates says that a value breaks a rule of the catalogue. The message is
// the rule's own sentence, and detail behind it when there is any.
func Violates(ruleID, field, value, detail string) fault.Violation {
	r, ok := RuleOf(ruleID)
	if !ok { // a caller's own rule: kept, so that nothing is lost
		r = Rule{ID: ruleID, Severity: fault.Error, Text: detail}
		detail = ""
	}
	message := r.Text
	if detail != "" {
		message += " " + detail
	}
	return fault.Violation{Rule: r.ID, Field: field, Value: fault.Clip(value), Message: message, Severity: r.Severity}
}
