// Package profile reads the files that facilities and publishers have, by
// declarative descriptions: which column is which field, in which unit, date
// format and spelling, and what makes a row itself.
//
// A profile is one YAML file (docs/how-to/write-a-profile.md). Loaded, it
// opens files as decoders that turn each row into a fact, the facility and
// areas it names, and its identity, or into violations that name the line, the
// file's own column heading, the rule and the value.
//
// It promises that a profile with an unknown key, column role or value is
// refused whole with every reason; that a file whose headings are not those of
// the profile is refused naming them; that columns under ignore are never
// looked at; and flat memory. It leaves out the rules of facts (domain/flow),
// the recording of rows (ingest/imports), and ordinals among equal rows of a
// keyless file, which need the whole file.
package profile

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/profile/sheet"
	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// Profile is a description of one kind of file. Immutable.
type Profile struct{ doc document }

// Problems are all reasons why a text is no profile.
type Problems struct {
	Name    string
	Reasons []string // each names the key
}

func (e *Problems) Error() string {
	return fmt.Sprintf("profile %s: %s", e.Name, strings.Join(e.Reasons, "; "))
}

// Load reads a profile. Errors: *Problems with every reason at once.
func Load(name string, text []byte) (*Profile, error) {
	doc, err := readDocument(text)
	if err != nil {
		return nil, &Problems{Name: name, Reasons: []string{err.Error()}}
	}
	defaults := map[string]string{}
	for parameter, p := range doc.Parameters {
		if p.Default != "" {
			defaults[parameter] = p.Default
		}
	}
	b := &builder{doc: doc, parameters: defaults, partly: true}
	b.describe()
	b.build()
	if len(b.reasons) > 0 {
		return nil, &Problems{Name: name, Reasons: b.reasons}
	}
	return &Profile{doc: doc}, nil
}

//go:embed profiles/*.yaml
var builtIn embed.FS

// BuiltIn returns the profiles that are part of the program, by name.
func BuiltIn() (map[string]*Profile, error) { return loadAll(builtIn, "profiles") }

func loadAll(files fs.FS, dir string) (map[string]*Profile, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	all := make(map[string]*Profile)
	for _, e := range entries {
		text, err := fs.ReadFile(files, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read profile: %w", err)
		}
		p, err := Load(e.Name(), text)
		if err != nil {
			return nil, err
		}
		if e.Name() != p.Name()+".yaml" {
			return nil, &Problems{Name: e.Name(), Reasons: []string{"profile: the file's name must be " + p.Name() + ".yaml"}}
		}
		all[p.Name()] = p
	}
	return all, nil
}

// Name is what the profile is asked for by.
func (p *Profile) Name() string { return p.doc.Profile }

// Title says in one phrase what files it reads.
func (p *Profile) Title() string { return p.doc.Title }

// Attribution is what the data's licence asks to be shown; may be "".
func (p *Profile) Attribution() string { return p.doc.Attribution }

// Parameters are the values that may be given with a file.
func (p *Profile) Parameters() map[string]Parameter { return maps.Clone(p.doc.Parameters) }

// Bound is a profile with its parameters, ready to open files. Immutable.
type Bound struct {
	profile    *Profile
	parameters map[string]string
	reporter   string
	source     string
}

// Bind gives the profile its parameters. Error: *fault.Fault of kind Invalid
// naming the parameters that are unknown, missing or malformed.
func (p *Profile) Bind(given map[string]string) (*Bound, error) {
	var bad []fault.Violation
	all := make(map[string]string, len(p.doc.Parameters))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := p.doc.Parameters[name]; !ok {
			bad = append(bad, flow.Violates("parameter-unknown", fault.Clip(name), given[name],
				fmt.Sprintf("Profile %s has %s.", p.Name(), list(slices.Sorted(maps.Keys(p.doc.Parameters))))))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.doc.Parameters)) {
		parameter := p.doc.Parameters[name]
		value, ok := given[name]
		if !ok {
			value = parameter.Default
		}
		if value == "" {
			bad = append(bad, flow.Violates("parameter-missing", name, "", "It is the "+parameter.Help+"."))
			continue
		}
		if matched, err := regexp.MatchString("^(?:"+parameter.Pattern+")$", value); err != nil || !matched {
			bad = append(bad, flow.Violates("parameter-malformed", name, value,
				fmt.Sprintf("It is the %s and must match %s.", parameter.Help, parameter.Pattern)))
		}
		all[name] = value
	}
	if len(bad) > 0 {
		return nil, &fault.Fault{Kind: fault.Invalid, Detail: "the parameters of the profile are not right", Violations: bad}
	}
	b := &builder{doc: p.doc, parameters: all}
	pl := b.build()
	if len(b.reasons) > 0 {
		return nil, fault.New(fault.Invalid, "the profile does not go with these parameters: %s", strings.Join(b.reasons, "; "))
	}
	return &Bound{profile: p, parameters: all, reporter: pl.reporter, source: pl.source}, nil
}

// Profile is what was bound.
func (b *Bound) Profile() *Profile { return b.profile }

// Parameters are the values in use, defaults included.
func (b *Bound) Parameters() map[string]string { return maps.Clone(b.parameters) }

// Reporter is who reports the facts of a file.
func (b *Bound) Reporter() string { return b.reporter }

// Source is the system, or for keyless files the scope, of the identities.
func (b *Bound) Source() string { return b.source }

// Keyless tells that rows have no key of their own: their identity is all
// their meaningful columns and an ordinal among equal rows.
func (b *Bound) Keyless() bool { return b.profile.doc.Identity.Keyless != nil }

// Limits bounds a file. Zero values take the defaults of packages table
// and sheet.
type Limits struct {
	Record table.Limits
	Unpack table.UnpackLimits
	Sheet  sheet.Limits
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
