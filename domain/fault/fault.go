// Package fault is how the project says that something is wrong with what it
// was given: one error type with a kind, and violations that name the field,
// the rule and the value.
//
// It promises that users see kind and violations, with values cut to what a
// report can hold, and that operators see the wrapped cause. It leaves out the
// rules themselves (package flow) and what answers over HTTP the kinds get
// (one table, in ingest/httpapi).
package fault

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind classes a failure by what the caller can do about it.
type Kind uint8

// The kinds of failure.
const (
	Internal    Kind = iota // ours; the caller can only report it
	Malformed               // cannot be read at all: not JSON, not CSV, wrong type
	Invalid                 // read, but breaks a rule
	NotFound                // names something that does not exist
	Conflict                // contradicts what is recorded
	Cancelled               // the fact was cancelled
	TooLarge                // over a limit on size
	Unavailable             // a store is away: try again
	Forbidden               // not theirs
	NoRoom                  // a disk is full
)

// String names the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Internal:
		return "internal"
	case Malformed:
		return "malformed"
	case Invalid:
		return "invalid"
	case NotFound:
		return "not found"
	case Conflict:
		return "conflict"
	case Cancelled:
		return "cancelled"
	case TooLarge:
		return "too large"
	case Unavailable:
		return "unavailable"
	case Forbidden:
		return "forbidden"
	case NoRoom:
		return "no room"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Severity tells whether a violation stops the fact or travels with it.
type Severity uint8

// The severities.
const (
	Error   Severity = iota // the fact is not recorded
	Warning                 // recorded; the warning is recorded with it
)

// Violation is one broken rule, in a shape shared by errors and warnings.
type Violation struct {
	Rule     string   `json:"rule"`          // id in the catalogue (domain/flow), for example mass-not-positive
	Field    string   `json:"field"`         // path of the field, for example mass.value, or a file's own column heading
	Value    string   `json:"value"`         // what was given, cut by Clip
	Message  string   `json:"message"`       // one English sentence
	Line     int      `json:"line,omitzero"` // 1-based line of a file or stream; 0 when there are no lines
	Severity Severity `json:"-"`
}

// MaxValueBytes is the most that a violation shows of what was given.
const MaxValueBytes = 200

// Clip cuts what was given for a violation: to MaxValueBytes, never inside a
// character; what is not UTF-8 is replaced.
func Clip(s string) string {
	if len(s) > MaxValueBytes {
		n := MaxValueBytes
		for back := 0; back < utf8.UTFMax && !utf8.RuneStart(s[n]); back++ {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// String writes a violation for a terminal or a log.
func (v Violation) String() string {
	var b strings.Builder
	if v.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", v.Line)
	}
	fmt.Fprintf(&b, "%s: %s (rule %s, value %q)", v.Field, v.Message, v.Rule, v.Value)
	return b.String()
}

// Fault is a failure that the caller is told about.
type Fault struct {
	Kind       Kind
	Detail     string      // one sentence for the user
	Violations []Violation // what exactly, may be empty
	Cause      error       // for the operator, may be nil
}

// Error joins detail, violations and cause.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Detail)
	for i, v := range f.Violations {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(v.String())
	}
	if f.Cause != nil {
		fmt.Fprintf(&b, ": %v", f.Cause)
	}
	return b.String()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (f *Fault) Unwrap() error { return f.Cause }

// New makes a fault of a kind.
func New(kind Kind, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault with a cause.
func Wrap(kind Kind, cause error, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Detail: fmt.Sprintf(format, args...), Cause: cause}
}

// KindOf tells the kind of an error; Internal when it is no Fault.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return Internal
}
