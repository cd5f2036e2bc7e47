package analytics

import (
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// place is what an origin area is grouped by: its id, or only its region's.
type place struct {
	area, region string
}

// site is what a facility is grouped by. What is not asked for is empty.
type site struct {
	id, name, area, region string
}

// plan is a FlowQuery made ready for one moment: the parameters of the
// statement, and how its groups are told apart.
type plan struct {
	query    FlowQuery
	register *register
	bind     map[string]any
	nothing  bool // the filters exclude each other: no statement is needed

	origins groups[place] // filled when grouped by region in the statement
	sites   groups[site]  // filled when grouped by name, area or region in the statement

	// Conditions that have too many ids to be bound; nil when there is none.
	originPasses, sitePasses func(id string) bool

	violations []fault.Violation
}

// plan makes a question ready. It refuses it with everything that is wrong:
// what it finds itself beside the violations found before.
func (s *Service) plan(q FlowQuery, m Moment, found []fault.Violation) (*plan, error) {
	p := &plan{query: q, register: m.register, violations: found}
	p.bind = map[string]any{
		"measure": string(q.Measure), "committed": m.Position, "max_groups": uint64(s.config.MaxGroups) + 1, //nolint:gosec // positive, checked by New
		"from": string(firstDay), "to": string(lastDay), "builds": m.builds, "watermark": m.watermark,
		"by_kind": p.by(Kind), "by_year": p.by(Year), "by_month": p.by(Month), "by_site_category": p.by(SiteCategory),
		"by_waste_code": p.by(WasteCode), "by_waste_chapter": p.by(WasteChapter),
		"by_operation": p.by(Operation, OperationStage, HierarchyLevel), "by_fate": p.by(Fate),
	}
	p.period(q)
	p.values()
	p.placesOf(s.config.MaxBoundBytes)
	p.sitesOf(s.config.MaxBoundBytes)
	return p, invalid(p.violations)
}

func (p *plan) by(any ...Dimension) bool {
	return slices.ContainsFunc(any, func(d Dimension) bool { return slices.Contains(p.query.GroupBy, d) })
}

// period bounds the days. The rollup keeps months, so that a bound within a
// month makes the statement read facts alone.
func (p *plan) period(q FlowQuery) {
	whole := true
	for name, date := range map[string]flow.Date{"from": q.From, "to": q.To} {
		p.bind[name+"_open"] = date == ""
		if date != "" {
			p.bind[name] = string(date)
			whole = whole && strings.HasSuffix(string(date), "-01")
		}
	}
	if !whole {
		p.bind["builds"], p.bind["watermark"] = []uuid.UUID{}, uint64(0)
	}
}

// values turns the filters that need no register into lists.
func (p *plan) values() {
	text := func(v string) (string, bool) { return v, true }
	p.bind["kinds"] = list(p, Kind, "a kind: "+join(kinds()), func(v string) (string, bool) {
		return v, slices.Contains(kinds(), flow.Kind(v))
	})
	p.bind["years"] = list(p, Year, "a year such as 2019", func(v string) (uint16, bool) {
		n, err := strconv.ParseUint(v, 10, 16)
		return uint16(n), err == nil && len(v) == 4
	})
	p.bind["months"] = list(p, Month, "a month such as 2019-03, or "+notStated+" for period totals", parseMonth)
	p.bind["site_categories"] = list(p, SiteCategory, "", orNotStated(text))
	p.bind["fates"] = list(p, Fate, "", orNotStated(text))
	p.bind["waste_codes"] = list(p, WasteCode, "on the list of waste (six digits, for example 191207)", orNotStated(func(v string) (string, bool) {
		code, err := waste.ParseCode(v)
		return string(code), err == nil
	}))
	p.bind["waste_chapters"] = list(p, WasteChapter, "a chapter of the list of waste, 01 to 20", orNotStated(func(v string) (string, bool) {
		_, ok := waste.ChapterName(v)
		return v, ok && len(v) == 2
	}))
	p.bind["operations"] = p.operations()
}

// list reads the values of one filter; allowed is what a refusal says they
// must be.
func list[T any](p *plan, d Dimension, allowed string, read func(string) (T, bool)) []T {
	values := []T{}
	for _, text := range p.query.Filters[d] {
		value, ok := read(text)
		if !ok {
			p.violations = append(p.violations, violation("question-value", string(d), text, "is not %s", allowed))
			continue
		}
		values = append(values, value)
	}
	return values
}

func orNotStated(read func(string) (string, bool)) func(string) (string, bool) {
	return func(v string) (string, bool) {
		if v == notStated {
			return "", true
		}
		return read(v)
	}
}

// parseMonth reads 2019-03 as 201903; not_stated is 0.
func parseMonth(v string) (uint32, bool) {
	if v == notStated {
		return 0, true
	}
	year, month, ok := strings.Cut(v, "-")
	y, errY := strconv.ParseUint(year, 10, 16)
	m, errM := strconv.ParseUint(month, 10, 8)
	if !ok || errY != nil || errM != nil || len(year) != 4 || len(month) != 2 || m < 1 || m > 12 {
		return 0, false
	}
	return uint32(y*100 + m), true //nolint:gosec // at most 999912
}

// operations are those that pass the filters on operation, stage and level
// together.
func (p *plan) operations() []string {
	codes := list(p, Operation, "an operation: R1 to R13, D1 to D15, NS, OF", orNotStated(func(v string) (string, bool) {
		code, err := operation.Parse(v)
		return string(code), err == nil
	}))
	all := append(operation.All(), "")
	var stages, levels []string
	for _, code := range all {
		stages, levels = append(stages, p.stage(string(code))), append(levels, p.level(string(code)))
	}
	oneOf := func(among []string) func(string) (string, bool) {
		return func(v string) (string, bool) { return v, slices.Contains(among, v) }
	}
	wantStages := list(p, OperationStage, "a stage: "+join(distinct(stages)), oneOf(stages))
	wantLevels := list(p, HierarchyLevel, "a level: "+join(distinct(levels)), oneOf(levels))
	pass := []string{}
	if len(codes)+len(wantStages)+len(wantLevels) == 0 {
		return pass
	}
	for i, code := range all {
		if (len(codes) == 0 || slices.Contains(codes, string(code))) &&
			(len(wantStages) == 0 || slices.Contains(wantStages, stages[i])) &&
			(len(wantLevels) == 0 || slices.Contains(wantLevels, levels[i])) {
			pass = append(pass, string(code))
		}
	}
	p.nothing = p.nothing || len(pass) == 0
	return pass
}

func distinct(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

func (p *plan) stage(code string) string { return string(operation.Code(code).Stage()) }

// level is the level of the hierarchy. What is prepared for reuse is reuse,
// whichever operation the source names beside it.
func (p *plan) level(code string) string {
	if p.query.Measure == flow.MeasureReused {
		return "reuse"
	}
	return string(operation.Code(code).Hierarchy())
}

// ids reads the values of a filter on names as the set of ids they mean; nil
// when there is no such filter.
func (p *plan) ids(d Dimension, what string, find func(text string) []string) map[string]bool {
	if len(p.query.Filters[d]) == 0 {
		return nil
	}
	ids := map[string]bool{}
	for _, text := range p.query.Filters[d] {
		if text == notStated {
			ids[""] = true
			continue
		}
		found := find(text)
		if len(found) == 0 {
			p.violations = append(p.violations, violation("question-value", string(d), text,
				"is neither id nor name of %s that is registered at position %d", what, p.register.upto))
		}
		for _, id := range found {
			ids[id] = true
		}
	}
	return ids
}
