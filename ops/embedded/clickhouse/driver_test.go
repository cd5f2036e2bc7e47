//go:build linux

package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

func TestDriver(t *testing.T) {
	server := clickhousetest.Start(t)
	conn := clickhousetest.Open(t, server.Admin)
	ctx := context.Background()

	t.Run("OK ping and server version", func(t *testing.T) {
		require.NoError(t, conn.Ping(ctx))
		version, err := conn.ServerVersion()
		require.NoError(t, err)
		require.EqualValues(t, 26, version.Version.Major)
	})

	t.Run("OK parameters bound by the server", func(t *testing.T) {
		ctx := driver.Context(ctx, driver.WithParameters(driver.Parameters{"n": "7", "s": `it's\n\\ "æøå"`, "list": "['a','b']"}))
		var n uint64
		var s string
		var list []string
		require.NoError(t, conn.QueryRow(ctx, "SELECT {n:UInt64}, {s:String}, {list:Array(String)}").Scan(&n, &s, &list))
		require.EqualValues(t, 7, n)
		require.Equal(t, []string{"a", "b"}, list)
		require.Equal(t, "it's\n\\ \"æøå\"", s)
	})

	t.Run("Err unknown table carries its code", func(t *testing.T) {
		_, err := conn.Query(ctx, "SELECT * FROM nowhere")
		var exception *driver.Exception
		require.True(t, errors.As(err, &exception), "%v", err)
		require.EqualValues(t, 60, exception.Code)
		require.Equal(t, "UNKNOWN_TABLE", exception.CodeName)
	})
}

func TestDriverBatches(t *testing.T) {
	server := clickhousetest.Start(t)
	ctx := context.Background()
	methods := map[string]driver.CompressionMethod{
		"none": driver.CompressionNone, "lz4": driver.CompressionLZ4, "lz4hc": driver.CompressionLZ4HC, "zstd": driver.CompressionZSTD,
		"gzip": driver.CompressionGZIP, "deflate": driver.CompressionDeflate, "br": driver.CompressionBrotli,
	}
	for name, method := range methods {
		t.Run("OK "+name, func(t *testing.T) {
			conn := clickhousetest.Open(t, server.Admin, func(o *driver.Options) {
				o.Compression = &driver.Compression{Method: method, Level: 3}
			})
			require.NoError(t, conn.Exec(ctx, `CREATE TABLE rows_`+name+` (
				n UInt64, mass Decimal(38, 6), wide Int256, code LowCardinality(String), maybe Nullable(String),
				at DateTime64(6, 'Europe/Copenhagen'), day Date, id UUID, parts Array(Array(UInt32)), pairs Map(String, Int64),
				t Tuple(a Int8, b String), lcn LowCardinality(Nullable(String)), e Enum8('in' = 1, 'out' = 2), f Float64, b Bool
			) ENGINE = MergeTree ORDER BY n`))
			rows := 5_000
			if method == driver.CompressionLZ4 {
				rows = 100_000 // the projector's largest batch, in the compression it uses
			}
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO rows_"+name)
			require.NoError(t, err)
			base := time.Date(2025, 3, 30, 0, 59, 59, 123456000, time.UTC)
			for i := range rows {
				require.NoError(t, batch.Append(row(i, base)...))
			}
			require.NoError(t, batch.Send())

			got, err := conn.Query(ctx, "SELECT * FROM rows_"+name+" ORDER BY n")
			require.NoError(t, err)
			defer func() { require.NoError(t, got.Close()) }()
			seen := 0
			for ; got.Next(); seen++ {
				checkRow(t, got.Scan, seen, base)
			}
			require.NoError(t, got.Err())
			require.Equal(t, rows, seen)
		})
	}
}

func row(i int, base time.Time) []any {
	var maybe, lcn *string
	if i%3 == 0 {
		text := fmt.Sprintf("note %d\n\n", i)
		maybe, lcn = &text, &text
	}
	return []any{
		uint64(i), decimal.New(int64(i)*1_000_003, -6), new(big.Int).Lsh(big.NewInt(int64(i)), 100), fmt.Sprintf("20 01 %02d", i%40), maybe,
		base.Add(time.Duration(i) * time.Microsecond), base.AddDate(0, 0, i%365).Truncate(24 * time.Hour), uuid.NewSHA1(uuid.Nil, []byte{byte(i), byte(i >> 8)}),
		[][]uint32{{uint32(i)}, {}}, map[string]int64{"k": int64(-i)},
		[]any{int8(i % 100), "b"}, lcn, []string{"in", "out"}[i%2], float64(i) / 3, i%2 == 0,
	}
}

func checkRow(t *testing.T, scan func(...any) error, i int, base time.Time) {
	t.Helper()
	var (
		n         uint64
		mass      decimal.Decimal
		wide      big.Int
		code, e   string
		maybe     *string
		lcn       *string
		at, day   time.Time
		id        uuid.UUID
		parts     [][]uint32
		pairs     map[string]int64
		tuple     map[string]any
		f         float64
		b         bool
		want      = row(i, base)
		wantMaybe = want[4].(*string)
	)
	if err := scan(&n, &mass, &wide, &code, &maybe, &at, &day, &id, &parts, &pairs, &tuple, &lcn, &e, &f, &b); err != nil {
		require.NoError(t, err)
	}
	same := n == want[0] && mass.Equal(want[1].(decimal.Decimal)) && wide.Cmp(want[2].(*big.Int)) == 0 && code == want[3] &&
		(maybe == nil) == (wantMaybe == nil) && (maybe == nil || *maybe == *wantMaybe) && at.Equal(want[5].(time.Time)) &&
		day.Equal(want[6].(time.Time)) && id == want[7] && len(parts) == 2 && parts[0][0] == uint32(i) && pairs["k"] == int64(-i) &&
		tuple["a"] == int8(i%100) && (lcn == nil) == (maybe == nil) && e == want[12] && f == want[13] && b == want[14]
	if !same {
		require.Failf(t, "row differs", "row %d: got %v %v %v %v %v %v %v %v %v %v %v %v, want %v", i, n, mass, &wide, code, maybe, at, day, id, parts, pairs, tuple, e, want)
	}
}
