package profile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// column is one column of a file.
type column struct {
	name  string // as the profile writes it
	shown string // as the file's heading writes it
	at    int    // index in a record; -1 before a file is open
}

// plan is a profile compiled for one file: it holds memos and belongs to one
// decoder.
type plan struct {
	reporter  string
	source    string
	charset   encoding.Encoding // nil for UTF-8
	detect    bool              // UTF-8 or, where the file is not, charset
	comma     byte
	decimal   byte
	thousands byte // 0: digits are not grouped
	sheet     string
	trim      bool
	keyless   bool

	columns  map[string]*column // all that are read, by name
	ignored  map[string]bool
	optional map[string]bool // columns that a file may lack
	restart  string          // layout of the part of the date that the key is unique within; "" when it is unique
	key      []*column       // identity: the key, or all meaningful columns but the measure, by name

	areas    []areaPlan
	facility facilityPlan
	fact     factPlan
}

type areaPlan struct {
	id, name, code *text
	level          area.Level
	country        string
	parent         int                // index into areas; -1 without
	optional       bool               // an empty id is no area rather than an error
	builtIn        map[string]area.ID // by slug of name or by code; nil when the rows describe the area
	columns        []*column
}

type facilityPlan struct {
	id, name, locality, permit *text
	area                       int
	timeZone                   string
	grid                       bool // easting and northing rather than degrees
	north, east                *column
	unknown                    []string  // values that mean: not known
	columns                    []*column // what the entry is made of
}

type factPlan struct {
	kind, measure                   *text
	occurred                        []*column
	layout                          string
	zone                            *time.Location
	zoned                           bool // the text itself holds the zone
	date1904                        bool // of workbooks: days are counted from 1904
	year, month, from, to           *text
	waste, fraction, product, form  *text
	hazardous                       *column
	flags                           map[string]bool
	net, gross, tare                *column
	unit                            mass.Unit
	method, operation               *text
	origin, target                  placePlan
	siteCategory, fate, consignment *text
	rejects, displaces              *text
	items, energy                   *column
	tags                            []tagPlan
}

type placePlan struct {
	area             int // index into areas; -1 without
	facility, sector *text
}

type tagPlan struct {
	key  string
	text *text
}

// builder compiles a document and collects every reason why it cannot.
type builder struct {
	doc        document
	parameters map[string]string
	partly     bool // parameters without default are not known yet
	reasons    []string

	plan     *plan
	areaKeys map[string]int
	used     map[string]bool // parameters that some value mentions
}

func (b *builder) fail(key, format string, args ...any) {
	b.reasons = append(b.reasons, key+": "+fmt.Sprintf(format, args...))
}

var (
	profileName   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	reference     = regexp.MustCompile(`\$\{([^}]*)\}`)
	tagName       = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
)

// describe checks what is said about the profile itself.
func (b *builder) describe() {
	if !profileName.MatchString(b.doc.Profile) {
		b.fail("profile", "%q is no name: small letters, digits and single dashes", b.doc.Profile)
	}
	if b.doc.Version < 1 {
		b.fail("version", "must be 1 or more")
	}
	if b.doc.Title == "" {
		b.fail("title", "is missing")
	}
	for _, name := range slices.Sorted(maps.Keys(b.doc.Parameters)) {
		p := b.doc.Parameters[name]
		key := "parameters." + name
		if !parameterName.MatchString(name) {
			b.fail(key, "is no name: small letters, digits and underscores")
		}
		if p.Help == "" {
			b.fail(key+".help", "is missing")
		}
		re, err := regexp.Compile("^(?:" + p.Pattern + ")$")
		if p.Pattern == "" || err != nil {
			b.fail(key+".pattern", "is missing or no regular expression")
			continue
		}
		if p.Default != "" && !re.MatchString(p.Default) {
			b.fail(key+".default", "%q does not match the pattern", p.Default)
		}
	}
}

