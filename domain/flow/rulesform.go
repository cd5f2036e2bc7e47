package flow

import "github.com/stofstrom/stofstrom/domain/fault"

const srcCloudEvents = "CloudEvents 1.0"

// formRules are the rules of stage "form": what must hold before a line, a
// message or a register entry is read at all. Package ingest raises them;
// they stand here so that one catalogue explains every refusal.
var formRules = []Rule{
	{"json-syntax", fault.Error, "*", StageForm, "The message is not JSON.", "Beskeden er ikke JSON.", "RFC 8259"},
	{"json-duplicate-name", fault.Error, "*", StageForm, "A name stands twice in its object.", "Et navn står to gange i sit objekt.", "RFC 7493"},
	{"json-too-deep", fault.Error, "*", StageForm, "The message is nested deeper than is allowed.", "Beskeden er dybere indlejret end tilladt.", srcProject},
	{"json-type", fault.Error, "*", StageForm, "The value has the wrong JSON type.", "Værdien har den forkerte JSON-type.", srcDEFRA},
	{"field-unknown", fault.Error, "*", StageForm, "There is no such field here.", "Der findes intet sådant felt her.", srcProject},
	{"event-too-long", fault.Error, "*", StageForm, "The event is longer than is allowed.", "Hændelsen er længere end tilladt.", srcProject},
	{"batch-too-many", fault.Error, "*", StageForm, "The batch has more events than are allowed.", "Der er flere hændelser i bundtet end tilladt.", srcProject},
	{"time-malformed", fault.Error, "occurred", StageForm, "The time is not written as the format says.", "Tidspunktet er ikke skrevet, som formatet kræver.", srcProject},
	{"specversion-unsupported", fault.Error, "specversion", StageForm, "The version of CloudEvents is not 1.0.", "CloudEvents-versionen er ikke 1.0.", srcCloudEvents},
	{"type-unknown", fault.Error, "type", StageForm, "The type is none of the event types that are taken in.", "Typen er ikke en af de hændelsestyper, der modtages.", srcCloudEvents},
	{"attribute-missing", fault.Error, "*", StageForm, "A required attribute of the event is missing.", "En påkrævet attribut mangler i hændelsen.", srcCloudEvents},
	{"attribute-malformed", fault.Error, "*", StageForm, "An attribute of the event is not written as it must be.", "En attribut i hændelsen er ikke skrevet, som den skal.", srcCloudEvents},
	{"datacontenttype-unsupported", fault.Error, "datacontenttype", StageForm, "The data are not JSON.", "Data er ikke JSON.", srcCloudEvents},
	{"text-encoding", fault.Error, "*", StageForm, "The file is not in the text encoding of its profile.", "Filen har ikke profilens tegnsæt.", srcProject},
	{"value-unknown", fault.Error, "*", StageForm, "The profile does not know the value.", "Profilen kender ikke værdien.", srcProject},
	{"value-missing", fault.Error, "*", StageForm, "The column is empty, though the profile needs it.", "Kolonnen er tom, men profilen kræver den.", srcProject},
	{"number-malformed", fault.Error, "*", StageForm, "The number is not written as the profile says.", "Tallet er ikke skrevet, som profilen siger.", srcProject},
	{"flag-unknown", fault.Error, "*", StageForm, "The value is none of the words for yes and no of the profile.", "Værdien er ikke et af profilens ord for ja og nej.", srcProject},
	{"coordinate-outside", fault.Error, "*", StageForm, "The coordinates lie outside the grid.", "Koordinaterne ligger uden for nettet.", srcProject},
	{"csv-column-count", fault.Error, "*", StageForm, "The row has another number of columns than the heading.", "Rækken har et andet antal kolonner end overskriften.", "RFC 4180"},
	{"csv-quote", fault.Error, "*", StageForm, "A quoted field is not closed, or text stands beside its quotes.", "Et felt i anførselstegn er ikke afsluttet, eller der står tekst ved siden af.", "RFC 4180"},
	{"csv-record-too-long", fault.Error, "*", StageForm, "The row is longer than is allowed.", "Rækken er længere end tilladt.", srcProject},
	{"csv-too-many-columns", fault.Error, "*", StageForm, "The row has more columns than are allowed.", "Rækken har flere kolonner end tilladt.", srcProject},
	{"heading-missing", fault.Error, "*", StageForm, "A column that the profile needs is not in the heading.", "En kolonne, som profilen kræver, findes ikke i overskriften.", srcProject},
	{"heading-unknown", fault.Error, "*", StageForm, "The heading has a column that the profile does not know.", "Overskriften har en kolonne, som profilen ikke kender.", srcProject},
	{"heading-twice", fault.Error, "*", StageForm, "The heading has a column twice.", "Overskriften har den samme kolonne to gange.", srcProject},
	{"file-empty", fault.Error, "file", StageForm, "The file has no heading.", "Filen har ingen overskrift.", srcProject},
	{"file-damaged", fault.Error, "file", StageForm, "The compressed file is damaged or ends too early.", "Den komprimerede fil er beskadiget eller slutter for tidligt.", srcProject},
	{"file-too-large", fault.Error, "file", StageForm, "The file is larger than is allowed.", "Filen er større end tilladt.", srcProject},
	{"unpacked-too-large", fault.Error, "file", StageForm, "The file unpacks to more than is allowed.", "Filen fylder mere end tilladt, når den pakkes ud.", srcProject},
	{"unpacked-ratio", fault.Error, "file", StageForm, "The file unpacks to more times its size than is allowed.", "Filen pakkes ud til flere gange sin størrelse end tilladt.", srcProject},
	{"area-id-malformed", fault.Error, "*", StageForm, "What the row says makes no area id.", "Rækkens oplysning giver intet område-id.", srcProject},
	{"facility-id-malformed", fault.Error, "*", StageForm, "What the row says makes no facility id.", "Rækkens oplysning giver intet anlægs-id.", srcProject},
	{"facility-id", fault.Error, "id", StageForm, "The facility id is not 3 to 80 lower-case letters, digits and dashes.", "Anlæggets id er ikke 3 til 80 små bogstaver, cifre og bindestreger.", srcProject},
	{"area-id", fault.Error, "id", StageForm, "The area id is not lower-case letters, digits and dashes that begin with the country.", "Områdets id er ikke små bogstaver, cifre og bindestreger, der begynder med landet.", srcProject},
	{"area-level", fault.Error, "level", StageForm, "The level is none of country, region and municipality.", "Niveauet er ikke et af country, region og municipality.", srcProject},
	{"area-parent", fault.Error, "parent", StageForm, "The area it lies in is not registered, or cannot hold it.", "Området, det ligger i, er ikke registreret eller kan ikke rumme det.", srcProject},
	{"country-code", fault.Error, "country", StageForm, "The country is not two capital letters of ISO 3166-1.", "Landet er ikke to store bogstaver efter ISO 3166-1.", "ISO 3166-1"},
	{"time-zone-unknown", fault.Error, "time_zone", StageForm, "The time zone is not an IANA name such as Europe/Copenhagen.", "Tidszonen er ikke et IANA-navn som Europe/Copenhagen.", "IANA time zone database"},
	{"point-not-on-earth", fault.Error, "location", StageForm, "The place is not on the earth: degrees of latitude and longitude.", "Stedet ligger ikke på jorden: grader bredde og længde.", srcProject},
	{"text-not-plain", fault.Error, "*", StageForm, "The text is not one line without control characters or blanks at its ends.", "Teksten er ikke én linje uden styretegn og uden blanktegn i enderne.", srcProject},
	{"required", fault.Error, "*", StageForm, "The field must be given.", "Feltet skal udfyldes.", srcProject},
	{"id-differs", fault.Error, "id", StageForm, "The body names another entry than the address.", "Indholdet nævner en anden post end adressen.", srcProject},
	{"replace-not-keyless", fault.Error, "replace", StageForm, "Only a file without ids of its own is replaced as a whole.", "Kun en fil uden egne id-er erstattes som helhed.", srcProject},
	{"reason-without-replace", fault.Error, "reason", StageForm, "A reason is given, but nothing is to be replaced.", "Der er givet en begrundelse, men intet skal erstattes.", srcProject},
}
