package verify

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// positions is what the log says about the committed position.
type positions struct {
	rows          []row
	events, facts uint64
	last          *eventlog.Recorded // last followed event up to the position
}

func (p *positions) covers(rec eventlog.Recorded, facts int) {
	p.events++
	p.facts += uint64(facts) //nolint:gosec // a count
	rec.Data, rec.Meta = nil, nil
	p.last = &rec
}

func (v *verification) readPositions(ctx context.Context) error {
	if !v.here[positionsTable.name] {
		return nil
	}
	return v.read(ctx, positionsTable, nil, func(r row) error {
		v.positions.rows = append(v.positions.rows, r)
		if r[0] != projection {
			return nil
		}
		var err error
		if v.report.Committed, err = strconv.ParseUint(r[1], 10, 64); err != nil {
			return fmt.Errorf("committed position: %w", err)
		}
		return nil
	})
}

// comparePositions holds the committed position against what the log has up to
// it. The position may lie after the last event that was followed: what was
// filtered out is covered as well. Where it is an event, prepare is that event's.
func (v *verification) comparePositions() {
	t := positionsTable
	n := v.seen[t]
	p := v.positions
	found := false
	for _, got := range p.rows {
		n.tableRows++
		n.table.add(t, got)
		if got[0] != projection {
			v.differ(t, Difference{Kind: Extra, Row: t.nameOf(got)})
			continue
		}
		found = true
		want := row{projection, got[1], got[2], instant(time.UnixMilli(0)), number(p.events), number(p.facts), "", ""}
		if p.last != nil {
			want[3] = instant(p.last.RecordedAt)
			if number(p.last.Position.Commit) == got[1] {
				want[2] = number(p.last.Position.Prepare)
			}
		}
		if v.report.Committed > v.report.LogEnd {
			want[1] = number(v.report.LogEnd)
		}
		n.logRows++
		n.log.add(t, want)
		for i := range want {
			if want[i] != got[i] && !t.free[i] {
				v.differ(t, Difference{Kind: Differs, Row: t.nameOf(got), Column: t.columns[i], Want: want[i], Got: got[i]})
			}
		}
	}
	// Nothing flushed yet is no position. Rows without one were lost or never finished: flow_facts alone cannot tell.
	if !found && v.here[t.name] && v.seen[factsTable].beyond+v.seen[facilitiesTable].beyond+v.seen[areasTable].beyond > 0 {
		v.differ(t, Difference{Kind: Missing, Row: "projection " + projection + ", though there are rows"})
	}
}
