package register

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/operation"
)

// maxText is the longest name, locality, permit or code, in bytes.
const maxText = 200

// problems collects what is wrong with an entry.
type problems []fault.Violation

func (p *problems) add(rule, field, value, format string, args ...any) {
	if len(value) > maxText {
		value = strings.ToValidUTF8(value[:maxText], "")
	}
	*p = append(*p, fault.Violation{Rule: rule, Field: field, Value: value, Message: fmt.Sprintf(format, args...)})
}

// text checks a line of text.
func (p *problems) text(field, value string, required bool) {
	switch {
	case value == "" && required:
		p.add("required", field, value, "%s must be given", field)
	case len(value) > maxText:
		p.add("text-too-long", field, value, "%s has %d bytes, at most %d are allowed", field, len(value), maxText)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value:
		p.add("text-not-plain", field, value, "%s must be one line of UTF-8 text without control characters or blanks at its ends", field)
	}
}

func (p *problems) point(field string, at area.Point) {
	// Written so that NaN, which compares with nothing, is refused too.
	if !(math.Abs(at.Lat) <= 90 && math.Abs(at.Lon) <= 180) {
		p.add("point-not-on-earth", field, fmt.Sprintf("%v, %v", at.Lat, at.Lon),
			"%s must be WGS 84 degrees, latitude -90 to 90 and longitude -180 to 180", field)
	}
}

// checkFacility tells everything that is wrong with an entry.
func (r *Register) checkFacility(f facility.Facility) []fault.Violation {
	var p problems
	if !f.ID.Valid() {
		p.add("facility-id", "id", string(f.ID), "a facility id is %d to %d lower-case letters, digits and dashes, with no dash at its ends",
			facility.MinIDLength, facility.MaxIDLength)
	}
	p.text("name", f.Name, true)
	p.text("locality", f.Locality, false)
	p.text("permit", f.Permit, false)
	if !r.KnownArea(f.Area) {
		p.add("area-unknown", "area", string(f.Area), "area %q is not registered", f.Area)
	}
	p.point("location", f.Location)
	if _, err := loadZone(f.TimeZone); err != nil {
		p.add("time-zone-unknown", "time_zone", f.TimeZone, "the time zone must be an IANA name such as Europe/Copenhagen")
	}
	for i, op := range f.Operations {
		if code, err := operation.Parse(op); err != nil || string(code) != op {
			p.add("operation-unknown", fmt.Sprintf("operations[%d]", i), op, "operation %q is none of R1 to R13 and D1 to D15", op)
		}
	}
	return p
}

// checkArea tells everything that is wrong with an entry. given are the areas
// of the same call, which may be its parent.
func (r *Register) checkArea(a area.Area, given map[area.ID]bool) []fault.Violation {
	var p problems
	country := strings.ToLower(a.Country)
	if len(country) != 2 || strings.ToUpper(country) != a.Country || strings.Trim(country, "abcdefghijklmnopqrstuvwxyz") != "" {
		p.add("country-code", "country", a.Country, "the country must be two capital letters of ISO 3166-1")
	}
	// The id begins with the country, so that an area never changes stream.
	if !a.ID.Valid() || string(a.ID) != country && !strings.HasPrefix(string(a.ID), country+"-") {
		p.add("area-id", "id", string(a.ID), "an area id is lower-case letters, digits and dashes, and begins with the country, as in %s-0101", country)
	}
	if !a.Level.Valid() {
		p.add("area-level", "level", string(a.Level), "the level must be country, region or municipality")
	}
	p.text("name", a.Name, true)
	p.text("code", a.Code, false)
	p.text("nuts", a.NUTS, false)
	p.point("centre", a.Centre)
	switch {
	case a.Level == area.Country && a.Parent != "":
		p.add("area-parent", "parent", string(a.Parent), "a country lies in no other area")
	case a.Level != area.Country && (a.Parent == a.ID || !given[a.Parent] && !r.KnownArea(a.Parent)):
		p.add("area-parent", "parent", string(a.Parent), "the area that %s lies in, %q, is not registered", a.ID, a.Parent)
	}
	return p
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
