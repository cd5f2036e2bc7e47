package analyticstest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
)

// Answer folds a world fact by fact, looking up every name for every fact:
// slow, plain, and made without the code under test.
func Answer(w World, q analytics.FlowQuery) (rows []analytics.FlowRow, total analytics.Amount) {
	byKey := map[string]*analytics.FlowRow{}
	for _, f := range w.Facts {
		if f.Position > w.Committed || f.Measure != string(q.Measure) ||
			q.From != "" && f.From < string(q.From) || q.To != "" && f.Until > string(q.To) || !passes(w, f, q) {
			continue
		}
		values := []analytics.Value{}
		for _, d := range q.GroupBy {
			values = append(values, Show(w, f, d)...)
		}
		key := fmt.Sprintf("%#v", values)
		if byKey[key] == nil {
			byKey[key] = &analytics.FlowRow{Values: values}
		}
		byKey[key].Mass += mass.Grams(f.Grams)
		byKey[key].Events += int64(f.Events)
		total.Mass += mass.Grams(f.Grams)
		total.Events += int64(f.Events)
	}
	rows = []analytics.FlowRow{}
	for _, row := range byKey {
		if row.Mass != 0 || row.Events != 0 {
			rows = append(rows, *row)
		}
	}
	slices.SortFunc(rows, func(a, b analytics.FlowRow) int {
		if c := cmp.Compare(b.Mass, a.Mass); c != 0 {
			return c
		}
		return slices.CompareFunc(a.Values, b.Values, func(a, b analytics.Value) int { return cmp.Compare(a.Text, b.Text) })
	})
	return rows, total
}

// passes tells whether every filter names a value that the fact shows: its
// name, in any case, or its id.
func passes(w World, f Fact, q analytics.FlowQuery) bool {
	for d, wanted := range q.Filters {
		shown := Show(w, f, d)
		if d == analytics.Month {
			shown = shown[:1]
		}
		if d == analytics.Facility {
			shown = append(shown, Show(w, f, analytics.FacilityName)...)
		}
		if !slices.ContainsFunc(wanted, func(want string) bool {
			if want == "not_stated" && shown[0].Text == "" {
				return true
			}
			if d == analytics.WasteCode {
				want = strings.ReplaceAll(want, " ", "") // as people write it: 19 12 12
			}
			return slices.ContainsFunc(shown, func(v analytics.Value) bool { return v.Stated && strings.EqualFold(v.Text, want) })
		}) {
			return false
		}
	}
	return true
}

// Show is what a fact shows under a dimension: its value, and what stands
// beside it.
func Show(w World, f Fact, d analytics.Dimension) []analytics.Value {
	at := w.facility(f.Facility)
	one := func(text string) []analytics.Value { return []analytics.Value{value(text)} }
	switch d {
	case analytics.Kind:
		return one(f.Kind)
	case analytics.Year:
		return one(fmt.Sprint(f.Year()))
	case analytics.Month:
		if f.Kind == "period_reported" {
			return []analytics.Value{{}, value(f.Period)}
		}
		return []analytics.Value{value(f.From[:7]), {}}
	case analytics.OriginArea:
		return []analytics.Value{value(w.area(f.OriginArea).Name), value(f.OriginArea)}
	case analytics.OriginRegion:
		return w.region(f.OriginArea)
	case analytics.Facility:
		return one(f.Facility)
	case analytics.FacilityName:
		return one(at.Name)
	case analytics.FacilityArea:
		return []analytics.Value{value(w.area(at.Area).Name), value(at.Area)}
	case analytics.FacilityRegion:
		return w.region(at.Area)
	case analytics.SiteCategory:
		return one(f.SiteCategory)
	case analytics.WasteCode:
		return one(f.WasteCode)
	case analytics.WasteChapter:
		return one((f.WasteCode + "  ")[:2])
	case analytics.Operation:
		return one(f.Operation)
	case analytics.OperationStage:
		return one(string(operation.Code(f.Operation).Stage()))
	case analytics.HierarchyLevel:
		if f.Measure == "reused" {
			return one("reuse")
		}
		return one(string(operation.Code(f.Operation).Hierarchy()))
	case analytics.Fate:
		return one(f.Fate)
	}
	return nil
}

func value(text string) analytics.Value {
	text = strings.TrimSpace(text)
	return analytics.Value{Text: text, Stated: text != ""}
}

func (w World) area(id string) (found Area) {
	for _, a := range w.Areas {
		if a.ID == id && a.Position <= w.Committed {
			found = a
		}
	}
	return found
}

func (w World) facility(id string) (found Facility) {
	for _, f := range w.Facilities {
		if f.ID == id && f.Position <= w.Committed {
			found = f
		}
	}
	return found
}

func (w World) region(id string) []analytics.Value {
	for a := w.area(id); a.ID != ""; a = w.area(a.Parent) {
		if a.Level == "region" {
			return []analytics.Value{value(a.Name), value(a.ID)}
		}
	}
	return []analytics.Value{{}, {}}
}
