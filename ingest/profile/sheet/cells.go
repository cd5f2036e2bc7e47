package sheet

import (
	"compress/flate"
	"encoding/xml"
	"errors"
	"math"
	"strconv"
	"strings"
)

// isFlate tells whether the packed bytes are damaged.
func isFlate(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt)
}

// columnOf reads the column of a cell's name: B7 is 1. ok is false for what is
// no name.
func columnOf(ref string) (column int, ok bool) {
	n := 0
	for n < len(ref) && n < 4 && ref[n] >= 'A' && ref[n] <= 'Z' {
		column = column*26 + int(ref[n]-'A') + 1
		n++
	}
	if n == 0 || n == len(ref) || strings.Trim(ref[n:], "0123456789") != "" {
		return 0, false
	}
	return column - 1, true
}

// columnName is the reverse: 1 is B.
func columnName(column int) string {
	var b []byte
	for column++; column > 0; column = (column - 1) / 26 {
		b = append([]byte{byte('A' + (column-1)%26)}, b...)
	}
	return string(b)
}

// number writes a stored number as Excel means it: fifteen significant digits,
// without exponent, so that 12340.499999999998 is 12340.5. What is no finite
// number stays as it is.
func number(stored string) string {
	x, err := strconv.ParseFloat(stored, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) || math.Abs(x) >= 1e21 {
		return stored
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 15, 64), 64)
	if err != nil {
		return stored
	}
	if rounded == 0 {
		return "0" // without the sign of a negative zero
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// texter collects the text of <si>, <is> or <v>: of all <t> in it but those of
// phonetic guides.
type texter struct {
	b        strings.Builder
	inText   int
	phonetic int
	limit    int
	tooLong  bool
}

func (t *texter) reset(limit int) { *t = texter{limit: limit} }

func (t *texter) start(name string) {
	switch name {
	case "t", "v":
		t.inText++
	case "rPh":
		t.phonetic++
	}
}

func (t *texter) end(name string) {
	switch name {
	case "t", "v":
		t.inText--
	case "rPh":
		t.phonetic--
	}
}

func (t *texter) chars(c xml.CharData) {
	if t.inText <= 0 || t.phonetic > 0 {
		return
	}
	if t.b.Len()+len(c) > t.limit {
		t.tooLong = true
		return
	}
	t.b.Write(c)
}

// unescape turns _x000D_ into the character it stands for, as Excel writes
// those that XML cannot hold.
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for {
		at := strings.Index(s, "_x")
		if at < 0 || len(s) < at+7 {
			break
		}
		code, err := strconv.ParseUint(s[at+2:at+6], 16, 16)
		if err != nil || s[at+6] != '_' {
			b.WriteString(s[:at+2])
			s = s[at+2:]
			continue
		}
		b.WriteString(s[:at])
		b.WriteRune(rune(code))
		s = s[at+7:]
	}
	b.WriteString(s)
	return b.String()
}
