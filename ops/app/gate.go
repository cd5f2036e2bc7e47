package app

import (
	"context"
	"net/http"
	"sync"
)

// gate stands before the API: it answers 503 while the program starts and
// while it stops, and lets requests under way end before what they stand on
// goes away.
type gate struct {
	health http.Handler // answers in every state

	mu      sync.Mutex
	handler http.Handler  // guarded by mu; nil while the gate is closed
	inside  int           // guarded by mu; requests under way
	empty   chan struct{} // guarded by mu; closed when the last one has left a closed gate
}

// ServeHTTP lets a request through when the gate is open.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/metrics", "/healthz", "/readyz":
		g.health.ServeHTTP(w, r)
		return
	}
	handler := g.enter()
	if handler == nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		// Whoever asked is told by the status; nothing to be done if not.
		_, _ = w.Write([]byte(`{"title":"Service Unavailable","status":503,"detail":"starting or stopping; see /readyz, and try again"}` + "\n"))
		return
	}
	defer g.leave()
	handler.ServeHTTP(w, r)
}

func (g *gate) enter() http.Handler {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.handler != nil {
		g.inside++
	}
	return g.handler
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// open lets requests through to the handler.
func (g *gate) open(h http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handler = h
}

// isOpen tells whether requests are let through.
func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.handler != nil
}

// close lets no request through any more and waits, as long as ctx allows,
// until those under way have ended.
func (g *gate) close(ctx context.Context) error {
	g.mu.Lock()
	g.handler = nil
	if g.inside == 0 {
		g.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	g.empty = empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
