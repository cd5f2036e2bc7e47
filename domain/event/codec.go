package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// UnknownType refuses an event type that this program does not know: written
// by a later version of it, or by somebody else.
type UnknownType struct {
	Type string
}

func (e *UnknownType) Error() string { return fmt.Sprintf("event type %q is not known", e.Type) }

// Malformed refuses a payload that is not what its type says.
type Malformed struct {
	Type string
	Err  error
}

func (e *Malformed) Error() string { return fmt.Sprintf("event of type %s: %v", e.Type, e.Err) }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Malformed) Unwrap() error { return e.Err }

// Encode writes an event as it goes into the log, metadata left out. It
// refuses an event that would not read back as the same: a field that its
// kind has no place for, a value that its type cannot hold, an id other than
// IDOf. Errors are *Malformed.
func Encode(e Event) (eventlog.Proposed, error) {
	fail := func(err error) (eventlog.Proposed, error) {
		return eventlog.Proposed{}, &Malformed{Type: e.Type(), Err: err}
	}
	p := payloadOf(e)
	if p == nil {
		return fail(errors.New("no such kind of event"))
	}
	back, err := p.event()
	if err != nil {
		return fail(err)
	}
	if want := back.EventID(); e.EventID() != want {
		return fail(fmt.Errorf("event id is %s, must be %s (see IDOf)", e.EventID(), want))
	}
	if !same(e, back) {
		return fail(errors.New("holds what a payload of this type has no place for"))
	}
	data, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		return fail(err)
	}
	return eventlog.Proposed{ID: e.EventID(), Type: e.Type(), Data: data}, nil
}

// Decode reads the payload of an event, of whatever version, as the event it
// is today. Errors are *UnknownType, or *Malformed for what is not exactly a
// payload of the type: fields it does not have, fields twice, nulls, other
// types of value, anything after it, text that is not UTF-8, and values that
// the domain's types cannot hold.
func Decode(typ string, data []byte) (Event, error) {
	i, ok := byName[typ]
	if !ok {
		return nil, &UnknownType{Type: typ}
	}
	p := allVersions[i].new()
	if err := json.Unmarshal(data, p, json.RejectUnknownMembers(true)); err != nil {
		return nil, &Malformed{Type: typ, Err: err}
	}
	if err := refuseNull(data); err != nil {
		return nil, &Malformed{Type: typ, Err: err}
	}
	e, err := p.event()
	if err != nil {
		return nil, &Malformed{Type: typ, Err: err}
	}
	return e, nil
}

// Types lists every event type that Decode knows, in the order of the docs.
func Types() []string {
	out := make([]string, 0, len(allVersions))
	for _, v := range allVersions {
		out = append(out, v.name)
	}
	return out
}

var byName = func() map[string]int {
	m := make(map[string]int, len(allVersions))
	for i, v := range allVersions {
		m[v.name] = i
	}
	return m
}()

// refuseNull refuses JSON nulls, which the decoder would take for "left out".
func refuseNull(data []byte) error {
	if !bytes.Contains(data, []byte("null")) {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		tok, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if tok.Kind() == 'n' {
			return fmt.Errorf("%s: null is no value: what is not stated is left out", d.StackPointer())
		}
	}
}

// EncodeMeta writes the metadata of an event as JSON.
func EncodeMeta(m Meta) ([]byte, error) {
	data, err := json.Marshal(MetaV1(m))
	if err != nil {
		return nil, &Malformed{Type: "metadata", Err: err}
	}
	return data, nil
}

// DecodeMeta reads the metadata of an event. Unlike payloads, metadata may
// carry names of others (the server's, a tracing tool's): they are left
// alone. No metadata at all is the zero Meta. Errors are *Malformed.
func DecodeMeta(data []byte) (Meta, error) {
	if len(data) == 0 {
		return Meta{}, nil
	}
	var m MetaV1
	if err := json.Unmarshal(data, &m); err != nil {
		return Meta{}, &Malformed{Type: "metadata", Err: err}
	}
	return Meta(m), nil
}

// same tells whether two events of one type say the same.
func same(a, b Event) bool {
	switch a := a.(type) {
	case Recorded:
		b, ok := b.(Recorded)
		return ok && sameFact(a.Fact, b.Fact) && a.Revision == b.Revision && a.Reason == b.Reason &&
			a.BookedIn == b.BookedIn && sameWarnings(a.Warnings, b.Warnings)
	case Corrected:
		b, ok := b.(Corrected)
		return ok && sameFact(a.Was, b.Was) && sameFact(a.Is, b.Is) && sameWarnings(a.Warnings, b.Warnings)
	case Moved:
		b, ok := b.(Moved)
		return ok && sameFact(a.Was, b.Was) && sameFact(a.Is, b.Is) && sameWarnings(a.Warnings, b.Warnings)
	case Arrived:
		b, ok := b.(Arrived)
		return ok && sameFact(a.Fact, b.Fact)
	case Cancelled:
		b, ok := b.(Cancelled)
		return ok && sameFact(a.Was, b.Was)
	case LedgerClosed:
		b, ok := b.(LedgerClosed)
		return ok && a.Facility == b.Facility && a.Month == b.Month && a.Digest == b.Digest && a.Events == b.Events &&
			reflect.DeepEqual(append([]StockLine{}, a.Stock...), append([]StockLine{}, b.Stock...))
	case FacilityRegistered:
		b, ok := b.(FacilityRegistered)
		return ok && a.Revision == b.Revision && a.Source == b.Source && a.Facility.Equal(b.Facility)
	case AreaRegistered:
		b, ok := b.(AreaRegistered)
		return ok && a.Revision == b.Revision && a.Source == b.Source && a.Area == b.Area
	}
	return false
}

func sameFact(a, b flow.Fact) bool {
	return a.Identity == b.Identity && a.ContentHash() == b.ContentHash()
}

func sameWarnings(a, b []fault.Violation) bool { return slices.Equal(a, b) }

func mass64(n int64) mass.Grams { return mass.Grams(n) }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
