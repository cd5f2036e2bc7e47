//go:build linux

package clickhouse_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

// answer is what a plain HTTP client sees.
type answer struct {
	status int
	header http.Header
	body   string
}

// request is one plain HTTP request to the endpoint.
type request struct {
	method string // default POST
	query  url.Values
	body   io.Reader
	header map[string]string
}

func send(t *testing.T, dsn string, r request) answer {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Path, u.RawQuery = "/", r.query.Encode()
	if r.header["X-Clickhouse-User"] != "" || r.query.Has("user") {
		u.User = nil
	}
	if r.method == "" {
		r.method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, u.String(), r.body)
	require.NoError(t, err)
	for name, value := range r.header {
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	response, err := client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, response.Header, string(body)}
}

func q(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestHTTPInterface(t *testing.T) {
	server := clickhousetest.Start(t)
	admin := server.Admin
	ok := func(t *testing.T, r request) answer {
		t.Helper()
		a := send(t, admin, r)
		require.Equal(t, http.StatusOK, a.status, a.body)
		return a
	}
	ok(t, request{body: strings.NewReader("CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")})

	t.Run("OK query in the URL, in the body, and in both", func(t *testing.T) {
		require.Equal(t, "1\n", ok(t, request{method: http.MethodGet, query: q("query", "SELECT 1")}).body)
		require.Equal(t, "2\n", ok(t, request{body: strings.NewReader("SELECT 2;")}).body)
		require.Equal(t, "3\n", ok(t, request{query: q("query", "SELECT"), body: strings.NewReader("3")}).body)
	})
	t.Run("Err a statement that is no text", func(t *testing.T) {
		a := send(t, admin, request{body: strings.NewReader("SELECT '\xff'")})
		require.Equal(t, http.StatusBadRequest, a.status, a.body)
		require.Contains(t, a.body, "not valid UTF-8")
	})
	t.Run("OK rows in every place", func(t *testing.T) {
		ok(t, request{body: strings.NewReader("TRUNCATE TABLE t")})
		ok(t, request{query: q("query", "INSERT INTO t FORMAT TSV"), body: strings.NewReader("1\tone\\n\\nline\n2\t\n")})
		ok(t, request{query: q("query", "INSERT INTO t VALUES (3, 'a\n\nb'), (4, '')")})
		ok(t, request{query: q("query", "INSERT INTO t VALUES"), body: strings.NewReader("(5, ';')")})
		ok(t, request{body: strings.NewReader("INSERT INTO t FORMAT JSONEachRow\n{\"a\":6,\"s\":\"x\"}\n\n{\"a\":7,\"s\":\"y\"}\n")})
		ok(t, request{body: strings.NewReader("INSERT INTO t SETTINGS input_format_null_as_default = 1 FORMAT CSV\n8,\"z\"\n")})
		ok(t, request{query: q("query", "INSERT INTO t VALUES ({n:UInt32}, {s:String})", "param_n", "9", "param_s", "it's")})
		require.Equal(t, "9\t45\nit\\'s\n", ok(t, request{body: strings.NewReader("SELECT count(), sum(a) FROM t")}).body+ok(t, request{body: strings.NewReader("SELECT s FROM t WHERE a = 9")}).body)
		require.Equal(t, "a\n\nb", ok(t, request{body: strings.NewReader("SELECT s FROM t WHERE a = 3 FORMAT RawBLOB")}).body)
	})
	t.Run("OK summary tells rows read and written", func(t *testing.T) {
		a := ok(t, request{query: q("query", "INSERT INTO t FORMAT TSV"), body: strings.NewReader("10\tx\n")})
		require.Contains(t, a.header.Get("X-Clickhouse-Summary"), `"written_rows":"1"`)
		a = ok(t, request{body: strings.NewReader("SELECT sum(number) FROM numbers(1000)"), query: q("query_id", "mine")})
		require.Contains(t, a.header.Get("X-Clickhouse-Summary"), `"read_rows":"1000"`)
		require.Equal(t, "mine", a.header.Get("X-Clickhouse-Query-Id"))
		require.Equal(t, "TabSeparated", a.header.Get("X-Clickhouse-Format"))
	})
	t.Run("OK formats with and without a beginning and an end", func(t *testing.T) {
		for format, start := range map[string]string{"JSON": "{", "CSVWithNames": `"n"`, "Parquet": "PAR1", "JSONEachRow": `{"n"`, "XML": "<?xml"} {
			a := ok(t, request{query: q("query", "SELECT number AS n FROM numbers(200000)", "default_format", format)})
			require.True(t, strings.HasPrefix(a.body, start), "%s: %.20q", format, a.body)
			require.Equal(t, format, a.header.Get("X-Clickhouse-Format"))
			if format == "CSVWithNames" {
				require.Equal(t, 200001, strings.Count(a.body, "\n"))
				require.Equal(t, 1, strings.Count(a.body, `"n"`))
			}
		}
		require.Contains(t, ok(t, request{body: strings.NewReader("SHOW DATABASES FORMAT JSON")}).body, `"data"`)
		left, err := os.ReadDir(filepath.Join(server.Dir(), "spool"))
		require.NoError(t, err)
		require.Empty(t, left)
	})
	t.Run("OK a GET changes nothing", func(t *testing.T) {
		a := send(t, admin, request{method: http.MethodGet, query: q("query", "DROP TABLE t")})
		require.Equal(t, "164", a.header.Get("X-Clickhouse-Exception-Code"), a.body)
		a = send(t, admin, request{method: http.MethodGet, query: q("query", "INSERT INTO t VALUES (1, 'x')")})
		require.Equal(t, "164", a.header.Get("X-Clickhouse-Exception-Code"), a.body)
	})
	t.Run("OK ping needs no account", func(t *testing.T) {
		for _, path := range []string{"/ping", "/replicas_status"} {
			response, err := http.Get("http://" + server.Addr() + path)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, errors.Join(err, response.Body.Close()))
			require.Equal(t, "Ok.\n", string(body))
		}
	})
	t.Run("Err exceptions have code, status and text", func(t *testing.T) {
		for sql, want := range map[string]struct {
			code   string
			status int
		}{
			"SELEC 1": {"62", 400}, "SELECT * FROM nowhere": {"60", 404}, "SELECT nothing": {"47", 404}, "SELECT noFunction()": {"46", 404},
			"SELECT 1; SELECT 2": {"62", 400}, "": {"62", 400}, "SELECT throwIf(1)": {"395", 500}, "SELECT toUInt8('x')": {"6", 400},
			"SELECT 1 FORMAT Nothing": {"73", 400}, "CREATE TABLE t (a Int8) ENGINE = Memory": {"57", 400},
		} {
			a := send(t, admin, request{body: strings.NewReader(sql)})
			require.Equal(t, want.code, a.header.Get("X-Clickhouse-Exception-Code"), a.body)
			require.Equal(t, want.status, a.status, sql)
			require.True(t, strings.HasPrefix(a.body, "Code: "+want.code+". DB::Exception: "), a.body)
		}
		a := send(t, admin, request{body: strings.NewReader("SELECT 1"), query: q("database", "nowhere")})
		require.Equal(t, "81", a.header.Get("X-Clickhouse-Exception-Code"))
		a = send(t, admin, request{body: strings.NewReader("SELECT 1"), query: q("no_such_setting", "1")})
		require.Equal(t, "115", a.header.Get("X-Clickhouse-Exception-Code"))
		a = send(t, admin, request{body: strings.NewReader("SELECT 1"), query: q("session_id", "1")})
		require.Equal(t, "48", a.header.Get("X-Clickhouse-Exception-Code"))
		a = send(t, admin, request{body: strings.NewReader("SELECT 1"), query: q("max_threads", "1; DROP TABLE t")})
		require.NotEqual(t, 200, a.status)
	})
	t.Run("Err late exception is marked in the body", func(t *testing.T) {
		late := "SELECT throwIf(number = 2000000), number FROM numbers(3000000)"
		a := send(t, admin, request{body: strings.NewReader(late)})
		require.Equal(t, 200, a.status)
		tag := a.header.Get("X-Clickhouse-Exception-Tag")
		require.Len(t, tag, 16)
		require.Contains(t, a.body, "\r\n__exception__\r\n"+tag+"\r\nCode: 395. DB::Exception: ")
		a = send(t, admin, request{body: strings.NewReader(late), query: q("wait_end_of_query", "1")})
		require.Equal(t, "395", a.header.Get("X-Clickhouse-Exception-Code"))
		require.Equal(t, 500, a.status)
		for _, method := range []driver.CompressionMethod{driver.CompressionNone, driver.CompressionLZ4, driver.CompressionGZIP} {
			conn := clickhousetest.Open(t, admin, func(o *driver.Options) { o.Compression = &driver.Compression{Method: method} })
			rows, err := conn.Query(t.Context(), late)
			require.NoError(t, err)
			for rows.Next() {
			}
			var exception *driver.Exception
			require.True(t, errors.As(rows.Err(), &exception), "%v: %v", method, rows.Err())
			require.EqualValues(t, 395, exception.Code)
			require.Error(t, rows.Close())
		}
	})
	t.Run("OK held-back result larger than memory", func(t *testing.T) {
		a := ok(t, request{body: strings.NewReader("SELECT number FROM numbers(3000000)"), query: q("wait_end_of_query", "1")})
		require.Equal(t, 3000000, strings.Count(a.body, "\n"))
	})
	t.Run("OK compression as asked", func(t *testing.T) {
		a := ok(t, request{query: q("query", "SELECT number FROM numbers(1000)"), header: map[string]string{"Accept-Encoding": "gzip;q=0.5, x"}})
		require.Equal(t, "gzip", a.header.Get("Content-Encoding"))
		plain, err := gzip.NewReader(strings.NewReader(a.body))
		require.NoError(t, err)
		text, err := io.ReadAll(plain)
		require.NoError(t, err)
		require.Equal(t, 1000, bytes.Count(text, []byte("\n")))
		require.Empty(t, ok(t, request{query: q("query", "SELECT 1", "enable_http_compression", "0"), header: map[string]string{"Accept-Encoding": "gzip"}}).header.Get("Content-Encoding"))
	})
	t.Run("OK backup and restore", func(t *testing.T) {
		ok(t, request{body: strings.NewReader("BACKUP TABLE default.t TO File('" + filepath.Join(server.BackupFolder(), "t") + "')")})
		ok(t, request{body: strings.NewReader("RESTORE TABLE default.t AS default.t2 FROM File('" + filepath.Join(server.BackupFolder(), "t") + "')")})
		require.Equal(t, "1\n", ok(t, request{body: strings.NewReader("SELECT (SELECT sum(a) FROM t) = (SELECT sum(a) FROM t2)")}).body)
	})
}

