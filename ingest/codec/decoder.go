package codec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Decoder reads events one after the other and keeps its buffers between
// them; for one goroutine.
type Decoder struct {
	limits Limits

	src  bytes.Reader
	json *jsontext.Decoder
	path []segment         // where in data the decoder stands
	bad  []fault.Violation // what is wrong with this event so far
	halt error             // why the JSON cannot be read on

	words map[string]string // interned texts that come again and again
	env   envelope
	data  data

	reasonInData bool // the payload may say why it is sent
}

// segment is one step of a path: a name, or an index when name is "".
type segment struct {
	name  string
	index int
}

// maxWords bounds the interned texts.
const maxWords = 8192

// NewDecoder makes a decoder.
func NewDecoder(limits Limits) *Decoder {
	d := &Decoder{limits: limits.orDefaults(), words: make(map[string]string)}
	d.json = jsontext.NewDecoder(&d.src)
	return d
}

func (d *Decoder) reset(text []byte) {
	d.src.Reset(text)
	d.json.Reset(&d.src)
	d.path, d.bad, d.halt = d.path[:0], nil, nil
	d.env, d.data, d.reasonInData = envelope{}, data{outputs: d.data.outputs[:0]}, false
}

// Structured reads one CloudEvent in structured JSON mode. Errors:
// *fault.Fault of kind Malformed (not JSON, wrong types), Invalid (read, and
// wrong) or TooLarge.
func (d *Decoder) Structured(text []byte) (Message, error) {
	if len(text) > d.limits.EventBytes {
		return Message{}, d.tooLong(len(text))
	}
	d.reset(text)
	d.readEnvelope()
	d.end()
	return d.message()
}

func (d *Decoder) tooLong(size int) error {
	return &fault.Fault{Kind: fault.TooLarge, Detail: "the event is too long", Violations: []fault.Violation{
		flow.Violates(RuleTooLong, "event", fmt.Sprintf("%d bytes", size), fmt.Sprintf("It may have at most %d bytes.", d.limits.EventBytes)),
	}}
}

// end expects nothing but white space behind the value.
func (d *Decoder) end() {
	if d.halt != nil {
		return
	}
	if kind := d.json.PeekKind(); kind != jsontext.KindInvalid {
		d.halt = &fault.Fault{Kind: fault.Malformed, Detail: "there is something behind the event", Violations: []fault.Violation{
			flow.Violates(RuleSyntax, "event", "", fmt.Sprintf("A second value begins at byte %d.", d.json.InputOffset())),
		}}
		return
	}
	if _, err := d.json.ReadToken(); err != nil && !isEOF(err) {
		d.fail(err)
	}
}

// violate notes what is wrong with a member of the object the decoder is in.
// The detail is a sentence, or empty, behind that of the rule.
func (d *Decoder) violate(rule, field, value, detail string) {
	d.breaks(rule, d.where(field), value, detail)
}

// breaks notes what is wrong with the field of a whole path.
func (d *Decoder) breaks(rule, path, value, detail string) {
	// Three masses may share one wrong unit: said once.
	if v := flow.Violates(rule, path, value, detail); !slices.Contains(d.bad, v) {
		d.bad = append(d.bad, v)
	}
}

// where is the path of a member of the current object, for example
// outputs[2].mass.value.
func (d *Decoder) where(field string) string {
	var b strings.Builder
	for _, s := range d.path {
		if s.name == "" {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
	}
	if b.Len() > 0 && field != "" {
		b.WriteByte('.')
	}
	b.WriteString(field)
	return b.String()
}

// fail notes that the text is no JSON, with the place.
func (d *Decoder) fail(err error) {
	if d.halt != nil {
		return
	}
	rule, field, detail := RuleSyntax, "event", ""
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		field, detail = fieldOf(syntactic.JSONPointer), fmt.Sprintf("At byte %d: %v.", syntactic.ByteOffset, syntactic.Err)
		if errors.Is(syntactic.Err, jsontext.ErrDuplicateName) {
			rule, detail = RuleDuplicate, fmt.Sprintf("The second stands at byte %d.", syntactic.ByteOffset)
		}
	} else if isEOF(err) {
		detail = "The text ends before the event does."
	}
	d.breaks(rule, field, "", detail)
	d.halt = &fault.Fault{Kind: fault.Malformed, Detail: "the event cannot be read", Violations: d.bad, Cause: err}
}

// fieldOf writes a JSON pointer as a path of the catalogue.
func fieldOf(p jsontext.Pointer) string {
	path := strings.ReplaceAll(strings.TrimPrefix(string(p), "/"), "/", ".")
	path = strings.TrimPrefix(path, "data.")
	if path == "" {
		return "event"
	}
	return fault.Clip(path)
}

// open enters an object that is the value of the given member; false when it
// is none.
func (d *Decoder) open(field string) bool {
	if d.halt != nil {
		return false
	}
	if d.json.PeekKind() != jsontext.KindBeginObject {
		d.mismatch(field, "an object")
		return false
	}
	if _, err := d.json.ReadToken(); err != nil {
		d.fail(err)
		return false
	}
	return true
}

// next returns the name of the object's next member; nil at its end, which it
// leaves. The bytes are valid until the next read.
func (d *Decoder) next() []byte {
	if d.halt != nil {
		return nil
	}
	if d.json.PeekKind() == jsontext.KindEndObject {
		if _, err := d.json.ReadToken(); err != nil {
			d.fail(err)
		}
		return nil
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		d.fail(err)
		return nil
	}
	if len(raw) == 2 {
		return emptyName
	}
	return d.unquoted(raw)
}

