package flow

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// Context is what must be known of the world to check a fact.
type Context struct {
	Now       time.Time
	Facility  *facility.Facility // entry of the fact's facility; nil when it is not registered
	KnownArea func(area.ID) bool // whether an area is registered; nil knows none
	// KnownFacility tells whether the other facility of a consignment is
	// registered; nil when the register holds only the reporter's own, and
	// then the other one is not looked for.
	KnownFacility func(facility.ID) bool
	Location      *time.Location // time zone of the facility; nil is UTC
}

// Check tells which rules of stage "check" a fact breaks: errors, which stop
// it, and warnings, which are recorded with it. The order is that of the
// fact's fields. No violation means that event.Encode accepts the fact.
func Check(f Fact, ctx Context) []fault.Violation {
	if ctx.Location == nil {
		ctx.Location = time.UTC
	}
	c := checker{f: &f, ctx: &ctx}
	var ok bool
	if c.shape, ok = shapeOf(f.Kind); !ok {
		c.add(RuleKindUnknown, "kind", string(f.Kind), "")
		return c.found
	}
	c.identity()
	c.place()
	c.when()
	c.material("material", f.Material, true)
	c.mass()
	c.operation()
	c.treatment()
	c.texts()
	c.tags()
	return c.found
}

// CheckReason tells what is wrong with the reason of a change.
func CheckReason(reason string) []fault.Violation {
	c := checker{}
	if strings.TrimSpace(reason) == "" {
		c.add(RuleReason, "reason", reason, "")
		return c.found
	}
	c.text("reason", reason, MaxReasonBytes)
	c.freeText("reason", reason)
	return c.found
}

// ReadRule is the rule that a text breaks which is no mass, waste code or
// operation, by the error of mass.Parse, waste.ParseCode or operation.Parse;
// "" for any other error.
func ReadRule(err error) string {
	var m *mass.ParseError
	var w *waste.CodeError
	var o *operation.UnknownCode
	switch {
	case errors.Is(err, mass.ErrUnitMissing):
		return RuleUnitMissing
	case errors.Is(err, mass.ErrUnitUnknown):
		return RuleUnitUnknown
	case errors.Is(err, mass.ErrTooFine):
		return RuleMassTooFine
	case errors.Is(err, mass.ErrRange):
		return RuleMassOutOfRange
	case errors.As(err, &m):
		return RuleMassMalformed
	case errors.As(err, &w):
		if w.Reason == waste.WrongStar {
			return RuleWasteStar
		}
		return RuleWasteUnknown
	case errors.As(err, &o):
		return RuleOperation
	}
	return ""
}

// checker collects the violations of one fact.
type checker struct {
	f     *Fact
	ctx   *Context
	shape shape
	found []fault.Violation
}

func (c *checker) add(rule, field, value, detail string) {
	c.found = append(c.found, Violates(rule, field, value, detail))
}

// have checks that a field is there when it must be, and only when it may be.
func (c *checker) have(field string, stated bool, value string, n need) {
	switch {
	case n == always && !stated:
		c.add(RuleFieldRequired, field, "", fmt.Sprintf("Field %s of %s.", field, c.f.Kind))
	case n == never && stated:
		c.add(RuleFieldForbidden, field, value, fmt.Sprintf("Field %s of %s.", field, c.f.Kind))
	}
}

func (c *checker) identity() {
	for _, t := range []field{{"reporter", c.f.Identity.Reporter}, {"source", c.f.Identity.Source}, {"id", c.f.Identity.ExternalID}} {
		c.have(t.name, t.value != "", t.value, always)
		c.text(t.name, t.value, MaxTextBytes)
		if scanTraits(t.value).at && emailPattern.MatchString(t.value) {
			c.add(RulePersonalData, t.name, t.value, "It looks like an e-mail address.")
		}
	}
}

func (c *checker) place() {
	switch {
	case c.f.Facility == "":
		c.have("facility", false, "", always)
	case c.ctx.Facility == nil || c.ctx.Facility.ID != c.f.Facility || !c.f.Facility.Valid():
		c.add(RuleFacilityUnknown, "facility", string(c.f.Facility), "")
	}
	c.end("origin", c.f.Origin, c.shape.origin)
	if c.shape.originArea {
		c.have("origin.area", c.f.Origin.Area != "", "", always)
	}
	c.end("target", c.f.Target, c.shape.target)
}

