package analytics

import (
	"fmt"
	"sort"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// AreaBalance is what one area sent and received.
type AreaBalance struct {
	Area     Value  // name; not stated for matter without a known origin, or facilities without an area
	ID       string // "" likewise
	In       Amount // from elsewhere to its facilities
	Out      Amount // from the area to facilities elsewhere
	Internal Amount // from the area to its own facilities
	Net      Amount // In less Out; over all areas these sum to zero
}

// Netflow turns an answer grouped by origin_area and facility_area (among
// others, if need be) into the balance of each area, largest sum of in, out
// and internal first, then by name and id. The answer may be one that was
// read back from JSON. Errors: a fault of kind Invalid when a column is
// missing; overflow of a sum.
func Netflow(answer FlowAnswer) ([]AreaBalance, error) {
	var column [4]int
	for i, name := range []string{"origin_area", "origin_area_id", "facility_area", "facility_area_id"} {
		column[i] = -1
		for j, have := range answer.Columns {
			if have == name {
				column[i] = j
			}
		}
		if column[i] < 0 {
			return nil, fault.New(fault.Invalid, "net flows need an answer grouped by origin_area and facility_area; column %s is missing", name)
		}
	}
	type area struct{ name, id Value }
	balances := map[area]*AreaBalance{}
	balance := func(a area) *AreaBalance {
		b, ok := balances[a]
		if !ok {
			b = &AreaBalance{Area: a.name, ID: a.id.Text}
			balances[a] = b
		}
		return b
	}
	for _, row := range answer.Rows {
		from := balance(area{row.Values[column[0]], row.Values[column[1]]})
		to := balance(area{row.Values[column[2]], row.Values[column[3]]})
		var err error
		if from == to {
			err = from.Internal.add(row.Amount)
		} else {
			if err = from.Out.add(row.Amount); err == nil {
				err = to.In.add(row.Amount)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("sum net flows: %w", err)
		}
	}
	list := make([]AreaBalance, 0, len(balances))
	for _, b := range balances {
		b.Net = Amount{Mass: b.In.Mass - b.Out.Mass, Events: b.In.Events - b.Out.Events}
		list = append(list, *b)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		turnA, turnB := a.In.Mass+a.Out.Mass+a.Internal.Mass, b.In.Mass+b.Out.Mass+b.Internal.Mass
		switch {
		case turnA != turnB:
			return turnA > turnB
		case a.Area.Text != b.Area.Text:
			return a.Area.Text < b.Area.Text
		}
		return a.ID < b.ID
	})
	return list, nil
}
