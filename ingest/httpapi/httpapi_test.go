package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

func TestKindsAndProblemsMapBothWays(t *testing.T) {
	for kind := fault.Internal; kind <= fault.NoRoom; kind++ {
		p := problemOf(fault.New(kind, "why"))
		require.Equal(t, kind, KindOf(p))
		require.Equal(t, StatusOf(kind), p.Status)
		require.Equal(t, "why", p.Detail)
		require.NotEmpty(t, p.Title)
	}
	require.Equal(t, http.StatusInternalServerError, StatusOf(fault.Kind(200)))
	require.Equal(t, fault.Internal, KindOf(Problem{Type: "about:blank"}))
	require.NotContains(t, problemOf(errors.New("secret")).Detail, "secret", "causes are for the operator")
}

// failing answers everything that a test asks it with an error.
type failing struct {
	Intake
	err error
}

func (f failing) Cancel(string, string, string) (imports.Job, error) { return imports.Job{}, f.err }
func (f failing) CancelReport(string) (io.ReadCloser, error)         { return nil, f.err }

func (f failing) Submit(_ context.Context, items []intake.Item) []intake.Result {
	results := make([]intake.Result, len(items))
	for i := range results {
		results[i].Err = f.err
	}
	return results
}

func (f failing) SubmitAtomic(ctx context.Context, items []intake.Item) []intake.Result {
	return f.Submit(ctx, items)
}

func (f failing) Refused(error) {}

func (f failing) Event(context.Context, uuid.UUID) (index.Place, bool, error) {
	return index.Place{}, false, f.err
}

func (f failing) Create(io.Reader, imports.Request) (imports.Job, error) { return imports.Job{}, f.err }
func (f failing) Get(string) (imports.Job, error)                        { return imports.Job{}, f.err }
func (f failing) List() []imports.Job                                    { return nil }
func (f failing) Report(string) (io.ReadCloser, error)                   { return nil, f.err }
func (f failing) Returned(string, imports.Language) (*imports.Returned, error) {
	return nil, f.err
}

func TestErrStoresAway(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
		item   string
	}{
		"log away":      {fault.Wrap(fault.Unavailable, eventlog.ErrUnavailable, "the log is away"), 503, retryAfter, "unavailable"},
		"too slow":      {context.DeadlineExceeded, 503, retryAfter, "unavailable"},
		"disk full":     {fault.New(fault.NoRoom, "full"), 507, "", "unavailable"},
		"failed within": {errors.New("secret"), 500, "", "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Config{}, func(d *Deps) { d.Intake, d.Imports = failing{err: c.err}, failing{err: c.err} })
			status, head, body := w.do(http.MethodPost, "/v1/events", map[string]string{"Content-Type": "application/cloudevents+json"}, strings.NewReader(load("1", "5")))
			require.Equal(t, c.status, status)
			require.Equal(t, c.retry, head.Get("Retry-After"))
			require.Equal(t, "application/problem+json", head.Get("Content-Type"))
			require.NotContains(t, body, "secret")

			_, _, body = w.do(http.MethodPost, "/v1/events", map[string]string{"Content-Type": "application/x-ndjson"}, strings.NewReader(load("1", "5")))
			require.Contains(t, body, `"status":"`+c.item+`"`)
			if errors.Is(c.err, context.DeadlineExceeded) {
				return // files have no such limit
			}
			status, _, _ = w.do(http.MethodPost, "/v1/imports?profile=wdi", nil, strings.NewReader("x"))
			require.Equal(t, c.status, status)
		})
	}
	t.Run("a batch that is all away is 503", func(t *testing.T) {
		w := newWorld(t, Config{}, func(d *Deps) { d.Intake = failing{err: fault.New(fault.Unavailable, "away")} })
		status, head, _ := w.do(http.MethodPost, "/v1/events", map[string]string{"Content-Type": "application/cloudevents-batch+json"}, strings.NewReader("["+load("1", "5")+"]"))
		require.Equal(t, 503, status)
		require.Equal(t, retryAfter, head.Get("Retry-After"))
		status, _, body := w.do(http.MethodPost, "/v1/events", map[string]string{"Content-Type": "application/cloudevents-batch+json"}, strings.NewReader("["+load("1", "5")+",{}]"))
		require.Equal(t, 207, status)
		require.Contains(t, body, "unavailable")
	})
}

func TestAStreamIsAnsweredWhileItIsSent(t *testing.T) {
	w := newWorld(t, Config{ChunkEvents: 10}, nil)
	w.plant()
	r, send := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/v1/events", r)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-ndjson")
	var answer *bufio.Scanner
	var res *http.Response
	for round := range 5 { // the sender waits for the answer before it goes on
		ended := make(chan error, 1)
		go func() {
			_, err := io.WriteString(send, load(fmt.Sprint(round, "a"), "5")+"\n"+load(fmt.Sprint(round, "b"), "6")+"\n")
			ended <- err
		}()
		if res == nil {
			res, err = w.client.Do(req)
			require.NoError(t, err)
			answer = bufio.NewScanner(res.Body)
		}
		for n := range 2 {
			require.True(t, answer.Scan(), answer.Err())
			var got Result
			require.NoError(t, json.Unmarshal(answer.Bytes(), &got))
			require.Equal(t, "recorded", got.Status)
			require.Equal(t, 2*round+n+1, got.Line)
		}
		require.NoError(t, <-ended)
	}
	require.NoError(t, send.Close())
	require.False(t, answer.Scan())
	require.NoError(t, res.Body.Close())
}

