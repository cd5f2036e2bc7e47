package cli

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/analyticstest"
	"github.com/stofstrom/stofstrom/analytics/httpapi"
)

func TestBalanceAsksAndShows(t *testing.T) {
	service, err := analytics.New(analytics.DefaultConfig(), analytics.Deps{Conn: analyticstest.NewTwin(analyticstest.Seed())})
	require.NoError(t, err)
	handler, err := httpapi.New(httpapi.DefaultConfig(), httpapi.Deps{Asker: service, Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()
	run := func(args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		code := Run(t.Context(), append([]string{"balance", "--server", server.URL}, args...), strings.NewReader(""), &out, &errOut)
		return code, out.String(), errOut.String()
	}
	code, out, errOut := run("--facility", "dk-p-1", "--from", "2019", "--to", "2020", "--uncertainty", "volume:15")
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "stock_change")
	require.Contains(t, out, "no gross error: χ²")
	require.Contains(t, out, "left out: total of 21.000000 t received at dk-p-2")
	require.Contains(t, out, "uncertainty/v1+volume:15")
	require.Contains(t, out, "position 60")
	code, out, errOut = run("--facility", "dk-p-1", "--rows", "1")
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "more rows")
	code, out, errOut = run("--material", "191204", "--from", "2019-04", "--to", "2019-07", "--format", "csv")
	require.Equal(t, exitOK, code, errOut)
	require.True(t, strings.HasPrefix(out, "facility,facility_name,scope,"), out)
	code, out, errOut = run("--format", "json")
	require.Equal(t, exitOK, code, errOut)
	require.True(t, strings.HasPrefix(out, `{"rows":[`), out)
	code, _, errOut = run("--format", "xml")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "xml")
	code, _, errOut = run("--facility", "Atlantis")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "Atlantis")
}
