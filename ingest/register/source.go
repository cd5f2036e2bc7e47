package register

import "strings"

// SourceKind is the rank of who says something about a facility or an area.
// What a higher rank said is not touched by a lower one. Within one rank the
// later word replaces the earlier, except for files: they only fill what is
// empty, so that the order in which files come does not matter and two that
// disagree do not overwrite each other for ever.
type SourceKind uint8

// The kinds of source, from the lowest rank to the highest.
const (
	File    SourceKind = 1 // an imported file
	BuiltIn SourceKind = 2 // lists that come with the program
	Curated SourceKind = 3 // a person, through the API
)

// Source is who says something. It is recorded with every entry as its text.
type Source struct {
	Kind SourceKind
	Name string // profile and data set of a file; key of a person; "" for built-in
}

// String writes a source as it is recorded: file:<name>, built-in, api:<name>.
func (s Source) String() string {
	switch s.Kind {
	case File:
		return "file:" + s.Name
	case BuiltIn:
		return "built-in"
	case Curated:
	}
	return "api:" + s.Name
}

// ParseSource reads a recorded source. What it does not know counts as
// curated, which nothing overwrites unasked.
func ParseSource(text string) Source {
	if text == "built-in" {
		return Source{Kind: BuiltIn}
	}
	if name, ok := strings.CutPrefix(text, "file:"); ok {
		return Source{Kind: File, Name: name}
	}
	return Source{Kind: Curated, Name: strings.TrimPrefix(text, "api:")}
}
