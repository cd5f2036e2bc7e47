// Package waste knows the European list of waste (Commission Decision
// 2000/532/EC as amended; Danish: EAK): its 842 codes, where each stands, and
// whether it is hazardous.
//
// It promises that a parsed code is on the list. It leaves out what a code
// means for a rate or a target: that is a classification of its own.
package waste

import (
	"fmt"
	"strings"
)

// Code is a six-digit code of the EU list of waste (Danish: EAK-kode), digits
// only, for example "200301". The zero value is "no code".
type Code string

// Reason tells why a text is no code.
type Reason uint8

// The reasons.
const (
	Syntax    Reason = iota + 1 // not six digits, with or without blanks and star
	NotListed                   // six digits, but not on the list
	WrongStar                   // starred as hazardous, but its entry is not
)

// CodeError refuses a text that is no code of the list.
type CodeError struct {
	Value  string // as given, cut to 200 bytes
	Reason Reason
}

func (e *CodeError) Error() string {
	switch e.Reason {
	case NotListed:
		return fmt.Sprintf("waste code %q is not on the European list of waste", e.Value)
	case WrongStar:
		return fmt.Sprintf("waste code %q carries the star of hazardous waste, but its entry on the list does not", e.Value)
	case Syntax:
	}
	return fmt.Sprintf("waste code %q is not six digits such as 20 03 01", e.Value)
}

// ParseCode reads a code as sources write it: 191207, "19 12 07", 17.05.03,
// "17 05 03*", "170503 *". The star is accepted where the list has it.
// Errors are *CodeError.
func ParseCode(s string) (Code, error) {
	fail := func(r Reason) (Code, error) {
		return "", &CodeError{Value: s[:min(len(s), 200)], Reason: r}
	}
	t, star := strings.CutSuffix(strings.TrimSpace(s), "*")
	t = strings.TrimRight(t, " ")
	digits, ok := sixDigits(t)
	if !ok {
		return fail(Syntax)
	}
	entry, ok := list().byCode[Code(digits[:])]
	if !ok {
		return fail(NotListed)
	}
	if star && !entry.Hazardous {
		return fail(WrongStar)
	}
	return entry.Code, nil // the list's own string: nothing of s is kept
}

// sixDigits reads dddddd or dd?dd?dd with one and the same separator, a blank
// or a point.
func sixDigits(s string) (d [6]byte, ok bool) {
	switch len(s) {
	case 6:
		copy(d[:], s)
	case 8:
		if s[2] != s[5] || (s[2] != ' ' && s[2] != '.') {
			return d, false
		}
		copy(d[0:2], s[0:2])
		copy(d[2:4], s[3:5])
		copy(d[4:6], s[6:8])
	default:
		return d, false
	}
	for _, c := range d {
		if c < '0' || c > '9' {
			return d, false
		}
	}
	return d, true
}

// Valid tells whether c is on the list.
func (c Code) Valid() bool {
	_, ok := list().byCode[c]
	return ok
}

// Chapter is the two-digit chapter of a code; "" when c is not six bytes.
func (c Code) Chapter() string {
	if len(c) != 6 {
		return ""
	}
	return string(c[:2])
}

// Subchapter is the four-digit subchapter of a code; "" when c is not six bytes.
func (c Code) Subchapter() string {
	if len(c) != 6 {
		return ""
	}
	return string(c[:4])
}

// Display writes a code as the list prints it: "17 05 03*", the star where
// the entry is hazardous. A code that is not six bytes is returned as it is.
func (c Code) Display() string {
	if len(c) != 6 {
		return string(c)
	}
	s := string(c[:2]) + " " + string(c[2:4]) + " " + string(c[4:])
	if e, ok := Lookup(c); ok && e.Hazardous {
		s += "*"
	}
	return s
}
