//go:build linux

package answers

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/analyticstest"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/projections/clickhouse"
	"github.com/stofstrom/stofstrom/projections/flows"
)

// Facts become events, rows and answers by the very code that a site runs, and
// the answers are those of a book of the facts.
func TestBalancesOnTheEngine(t *testing.T) {
	e := startEngine(t)
	require.False(t, *update, "golden answers are rewritten by the twin's test, and only checked here")
	analyticstest.RunBalances(t, analyticstest.Options{
		Open: func(t *testing.T, w analyticstest.World) analytics.Conn {
			db := e.open(t, w)
			report(t, db, w)
			return db.Conn()
		},
		Golden: "../../../analytics/analyticstest/testdata/balances",
		Worlds: 1 + *worlds, Facts: 200,
	})
}

// report puts what a world reports into flow_facts.
func report(t *testing.T, db *clickhouse.DB, w analyticstest.World) {
	t.Helper()
	rows := flows.NewRows()
	for _, r := range w.Reports {
		var e event.Event
		switch {
		case r.Was == nil:
			e = event.Recorded{Revision: 1, Fact: *r.Is}
		case r.Is == nil:
			e = event.Cancelled{FactID: uuid.New(), Cancels: uuid.New(), Revision: 2, Reason: "never came", Was: *r.Was}
		default:
			e = event.Corrected{FactID: uuid.New(), Corrects: uuid.New(), Revision: 2, Reason: "typed wrong", Was: *r.Was, Is: *r.Is}
		}
		proposed, err := event.Encode(event.WithID(e))
		require.NoError(t, err)
		proposed.Meta, err = event.EncodeMeta(event.Meta{CorrelationID: "c", Actor: "single-user"})
		require.NoError(t, err)
		require.NoError(t, rows.Add(eventlog.Recorded{
			Stream: ledgerOf(r), Position: eventlog.Position{Commit: r.Position, Prepare: r.Position}, RecordedAt: w.RecordedAt,
			ID: proposed.ID, Type: proposed.Type, Data: proposed.Data, Meta: proposed.Meta,
		}), "position %d", r.Position)
	}
	if block := rows.Facts(); block.Rows > 0 {
		require.NoError(t, clickhouse.NewSink(db, clickhouse.SinkConfig{}).Insert(t.Context(), block))
	}
}

// ledgerOf is the ledger a report stands in: that of the fact as it was.
func ledgerOf(r analyticstest.Report) string {
	f := r.Is
	if r.Was != nil {
		f = r.Was
	}
	return ledger.KeyOf(*f, time.UTC).Stream()
}
