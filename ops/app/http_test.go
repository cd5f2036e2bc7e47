package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What no part serves is refused in the form of every other refusal.
func TestErrNothingThere(t *testing.T) {
	f := &foundation{deps: Deps{Logger: slog.New(slog.DiscardHandler)}}
	mux, err := f.mux([]route{{patterns: []string{"/v1/flows"}, handler: http.NotFoundHandler()}})
	require.NoError(t, err)
	for target, want := range map[string][2]any{
		"GET /v1/nowhere":       {http.StatusNotFound, `there is nothing at \"/v1/nowhere\"`},
		"PUT /":                 {http.StatusNotFound, "not-found"},
		"POST /v1/openapi.yaml": {http.StatusMethodNotAllowed, "urn:stofstrom:problem:method"},
	} {
		method, path, _ := strings.Cut(target, " ")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		require.Equal(t, want[0], rec.Code, target)
		require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"), target)
		require.Contains(t, rec.Body.String(), want[1], target)
	}
	require.Equal(t, http.StatusOK, status(mux, "/v1/openapi.yaml"))
}
