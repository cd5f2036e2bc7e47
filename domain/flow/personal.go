package flow

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Personal data have no place in the log, which is never rewritten. No field
// asks for them; what free text carries by accident is looked for here:
// e-mail addresses, telephone numbers, Danish and Swedish civil registration
// numbers, number plates, and names behind a title. The patterns are chosen
// to let codes, standards and permit numbers pass. They are a net, not a
// proof: a bare name is not told from a place.

// LooksPersonal tells what kind of personal data a text seems to hold, as
// words that fit behind "looks like"; "" when it seems to hold none.
func LooksPersonal(s string) string {
	t := scanTraits(s)
	switch {
	case t.at && emailPattern.MatchString(s):
		return "an e-mail address"
	case t.digits >= 10 && t.dash && hasCivilNumber(s):
		return "a civil registration number"
	case t.digits >= 7 && hasPhone(s):
		return "a telephone number"
	case t.digits >= 2 && t.capitals >= 2 && hasPlate(s):
		return "a number plate"
	case t.letters >= 4 && hasTitledName(s):
		return "the name of a person"
	}
	return ""
}

// traits are what a text must have for a pattern to be worth trying: most
// texts of most facts have none, and patterns are slow.
type traits struct {
	at, dash        bool
	digits, letters int
	capitals        int // longest run of capitals
}

func scanTraits(s string) traits {
	var t traits
	run := 0
	for _, r := range s {
		if r >= 'A' && r <= 'Z' || r > 127 && unicode.IsUpper(r) {
			run++
			t.capitals = max(t.capitals, run)
			t.letters++
			continue
		}
		run = 0
		switch {
		case r >= '0' && r <= '9':
			t.digits++
		case r == '@':
			t.at = true
		case r == '-':
			t.dash = true
		case r >= 'a' && r <= 'z', r > 127 && unicode.IsLetter(r):
			t.letters++
		}
	}
	return t
}

var (
	emailPattern = regexp.MustCompile(`[^\s@<>,;:]+@[^\s@<>,;:]+\.\pL{2,}`)
	civilPattern = regexp.MustCompile(`(?:^|[^\pL\d-])(?:19|20)?(\d{6})-\d{4}(?:$|[^\pL\d-])`)
	phonePattern = regexp.MustCompile(`(?:^|[^\pL\d])(?:` +
		`(?:\+|00)(?:45|46|44|47|49|358)(?:[ -]?\d){7,10}` + // with a country in front
		`|\d\d \d\d \d\d \d\d` + // Danish, in pairs
		`|0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4}` + // British, area code apart
		`|(?i:tlf|tel|telefon|telephone|phone|mobil|mobile)[.:]* ?\+?\d(?:[ -]?\d){6,}` +
		`)(?:$|[^\pL\d])`)
	platePattern = regexp.MustCompile(`(?:^|[^\pL\d/-])(?:` +
		`([A-ZÆØÅ]{2}) ?\d{2} ?\d{3}` + // Danish
		`|([A-Z]{2}\d{2}) ?[A-Z]{3}` + // British
		`|([A-HJ-PR-UW-Z]{3}) \d{2}[A-HJ-NPR-UW-Z\d]` + // Swedish, as people write it
		`)(?:$|[^\pL\d/-])`)
	// In a text that speaks of vehicles, the Swedish form without a blank
	// counts as well; elsewhere it is any supplier's article number.
	tightPlatePattern = regexp.MustCompile(`(?:^|[^\pL\d/-])[A-HJ-PR-UW-Z]{3}\d{2}[A-HJ-NPR-UW-Z\d](?:$|[^\pL\d/-])`)
	contextPattern    = regexp.MustCompile(`(?i)\b(?:plate|reg\.? ?no|reg\.? ?nr|registration|nummerplade|registreringsnummer|registreringsnr|skylt|lorry|truck|lastbil|trailer|køretøj|fordon)\b`)
)

// notPlates are letters that stand before numbers for other reasons:
// standards, currencies, countries, codes of the field.
var notPlates = []string{"EN", "DS", "BS", "SS", "CE", "NO", "NR", "EU", "DK", "SE", "GB", "UK", "UN", "PO", "RD",
	"ADR", "ASR", "BAT", "CLP", "DKK", "EAK", "EAN", "EPR", "ETA", "EUR", "EWC", "GBP", "GSM", "KOD", "LER", "LOW",
	"NET", "NUM", "PAS", "PCB", "PET", "RAL", "RDF", "REF", "SEK", "SLF", "SRF", "TON"}

func hasPlate(s string) bool {
	for _, m := range platePattern.FindAllStringSubmatch(s, -1) {
		letters := m[1] + m[3]
		if m[2] != "" || !slices.Contains(notPlates, letters) {
			return true
		}
	}
	return tightPlatePattern.MatchString(s) && contextPattern.MatchString(s)
}

// hasCivilNumber looks for six digits that are a date, a dash and four more:
// ddmmyy-nnnn is a Danish CPR number, yymmdd-nnnn a Swedish personnummer.
func hasCivilNumber(s string) bool {
	for _, m := range civilPattern.FindAllStringSubmatch(s, -1) {
		if isDay("020106", m[1]) || isDay("060102", m[1]) {
			return true
		}
	}
	return false
}

func isDay(layout, s string) bool {
	_, err := time.Parse(layout, s)
	return err == nil
}

func hasPhone(s string) bool { return phonePattern.MatchString(s) }

// titles are words that a person's name follows, in lower case.
var titles = []string{"mr", "mrs", "ms", "miss", "dr", "prof", "hr", "fru", "frk", "herr", "fröken",
	"driver", "chauffør", "chaufför", "fører", "vognmand", "cpr"}

// hasTitledName looks for a title and, behind it, a word with a capital.
func hasTitledName(s string) bool {
	afterTitle := false
	for len(s) > 0 {
		start := strings.IndexFunc(s, isWordRune)
		if start < 0 {
			return false
		}
		s = s[start:]
		end := strings.IndexFunc(s, func(r rune) bool { return !isWordRune(r) })
		if end < 0 {
			end = len(s)
		}
		word := s[:end]
		s = s[end:]
		if afterTitle && isName(word) {
			return true
		}
		afterTitle = isTitle(word)
	}
	return false
}

func isWordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '\'' || r > 127 && unicode.IsLetter(r)
}

// isTitle tells whether a word is a title, in small letters or with a capital
// in front: DR Congo and HR Department hold no person.
func isTitle(word string) bool {
	word = strings.TrimRight(word, ".")
	if len(word) < 2 || len(word) > len("chauffør") {
		return false
	}
	for _, t := range titles {
		if len(t) == len(word) && strings.EqualFold(t, word) {
			return word != strings.ToUpper(word)
		}
	}
	return false
}

// isName tells whether a word is a capital and small letters, or a capital
// and a point (an initial).
func isName(word string) bool {
	first, n := utf8.DecodeRuneInString(word)
	second, _ := utf8.DecodeRuneInString(word[n:])
	return unicode.IsUpper(first) && (unicode.IsLower(second) || second == '.' || second == '\'')
}

// personalKeys are names of tags that ask for what is never recorded.
var personalKeys = []string{"driver", "driver_name", "chauffeur", "chauffoer", "name", "person", "contact", "plate", "number_plate",
	"license_plate", "licence_plate", "registration", "vehicle_registration", "reg_no", "reg_nr", "nummerplade",
	"registreringsnummer", "phone", "telephone", "telefon", "tlf", "mobile", "email", "e_mail", "mail", "cpr", "cpr_nr", "address",
	"home_address"}
