//go:build linux

package verify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
	"github.com/stofstrom/stofstrom/ops/verify"
	"github.com/stofstrom/stofstrom/projections/clickhouse"
)

// BenchmarkVerify compares 50,000 receptions of a year.
func BenchmarkVerify(b *testing.B) {
	const events = 50_000
	log := memory.New(memory.Config{})
	for n := 0; n < events; {
		batch := make([]eventlog.Proposed, 0, 500)
		month := n / 500 % 12
		for range cap(batch) {
			n++
			p, err := event.Encode(event.WithID(event.Recorded{Revision: 1, Fact: flow.Fact{
				Kind: flow.Received, Facility: plant, Identity: flow.Identity{Reporter: "r", Source: "weighbridge", ExternalID: fmt.Sprint(n)},
				When:     flow.When{Occurred: time.Date(2024, time.Month(month+1), 1+n%28, 12, 0, 0, 0, time.UTC)},
				Material: flow.Material{Waste: "200301"}, Mass: flow.Mass{Net: 12_340_000, Method: flow.Weighed}, Operation: "R12",
				Origin: flow.Place{Area: "dk-0265"}, Tags: map[string]string{"permit_type": "A11"},
			}}))
			require.NoError(b, err)
			batch = append(batch, p)
		}
		_, err := log.Append(b.Context(), fmt.Sprintf("ledger-%s-2024%02d", plant, month+1), eventlog.Any(), batch)
		require.NoError(b, err)
	}
	engine := &tables{dsn: clickhousetest.Start(b).Admin}
	w := engine.projectBy(b, log, 0, 20_000, clickhouse.SinkConfig{})
	for b.Loop() {
		r, err := verify.Run(b.Context(), w.log, w.conn)
		require.NoError(b, err)
		require.True(b, r.OK())
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