func TestHTTPAccess(t *testing.T) {
	server := clickhousetest.Start(t, func(c *clickhouse.Config) {
		c.AdminPassword, c.ResearcherPassword = "s3cret", "read"
	})
	try := func(r request) answer {
		r.body = strings.NewReader("SELECT 1")
		return send(t, "http://"+server.Addr(), r)
	}
	t.Run("OK three ways to say who one is", func(t *testing.T) {
		require.Equal(t, 200, try(request{query: q("user", "stofstrom", "password", "s3cret")}).status)
		require.Equal(t, 200, try(request{header: map[string]string{"X-Clickhouse-User": "stofstrom", "X-Clickhouse-Key": "s3cret"}}).status)
		require.Equal(t, 200, try(request{header: map[string]string{"Authorization": "Basic cmVzZWFyY2hlcjpyZWFk"}}).status)
	})
	t.Run("Err wrong or no credentials", func(t *testing.T) {
		for name, r := range map[string]request{
			"none":           {},
			"wrong password": {query: q("user", "stofstrom", "password", "x")},
			"empty password": {query: q("user", "stofstrom")},
			"other's":        {query: q("user", "researcher", "password", "s3cret")},
			"unknown":        {query: q("user", "mallory", "password", "s3cret")},
			"token":          {header: map[string]string{"Authorization": "Bearer x"}},
			"two ways":       {query: q("user", "stofstrom", "password", "s3cret"), header: map[string]string{"Authorization": "Basic cmVzZWFyY2hlcjpyZWFk"}},
		} {
			a := try(r)
			require.Equal(t, 403, a.status, name)
			require.Equal(t, "516", a.header.Get("X-Clickhouse-Exception-Code"), name)
		}
		var exception *driver.Exception
		opt, err := driver.ParseDSN("http://stofstrom:wrong@" + server.Addr() + "/default")
		require.NoError(t, err)
		conn, err := driver.Open(opt)
		require.NoError(t, err)
		require.True(t, errors.As(conn.Ping(t.Context()), &exception))
		require.EqualValues(t, 516, exception.Code)
		require.NoError(t, conn.Close())
	})
	t.Run("Err web pages of other sites", func(t *testing.T) {
		good := q("user", "stofstrom", "password", "s3cret")
		for name, header := range map[string]map[string]string{
			"rebound name": {"Host": "evil.example"},
			"origin":       {"Origin": "http://evil.example"},
			"null origin":  {"Origin": "null"},
			"fetch":        {"Sec-Fetch-Site": "cross-site"},
		} {
			a := try(request{query: good, header: header})
			require.Equal(t, 403, a.status, name)
			require.Equal(t, "497", a.header.Get("X-Clickhouse-Exception-Code"), name)
		}
		require.Equal(t, 200, try(request{query: good, header: map[string]string{"Origin": "http://" + server.Addr()}}).status)
		require.Equal(t, 200, try(request{query: good, header: map[string]string{"Host": "localhost:1"}}).status)
	})
}

