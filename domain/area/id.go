package area

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

// Valid tells whether l is one of the levels.
func (l Level) Valid() bool { return l == Country || l == Region || l == Municipality }
