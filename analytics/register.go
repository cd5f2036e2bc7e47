package analytics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stofstrom/stofstrom/analytics/queries"
	"github.com/stofstrom/stofstrom/domain/area"
)

// register is what is known of areas and facilities at a position. It is
// never changed once made.
type register struct {
	changed    uint64 // position of the last entry in it
	upto       uint64 // position up to which it is known that nothing else changed
	areas      map[string]areaEntry
	facilities map[string]facilityEntry
}

type areaEntry struct {
	level        area.Level
	name, parent string
}

type facilityEntry struct {
	name, area string
}

// areaName is the name of an area; its id where the register does not know
// it, so that two unknown areas never look like one.
func (r *register) areaName(id string) string {
	if entry, ok := r.areas[id]; ok && entry.name != "" {
		return entry.name
	}
	return id
}

// maxAreaDepth bounds the walk from an area up to its region: country, region
// and municipality are three, and a register may have steps between.
const maxAreaDepth = 8

// regionOf is the id of the region an area is or lies in; "" for countries and
// unknown areas.
func (r *register) regionOf(id string) string {
	for range maxAreaDepth {
		entry, ok := r.areas[id]
		if !ok {
			return ""
		}
		if entry.level == area.Region {
			return id
		}
		id = entry.parent
	}
	return ""
}

// named finds the ids that a text means among entries: the id itself, else
// those of exactly that name, else those of that name in other case.
func named[E any](entries map[string]E, text string, name func(E) string, among func(E) bool) []string {
	if entry, ok := entries[strings.ToLower(text)]; ok && among(entry) {
		return []string{strings.ToLower(text)}
	}
	var exact, folded []string
	for id, entry := range entries {
		switch {
		case !among(entry):
		case name(entry) == text:
			exact = append(exact, id)
		case strings.EqualFold(name(entry), text):
			folded = append(folded, id)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return folded
}

// registerQueries reads the entries of the registers between two positions.
type registerQueries struct {
	areas, facilities queries.Query
}

// advance makes the register of a later position from this one.
func (r *register) advance(ctx context.Context, conn Conn, read registerQueries, upto uint64) (*register, error) {
	next := &register{changed: r.changed, upto: upto, areas: r.areas, facilities: r.facilities}
	span := map[string]any{"after": r.upto, "upto": upto}
	areas := map[string]areaEntry{}
	err := each(ctx, conn, read.areas, span, func(scan func(...any) error) error {
		var position uint64
		var id, level, name, parent string
		if err := scan(&position, &id, &level, &name, &parent); err != nil {
			return err
		}
		areas[id] = areaEntry{level: area.Level(level), name: name, parent: parent}
		next.changed = max(next.changed, position)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read areas: %w", err)
	}
	facilities := map[string]facilityEntry{}
	err = each(ctx, conn, read.facilities, span, func(scan func(...any) error) error {
		var position uint64
		var id, name, area string
		if err := scan(&position, &id, &name, &area); err != nil {
			return err
		}
		facilities[id] = facilityEntry{name: name, area: area}
		next.changed = max(next.changed, position)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read facilities: %w", err)
	}
	next.areas, next.facilities = merged(r.areas, areas), merged(r.facilities, facilities)
	return next, nil
}

// merged is base with what is newer; base itself when nothing is.
func merged[E any](base, newer map[string]E) map[string]E {
	if len(newer) == 0 {
		return base
	}
	all := make(map[string]E, len(base)+len(newer))
	maps.Copy(all, base)
	maps.Copy(all, newer)
	return all
}

func (r *register) areaIDs() []string     { return slices.Collect(maps.Keys(r.areas)) }
func (r *register) facilityIDs() []string { return slices.Collect(maps.Keys(r.facilities)) }
