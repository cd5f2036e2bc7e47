package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/ingest/answers"
	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/profile"
	"github.com/stofstrom/stofstrom/ingest/register"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)

// world is the whole write path over a log in memory, behind a server.
type world struct {
	t        testing.TB
	server   *httptest.Server
	client   *http.Client
	imports  *imports.Manager
	registry *prometheus.Registry
	index    *index.Index
}

func newWorld(t testing.TB, cfg Config, change func(*Deps)) *world {
	t.Helper()
	log := memory.New(memory.Config{})
	ix, err := index.Open(index.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	w := &world{t: t, registry: prometheus.NewRegistry(), index: ix}
	reg := register.New(register.Config{}, register.Deps{Log: log, Append: log})
	clock := func() time.Time { return now }
	service := intake.New(intake.Config{RetryLog: time.Millisecond}, intake.Deps{Log: log, Append: log, Register: reg, Index: ix,
		Now: clock, Metrics: intake.NewMetrics(w.registry)})
	profiles, err := profile.BuiltIn()
	require.NoError(t, err)
	w.imports = imports.New(imports.Config{Dir: t.TempDir()}, imports.Deps{Intake: service, Register: reg, Streams: log, Profiles: map[string]*profile.Profile{"wdi": profiles["wdi"]}, Now: clock})
	require.NoError(t, w.imports.Open())

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- service.Run(ctx) }()
	go func() { ended <- w.imports.Run(ctx) }()
	<-service.Ready()
	kept, err := answers.Open(answers.Config{Dir: t.TempDir(), Now: clock})
	require.NoError(t, err)
	deps := Deps{Answers: kept, Intake: service, Imports: w.imports, Register: reg, Streams: log, Registry: w.registry}
	if change != nil {
		change(&deps)
	}
	w.server = httptest.NewServer(New(cfg, deps))
	w.client = w.server.Client()
	t.Cleanup(func() {
		w.server.Close()
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
		require.NoError(t, ix.Close())
		require.NoError(t, kept.Close())
	})
	return w
}

// followed waits until the index has followed what was recorded.
func (w *world) followed() {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.index.Unfollowed() == 0 }, 10*time.Second, time.Millisecond)
}

// do sends a request and returns status, headers and body.
func (w *world) do(method, path string, header map[string]string, body io.Reader) (int, http.Header, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, body)
	require.NoError(w.t, err)
	for name, value := range header {
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	res, err := w.client.Do(req)
	require.NoError(w.t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, res.Body.Close())
	return res.StatusCode, res.Header, string(text)
}

const plant = `{"name":"Amager","area":"dk-0101","time_zone":"Europe/Copenhagen"}`

// plant registers the facility that the tests report of.
func (w *world) plant() {
	w.t.Helper()
	status, _, body := w.do(http.MethodPut, "/v1/facilities/dk-p-1003412345", map[string]string{"Content-Type": "application/json"}, strings.NewReader(plant))
	require.Equal(w.t, http.StatusCreated, status, body)
}

// load is one CloudEvent of a load.
func load(id, tonnes string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"weighbridge-1","type":"dk.stofstrom.flow.received.v1",` +
		`"data":{"facility":"dk-p-1003412345","occurred":"2026-03-09T11:00:00+01:00","material":{"waste_code":"200301"},` +
		`"mass":{"value":"` + tonnes + `","unit":"t","method":"weighed"},"operation":"R13","origin":{"area":"dk-0101"}}}`
}
