//go:build linux

package tables

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/projections/clickhouse"
)

func TestMigrate(t *testing.T) {
	e := start(t)
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	all, err := clickhouse.Migrations()
	require.NoError(t, err)

	t.Run("OK twice: the second applies nothing", func(t *testing.T) {
		db := e.empty(t)
		done, err := db.Migrate(ctx, quiet)
		require.NoError(t, err)
		require.Equal(t, all, done)
		done, err = db.Migrate(ctx, quiet)
		require.NoError(t, err)
		require.Empty(t, done)
		require.EqualValues(t, len(all), count(t, db.Conn(), "SELECT count() FROM schema_migrations FINAL"))
	})
	t.Run("OK from every past state", func(t *testing.T) {
		for n := 1; n < len(all); n++ {
			db := e.empty(t)
			_, err := db.MigrateTo(ctx, all[:n], quiet)
			require.NoError(t, err)
			done, err := db.Migrate(ctx, quiet)
			require.NoError(t, err)
			require.Equal(t, all[n:], done)
		}
	})
	t.Run("OK after a start that died between two statements", func(t *testing.T) {
		db := e.empty(t)
		registers := all[2]
		require.Len(t, registers.Statements, 2)
		require.NoError(t, db.Conn().Exec(ctx, registers.Statements[0]))
		done, err := db.Migrate(ctx, quiet)
		require.NoError(t, err)
		require.Equal(t, all, done)
	})
	t.Run("OK four at once", func(t *testing.T) {
		first := e.empty(t)
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() { _, errs[i] = first.Migrate(ctx, quiet) })
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.EqualValues(t, len(all), count(t, first.Conn(), "SELECT count() FROM schema_migrations FINAL"))
	})
	t.Run("ErrChanged names the file", func(t *testing.T) {
		db := e.migrated(t)
		changed := slices.Clone(all)
		changed[3].Checksum = strings.Repeat("0", 64)
		_, err := db.MigrateTo(ctx, changed, quiet)
		require.ErrorContains(t, err, "migration 0004_positions was changed after it was applied")
	})
	t.Run("ErrNewer names the file", func(t *testing.T) {
		db := e.migrated(t)
		_, err := db.MigrateTo(ctx, all[:4], quiet)
		require.ErrorContains(t, err, "migration 0005_flow_rollup was applied by a newer version")
	})
	t.Run("the reference lists every column that is there, comments and all", func(t *testing.T) {
		db := e.migrated(t)
		tables, err := clickhouse.Tables(all)
		require.NoError(t, err)
		want := map[string]string{}
		for _, table := range tables {
			for _, c := range table.Columns {
				want[table.Name+"."+c.Name] = c.Comment
			}
		}
		got := map[string]string{}
		rows, err := db.Conn().Query(ctx, "SELECT table, name, comment FROM system.columns WHERE database = ?", db.Database())
		require.NoError(t, err)
		for rows.Next() {
			var table, name, comment string
			require.NoError(t, rows.Scan(&table, &name, &comment))
			got[table+"."+name] = comment
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		require.Empty(t, cmp.Diff(want, got))
		require.Zero(t, count(t, db.Conn(), "SELECT count() FROM system.tables WHERE database = ? AND comment = ''", db.Database()))
	})
	t.Run("a database is made when it is missing, once", func(t *testing.T) {
		for range 2 {
			db, err := clickhouse.Open(ctx, clickhouse.Options{DSN: e.ConnectionString(e.AdminUser(), "made_up")})
			require.NoError(t, err)
			require.NoError(t, db.Close())
		}
	})
	t.Run("ErrUnreachable comes at once and keeps the password", func(t *testing.T) {
		_, err := clickhouse.Open(ctx, clickhouse.Options{DSN: "http://u:sesam@127.0.0.1:1/x"})
		require.Error(t, err)
		require.NotContains(t, fmt.Sprint(err), "sesam")
	})
}