// build compiles everything that reading a file needs.
func (b *builder) build() *plan {
	b.plan = &plan{columns: map[string]*column{}, ignored: map[string]bool{}, optional: map[string]bool{}}
	b.areaKeys, b.used = map[string]int{}, map[string]bool{}
	b.format()
	b.areas()
	b.facility()
	b.fact()
	b.identity()
	b.mayLack()
	for name := range b.doc.Parameters {
		if !b.used[name] {
			b.fail("parameters."+name, "is used by nothing")
		}
	}
	slices.Sort(b.reasons)
	return b.plan
}

func (b *builder) format() {
	f := b.doc.Format
	if f.Type != "csv" {
		b.fail("format.type", "%q is not csv", f.Type)
	}
	switch f.Encoding {
	case "utf-8":
	case "windows-1252":
		b.plan.charset = charmap.Windows1252
	case "iso-8859-1":
		b.plan.charset = charmap.ISO8859_1
	case "auto":
		b.plan.charset, b.plan.detect = charmap.Windows1252, true
	default:
		b.fail("format.encoding", "%q is not auto, utf-8, windows-1252 or iso-8859-1", f.Encoding)
	}
	switch f.Delimiter {
	case ",", ";", "\t", "|":
		b.plan.comma = f.Delimiter[0]
	default:
		b.fail("format.delimiter", "%q is not a comma, semicolon, tab or bar", f.Delimiter)
	}
	switch f.Decimal {
	case ".", ",":
		b.plan.decimal = f.Decimal[0]
	default:
		b.fail("format.decimal", "%q is neither a point nor a comma", f.Decimal)
	}
	switch {
	case f.Thousands == "":
	case f.Thousands == f.Decimal || f.Thousands != "." && f.Thousands != "," && f.Thousands != " ":
		b.fail("format.thousands", "%q is no point, comma or blank other than the decimal sign", f.Thousands)
	default:
		b.plan.thousands = f.Thousands[0]
	}
	b.plan.trim, b.plan.sheet = f.Trim, f.Sheet
	for _, name := range b.doc.Ignore {
		if name == "" || b.plan.ignored[name] {
			b.fail("ignore", "%q is empty or stands twice", name)
		}
		b.plan.ignored[name] = true
	}
}

// expand replaces ${parameter} in a constant.
func (b *builder) expand(key, s string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		name := ref[2 : len(ref)-1]
		if _, ok := b.doc.Parameters[name]; !ok {
			b.fail(key, "%s names no parameter", ref)
			return ref
		}
		b.used[name] = true
		if value, ok := b.parameters[name]; ok {
			return value
		}
		return ref
	})
}

// open tells that s still holds a parameter whose value is not known.
func (b *builder) open(s string) bool { return b.partly && strings.Contains(s, "${") }

// column finds or adds a column that is read.
func (b *builder) column(key, name string) *column {
	if name == "" {
		return nil
	}
	if b.plan.ignored[name] {
		b.fail(key, "column %q stands under ignore", name)
	}
	if strings.TrimSpace(name) != name {
		b.fail(key, "column %q begins or ends with a blank: headings are compared without", name)
	}
	c := b.plan.columns[name]
	if c == nil {
		c = &column{name: name, shown: name, at: -1}
		b.plan.columns[name] = c
	}
	return c
}

// text compiles where a text comes from; nil when the document does not say.
func (b *builder) text(key string, v valueDoc) *text {
	if !v.given {
		return nil
	}
	if v.Column == "" {
		return &text{field: key, constant: b.expand(key, v.constant)}
	}
	if v.Case != "" && v.Case != "lower" && v.Case != "upper" {
		b.fail(key+".case", "%q is neither lower nor upper", v.Case)
	}
	if v.OnlyMap && len(v.Map) == 0 {
		b.fail(key+".only_map", "needs a map")
	}
	if v.Pad < 0 || v.Pad > 40 {
		b.fail(key+".pad", "must be 1 to 40 digits")
	}
	v.Prefix = b.expand(key+".prefix", v.Prefix)
	v.MustBe = b.expand(key+".must_be", v.MustBe)
	return &text{field: key, column: b.column(key+".column", v.Column), or: b.column(key+".or", v.Or), doc: v}
}

