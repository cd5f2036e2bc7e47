package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func status(h http.Handler, path string) int {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec.Code
}

func TestTheGateAnswersHealthInEveryState(t *testing.T) {
	g := &gate{health: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })}
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		require.Equal(t, http.StatusTeapot, status(g, path))
	}
	require.Equal(t, http.StatusServiceUnavailable, status(g, "/v1/flows"))
	g.open(http.NotFoundHandler())
	require.Equal(t, http.StatusNotFound, status(g, "/v1/flows"))
	require.NoError(t, g.close(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, status(g, "/v1/flows"))
}

func TestTheGateWaitsForRequestsUnderWay(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	g := &gate{}
	g.open(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release }))
	done := make(chan struct{})
	go func() { status(g, "/v1/events"); close(done) }()
	<-entered

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, g.close(ended), context.Canceled, "it does not end while a request is under way")

	closed := make(chan error, 1)
	go func() { closed <- g.close(context.Background()) }()
	close(release)
	require.NoError(t, <-closed)
	<-done
}
