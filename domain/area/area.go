// Package area holds the places that matter is counted for: countries, their
// regions and municipalities, whatever a country calls them.
//
// Denmark and Sweden are built in; every other country is loaded as data. The
// package promises that an area without violations lies in a registered area
// of its own country and a higher level, and that its id is fit for stream
// names. It leaves out geometry, population, the register itself
// (ingest/register), and who may change it.
package area

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// Level is the rank of an area within its country.
type Level string

// The levels, from large to small.
const (
	Country      Level = "country"
	Region       Level = "region"       // Danish region, Swedish county, English region
	Municipality Level = "municipality" // Danish kommune, Swedish kommun, English waste planning authority
)

// Valid tells whether l is one of the levels.
func (l Level) Valid() bool { return l.rank() > 0 }

// rank is 1 for a country, more for what lies in it, 0 for no level.
func (l Level) rank() int {
	switch l {
	case Country:
		return 1
	case Region:
		return 2
	case Municipality:
		return 3
	}
	return 0
}

// Area is a place that matter is counted for.
type Area struct {
	ID      ID
	Level   Level
	Name    string // as its own people write it
	Country string // ISO 3166-1 alpha-2, upper case
	Code    string // official code within its country, for example 0101; may be ""
	Parent  ID     // the area it lies in; "" for countries
	NUTS    string // NUTS 2021 code where there is one
	Centre  Point  // zero when not known
}

// Point is a place on the earth, WGS 84, in degrees.
type Point struct {
	Lat, Lon float64
}

// IsZero tells whether the point is not known.
func (p Point) IsZero() bool { return p == Point{} }

// Valid tells whether the point is on the earth: latitude within ±90,
// longitude within ±180, both numbers.
func (p Point) Valid() bool { return math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180 }

// Limits of an area's texts, in bytes.
const (
	MaxNameLength = 200
	MaxCodeLength = 40
)

// Ids of the rules of an entry. The catalogue (domain/flow) has their sentences.
const (
	RuleID      = "area-id"
	RuleLevel   = "area-level"
	RuleName    = "area-name"
	RuleCountry = "area-country"
	RuleCode    = "area-code"
	RuleNUTS    = "area-nuts"
	RuleParent  = "area-parent"
	RuleCentre  = "area-centre"
)

// Validate tells what is wrong with an area, field by field; nothing when it
// can be registered. lookup finds a registered area, for the parent.
func (a Area) Validate(lookup func(ID) (Area, bool)) []fault.Violation {
	var found []fault.Violation
	bad := func(rule, field, value, want string) {
		found = append(found, fault.Violation{
			Rule: rule, Field: field, Value: fault.Clip(value),
			Message: "The " + field + " must be " + want + ".",
		})
	}
	if !a.ID.Valid() {
		bad(RuleID, "id", string(a.ID), fmt.Sprintf("2 to %d of a-z, 0-9 and dash", MaxIDLength))
	}
	if !a.Level.Valid() {
		bad(RuleLevel, "level", string(a.Level), "country, region or municipality")
	}
	if strings.TrimSpace(a.Name) == "" || len(a.Name) > MaxNameLength || !utf8.ValidString(a.Name) || strings.ContainsFunc(a.Name, unicode.IsControl) {
		bad(RuleName, "name", a.Name, fmt.Sprintf("1 to %d bytes of text without control characters", MaxNameLength))
	}
	if len(a.Country) != 2 || a.Country[0] < 'A' || a.Country[0] > 'Z' || a.Country[1] < 'A' || a.Country[1] > 'Z' {
		bad(RuleCountry, "country", a.Country, "two capital letters of ISO 3166-1")
	} else if country := strings.ToLower(a.Country); a.ID.Valid() && string(a.ID) != country && !strings.HasPrefix(string(a.ID), country+"-") {
		// So that an area never changes stream.
		bad(RuleID, "id", string(a.ID), "an id that begins with the country, as in "+country+"-0101")
	}
	if len(a.Code) > MaxCodeLength || !utf8.ValidString(a.Code) || strings.ContainsFunc(a.Code, unicode.IsControl) {
		bad(RuleCode, "code", a.Code, fmt.Sprintf("at most %d bytes of text without control characters", MaxCodeLength))
	}
	if !validNUTS(a.NUTS) {
		bad(RuleNUTS, "nuts", a.NUTS, "a NUTS code such as DK011")
	}
	if want := a.parentWanted(lookup); want != "" {
		bad(RuleParent, "parent", string(a.Parent), want)
	}
	if !a.Centre.Valid() {
		bad(RuleCentre, "centre", fmt.Sprintf("%g, %g", a.Centre.Lat, a.Centre.Lon), "a place on the earth in degrees")
	}
	return found
}

// parentWanted tells what the parent should have been; "" when it is right.
func (a Area) parentWanted(lookup func(ID) (Area, bool)) string {
	if a.Level == Country {
		if a.Parent != "" {
			return "empty for a country"
		}
		return ""
	}
	if !a.Parent.Valid() || a.Parent == a.ID {
		return "the id of another area"
	}
	parent, ok := lookup(a.Parent)
	switch {
	case !ok:
		return "registered"
	case parent.Country != a.Country:
		return "in country " + a.Country
	case a.Level.Valid() && parent.Level.rank() >= a.Level.rank():
		return "above the level " + string(a.Level)
	}
	return ""
}

// validNUTS tells whether a code is empty, or a country and up to three
// capital letters and digits.
func validNUTS(code string) bool {
	if len(code) > 5 || len(code) == 1 {
		return false
	}
	for i := range len(code) {
		if c := code[i]; (c < 'A' || c > 'Z') && (i < 2 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// StreamPrefix begins the name of every stream of areas.
const StreamPrefix = "areas-"

// Stream is the name of the stream that an area is registered in: one for
// each country.
func (a Area) Stream() string { return StreamPrefix + strings.ToLower(a.Country) }
