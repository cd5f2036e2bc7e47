package facility

import "fmt"

// ID names a facility: a scheme and the scheme's own number, lower case,
// for example dk-p-1003412345 (P-number) or gb-ea-jp3900bt (English permit).
// It may hold dashes.
type ID string

// Limits of an id, in bytes.
const (
	MinIDLength = 3
	MaxIDLength = 80
)

// Valid tells whether the id keeps to the grammar: 3 to 80 bytes of lower
// case letters, digits and dashes, a letter or digit at both ends. The id is
// part of stream names, so that nothing else can be allowed.
func (id ID) Valid() bool {
	if len(id) < MinIDLength || len(id) > MaxIDLength || id[0] == '-' || id[len(id)-1] == '-' {
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

// StreamPrefix begins the name of every facility's stream.
const StreamPrefix = "facility-"

// Stream is the name of the stream that the facility is registered in.
func (id ID) Stream() string { return fmt.Sprintf("%s%s", StreamPrefix, string(id)) }
