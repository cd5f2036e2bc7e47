package event

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// WriteMarkdown writes docs/events.md: every event type and version of the
// log, field by field, from the payload types themselves.
func WriteMarkdown(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprint(b, "# Events\n\n"+
		"Generated from the payload types in `domain/event`; do not edit.\n\n"+
		"Every event of the log, with its type, as compact JSON. Payloads are frozen per version; what is not stated is\n"+
		"left out, never null. Masses are whole grams; times are RFC 3339 in UTC; days are `YYYY-MM-DD`.\n"+
		"○ marks what can be left out. The event's id is UUIDv5 over the hashes of what it is about and of what it says,\n"+
		"its revision and its type without the version: `domain/event.IDOf`.\n")
	pieces := []reflect.Type{}
	for _, v := range allVersions {
		t := reflect.TypeOf(v.new()).Elem()
		fmt.Fprintf(b, "\n## %s\n\nSays that %s. Payload `%s`.\n\n", v.name, v.doc, t.Name())
		writeFields(b, t, &pieces)
	}
	fmt.Fprint(b, "\n## Pieces\n\nShared by the payloads above.\n")
	for i := 0; i < len(pieces); i++ { // grows while it is walked
		fmt.Fprintf(b, "\n### %s\n\n", pieces[i].Name())
		writeFields(b, pieces[i], &pieces)
	}
	fmt.Fprint(b, "\n## Metadata\n\nBeside every event; other names are left alone.\n\n")
	writeFields(b, reflect.TypeFor[MetaV1](), &pieces)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFields(b *strings.Builder, t reflect.Type, pieces *[]reflect.Type) {
	fmt.Fprint(b, "| field | | type | meaning |\n|---|---|---|---|\n")
	for _, f := range fieldsOf(t) {
		optional := ""
		if f.optional {
			optional = "○"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, optional, typeWord(f.typ), f.doc)
		if sub, ok := structOf(f.typ); ok && !slices.Contains(*pieces, sub) {
			*pieces = append(*pieces, sub)
		}
	}
}

// payloadField is a field of a payload as the docs show it.
type payloadField struct {
	name     string
	optional bool
	doc      string
	typ      reflect.Type
}

// fieldsOf lists the fields of a payload type in the order they are written,
// those of embedded structs among them.
func fieldsOf(t reflect.Type) []payloadField {
	var out []payloadField
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, fieldsOf(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, payloadField{name: name, optional: strings.Contains(options, "omitzero"), doc: f.Tag.Get("doc"), typ: f.Type})
	}
	return out
}

// structOf is the struct inside a field's type, when there is one.
func structOf(t reflect.Type) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct
}

func typeWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeWord(t.Elem())
	case reflect.Slice:
		return "list of " + typeWord(t.Elem())
	case reflect.Map:
		return "object of texts"
	case reflect.Struct:
		return t.Name()
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "number"
	default: // the integers
		return "integer"
	}
}