func TestALongStreamHasOneResultALineInOrder(t *testing.T) {
	w := newWorld(t, Config{ChunkEvents: 7}, nil)
	w.plant()
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	const n = 500
	for i := range n {
		line := load(fmt.Sprint(i), "5")
		if i%50 == 13 {
			line = "{}"
		}
		_, err := io.WriteString(z, line+"\n")
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	packed := body.Bytes()
	head := map[string]string{"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
	_, _, answer := w.do(http.MethodPost, "/v1/events", head, bytes.NewReader(packed))
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	require.Len(t, lines, n)
	for i, line := range lines {
		var got Result
		require.NoError(t, json.Unmarshal([]byte(line), &got))
		require.Equal(t, i+1, got.Line)
		want := "recorded"
		if i%50 == 13 {
			want = "rejected"
		}
		require.Equal(t, want, got.Status)
	}
	// Cut in the middle: what was read is answered, and the break is said.
	_, _, answer = w.do(http.MethodPost, "/v1/events", head, bytes.NewReader(packed[:len(packed)*2/3]))
	lines = strings.Split(strings.TrimSpace(answer), "\n")
	var last Result
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	require.Equal(t, "broken_off", last.Status)
	require.Equal(t, fault.Malformed, KindOf(*last.Problem))
}

func TestRequestsAreCountedAndLogged(t *testing.T) {
	var log bytes.Buffer
	everything := &slog.HandlerOptions{Level: slog.LevelDebug}
	w := newWorld(t, Config{}, func(d *Deps) { d.Logger = slog.New(slog.NewJSONHandler(&log, everything)) })
	w.plant()
	w.do(http.MethodPost, "/v1/events", map[string]string{"Content-Type": "application/cloudevents+json", "X-Request-Id": "bad id\u00e9"}, strings.NewReader("{"))
	w.do("BREW", "/v1/nothing", nil, nil)
	w.do(http.MethodGet, "/v1/areas", nil, nil)
	w.do(http.MethodGet, "/v1/areas?level=planet", nil, nil)
	w.server.Close()
	require.NoError(t, testutil.GatherAndCompare(w.registry, strings.NewReader(`
# HELP stofstrom_ingest_http_requests_total Requests answered, by route, method and status code.
# TYPE stofstrom_ingest_http_requests_total counter
stofstrom_ingest_http_requests_total{code="200",method="GET",route="/v1/areas"} 1
stofstrom_ingest_http_requests_total{code="422",method="GET",route="/v1/areas"} 1
stofstrom_ingest_http_requests_total{code="201",method="PUT",route="/v1/facilities/{id}"} 1
stofstrom_ingest_http_requests_total{code="400",method="POST",route="/v1/events"} 1
stofstrom_ingest_http_requests_total{code="404",method="other",route="none"} 1
# HELP stofstrom_ingest_http_requests_in_flight Requests being answered.
# TYPE stofstrom_ingest_http_requests_in_flight gauge
stofstrom_ingest_http_requests_in_flight 0
`), "stofstrom_ingest_http_requests_total", "stofstrom_ingest_http_requests_in_flight"))
	for _, name := range []string{"stofstrom_ingest_http_request_seconds", "stofstrom_ingest_http_received_bytes_total", "stofstrom_ingest_http_sent_bytes_total"} {
		n, err := testutil.GatherAndCount(w.registry, name)
		require.NoError(t, err)
		require.Equal(t, 4, n, name)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var levels []any
	for _, text := range lines {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		levels = append(levels, line["level"])
	}
	require.Equal(t, []any{"INFO", "INFO", "INFO", "DEBUG", "INFO"}, levels, "reads that succeed are nothing to report")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &line))
	require.Equal(t, "/v1/events", line["route"])
	require.EqualValues(t, 400, line["status"])
	require.Contains(t, line["error"], "json-syntax")
	require.NotContains(t, line["request"], "é", "an id that is not plain is replaced")
}

func TestOwnHosts(t *testing.T) {
	h := New(Config{SingleUser: true, Hosts: []string{"stofstrom.test"}}, Deps{})
	for _, host := range []string{"localhost", "localhost:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "::1", "stofstrom.test:80", "LOCALHOST"} {
		require.True(t, h.ownHost(host), host)
	}
	for _, host := range []string{"", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", "[::2]"} {
		require.False(t, h.ownHost(host), host)
	}
}

// deadlines notes what a handler asks of the connection.
type deadlines struct {
	http.ResponseWriter
	last time.Time
	set  int
}

func (d *deadlines) SetWriteDeadline(t time.Time) error { d.last, d.set = t, d.set+1; return nil }

func TestNoDeadlineIsLeftOnTheConnection(t *testing.T) {
	h := New(Config{}, Deps{Imports: failing{err: fault.New(fault.Unavailable, "away")}})
	d := &deadlines{ResponseWriter: httptest.NewRecorder()}
	h.ServeHTTP(d, httptest.NewRequest(http.MethodGet, "/v1/imports/1", nil))
	require.Equal(t, 2, d.set)
	require.True(t, d.last.IsZero())
}
