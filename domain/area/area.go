// Package area holds the places that matter is counted for: countries, their
// regions and municipalities, whatever a country calls them.
//
// Denmark and Sweden are built in; every other country is loaded as data. The
// package promises that a register folded from events answers by id, by name
// and upwards through the levels. It leaves out geometry, population, and who
// may change a register.
package area

import (
	"fmt"
	"math"
)

// Level is the rank of an area within its country.
type Level string

// The levels, from large to small.
const (
	Country      Level = "country"
	Region       Level = "region"       // Danish region, Swedish county, English region
	Municipality Level = "municipality" // Danish kommune, Swedish kommun, English waste planning authority
)

// Levels lists the levels from large to small.
func Levels() []Level { return []Level{Country, Region, Municipality} }

// Valid tells whether l is one of Levels.
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

// FieldError tells which field of an entry breaks its rule.
type FieldError struct {
	Field, Value, Want string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %q is not %s", e.Field, e.Value, e.Want) }

// Validate tells what is wrong with an area, field by field; nothing when it
// can be registered. Whether its parent is registered is the register's to say.
func (a Area) Validate() []*FieldError {
	var errs []*FieldError
	bad := func(field, value, want string) {
		errs = append(errs, &FieldError{field, value[:min(len(value), 200)], want})
	}
	if !a.ID.Valid() {
		bad("id", string(a.ID), "2 to 80 of a-z, 0-9 and dash")
	}
	if !a.Level.Valid() {
		bad("level", string(a.Level), "country, region or municipality")
	}
	if a.Name == "" || len(a.Name) > MaxNameLength {
		bad("name", a.Name, fmt.Sprintf("1 to %d bytes", MaxNameLength))
	}
	if len(a.Country) != 2 || a.Country[0] < 'A' || a.Country[0] > 'Z' || a.Country[1] < 'A' || a.Country[1] > 'Z' {
		bad("country", a.Country, "two capital letters of ISO 3166-1")
	}
	if len(a.Code) > MaxCodeLength {
		bad("code", a.Code, fmt.Sprintf("at most %d bytes", MaxCodeLength))
	}
	if len(a.NUTS) > 5 {
		bad("nuts", a.NUTS, "a NUTS code")
	}
	switch {
	case a.Level == Country && a.Parent != "":
		bad("parent", string(a.Parent), "empty for a country")
	case a.Level != Country && (!a.Parent.Valid() || a.Parent == a.ID):
		bad("parent", string(a.Parent), "the id of another area")
	}
	if !a.Centre.Valid() {
		bad("centre", fmt.Sprintf("%g, %g", a.Centre.Lat, a.Centre.Lon), "a place on the earth in degrees")
	}
	return errs
}

// StreamPrefix begins the name of every stream of areas.
const StreamPrefix = "areas-"
