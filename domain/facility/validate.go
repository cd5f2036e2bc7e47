package facility

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the time zones are part of the program: the month of a fact depends on them
	"unicode"
	"unicode/utf8"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/operation"
)

// MaxTextLength is the most that a name, locality or permit may hold, in bytes.
const MaxTextLength = 200

// Ids of the rules of an entry. The catalogue (domain/flow) has their sentences.
const (
	RuleID         = "facility-id"
	RuleName       = "facility-name"
	RuleArea       = "facility-area"
	RuleLocality   = "facility-locality"
	RuleLocation   = "facility-location"
	RuleTimeZone   = "facility-time-zone"
	RulePermit     = "facility-permit"
	RuleOperations = "facility-operations"
)

// Validate tells what is wrong with an entry, field by field; nothing when it
// can be registered. known tells whether an area is registered.
//
// The time zone must be one that the program's time zone database holds; an
// empty one is refused, since the month of every fact depends on it.
func (f Facility) Validate(known func(area.ID) bool) []fault.Violation {
	var found []fault.Violation
	bad := func(rule, field, value, want string) {
		found = append(found, fault.Violation{
			Rule: rule, Field: field, Value: fault.Clip(value),
			Message: fmt.Sprintf("The %s must be %s.", strings.ReplaceAll(field, "_", " "), want),
		})
	}
	if !f.ID.Valid() {
		bad(RuleID, "id", string(f.ID), fmt.Sprintf("%d to %d of a-z, 0-9 and dash, a letter or digit at both ends", MinIDLength, MaxIDLength))
	}
	for _, t := range []struct{ rule, field, value string }{
		{RuleName, "name", f.Name}, {RuleLocality, "locality", f.Locality}, {RulePermit, "permit", f.Permit},
	} {
		if !clean(t.value) {
			bad(t.rule, t.field, t.value, fmt.Sprintf("at most %d bytes of text without control characters", MaxTextLength))
		}
	}
	if strings.TrimSpace(f.Name) == "" {
		bad(RuleName, "name", f.Name, "given")
	}
	if f.Area != "" && (!f.Area.Valid() || !known(f.Area)) {
		bad(RuleArea, "area", string(f.Area), "a registered area")
	}
	if !f.Location.Valid() {
		bad(RuleLocation, "location", fmt.Sprintf("%g, %g", f.Location.Lat, f.Location.Lon), "a place on the earth in degrees")
	}
	if _, err := Zone(f.TimeZone); err != nil {
		bad(RuleTimeZone, "time_zone", f.TimeZone, "an IANA time zone such as Europe/Copenhagen")
	}
	for _, op := range f.Operations {
		if !operation.Code(op).Valid() {
			bad(RuleOperations, "operations", op, "R1 to R13 or D1 to D15")
		}
	}
	return found
}

func clean(s string) bool {
	return len(s) <= MaxTextLength && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// Zone finds a time zone by its IANA name. "" and "Local" are refused: they
// mean another zone on every machine.
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("time zone %q is not an IANA name", name)
	}
	return time.LoadLocation(name)
}
