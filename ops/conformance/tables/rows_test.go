//go:build linux

package tables

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	projected "github.com/stofstrom/stofstrom/projections/clickhouse"
	"github.com/stofstrom/stofstrom/projections/flows"
)

// A row comes back from the engine as it went in, and the two ends of a leg
// are computed as domain and law have them.
func TestRowsComeBackAsTheyWentIn(t *testing.T) {
	db := start(t).migrated(t)
	ctx := context.Background()
	s := projected.NewSink(db, projected.SinkConfig{})
	const facility = "dk-p-1003412345"
	yes := true
	origin := flow.Place{Area: "dk-0101", Facility: "dk-p-1", Sector: "household"}
	target := flow.Place{Area: "se-0114", Facility: "se-9-x"}
	fact := func(k flow.Kind, from, to flow.Place, outputs ...flow.Output) flow.Fact {
		return flow.Fact{
			Kind: k, Facility: facility, Identity: flow.Identity{Reporter: "Renovest I/S", Source: "vægt", ExternalID: "bon 42"},
			When:     flow.When{Occurred: time.Date(2024, 3, 1, 9, 30, 0, 120_000_000, time.UTC)},
			Material: flow.Material{Waste: "170503", Hazardous: &yes}, Mass: flow.Mass{Net: 1_234_567_890_123, Method: flow.Weighed},
			Origin: from, Target: to, Outputs: outputs, Tags: map[string]string{"b": "2", "a": "1"},
		}
	}
	none := flow.Place{}
	type ends struct{ fromArea, fromFacility, toArea, toFacility string }
	inward, back := ends{"dk-0101", "dk-p-1", "", facility}, ends{"", facility, "dk-0101", "dk-p-1"}
	away, here := ends{"", facility, "se-0114", "se-9-x"}, ends{"", facility, "", facility}
	rows := flows.NewRows()
	var want []ends
	for i, tc := range []struct {
		fact flow.Fact
		want []ends
	}{
		{fact(flow.Collected, origin, none), []ends{inward}},
		{fact(flow.Received, origin, none), []ends{inward}},
		{fact(flow.Dispatched, origin, target), []ends{away}},
		{fact(flow.Exported, none, target), []ends{away}},
		{fact(flow.Rejected, origin, none), []ends{back}},
		{fact(flow.Rejected, origin, target), []ends{away}},
		{fact(flow.Landfilled, origin, none), []ends{inward}},
		{fact(flow.Sorted, origin, none, flow.Output{Role: flow.RoleOutput, Net: 1}, flow.Output{Role: flow.RoleLoss, Net: 2}),
			[]ends{inward, here, {"", facility, "", ""}}},
		{fact(flow.StockCounted, none, none), []ends{here}},
	} {
		at := eventlog.Position{Commit: uint64(100 + i), Prepare: uint64(90 + i)} //nolint:gosec // a counter
		require.NoError(t, rows.AddEvent(eventlog.Recorded{
			Stream: "ledger-" + facility + "-202403", Position: at, ID: uuid.MustParse("61f77d6b-4a40-5bb4-85b6-e1a9e5743eba"),
			Type: "x", RecordedAt: time.Date(2024, 3, 2, 8, 0, 0, 250_000_000, time.UTC),
		}, event.Recorded{Revision: 1, Fact: tc.fact, Warnings: []fault.Violation{{Rule: "late"}}}, event.Meta{Line: 7}))
		want = append(want, tc.want...)
	}
	require.NoError(t, s.Insert(ctx, rows.Facts()))
	found, err := db.Conn().Query(ctx, "SELECT from_area, from_facility, to_area, to_facility FROM flow_facts FINAL ORDER BY position, leg")
	require.NoError(t, err)
	var got []ends
	for found.Next() {
		var e ends
		require.NoError(t, found.Scan(&e.fromArea, &e.fromFacility, &e.toArea, &e.toFacility))
		got = append(got, e)
	}
	require.NoError(t, found.Err())
	require.NoError(t, found.Close())
	require.Equal(t, want, got)

	var (
		prepare              uint64
		id, first            uuid.UUID
		mass                 decimal.Decimal
		hazardous            *bool
		on, until, at, since time.Time
		tags                 map[string]string
		warnings             []string
		line                 uint32
	)
	require.NoError(t, db.Conn().QueryRow(ctx, `SELECT prepare, event_id, fact_id, mass_t, hazardous_declared, occurred_on, until_on,
		occurred_at, recorded_at, tags, warnings, line FROM flow_facts FINAL WHERE position = 101`).
		Scan(&prepare, &id, &first, &mass, &hazardous, &on, &until, &at, &since, &tags, &warnings, &line))
	require.EqualValues(t, 91, prepare)
	require.Equal(t, id, first)
	require.Equal(t, "1234567.890123", mass.String())
	require.True(t, *hazardous)
	require.Equal(t, "2024-03-01 2024-03-02", on.Format(time.DateOnly)+" "+until.Format(time.DateOnly))
	require.Equal(t, time.Date(2024, 3, 1, 9, 30, 0, 120_000_000, time.UTC), at.UTC())
	require.Equal(t, time.Date(2024, 3, 2, 8, 0, 0, 250_000_000, time.UTC), since.UTC())
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, tags)
	require.Equal(t, []string{"late"}, warnings)
	require.EqualValues(t, 7, line)
}
