package profile

import (
	"fmt"
	"strings"
)

// plain writes a number of the file with a decimal point and without signs
// between thousands. ok is false when it is written in another way than the
// profile says: a sign is never guessed to be the one or the other, so that
// 27.340 is either 27,340 or refused, never 27 and a bit.
func (r *row) plain(c *column, raw []byte) (s string, ok bool) {
	if r.isNumber(c) {
		return string(raw), true
	}
	text := string(raw)
	whole, fraction, hasFraction := strings.Cut(text, string(rune(r.plan.decimal)))
	if sep := r.plan.thousands; sep != 0 {
		if whole, ok = ungrouped(whole, sep); !ok {
			return "", false
		}
	}
	if strings.ContainsAny(whole, ".,") || strings.ContainsAny(fraction, ".,") {
		return "", false
	}
	if !hasFraction {
		return whole, true
	}
	return whole + "." + fraction, true
}

// ungrouped takes the signs between thousands away; ok is false unless every
// group behind the first has three digits. Numbers without any sign pass.
func ungrouped(whole string, sep byte) (string, bool) {
	groups := strings.Split(whole, string(rune(sep)))
	if len(groups) == 1 {
		return whole, true
	}
	for i, g := range groups {
		digits := strings.TrimPrefix(g, "-")
		if i > 0 {
			digits = g
		}
		if strings.Trim(digits, "0123456789") != "" || len(digits) > 3 || digits == "" || i > 0 && len(digits) < 3 {
			return "", false
		}
	}
	return strings.Join(groups, ""), true
}

// numberForm says in a sentence how numbers of the file are written.
func (p *plan) numberForm() string {
	if p.thousands == 0 {
		return fmt.Sprintf("The decimal sign of the file is %q.", string(rune(p.decimal)))
	}
	return fmt.Sprintf("The decimal sign of the file is %q, and %q stands between whole thousands.", string(rune(p.decimal)), string(rune(p.thousands)))
}