// required is text that must be given in the document.
func (b *builder) required(key string, v valueDoc) *text {
	if !v.given {
		b.fail(key, "is missing")
	}
	v.Required = true
	return b.text(key, v)
}

func (b *builder) identity() {
	id := b.doc.Identity
	if id.Reporter == "" {
		b.fail("identity.reporter", "is missing")
	}
	if id.Source == "" {
		b.fail("identity.source", "is missing")
	}
	b.plan.reporter = b.expand("identity.reporter", id.Reporter)
	b.plan.source = b.expand("identity.source", id.Source)
	for _, name := range b.doc.Keep {
		if b.plan.columns[name] != nil {
			b.fail("keep", "column %q is of a field already", name)
		}
		b.column("keep", name)
	}
	switch {
	case (id.Keyless == nil) == (len(id.Columns) == 0):
		b.fail("identity", "needs either columns or keyless, not both")
	case id.Keyless == nil:
		b.keyed(id.Columns)
		b.restart(id.Restart)
	case id.Restart != "":
		b.fail("identity.restart", "is of ids, which keyless rows have not")
	default:
		b.keyless(*id.Keyless)
	}
}

func (b *builder) keyed(names []string) {
	for _, name := range names {
		if slices.ContainsFunc(b.plan.key, func(c *column) bool { return c.name == name }) {
			b.fail("identity.columns", "column %q stands twice", name)
		}
		b.plan.key = append(b.plan.key, b.column("identity.columns", name))
	}
}

// restart says that the row's own ids begin anew with each year, month or
// day, so that only together with it they name one row.
func (b *builder) restart(span string) {
	layouts := map[string]string{"": "", "year": "2006", "month": "2006-01", "day": time.DateOnly}
	layout, ok := layouts[span]
	if !ok {
		b.fail("identity.restart", "%q is not year, month or day", span)
	}
	if layout != "" && (b.doc.Fact.Occurred == nil || b.plan.fact.zoned) {
		b.fail("identity.restart", "needs fact.occurred in a time zone of the profile")
	}
	b.plan.restart = layout
}

// mayLack notes the columns that a file need not have: what they would hold is
// empty then. What names the row, its time or its mass is always needed.
func (b *builder) mayLack() {
	f := b.plan.fact
	for _, name := range b.doc.Optional {
		c := b.plan.columns[name]
		switch {
		case c == nil && !b.plan.ignored[name]:
			b.fail("optional", "column %q is no column of the profile", name)
		case b.plan.optional[name]:
			b.fail("optional", "column %q stands twice", name)
		case c != nil && (c == f.net || slices.Contains(f.occurred, c) || !b.plan.keyless && slices.Contains(b.plan.key, c)):
			b.fail("optional", "column %q is needed: it is the row's mass, time or id", name)
		}
		b.plan.optional[name] = true
	}
}

// keyless makes every column that is read part of the row's identity, but the
// measure, which is compared by value.
func (b *builder) keyless(k keylessDoc) {
	b.plan.keyless = true
	if len(k.Measure) == 0 {
		b.fail("identity.keyless.measure", "is missing")
	}
	f := b.plan.fact
	for _, name := range k.Measure {
		c := b.plan.columns[name]
		if c == nil || !slices.Contains([]*column{f.net, f.gross, f.tare, f.items, f.energy}, c) {
			b.fail("identity.keyless.measure", "column %q is none of fact.mass, fact.items and fact.energy_kwh", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.plan.columns)) {
		if !slices.Contains(k.Measure, name) {
			b.plan.key = append(b.plan.key, b.plan.columns[name])
		}
	}
}
