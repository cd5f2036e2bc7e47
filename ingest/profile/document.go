package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// document is a profile as it is written: docs/how-to/write-a-profile.md
// describes each key.
type document struct {
	Profile     string               `yaml:"profile"`
	Version     int                  `yaml:"version"`
	Title       string               `yaml:"title"`
	Attribution string               `yaml:"attribution"`
	Format      formatDoc            `yaml:"format"`
	Parameters  map[string]Parameter `yaml:"parameters"`
	Identity    identityDoc          `yaml:"identity"`
	Ignore      []string             `yaml:"ignore"`
	Keep        []string             `yaml:"keep"`
	Optional    []string             `yaml:"optional"`
	Areas       []areaDoc            `yaml:"areas"`
	Facility    facilityDoc          `yaml:"facility"`
	Fact        factDoc              `yaml:"fact"`
}

type formatDoc struct {
	Type      string `yaml:"type"`
	Encoding  string `yaml:"encoding"`
	Delimiter string `yaml:"delimiter"`
	Decimal   string `yaml:"decimal"`
	Thousands string `yaml:"thousands"`
	Sheet     string `yaml:"sheet"`
	Trim      bool   `yaml:"trim"`
}

// Parameter is a value that whoever sends a file may give.
type Parameter struct {
	Default string `yaml:"default" json:"default,omitempty"` // "" when it must be given
	Pattern string `yaml:"pattern" json:"pattern"`           // regular expression that the whole value must match
	Help    string `yaml:"help" json:"help"`                 // one phrase
}

type identityDoc struct {
	Reporter string      `yaml:"reporter"`
	Source   string      `yaml:"source"`
	Columns  []string    `yaml:"columns"`
	Restart  string      `yaml:"restart"`
	Keyless  *keylessDoc `yaml:"keyless"`
}

type keylessDoc struct {
	Measure []string `yaml:"measure"`
}

type areaDoc struct {
	Key      string   `yaml:"key"`
	BuiltIn  bool     `yaml:"built_in"`
	ID       valueDoc `yaml:"id"`
	Level    string   `yaml:"level"`
	Name     valueDoc `yaml:"name"`
	Country  string   `yaml:"country"`
	Code     valueDoc `yaml:"code"`
	Parent   string   `yaml:"parent"`
	Optional bool     `yaml:"optional"`
}

type facilityDoc struct {
	ID       valueDoc     `yaml:"id"`
	Name     valueDoc     `yaml:"name"`
	Area     string       `yaml:"area"`
	Locality valueDoc     `yaml:"locality"`
	Permit   valueDoc     `yaml:"permit"`
	TimeZone string       `yaml:"time_zone"`
	Location *locationDoc `yaml:"location"`
}

type locationDoc struct {
	System   string   `yaml:"system"`
	Easting  string   `yaml:"easting"`
	Northing string   `yaml:"northing"`
	Lat      string   `yaml:"lat"`
	Lon      string   `yaml:"lon"`
	Unknown  []string `yaml:"unknown"`
}

type factDoc struct {
	Kind         valueDoc            `yaml:"kind"`
	Measure      valueDoc            `yaml:"measure"`
	Occurred     *occurredDoc        `yaml:"occurred"`
	Period       *periodDoc          `yaml:"period"`
	WasteCode    valueDoc            `yaml:"waste_code"`
	Fraction     valueDoc            `yaml:"fraction"`
	Product      valueDoc            `yaml:"product"`
	Hazardous    *flagDoc            `yaml:"hazardous"`
	Form         valueDoc            `yaml:"form"`
	Mass         massDoc             `yaml:"mass"`
	Operation    valueDoc            `yaml:"operation"`
	Origin       placeDoc            `yaml:"origin"`
	Target       placeDoc            `yaml:"target"`
	SiteCategory valueDoc            `yaml:"site_category"`
	Fate         valueDoc            `yaml:"fate"`
	Consignment  valueDoc            `yaml:"consignment"`
	Rejects      valueDoc            `yaml:"rejects"`
	Items        string              `yaml:"items"`
	Displaces    valueDoc            `yaml:"displaces"`
	EnergyKWh    string              `yaml:"energy_kwh"`
	Tags         map[string]valueDoc `yaml:"tags"`
}

type occurredDoc struct {
	Columns  []string `yaml:"columns"`
	Layout   string   `yaml:"layout"`
	TimeZone string   `yaml:"time_zone"`
}

type periodDoc struct {
	Year  valueDoc `yaml:"year"`
	Month valueDoc `yaml:"month"`
	From  valueDoc `yaml:"from"`
	To    valueDoc `yaml:"to"`
}

type massDoc struct {
	Net    string   `yaml:"net"`
	Gross  string   `yaml:"gross"`
	Tare   string   `yaml:"tare"`
	Unit   string   `yaml:"unit"`
	Method valueDoc `yaml:"method"`
}

type placeDoc struct {
	Area     string   `yaml:"area"`
	Facility valueDoc `yaml:"facility"`
	Sector   valueDoc `yaml:"sector"`
}

type flagDoc struct {
	Column string   `yaml:"column"`
	True   []string `yaml:"true"`
	False  []string `yaml:"false"`
}

// valueDoc is where a text comes from: a constant (a scalar), or a column
// with what is done to it (a mapping).
type valueDoc struct {
	given    bool
	line     int
	constant string

	Column    string            `yaml:"column"`
	Or        string            `yaml:"or"`
	Pad       int               `yaml:"pad"`
	Case      string            `yaml:"case"`
	Slug      bool              `yaml:"slug"`
	Prefix    string            `yaml:"prefix"`
	TrimRight string            `yaml:"trim_right"`
	Map       map[string]string `yaml:"map"`
	OnlyMap   bool              `yaml:"only_map"`
	MustBe    string            `yaml:"must_be"`
	Required  bool              `yaml:"required"`
}

var valueKeys = []string{"column", "or", "pad", "must_be", "case", "slug", "prefix", "trim_right", "map", "only_map", "required"}

// UnmarshalYAML reads a scalar or a mapping and refuses keys it does not know:
// the decoder's own strictness does not reach into here.
func (v *valueDoc) UnmarshalYAML(node *yaml.Node) error {
	v.given, v.line = true, node.Line
	switch node.Kind {
	case yaml.ScalarNode:
		return node.Decode(&v.constant)
	case yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			if key := node.Content[i]; !slices.Contains(valueKeys, key.Value) {
				return fmt.Errorf("line %d: key %q is not one of %s", key.Line, key.Value, strings.Join(valueKeys, ", "))
			}
		}
		type plain valueDoc
		if err := node.Decode((*plain)(v)); err != nil {
			return err
		}
		v.given, v.line = true, node.Line
		if v.Column == "" {
			return fmt.Errorf("line %d: a value that is no constant needs a column", node.Line)
		}
		return nil
	case yaml.DocumentNode, yaml.SequenceNode, yaml.AliasNode:
	}
	return fmt.Errorf("line %d: a value is a constant or a mapping with a column", node.Line)
}

// readDocument decodes a profile strictly: unknown keys, repeated keys and
// more than one document are refused.
func readDocument(text []byte) (document, error) {
	var doc document
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return doc, errors.New("the file is empty")
		}
		return doc, err
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return doc, errors.New("the file holds more than one document")
	}
	return doc, nil
}