// emptyName stands for the name "", since nil ends an object.
var emptyName = []byte{0}

// unquoted is the content of a raw JSON string.
func (d *Decoder) unquoted(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	plain, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		d.fail(err)
		return emptyName
	}
	return plain
}

// unknown refuses a member, and steps over its value.
func (d *Decoder) unknown(name []byte, known string) {
	field := fault.Clip(string(name))
	if len(name) == 1 && name[0] == 0 {
		field = `""`
	}
	where := d.where(field)
	value := d.skip()
	d.breaks(RuleUnknownField, where, value, "There are "+known+".")
}

// mismatch notes a value of the wrong type, and steps over it.
func (d *Decoder) mismatch(field, want string) {
	kind := d.json.PeekKind()
	value := d.skip()
	if d.halt == nil {
		d.wrongType(field, value, kind, want)
	}
}

// mistyped notes a value of the wrong type that was read.
func (d *Decoder) mistyped(field string, raw jsontext.Value, want string) {
	kind := raw.Kind()
	var value string
	switch kind {
	case jsontext.KindBeginObject:
		value = "{…}"
	case jsontext.KindBeginArray:
		value = "[…]"
	default:
		value = fault.Clip(string(raw[:min(len(raw), 400)]))
	}
	d.wrongType(field, value, kind, want)
}

func (d *Decoder) wrongType(field, value string, kind jsontext.Kind, want string) {
	detail := "It must be " + want + "."
	if kind == jsontext.KindNull {
		detail += " Leave out a field that has no value."
	}
	d.violate(RuleType, field, value, detail)
}

// skip steps over a value, bounded in depth, and returns how it begins.
func (d *Decoder) skip() string {
	if d.halt != nil {
		return ""
	}
	if kind := d.json.PeekKind(); kind != jsontext.KindBeginObject && kind != jsontext.KindBeginArray {
		raw, err := d.json.ReadValue()
		if err != nil {
			d.fail(err)
		}
		return fault.Clip(string(raw[:min(len(raw), 400)]))
	}
	outer := d.json.StackDepth()
	for {
		token, err := d.json.ReadToken()
		if err != nil {
			d.fail(err)
			return ""
		}
		if d.json.StackDepth() > d.limits.Depth {
			d.breaks(RuleDepth, fieldOf(d.json.StackPointer()), "", fmt.Sprintf("At most %d levels are read.", d.limits.Depth))
			d.halt = &fault.Fault{Kind: fault.Malformed, Detail: "the event cannot be read", Violations: d.bad}
			return ""
		}
		if d.json.StackDepth() == outer {
			if token.Kind() == jsontext.KindEndObject {
				return "{…}"
			}
			return "[…]"
		}
	}
}

// bytes reads a string; valid until the next read.
func (d *Decoder) bytes(field string) ([]byte, bool) {
	if d.halt != nil {
		return nil, false
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		d.fail(err)
		return nil, false
	}
	if raw[0] != '"' {
		d.mistyped(field, raw, "a string")
		return nil, false
	}
	return d.unquoted(raw), true
}

// text reads a string.
func (d *Decoder) text(field string) string {
	b, _ := d.bytes(field)
	return string(b)
}

// word reads a string that is likely to come again, and interns it.
func (d *Decoder) word(field string) string {
	b, _ := d.bytes(field)
	if w, ok := d.words[string(b)]; ok {
		return w
	}
	w := string(b)
	if len(w) <= 64 {
		if len(d.words) >= maxWords {
			clear(d.words)
		}
		d.words[w] = w
	}
	return w
}

// digits reads a number from a JSON string or a JSON number, as it was
// written.
func (d *Decoder) digits(field string) string {
	if d.halt != nil {
		return ""
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		d.fail(err)
		return ""
	}
	switch raw.Kind() {
	case jsontext.KindString:
		return string(d.unquoted(raw))
	case jsontext.KindNumber:
		return string(raw)
	default:
	}
	d.mistyped(field, raw, "a number, or a string that holds one")
	return ""
}

// integer reads a whole number.
func (d *Decoder) integer(field string) int64 {
	if d.halt != nil {
		return 0
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		d.fail(err)
		return 0
	}
	if raw.Kind() != jsontext.KindNumber {
		d.mistyped(field, raw, "a whole number")
		return 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		d.violate(RuleType, field, string(raw), "It must be a whole number without exponent, in the range of 64 bits.")
	}
	return n
}

func (d *Decoder) flag(field string) *bool {
	if d.halt != nil {
		return nil
	}
	kind := d.json.PeekKind()
	if kind != jsontext.KindTrue && kind != jsontext.KindFalse {
		d.mismatch(field, "true or false")
		return nil
	}
	if _, err := d.json.ReadToken(); err != nil {
		d.fail(err)
	}
	if kind == jsontext.KindTrue {
		return &yes
	}
	return &no
}

// The two answers of flag; never written to.
var yes, no = true, false

// instant reads an RFC 3339 time with its zone.
func (d *Decoder) instant(field string) time.Time {
	b, ok := d.bytes(field)
	if !ok {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		d.violate(RuleTime, field, string(b), "It must have its zone, as in 2026-03-31T14:05:00+02:00.")
		return time.Time{}
	}
	return t.UTC()
}
