//go:build linux

package tables

import (
	"context"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	projected "github.com/stofstrom/stofstrom/projections/clickhouse"
	"github.com/stofstrom/stofstrom/projections/sink"
	"github.com/stofstrom/stofstrom/projections/sink/sinktest"
)

func TestSink(t *testing.T) {
	e := start(t)
	sinktest.Run(t, func(t *testing.T) sinktest.Store {
		db := e.migrated(t)
		conn := db.Conn()
		exec := func(tb testing.TB, statement string) {
			tb.Helper()
			require.NoError(tb, conn.Exec(context.Background(), statement))
		}
		return sinktest.Store{
			Open: func(testing.TB) sink.Sink {
				return projected.NewSink(db, projected.SinkConfig{SegmentEvents: sinktest.SegmentEvents, FanIn: sinktest.FanIn})
			},
			Reader: reader{conn},
			Hide: func(tb testing.TB, table string) func() {
				exec(tb, "RENAME TABLE "+table+" TO hidden_"+table)
				return func() { exec(tb, "RENAME TABLE hidden_"+table+" TO "+table) }
			},
			Lose: func(tb testing.TB) { exec(tb, "TRUNCATE TABLE flow_facts") },
		}
	})
}

// reader asks as the questions do: the snapshot first, then with its values.
type reader struct{ conn driver.Conn }

func (r reader) Snapshot(ctx context.Context) (s sinktest.Snapshot, err error) {
	err = r.conn.QueryRow(ctx, "SELECT committed, watermark, builds FROM flow_snapshot").Scan(&s.Committed, &s.Watermark, &s.Builds)
	return s, err
}

const (
	tail = `SELECT measure, facility, waste_code, year, month, sum(mass_t) AS mass, sum(toInt64(events)) AS n
		FROM flow_facts FINAL WHERE position > {after:UInt64} AND position <= {committed:UInt64} GROUP BY ALL`
	built = `SELECT measure, facility, waste_code, year, month, sum(mass_t) AS mass, sum(events) AS n
		FROM flow_rollup WHERE build IN {builds:Array(UUID)} GROUP BY ALL`
)

func (r reader) Sums(ctx context.Context, s sinktest.Snapshot) (sinktest.Sums, error) {
	sums := sinktest.Sums{}
	if err := r.add(ctx, sums, built, clickhouse.Named("builds", s.Builds)); err != nil {
		return nil, err
	}
	return sums, r.add(ctx, sums, tail, clickhouse.Named("after", s.Watermark), clickhouse.Named("committed", s.Committed))
}

func (r reader) FactSums(ctx context.Context, s sinktest.Snapshot) (sinktest.Sums, error) {
	sums := sinktest.Sums{}
	return sums, r.add(ctx, sums, tail, clickhouse.Named("after", uint64(0)), clickhouse.Named("committed", s.Committed))
}

func (r reader) add(ctx context.Context, sums sinktest.Sums, query string, args ...any) error {
	rows, err := r.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		var (
			k    sinktest.Key
			mass decimal.Decimal
			n    int64
		)
		if err := rows.Scan(&k.Measure, &k.Facility, &k.Waste, &k.Year, &k.Month, &mass, &n); err != nil {
			return err
		}
		sums.Add(k, sinktest.Sum{Grams: mass.Shift(6).IntPart(), Events: n})
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

func (r reader) Count(ctx context.Context, table string, committed uint64) (n uint64, err error) {
	err = r.conn.QueryRow(ctx, "SELECT count() FROM "+table+" FINAL WHERE position <= ?", committed).Scan(&n)
	return n, err
}
