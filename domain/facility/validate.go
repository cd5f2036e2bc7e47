package facility

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the time zones are part of the program: the month of a fact depends on them
	"unicode"
	"unicode/utf8"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/operation"
)

// MaxTextLength is the most that a name, locality or permit may hold, in bytes.
const MaxTextLength = 200

// FieldError tells which field of an entry breaks its rule.
type FieldError struct {
	Field, Value, Want string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %q is not %s", e.Field, e.Value, e.Want) }

// Validate tells what is wrong with an entry, field by field; nothing when it
// can be registered. known tells whether an area is registered.
//
// The time zone must be one that the program's time zone database holds; an
// empty one is refused, since the month of every fact depends on it.
func (f Facility) Validate(known func(area.ID) bool) []*FieldError {
	var errs []*FieldError
	bad := func(field, value, want string) {
		errs = append(errs, &FieldError{field, value[:min(len(value), MaxTextLength)], want})
	}
	if !f.ID.Valid() {
		bad("id", string(f.ID), fmt.Sprintf("%d to %d of a-z, 0-9 and dash, a letter or digit at both ends", MinIDLength, MaxIDLength))
	}
	for _, t := range []struct{ field, value string }{{"name", f.Name}, {"locality", f.Locality}, {"permit", f.Permit}} {
		if !clean(t.value) {
			bad(t.field, strings.ToValidUTF8(t.value, "\uFFFD"), fmt.Sprintf("at most %d bytes of text without control characters", MaxTextLength))
		}
	}
	if strings.TrimSpace(f.Name) == "" {
		bad("name", f.Name, "given")
	}
	if f.Area != "" && (!f.Area.Valid() || !known(f.Area)) {
		bad("area", string(f.Area), "a registered area")
	}
	if !f.Location.Valid() {
		bad("location", fmt.Sprintf("%g, %g", f.Location.Lat, f.Location.Lon), "a place on the earth in degrees")
	}
	if _, err := Zone(f.TimeZone); err != nil {
		bad("time_zone", f.TimeZone, "an IANA time zone such as Europe/Copenhagen")
	}
	for _, op := range f.Operations {
		if !operation.Code(op).Valid() {
			bad("operations", op, "R1 to R13 or D1 to D15")
		}
	}
	return errs
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

// Register is what is known of facilities, folded from the entries made so
// far: the last entry of an id replaces the earlier ones whole. Reading it is
// safe from several goroutines as long as none puts.
type Register struct {
	byID map[ID]Facility
}

// NewRegister is a register with the given entries, put in their order.
func NewRegister(facilities ...Facility) *Register {
	r := &Register{byID: make(map[ID]Facility, len(facilities))}
	for _, f := range facilities {
		r.Put(f)
	}
	return r
}

// Put enters a facility, or replaces its entry. It checks nothing: what is in
// the log is known.
func (r *Register) Put(f Facility) { r.byID[f.ID] = f }

// Lookup finds a facility by its id.
func (r *Register) Lookup(id ID) (Facility, bool) {
	f, ok := r.byID[id]
	return f, ok
}

// Known tells whether a facility is registered.
func (r *Register) Known(id ID) bool {
	_, ok := r.byID[id]
	return ok
}

// Len is the number of facilities.
func (r *Register) Len() int { return len(r.byID) }

// IDs lists the facilities in the order of their ids.
func (r *Register) IDs() []ID { return slices.Sorted(maps.Keys(r.byID)) }