// end checks one end of the flow.
func (c *checker) end(name string, p Place, n need) {
	if n == always && p.Area == "" && p.Facility == "" {
		c.add(RuleFieldRequired, name, "", fmt.Sprintf("An area or a facility as %s of %s.", name, c.f.Kind))
	}
	if n == never && p != (Place{}) {
		c.add(RuleFieldForbidden, name, string(p.Area)+string(p.Facility)+p.Sector, fmt.Sprintf("Field %s of %s.", name, c.f.Kind))
		return
	}
	if p.Area != "" && (!p.Area.Valid() || c.ctx.KnownArea == nil || !c.ctx.KnownArea(p.Area)) {
		c.add(RuleAreaUnknown, name+".area", string(p.Area), "")
	}
	if p.Facility != "" && (!p.Facility.Valid() || (c.ctx.KnownFacility != nil && !c.ctx.KnownFacility(p.Facility))) {
		c.add(RuleFacilityUnknown, name+".facility", string(p.Facility), "")
	}
	if p.Sector != "" && !isCode(p.Sector, "-_", false) {
		c.add(RuleSectorMalformed, name+".sector", p.Sector, "")
	}
}

func (c *checker) when() {
	w := c.f.When
	if c.shape.period == always {
		c.have("occurred", !w.Occurred.IsZero(), w.Occurred.Format(time.RFC3339Nano), never)
		c.period(w.Period)
		if !c.f.Measure.Valid() {
			c.add(RuleMeasureUnknown, "measure", string(c.f.Measure), "Use one of "+join(Measures())+".")
		}
		return
	}
	c.have("period", w.IsPeriod(), string(w.Period.From)+" to "+string(w.Period.To), never)
	c.have("measure", c.f.Measure != "", string(c.f.Measure), never)
	c.have("occurred", !w.Occurred.IsZero(), "", always)
	if w.Occurred.IsZero() {
		return
	}
	breaks := func(rule, detail string) {
		c.add(rule, "occurred", w.Occurred.UTC().Format(time.RFC3339Nano), detail)
	}
	switch year := w.Occurred.UTC().Year(); {
	case year < earliestYear || year > 9998:
		breaks(RuleTimeOutOfRange, "")
	case w.Occurred.After(c.ctx.Now.Add(MaxClockSkewSecs * time.Second)):
		breaks(RuleTimeInFuture, "Now is "+c.ctx.Now.UTC().Format(time.RFC3339)+".")
	case reportedLate(w.Occurred, c.ctx.Now, c.ctx.Location):
		breaks(RuleReportedLate, "Reported "+c.ctx.Now.UTC().Format(time.RFC3339)+".")
	}
}

func (c *checker) period(p Period) {
	text := string(p.From) + " to " + string(p.To)
	days, ok := p.Days()
	if !ok {
		c.add(RulePeriodMalformed, "period", text, "")
		return
	}
	if days > MaxPeriodDays {
		c.add(RulePeriodTooLong, "period", text, fmt.Sprintf("It has %d days.", days))
	}
	to, _ := p.To.Day() // readable: Days said so
	from, _ := p.From.Day()
	if from.Year() < earliestYear || to.Year() > 9998 {
		c.add(RuleTimeOutOfRange, "period", text, "")
	}
	end := time.Date(to.Year(), to.Month(), to.Day(), 0, 0, 0, 0, c.ctx.Location)
	if end.After(c.ctx.Now.Add(MaxClockSkewSecs * time.Second)) {
		c.add(RuleTimeInFuture, "period.to", string(p.To), "Now is "+c.ctx.Now.UTC().Format(time.RFC3339)+".")
	}
}

// reportedLate tells whether more than LateWorkingDays working days (Monday
// to Friday; holidays are not known) lie between the day of a fact and now.
func reportedLate(occurred, now time.Time, loc *time.Location) bool {
	if now.Sub(occurred) > 7*24*time.Hour {
		return true
	}
	day, ok1 := DateOf(occurred, loc).Day()
	today, ok2 := DateOf(now, loc).Day()
	if !ok1 || !ok2 {
		return false
	}
	working := 0
	for day = day.AddDate(0, 0, 1); !day.After(today); day = day.AddDate(0, 0, 1) {
		if wd := day.Weekday(); wd != time.Saturday && wd != time.Sunday {
			working++
		}
	}
	return working > LateWorkingDays
}

