//go:build linux

// Package tables holds the suites of the projections' tables on the real
// engine: the sink's conformance, migrations, and what depends on how
// ClickHouse itself behaves. Tests only.
package tables

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	driver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
	"github.com/stofstrom/stofstrom/projections/clickhouse"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

// engine is a running engine with as many databases as tests want.
type engine struct {
	*clickhousetest.Server
	databases atomic.Int64
}

func start(tb testing.TB) *engine {
	tb.Helper()
	return &engine{Server: clickhousetest.Start(tb)}
}

// empty opens a database of its own, not migrated.
func (e *engine) empty(tb testing.TB) *clickhouse.DB {
	tb.Helper()
	name := fmt.Sprintf("t%d", e.databases.Add(1))
	db, err := clickhouse.Open(context.Background(), clickhouse.Options{DSN: e.ConnectionString(e.AdminUser(), name)})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

// migrated opens a database of its own with the schema.
func (e *engine) migrated(tb testing.TB) *clickhouse.DB {
	tb.Helper()
	db := e.empty(tb)
	_, err := db.Migrate(context.Background(), slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	return db
}

func count(tb testing.TB, conn driver.Conn, query string, args ...any) uint64 {
	tb.Helper()
	var n uint64
	require.NoError(tb, conn.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}
