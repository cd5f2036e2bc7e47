package area

import (
	"strings"
	"unicode"
)

// ID names an area: lower case, dashes between its parts, for example dk,
// dk-1084 (region), dk-0101 (municipality), gb-wpa-suffolk.
type ID string

// MaxIDLength is the most an id may hold, in bytes.
const MaxIDLength = 80

// Valid tells whether the id keeps to the grammar: 2 to 80 bytes of lower
// case letters, digits and dashes, a letter or digit at both ends.
func (id ID) Valid() bool {
	if len(id) < 2 || len(id) > MaxIDLength || id[0] == '-' || id[len(id)-1] == '-' {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// letters are how letters beyond a to z are spelt in ids: Nordic ones as
// their own people do it, others by their base letter.
var letters = map[rune]string{
	'æ': "ae", 'ä': "ae", 'ø': "oe", 'ö': "oe", 'å': "aa", 'ü': "ue", 'ß': "ss", 'œ': "oe", 'þ': "th", 'ð': "d", 'ł': "l", 'đ': "d",
	'á': "a", 'à': "a", 'â': "a", 'ã': "a", 'ą': "a", 'ç': "c", 'č': "c", 'ć': "c", 'é': "e", 'è': "e", 'ê': "e", 'ë': "e", 'ę': "e",
	'í': "i", 'ì': "i", 'î': "i", 'ï': "i", 'ñ': "n", 'ń': "n", 'ó': "o", 'ò': "o", 'ô': "o", 'õ': "o", 'š': "s", 'ś': "s", 'ú': "u",
	'ù': "u", 'û': "u", 'ý': "y", 'ÿ': "y", 'ŵ': "w", 'ŷ': "y", 'ž': "z", 'ź': "z", 'ż': "z",
}

// Slug turns a name into a part of an id: lower case, æ ø å spelt ae oe aa
// (and their like in other languages), everything else a dash, dashes never
// doubled, none at the ends. Different names can have one slug: it is the
// caller's to find that out. A name without any letter or digit is "".
func Slug(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	dash := false
	write := func(s string) {
		if dash && b.Len() > 0 {
			b.WriteByte('-')
		}
		dash = false
		b.WriteString(s)
	}
	for _, r := range name {
		r = unicode.ToLower(r)
		spelt, known := letters[r]
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			write(string(r))
		case known:
			write(spelt)
		case r == '\'' || r == '’' || unicode.Is(unicode.Mn, r): // St Mary's → st-marys
		default:
			dash = true
		}
	}
	return b.String()
}