// TestBrokenBodyInsertsNothing sends the beginning of an INSERT and hangs up.
func TestBrokenBodyInsertsNothing(t *testing.T) {
	server := clickhousetest.Start(t)
	conn := clickhousetest.Open(t, server.Admin)
	require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a"))
	u, err := url.Parse(server.Admin)
	require.NoError(t, err)
	password, _ := u.User.Password()
	for name, head := range map[string]string{
		"length":  "Content-Length: 1000\r\n\r\n1\n2\n3\n",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n6\r\n1\n2\n3\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", server.Addr())
			require.NoError(t, err)
			_, err = fmt.Fprintf(c, "POST /?query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: %s\r\nX-ClickHouse-User: stofstrom\r\nX-ClickHouse-Key: %s\r\n%s", server.Addr(), password, head)
			require.NoError(t, err)
			require.NoError(t, c.(*net.TCPConn).CloseWrite())
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusBadRequest, response.StatusCode)
			require.NoError(t, c.Close())
			var n uint64
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&n))
			require.Zero(t, n)
		})
	}
}

func TestCancelledQueryStops(t *testing.T) {
	server := clickhousetest.Start(t)
	conn := clickhousetest.Open(t, server.Admin)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		failed <- conn.Exec(ctx, "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))")
	}()
	running := func() (n uint64) {
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number)%' AND query NOT LIKE '%processes%'").Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return running() == 1 }, 20*time.Second, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.Eventually(t, func() bool { return running() == 0 }, 20*time.Second, 10*time.Millisecond)

	limited := driver.Context(t.Context(), driver.WithSettings(driver.Settings{"max_execution_time": 1}))
	var exception *driver.Exception
	require.True(t, errors.As(conn.Exec(limited, "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"), &exception))
	require.EqualValues(t, 159, exception.Code)
}

