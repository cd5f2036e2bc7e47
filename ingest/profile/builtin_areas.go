package profile

import (
	"strings"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// builtInAreas are the areas of one level and country that come with the
// program, by slug of their name, with and without the word for municipality,
// and by official code, with and without zeros in front.
func builtInAreas(level area.Level, country string) map[string]area.ID {
	known := map[string]area.ID{}
	put := func(key string, id area.ID) {
		if other, taken := known[key]; taken && other != id {
			id = "" // two areas of one name: which is meant cannot be known
		}
		known[key] = id
	}
	for _, a := range area.BuiltIn() {
		if a.Level != level || a.Country != country {
			continue
		}
		put(area.Slug(a.Name), a.ID)
		if a.Level == area.Municipality {
			for _, word := range []string{" kommune", "s kommune", " kommun", "s kommun"} {
				put(area.Slug(a.Name+word), a.ID)
			}
		}
		if a.Code != "" {
			put(a.Code, a.ID)
			put(strings.TrimLeft(a.Code, "0"), a.ID)
		}
	}
	return known
}

// lookUp finds the area that a row names.
func (p *areaPlan) lookUp(r *row) area.ID {
	name := p.id.of(r)
	if name == "" {
		return ""
	}
	id := p.builtIn[area.Slug(name)]
	if id == "" {
		v := *violation(flow.RuleAreaUnknown, p.id.shown(), name, "It is neither the name nor the official code of a %s in %s.", p.level, p.country)
		if p.id.column != nil {
			v.Value = fault.Clip(string(p.id.raw(r)))
		}
		r.violate(v)
	}
	return id
}

// shown is the column that a text comes from, or its field for constants.
func (t *text) shown() *column {
	if t.column != nil {
		return t.column
	}
	return &column{shown: t.field}
}
