//go:build linux

package tables

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
	projected "github.com/stofstrom/stofstrom/projections/clickhouse"
	"github.com/stofstrom/stofstrom/projections/flows"
	"github.com/stofstrom/stofstrom/projections/runner"
	"github.com/stofstrom/stofstrom/projections/sink"
)

// declarations makes rows shaped like those of a yearly statistic: 847
// facilities, 479 waste codes, five tags, a hash as external id.
func declarations(tb testing.TB, rows *flows.Rows, from, n int) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(uint64(from), 1)) //nolint:gosec // a benchmark that can be repeated
	for i := from; i < from+n; i++ {
		f, sum := declaration(rng, i)
		at := uint64(i) * 1117 //nolint:gosec // a counter
		require.NoError(tb, rows.AddEvent(eventlog.Recorded{
			Stream: "ledger-" + string(f.Facility) + "-2019", Position: eventlog.Position{Commit: at + 1, Prepare: at + 1},
			ID: uuid.NewSHA1(uuid.Nil, sum[:]), Type: "dk.stofstrom.flow.period_reported.v1",
			RecordedAt: time.Date(2024, 1, 1, 0, 0, i/10_000, 0, time.UTC),
		}, event.Recorded{Revision: 1, Fact: f}, event.Meta{Import: "0190a1b2-import", Line: i + 2}))
	}
}

// declaration makes fact number i, and the hash it is named by.
func declaration(rng *rand.Rand, i int) (flow.Fact, [32]byte) {
	fid := facility.ID(fmt.Sprintf("gb-ea-ab%04dcd", rng.IntN(847)))
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))) //nolint:gosec // a counter
	origin := area.ID(fmt.Sprintf("gb-wpa-%03d", rng.IntN(120)))
	f := flow.Fact{
		Kind: flow.PeriodReported, Measure: flow.MeasureReceived, Facility: fid,
		Identity: flow.Identity{
			Reporter: "environment-agency", Source: "wdi/east-of-england/2019", ExternalID: hex.EncodeToString(sum[:16]) + "-1",
		},
		When:     flow.When{Period: flow.Period{From: "2019-01-01", To: "2020-01-01"}},
		Material: flow.Material{Waste: waste.Code(fmt.Sprintf("%06d", 10000+rng.IntN(479))), Form: "solid"},
		Mass:     flow.Mass{Net: mass.Grams(rng.Int64N(1_000_000_000) + 1), Method: flow.Declared},
		Origin:   flow.Place{Area: origin}, Operation: operation.Code(fmt.Sprintf("R%d", 1+rng.IntN(13))),
		SiteCategory: fmt.Sprintf("Category %d", rng.IntN(8)), Fate: fmt.Sprintf("Fate %d", rng.IntN(9)),
		Tags: map[string]string{
			"recorded_origin": string(origin), "facility_type": fmt.Sprintf("Type %d", rng.IntN(40)),
			"permit_type": fmt.Sprintf("A%d : Household, Commercial & Industrial", rng.IntN(30)), "basic_waste_cat": "Hhold/Ind/Com", "form": "Solid",
		},
	}
	return f, sum
}

// BenchmarkInsertFacts inserts 50,000 facts at a time and tells what a fact
// takes on disk once merged, by column.
func BenchmarkInsertFacts(b *testing.B) {
	e := start(b)
	db := e.migrated(b)
	s := projected.NewSink(db, projected.SinkConfig{})
	ctx := context.Background()
	rows := flows.NewRows()
	const n = 50_000
	inserted := 0
	for b.Loop() {
		b.StopTimer()
		rows.Reset()
		declarations(b, rows, inserted, n)
		b.StartTimer()
		require.NoError(b, s.Insert(ctx, rows.Facts()))
		inserted += n
	}
	b.ReportMetric(float64(inserted)/b.Elapsed().Seconds(), "rows/s")
	began := time.Now()
	require.NoError(b, s.Move(ctx, flows.Name, sink.Position{Log: eventlog.Position{Commit: 1 << 60}, Facts: uint64(inserted)}))
	segments, err := s.Rollup(ctx, 1<<60)
	require.NoError(b, err)
	b.ReportMetric(time.Since(began).Seconds()/float64(max(1, len(segments)))*1e3, "ms/segment")
	require.NoError(b, db.Conn().Exec(ctx, "OPTIMIZE TABLE flow_facts FINAL"))
	b.ReportMetric(float64(count(b, db.Conn(), `SELECT sum(bytes_on_disk) FROM system.parts
		WHERE database = ? AND table = 'flow_facts' AND active`, db.Database()))/float64(inserted), "B/fact")
	columns, err := db.Conn().Query(ctx, `SELECT column, sum(column_data_compressed_bytes) / ? AS each FROM system.parts_columns
		WHERE database = ? AND table = 'flow_facts' AND active GROUP BY column HAVING each >= 0.25 ORDER BY each DESC`, inserted, db.Database())
	require.NoError(b, err)
	for columns.Next() {
		var (
			name string
			each float64
		)
		require.NoError(b, columns.Scan(&name, &each))
		b.Logf("%-20s %6.2f bytes a fact", name, each)
	}
	require.NoError(b, columns.Err())
	require.NoError(b, columns.Close())
}

// BenchmarkProject follows a log in memory into the engine: decode, rows,
// inserts, rollup, position, until everything is visible.
func BenchmarkProject(b *testing.B) {
	const n = 100_000
	log := memory.New(memory.Config{MaxAppendBytes: 8 << 20})
	rng := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // a benchmark that can be repeated
	ctx := context.Background()
	var end eventlog.Position
	for i := range n {
		f, _ := declaration(rng, i)
		p, err := event.Encode(event.WithID(event.Recorded{Revision: 1, Fact: f}))
		require.NoError(b, err)
		p.Meta = []byte("{}")
		a, err := log.Append(ctx, "ledger-"+string(f.Facility)+"-2019", eventlog.Any(), []eventlog.Proposed{p})
		require.NoError(b, err)
		end = a.Position
	}
	e := start(b)
	for b.Loop() {
		b.StopTimer()
		db := e.migrated(b)
		r, err := runner.New(runner.Config{}, runner.Deps{
			Feed: log, Sink: projected.NewSink(db, projected.SinkConfig{}), Projection: flows.Projection(),
			Epochs: runner.NewLogEpochs(log, log, flows.Name, "bench"),
		})
		require.NoError(b, err)
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		b.StartTimer()
		go func() { ended <- r.Run(ctx) }()
		require.NoError(b, r.WaitFor(ctx, end))
		b.StopTimer()
		cancel()
		require.NoError(b, <-ended)
		require.EqualValues(b, n, count(b, db.Conn(), "SELECT count() FROM flow_facts FINAL"))
		b.StartTimer()
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
}