func TestLimitsOfTheAccounts(t *testing.T) {
	registry := prometheus.NewRegistry()
	server := clickhousetest.Start(t, func(c *clickhouse.Config) {
		c.Registerer = registry
		c.Limits = clickhouse.Limits{
			ResearcherQueryTime: 3 * time.Second, ResearcherResultRows: 1000, ResearcherReadRows: 1_000_000, ResearcherMemoryBytes: 50 << 20,
			ResearcherConcurrency: 1, QueueTime: 50 * time.Millisecond, BodyBytes: 1000,
		}
	})
	researcher, admin := clickhousetest.Open(t, server.Researcher), clickhousetest.Open(t, server.Admin)
	code := func(err error) int32 {
		var exception *driver.Exception
		require.True(t, errors.As(err, &exception), "%v", err)
		return exception.Code
	}
	require.EqualValues(t, 396, code(researcher.Exec(t.Context(), "SELECT number FROM numbers(2000)")))
	require.EqualValues(t, 158, code(researcher.Exec(t.Context(), "SELECT count() FROM numbers(2000000) WHERE number % 2 = 0")))
	require.EqualValues(t, 241, code(researcher.Exec(t.Context(), "SELECT length(groupArray(repeat(toString(number), 20))) FROM numbers(900000)")))
	require.EqualValues(t, 36, code(admin.Exec(t.Context(), "INSERT INTO x FORMAT TSV\n"+strings.Repeat("1\n", 1000))))
	ctx := driver.Context(t.Context(), driver.WithSettings(driver.Settings{"max_result_rows": 100000}))
	require.EqualValues(t, 396, code(researcher.Exec(ctx, "SELECT number FROM numbers(2000)")), "the account's limit stays")
	ctx = driver.Context(t.Context(), driver.WithSettings(driver.Settings{"max_result_rows": 10}))
	require.EqualValues(t, 396, code(researcher.Exec(ctx, "SELECT number FROM numbers(20)")), "a stricter limit counts")

	slow := "SELECT count() FROM numbers(900000) WHERE NOT ignore(arrayFold((a, x) -> a + x * number, range(10000), toUInt64(0))) SETTINGS max_block_size = 100"
	first := make(chan error, 1)
	go func() { first <- researcher.Exec(t.Context(), slow) }()
	require.Eventually(t, func() bool { return code(researcher.Exec(t.Context(), "SELECT throwIf(1)")) == 202 }, 3*time.Second, time.Millisecond, "one query at a time")
	require.EqualValues(t, 159, code(<-first))

	require.EqualValues(t, 497, code(researcher.Exec(t.Context(), "SELECT file('x')")))
	require.NoError(t, admin.Exec(t.Context(), "CREATE TABLE m (a UInt8) ENGINE = Memory"))
	require.NoError(t, admin.Exec(t.Context(), "INSERT INTO m FORMAT TSV\n1\n"))
	count := scrape(t, registry)
	require.EqualValues(t, 1, count["stofstrom_clickhouse_requests_total researcher refused"])
	require.EqualValues(t, 1, count["stofstrom_clickhouse_guard_refusals_total"])
	require.Positive(t, count["stofstrom_clickhouse_insert_body_bytes_total"])
	require.EqualValues(t, 1, count["stofstrom_clickhouse_engine_up"])
	require.GreaterOrEqual(t, count["stofstrom_clickhouse_requests_total researcher error"], 6.0)
	require.EqualValues(t, 1, count["stofstrom_clickhouse_requests_total admin error"])
	require.Positive(t, count["stofstrom_clickhouse_request_duration_seconds researcher"])
	require.Contains(t, count, "stofstrom_clickhouse_running_requests researcher")
}

// scrape returns every metric by its name and label values; of a histogram the
// number of observations.
func scrape(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	count := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			key := family.GetName()
			for _, label := range metric.GetLabel() {
				key += " " + label.GetValue()
			}
			count[key] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return count
}
