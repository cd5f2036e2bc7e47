package analytics

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Flows answers a question as of now. Errors are faults: Invalid (with a
// violation for everything that is wrong), TooLarge (narrow the question),
// Unavailable, Internal.
func (s *Service) Flows(ctx context.Context, q FlowQuery) (FlowAnswer, error) {
	m, err := s.Now(ctx)
	if err != nil {
		return FlowAnswer{}, err
	}
	return s.FlowsAt(ctx, q, m)
}

// FlowsAt answers a question at a moment. The moment must be recent: rollup
// segments that it names are kept for a while only.
func (s *Service) FlowsAt(ctx context.Context, q FlowQuery, m Moment) (FlowAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	if m.register == nil {
		return FlowAnswer{}, fault.New(fault.Internal, "the moment was not found by Now")
	}
	unknown, err := s.unknownWords(ctx, q, m)
	if err != nil {
		return FlowAnswer{}, err
	}
	p, err := s.plan(q, m, unknown)
	if err != nil {
		return FlowAnswer{}, err
	}
	f := folder{plan: p, groups: map[string]*FlowRow{}, limit: s.config.MaxRows}
	if !p.nothing && m.Position > 0 {
		read := 0
		err = each(ctx, s.conn, s.flows, p.bind, func(scan func(...any) error) error {
			if read++; read > s.config.MaxGroups {
				return tooMany("groups before names are looked up", s.config.MaxGroups)
			}
			var r group
			if err := scan(&r.kind, &r.year, &r.month, &r.period, &r.origin, &r.originGroup, &r.facility, &r.facilityGroup,
				&r.siteCategory, &r.waste, &r.operation, &r.fate, &r.grams, &r.events); err != nil {
				return err
			}
			return f.fold(&r)
		})
		if err != nil {
			return FlowAnswer{}, fmt.Errorf("ask for flows: %w", err)
		}
	}
	answer := FlowAnswer{Measure: q.Measure, From: q.From, To: q.To, Position: m.Position, AsOf: m.AsOf, Rules: p.rules()}
	if err := f.finish(&answer); err != nil {
		return FlowAnswer{}, err
	}
	s.answeredAt(m.Position)
	return answer, nil
}

func tooMany(what string, limit int) error {
	f := fault.New(fault.TooLarge, "the answer is larger than %d %s; narrow it: fewer dimensions, a filter or a shorter period", limit, what)
	f.Violations = []fault.Violation{violation("answer-rows", "group_by", strconv.Itoa(limit), "gives more than %d %s", limit, what)}
	return f
}

// group is a row of the statement.
type group struct {
	kind                string
	year                uint16
	month               uint32
	period              string
	origin              string
	originGroup         uint32
	facility            string
	facilityGroup       uint32
	siteCategory, waste string
	operation, fate     string
	grams, events       int64
}

// folder gathers groups of ids into rows of names.
type folder struct {
	*plan
	groups map[string]*FlowRow
	limit  int
	key    []byte
}

func (f *folder) fold(g *group) error {
	if f.originPasses != nil && !f.originPasses(g.origin) || f.sitePasses != nil && !f.sitePasses(g.facility) {
		return nil
	}
	from, at, err := f.ends(g)
	if err != nil {
		return err
	}
	values := make([]Value, 0, 2*len(f.query.GroupBy))
	for _, d := range f.query.GroupBy {
		values = f.append(values, d, g, from, at)
	}
	f.key = f.key[:0]
	for _, v := range values {
		f.key = binary.AppendUvarint(f.key, uint64(len(v.Text)))
		f.key = append(f.key, v.Text...)
	}
	row, ok := f.groups[string(f.key)]
	if !ok {
		if len(f.groups) >= f.limit {
			return tooMany("rows", f.limit)
		}
		row = &FlowRow{Values: values}
		f.groups[string(f.key)] = row
	}
	return row.add(Amount{Mass: mass.Grams(g.grams), Events: g.events})
}

// ends tells where a group came from and where it is, from ids or from the
// number of the group that the statement made.
func (f *folder) ends(g *group) (place, site, error) {
	from, at := f.placeOf(g.origin), f.siteOf(g.facility)
	if by, _ := f.bind["by_origin_group"].(bool); by {
		if int(g.originGroup) >= len(f.origins.shared) {
			return from, at, fmt.Errorf("group %d of origins was never sent", g.originGroup)
		}
		from = f.origins.shared[g.originGroup]
	}
	if by, _ := f.bind["by_facility_group"].(bool); by {
		if int(g.facilityGroup) >= len(f.sites.shared) {
			return from, at, fmt.Errorf("group %d of facilities was never sent", g.facilityGroup)
		}
		at = f.sites.shared[g.facilityGroup]
	}
	return from, at, nil
}

// append adds the values of one dimension.
func (f *folder) append(values []Value, d Dimension, g *group, from place, at site) []Value {
	switch d {
	case Kind:
		return append(values, stated(g.kind))
	case Year:
		return append(values, stated(strconv.Itoa(int(g.year))))
	case Month:
		if g.month == 0 {
			return append(values, Value{}, stated(g.period))
		}
		return append(values, stated(fmt.Sprintf("%04d-%02d", g.month/100, g.month%100)), Value{})
	case OriginArea:
		return append(values, f.area(from.area), stated(from.area))
	case OriginRegion:
		return append(values, f.area(from.region), stated(from.region))
	case Facility:
		return append(values, stated(at.id))
	case FacilityName:
		return append(values, stated(at.name))
	case FacilityArea:
		return append(values, f.area(at.area), stated(at.area))
	case FacilityRegion:
		return append(values, f.area(at.region), stated(at.region))
	case SiteCategory:
		return append(values, stated(g.siteCategory))
	case WasteCode:
		return append(values, stated(g.waste))
	case WasteChapter:
		return append(values, stated(g.waste[:min(2, len(g.waste))]))
	case Operation:
		return append(values, stated(g.operation))
	case OperationStage:
		return append(values, stated(f.stage(g.operation)))
	case HierarchyLevel:
		return append(values, stated(f.level(g.operation)))
	case Fate:
		return append(values, stated(g.fate))
	}
	return values
}

func (f *folder) area(id string) Value { return stated(f.register.areaName(id)) }

// finish names the columns, sorts the rows and sums them up.
func (f *folder) finish(answer *FlowAnswer) error {
	answer.Columns = []string{}
	for _, d := range f.query.GroupBy {
		answer.Columns = append(answer.Columns, d.columns()...)
	}
	answer.Rows = make([]FlowRow, 0, len(f.groups))
	for _, row := range f.groups {
		if row.Amount == (Amount{}) {
			continue // everything in it was taken back
		}
		answer.Rows = append(answer.Rows, *row)
		if err := answer.Total.add(row.Amount); err != nil {
			return fmt.Errorf("sum up the answer: %w", err)
		}
	}
	slices.SortFunc(answer.Rows, func(a, b FlowRow) int {
		if c := cmp.Compare(b.Mass, a.Mass); c != 0 {
			return c
		}
		return slices.CompareFunc(a.Values, b.Values, func(a, b Value) int { return cmp.Compare(a.Text, b.Text) })
	})
	return nil
}
