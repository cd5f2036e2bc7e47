package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the routes.
type metrics struct {
	requests *prometheus.CounterVec   // route, method, code
	seconds  *prometheus.HistogramVec // route
	received *prometheus.CounterVec   // route
	sent     *prometheus.CounterVec   // route
	inFlight prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "stofstrom", Subsystem: "ingest_http", Name: name, Help: help}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts(opts("requests_total", "Requests answered, by route, method and status code.")), []string{"route", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "stofstrom", Subsystem: "ingest_http", Name: "request_seconds",
			Help: "Seconds from the request's headers to the end of the answer, by route.", Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .25, 1, 5, 30, 120}}, []string{"route"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts(opts("received_bytes_total", "Bytes of request bodies read, by route.")), []string{"route"}),
		sent:     prometheus.NewCounterVec(prometheus.CounterOpts(opts("sent_bytes_total", "Bytes of answers written, by route.")), []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts(opts("requests_in_flight", "Requests being answered."))),
	}
	reg.MustRegister(m.requests, m.seconds, m.received, m.sent, m.inFlight)
	return m
}

// exchange is what is noted of one request while it is answered.
type exchange struct {
	id  string
	err error // why it was refused, for the log
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{}
}

func requestID(ctx context.Context) string { return exchangeOf(ctx).id }

// note keeps why a request was refused, for its line in the log.
func note(ctx context.Context, err error) { exchangeOf(ctx).err = err }

var goodID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// counting counts an answer.
type counting struct {
	http.ResponseWriter
	status int
	n      int64
}

// WriteHeader notes the status.
func (c *counting) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (c *counting) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

type countingBody struct {
	io.ReadCloser
	n int64
}

// Read counts.
func (c *countingBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// ServeHTTP answers a request, with a request id, a line in the log, metrics,
// and the checks that come before any route.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	x := &exchange{id: r.Header.Get("X-Request-Id")}
	if !goodID.MatchString(x.id) {
		x.id = uuid.NewString()
	}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	body := &countingBody{ReadCloser: r.Body}
	if r.Body != nil {
		r.Body = body
	}
	out := &counting{ResponseWriter: w}
	// A deadline of this answer must not meet the next request of the
	// connection, which another part may serve.
	defer h.writeBy(out, time.Time{})
	_, pattern := h.mux.Handler(r)
	route := "none"
	if _, path, ok := strings.Cut(pattern, " "); ok {
		route = path
	}
	h.metrics.inFlight.Inc()
	defer func() {
		h.metrics.inFlight.Dec()
		h.metrics.requests.WithLabelValues(route, methodLabel(r.Method), fmt.Sprint(out.status)).Inc()
		h.metrics.seconds.WithLabelValues(route).Observe(time.Since(began).Seconds())
		h.metrics.received.WithLabelValues(route).Add(float64(body.n))
		h.metrics.sent.WithLabelValues(route).Add(float64(out.n))
		h.logRequest(r, route, out, body.n, time.Since(began), x)
	}()

	head := out.Header()
	head.Set("X-Request-Id", x.id)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Cache-Control", "no-store")
	if err := h.admit(r); err != nil {
		h.refuse(out, r, err)
		return
	}
	if pattern == "" {
		h.refuse(out, r, h.noRoute(out, r))
		return
	}
	h.serve(out, r)
}

// writeBy sets the time until which the answer can be written; the zero time
// is none. A connection that is gone says so at the next write.
func (h *Handler) writeBy(w http.ResponseWriter, t time.Time) {
	if err := http.NewResponseController(w).SetWriteDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		h.log.Debug("write deadline not set", "error", err)
	}
}

// noRoute tells a path that does not exist from a method that it does not have.
func (h *Handler) noRoute(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := h.mux.Handler(probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return &httpError{http.StatusNotFound, "not-found", "There is no such thing", "there is nothing at " + r.URL.Path}
	}
	list := strings.Join(allowed, ", ")
	w.Header().Set("Allow", list)
	return &httpError{http.StatusMethodNotAllowed, "method", "The method is not taken", r.URL.Path + " takes " + list}
}

// admit refuses what comes from where it must not.
func (h *Handler) admit(r *http.Request) error {
	if h.cfg.SingleUser && !h.ownHost(r.Host) {
		return &httpError{http.StatusMisdirectedRequest, "foreign-host", "It is asked under another name",
			"in single-user mode only this machine's own loopback names are answered"}
	}
	if err := h.cross.Check(r); err != nil {
		return &httpError{http.StatusForbidden, "cross-site", "It comes from another site", "a page of another site may not post here"}
	}
	return nil
}

func (h *Handler) ownHost(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if name == "localhost" || slices.Contains(h.cfg.Hosts, name) {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// methodLabel keeps invented methods out of the metrics.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}

func (h *Handler) logRequest(r *http.Request, route string, out *counting, received int64, took time.Duration, x *exchange) {
	level := slog.LevelInfo
	switch {
	case out.status >= 500 && r.Context().Err() == nil:
		level = slog.LevelError
	case out.status < 400 && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		level = slog.LevelDebug // whoever waits for a job asks every moment
	}
	attrs := []slog.Attr{
		slog.String("request", x.id), slog.String("method", methodLabel(r.Method)), slog.String("route", route),
		slog.Int("status", out.status), slog.Int64("received_bytes", received), slog.Int64("sent_bytes", out.n), slog.Duration("took", took),
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
	}
	h.log.LogAttrs(r.Context(), level, "request", attrs...)
}
