// Package telemetry makes the logger and the metrics registry that the parts
// of the program are given, and serves health and metrics over HTTP.
//
// It promises that nothing global is touched: no default registry, no default
// logger. It leaves out the metrics themselves, which belong to the parts.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewLogger makes a logger that writes to w. The format is text, json, or
// auto: text when w is a terminal, json elsewhere.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: %w", level, err)
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "text" || format == "auto" && isTerminal(w) {
		opts.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.String(slog.TimeKey, a.Value.Time().Format(time.TimeOnly))
			}
			return a
		}
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return slog.New(slog.NewJSONHandler(w, opts)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// NewRegistry makes a registry that holds the Go runtime, the process and the
// build of this program.
func NewRegistry(version string) (*prometheus.Registry, error) {
	reg := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "stofstrom_build_info",
		Help:        "Always 1; the label version tells which build runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return reg, nil
}

// Readiness is one thing that must be so before requests are served.
type Readiness struct {
	Name string
	// Check returns nil when it is so, and otherwise what is missing.
	Check func() error
}

// Handler serves /metrics, /healthz (the process runs) and /readyz (every
// readiness holds; otherwise 503 that names those that do not).
func Handler(reg *prometheus.Registry, logger *slog.Logger, readiness func() []Readiness) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		Registry:          reg,
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, logger, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		missing := map[string]string{}
		for _, r := range readiness() {
			if err := r.Check(); err != nil {
				missing[r.Name] = err.Error()
			}
		}
		if len(missing) > 0 {
			w.Header().Set("Retry-After", "1")
			missing["status"] = "not ready"
			writeStatus(w, logger, http.StatusServiceUnavailable, missing)
			return
		}
		writeStatus(w, logger, http.StatusOK, map[string]string{"status": "ready"})
	})
	return mux
}

func writeStatus(w http.ResponseWriter, logger *slog.Logger, code int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	if err := json.MarshalWrite(w, body, json.Deterministic(true)); err != nil {
		logger.Debug("health answer not delivered", "error", err)
	}
}
