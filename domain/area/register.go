package area

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Register is what is known of areas, folded from the entries made so far:
// the last entry of an id replaces the earlier ones whole. Reading it is safe
// from several goroutines as long as none puts.
type Register struct {
	byID   map[ID]Area
	byName map[nameKey][]ID
}

type nameKey struct {
	level Level
	name  string // lower case
}

// NewRegister is a register with the given entries, put in their order.
func NewRegister(areas ...Area) *Register {
	r := &Register{byID: make(map[ID]Area, len(areas)), byName: make(map[nameKey][]ID, len(areas))}
	for _, a := range areas {
		r.Put(a)
	}
	return r
}

// Put enters an area, or replaces its entry. It checks nothing: what is in
// the log is known. See Accept for what may go into the log.
func (r *Register) Put(a Area) {
	if old, ok := r.byID[a.ID]; ok {
		k := nameKey{old.Level, strings.ToLower(old.Name)}
		r.byName[k] = slices.DeleteFunc(r.byName[k], func(id ID) bool { return id == a.ID })
	}
	r.byID[a.ID] = a
	k := nameKey{a.Level, strings.ToLower(a.Name)}
	r.byName[k] = append(r.byName[k], a.ID)
	slices.Sort(r.byName[k])
}

// Accept tells what is wrong with entering an area: its own fields, a parent
// that is not registered, or one that is not above it in the same country.
func (r *Register) Accept(a Area) []*FieldError {
	errs := a.Validate()
	if len(errs) > 0 || a.Level == Country {
		return errs
	}
	parent, ok := r.byID[a.Parent]
	switch {
	case !ok:
		errs = append(errs, &FieldError{"parent", string(a.Parent), "registered"})
	case parent.Country != a.Country:
		errs = append(errs, &FieldError{"parent", string(a.Parent), fmt.Sprintf("in country %s", a.Country)})
	case parent.Level.rank() >= a.Level.rank():
		errs = append(errs, &FieldError{"parent", string(a.Parent), fmt.Sprintf("above the level %s", a.Level)})
	}
	return errs
}

// Lookup finds an area by its id.
func (r *Register) Lookup(id ID) (Area, bool) {
	a, ok := r.byID[id]
	return a, ok
}

// Known tells whether an area is registered.
func (r *Register) Known(id ID) bool {
	_, ok := r.byID[id]
	return ok
}

// ByName finds the areas of a level by name, letter case aside, in the order
// of their ids: names are not unique, even within a country.
func (r *Register) ByName(level Level, name string) []Area {
	ids := r.byName[nameKey{level, strings.ToLower(name)}]
	out := make([]Area, len(ids))
	for i, id := range ids {
		out[i] = r.byID[id]
	}
	return out
}

// At finds the area of a level that an area lies in, or the area itself when
// it has that level.
func (r *Register) At(id ID, level Level) (Area, bool) {
	for range len(Levels()) + 1 { // parents rise by levels: a longer chain is a circle
		a, ok := r.byID[id]
		if !ok {
			return Area{}, false
		}
		if a.Level == level {
			return a, true
		}
		id = a.Parent
	}
	return Area{}, false
}

// Ancestors lists what an area lies in, the nearest first.
func (r *Register) Ancestors(id ID) []Area {
	var out []Area
	a, ok := r.byID[id]
	for range len(Levels()) {
		if !ok || a.Parent == "" {
			break
		}
		if a, ok = r.byID[a.Parent]; ok {
			out = append(out, a)
		}
	}
	return out
}

// Len is the number of areas.
func (r *Register) Len() int { return len(r.byID) }

// All yields every area: countries first, then regions, then municipalities,
// each in the order of their ids.
func (r *Register) All() iter.Seq[Area] {
	ids := slices.Collect(maps.Keys(r.byID))
	slices.SortFunc(ids, func(a, b ID) int {
		return cmp.Or(cmp.Compare(r.byID[a].Level.rank(), r.byID[b].Level.rank()), cmp.Compare(a, b))
	})
	return func(yield func(Area) bool) {
		for _, id := range ids {
			if !yield(r.byID[id]) {
				return
			}
		}
	}
}
