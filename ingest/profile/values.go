package profile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// memoSize bounds how many distinct values a column's memo holds; a column
// with more (ticket numbers) starts its memo anew.
const memoSize = 8192

// memo remembers what the values of a column became, so that a value that
// comes again costs one look-up and no allocation.
type memo[T any] struct{ known map[string]T }

func (m *memo[T]) get(raw []byte, produce func(string) T) T {
	if got, ok := m.known[string(raw)]; ok {
		return got
	}
	if m.known == nil || len(m.known) >= memoSize {
		m.known = make(map[string]T)
	}
	text := string(raw)
	got := produce(text)
	m.known[text] = got
	return got
}

// text is where a text of a row comes from. Its methods belong to one
// decoder: they use memos.
type text struct {
	field    string // path of the field it fills, for violations
	constant string
	column   *column // nil for constants
	or       *column // read when column is empty; nil without
	doc      valueDoc
	memo     memo[textResult]
}

type textResult struct {
	text string
	bad  *fault.Violation
}

func (t *text) of(r *row) string {
	if t == nil {
		return ""
	}
	if t.column == nil {
		return t.constant
	}
	got := t.memo.get(t.raw(r), t.make)
	if got.bad != nil {
		r.violate(*got.bad)
	}
	return got.text
}

// raw is the value before anything is done to it. Of two columns only one may
// be filled: which of them counts would be a guess.
func (t *text) raw(r *row) []byte {
	raw := r.raw(t.column)
	if t.or == nil {
		return raw
	}
	other := r.raw(t.or)
	if len(raw) > 0 && len(other) > 0 {
		r.violate(*violation(RuleValueAmbiguous, t.or, string(other), "The other is %s.", t.column.shown))
	}
	if len(raw) > 0 {
		return raw
	}
	return other
}

// make normalises one value: characters cut at its end, zeros put in front,
// then the value map first, then case and slug, then the prefix. An empty
// value stays empty.
func (t *text) make(raw string) textResult {
	if !utf8.ValidString(raw) {
		return textResult{bad: violation(RuleTextEncoding, t.column, raw, "")}
	}
	value := padded(strings.TrimRight(raw, t.doc.TrimRight), t.doc.Pad)
	mapped, ok := t.doc.Map[value]
	switch {
	case ok:
		value = mapped
	case t.doc.OnlyMap && value != "":
		return textResult{bad: violation(RuleValueUnknown, t.column, raw, "")}
	default:
		switch t.doc.Case {
		case "lower":
			value = strings.ToLower(value)
		case "upper":
			value = strings.ToUpper(value)
		}
		if t.doc.Slug {
			value = area.Slug(value)
			if value == "" && raw != "" {
				return textResult{bad: violation(RuleValueUnknown, t.column, raw, "It has no letter or digit to make an id of.")}
			}
		}
	}
	if value == "" {
		if t.doc.Required {
			return textResult{bad: violation(RuleValueMissing, t.column, raw, "")}
		}
		return textResult{}
	}
	// Before the prefix: the sentence is for people.
	if t.doc.MustBe != "" && value != t.doc.MustBe {
		return textResult{bad: violation(RuleValueUnknown, t.column, raw, "It must be %s.", t.doc.MustBe)}
	}
	return textResult{text: t.doc.Prefix + value}
}

// padded gives digits back the zeros in front that spreadsheets drop.
func padded(value string, digits int) string {
	if value == "" || len(value) >= digits || strings.Trim(value, "0123456789") != "" {
		return value
	}
	return strings.Repeat("0", digits-len(value)) + value
}

// violation says that a cell breaks a rule of the catalogue; the detail is a
// sentence behind that of the rule, or empty.
func violation(rule string, c *column, value, detail string, args ...any) *fault.Violation {
	v := flow.Violates(rule, c.shown, value, fmt.Sprintf(detail, args...))
	return &v
}

// layoutOf turns dd-mm-yyyy HH:MM:SS into the layout of package time. MM is
// minutes, mm is months, as on most forms.
func layoutOf(s string) (string, error) {
	if s == "rfc3339" {
		return "2006-01-02T15:04:05.999999999Z07:00", nil
	}
	var b strings.Builder
	seen := map[string]bool{}
	for s != "" {
		token, goes := "", ""
		for _, t := range [...][2]string{{"yyyy", "2006"}, {"yy", "06"}, {"mm", "01"}, {"m", "1"}, {"dd", "02"}, {"d", "2"}, {"HH", "15"}, {"MM", "04"}, {"SS", "05"}} {
			if strings.HasPrefix(s, t[0]) {
				token, goes = t[0], t[1]
				break
			}
		}
		if token == "" {
			if !strings.ContainsRune(" -/.:T", rune(s[0])) {
				return "", fmt.Errorf("%q stands for nothing: use yyyy, yy, mm, m, dd, d, HH, MM, SS and the separators - / . : T and blank", s)
			}
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		seen[token] = true
		seen[token+token] = len(token) == 1 || seen[token+token] // a month is a month with one digit, too
		b.WriteString(goes)
		s = s[len(token):]
	}
	if !seen["yyyy"] && !seen["yy"] || !seen["mm"] || !seen["dd"] {
		return "", errors.New("a layout needs year, month and day")
	}
	return b.String(), nil
}
