package register

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
)

// checkFacility tells everything that is wrong with an entry. Rules are named
// after their field: facility-name, facility-time-zone.
func (r *Register) checkFacility(f facility.Facility) []fault.Violation {
	var violations []fault.Violation
	for _, e := range f.Validate(r.KnownArea) {
		violations = append(violations, violation("facility", e.Field, e.Value, e.Want))
	}
	return violations
}

// checkArea tells everything that is wrong with an entry. given are the areas
// of the same call, which may be its parent.
func (r *Register) checkArea(a area.Area, given map[area.ID]area.Area) []fault.Violation {
	known := area.NewRegister()
	if parent, ok := given[a.Parent]; ok {
		known.Put(parent)
	} else if parent, ok := r.Area(a.Parent); ok {
		known.Put(parent.Area)
	}
	var violations []fault.Violation
	for _, e := range known.Accept(a) {
		violations = append(violations, violation("area", e.Field, e.Value, e.Want))
	}
	// The id begins with the country, so that an area never changes stream.
	country := strings.ToLower(a.Country)
	if string(a.ID) != country && !strings.HasPrefix(string(a.ID), country+"-") {
		violations = append(violations, violation("area", "id", string(a.ID), "an id that begins with the country, as in "+country+"-0101"))
	}
	return violations
}

func violation(entry, field, value, want string) fault.Violation {
	return fault.Violation{
		Rule: entry + "-" + strings.ReplaceAll(field, "_", "-"), Field: field, Value: value,
		Message: fmt.Sprintf("The %s must be %s.", strings.ReplaceAll(field, "_", " "), want),
	}
}

func invalid(what, id string, violations []fault.Violation) error {
	return &fault.Fault{Kind: fault.Invalid, Detail: fmt.Sprintf("%s %q cannot be registered", what, id), Violations: violations}
}

// asFault tells the caller what an error of the log means.
func asFault(err error, what string) error {
	var f *fault.Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, eventlog.ErrNoRoom):
		return fault.Wrap(fault.NoRoom, err, "%s was not recorded: the log's disk is full", what)
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrClosed):
		return fault.Wrap(fault.Unavailable, err, "%s could not be recorded for certain: the log is away; send it again", what)
	case errors.Is(err, eventlog.ErrTooLarge):
		return fault.Wrap(fault.TooLarge, err, "%s is too large for the log", what)
	}
	return fault.Wrap(fault.Internal, err, "%s was not recorded", what)
}
