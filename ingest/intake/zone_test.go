package intake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/register"
)

// The same report stays the same report when its facility was given another
// time zone, though the instant falls in another month of it.
func TestANewTimeZoneMakesNoConflictOfAResend(t *testing.T) {
	w := start(t, options{})
	w.plants(1)
	lastNight := func(ticket int, kg int64) flow.Fact {
		f := load(0, ticket, kg)
		f.When.Occurred = time.Date(2026, time.February, 28, 23, 30, 0, 0, time.UTC) // 1 March in Copenhagen
		return f
	}
	first := w.ok(record(lastNight(1, 500)), ledger.StatusRecorded)
	require.Equal(t, "ledger-dk-p-1000000-202603", first.Ledger)
	w.ok(record(lastNight(2, 500)), ledger.StatusRecorded)
	w.ok(cancelItem(lastNight(2, 500), "never came"), ledger.StatusCancelled)

	moved := facility.Facility{ID: plant(0), Name: "Plant 0", Area: "dk-0101", TimeZone: "Atlantic/Azores"}
	require.NoError(t, w.register.PutFacility(t.Context(), moved, register.Source{Kind: register.Curated, Name: "test"}, event.Meta{Actor: "test"}).Err)

	again := w.ok(record(lastNight(1, 500)), ledger.StatusAlreadyRecorded)
	require.Equal(t, [3]any{first.Ledger, first.FactID, first.EventID}, [3]any{again.Ledger, again.FactID, again.EventID})
	w.ok(intake.Item{Command: ledger.Replace{Fact: lastNight(1, 500), Reason: "sent again"}, Meta: event.Meta{Actor: "test"}}, ledger.StatusAlreadyRecorded)
	for _, r := range w.SubmitAtomic(t.Context(), []intake.Item{record(lastNight(1, 500)), record(lastNight(3, 7))}) {
		require.NoError(t, r.Err)
	}
	other := w.refused(record(lastNight(1, 501)), fault.Conflict)
	require.Equal(t, flow.RuleElsewhere, other.Violations[0].Rule)
	w.refused(record(lastNight(2, 500)), fault.Cancelled)
	require.EqualValues(t, 507_000, read(t, w.log).sum)
}