func (c *checker) material(name string, m Material, needed bool) {
	if needed && m.Waste == "" && m.Product == "" {
		c.add(RuleMaterialMissing, name, "", "")
	}
	entry, listed := waste.Lookup(m.Waste)
	if m.Waste != "" && !listed {
		c.add(RuleWasteUnknown, name+".waste_code", string(m.Waste), "")
	}
	if listed && m.Hazardous != nil && *m.Hazardous != entry.Hazardous {
		c.add(RuleHazard, name+".hazardous", strconv.FormatBool(*m.Hazardous),
			fmt.Sprintf("On the list: %s, %s.", m.Waste.Display(), hazardWord(entry.Hazardous)))
	}
	if m.Fraction != "" && !isCode(m.Fraction, "-_.", true) {
		c.add(RuleFractionMalformed, name+".fraction", m.Fraction, "")
	}
	if m.Form != "" && !slices.Contains([]string{"solid", "liquid", "sludge", "powder", "gas"}, m.Form) {
		c.add(RuleFormUnknown, name+".form", m.Form, "")
	}
	c.text(name+".product", m.Product, MaxTextBytes)
	c.freeText(name+".product", m.Product)
}

func hazardWord(hazardous bool) string {
	if hazardous {
		return "hazardous"
	}
	return "not hazardous"
}

// isCode tells whether s is 1 to 40 letters, digits and the given marks.
func isCode(s, marks string, capitals bool) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for i := range len(s) {
		ch := s[i]
		switch {
		case ch >= 'a' && ch <= 'z', ch >= '0' && ch <= '9', strings.IndexByte(marks, ch) >= 0:
		case capitals && ch >= 'A' && ch <= 'Z':
		default:
			return false
		}
	}
	return true
}

// text checks a text's length and characters.
func (c *checker) text(name, s string, limit int) {
	if len(s) > limit {
		c.add(RuleTextTooLong, name, s, fmt.Sprintf("It has %d bytes; %d are allowed.", len(s), limit))
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsRune(s, utf8.RuneError) {
		c.add(RuleTextNotClean, name, strings.ToValidUTF8(s, "\uFFFD"), "")
	}
}

// freeText looks for personal data.
func (c *checker) freeText(name, s string) {
	if what := LooksPersonal(s); what != "" {
		c.add(RulePersonalData, name, s, "It looks like "+what+".")
	}
}

func (c *checker) texts() {
	f := c.f
	for _, t := range []field{{"site_category", f.SiteCategory}, {"fate", f.Fate}, {"displaces", f.Displaces}} {
		c.text(t.name, t.value, MaxTextBytes)
		c.freeText(t.name, t.value)
	}
	// Numbers of documents look like plates and civil numbers by their nature.
	for _, t := range []field{{"consignment", f.Consignment}, {"rejects", f.Rejects}} {
		c.text(t.name, t.value, MaxTextBytes)
		if scanTraits(t.value).at && emailPattern.MatchString(t.value) {
			c.add(RulePersonalData, t.name, t.value, "It looks like an e-mail address.")
		}
	}
	c.have("fate", f.Fate != "", f.Fate, c.shape.fate)
	c.have("consignment", f.Consignment != "", f.Consignment, c.shape.document)
	c.have("rejects", f.Rejects != "", f.Rejects, c.shape.rejects)
}

func (c *checker) tags() {
	if len(c.f.Tags) > MaxTags {
		c.add(RuleTagsTooMany, "tags", strconv.Itoa(len(c.f.Tags)), "")
	}
	for _, k := range tagKeys(c.f.Tags, nil) {
		v := c.f.Tags[k]
		name := "tags." + k
		if !isCode(k, "_", false) {
			c.add(RuleTagKey, "tags", k, "")
			continue
		}
		if slices.Contains(personalKeys, k) {
			c.add(RulePersonalData, name, k, "The key of the tag says so.")
			continue
		}
		c.have(name, v != "", v, always)
		c.text(name, v, MaxTextBytes)
		c.freeText(name, v)
	}
}

func join[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}
