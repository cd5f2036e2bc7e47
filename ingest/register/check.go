package register

import (
	"context"
	"errors"
	"fmt"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// checkFacility tells everything that is wrong with an entry.
func (r *Register) checkFacility(f facility.Facility) []fault.Violation {
	return CheckFacility(f, r.KnownArea)
}

// CheckFacility tells why a facility cannot be registered, when so much is
// known of areas; nothing when it can.
func CheckFacility(f facility.Facility, knownArea func(area.ID) bool) []fault.Violation {
	return append(f.Validate(knownArea), personal("name", f.Name, "locality", f.Locality)...)
}

// CheckArea tells why an area cannot be registered beside others; nothing when
// it can.
func CheckArea(a area.Area, lookup func(area.ID) (area.Area, bool)) []fault.Violation {
	return append(a.Validate(lookup), personal("name", a.Name)...)
}

// checkArea tells everything that is wrong with an entry. given are the areas
// of the same call, which may be its parent.
func (r *Register) checkArea(a area.Area, given map[area.ID]area.Area) []fault.Violation {
	return CheckArea(a, func(id area.ID) (area.Area, bool) {
		if parent, ok := given[id]; ok {
			return parent, true
		}
		parent, ok := r.Area(id)
		return parent.Area, ok
	})
}

// personal tells which of some texts, each behind its field, look as if they
// held personal data: the register is in the log, which is never rewritten.
func personal(fields ...string) []fault.Violation {
	var found []fault.Violation
	for i := 0; i < len(fields); i += 2 {
		if what := flow.LooksPersonal(fields[i+1]); what != "" {
			found = append(found, flow.Violates(flow.RulePersonalData, fields[i], fields[i+1], "It looks like "+what+"."))
		}
	}
	return found
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
