//go:build linux

package clickhouse

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the endpoint and its supervisor do.
type metrics struct {
	requests *prometheus.CounterVec   // by account and outcome
	seconds  *prometheus.HistogramVec // by account
	running  *prometheus.GaugeVec     // by account
	refused  prometheus.Counter
	bodies   prometheus.Counter
	restarts prometheus.Counter
	hangs    prometheus.Counter
	up       prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "stofstrom", "clickhouse"
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "requests_total",
			Help: "Statements answered by the embedded ClickHouse, by account and outcome (ok, refused, error, cancelled, unavailable).",
		}, []string{"account", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds",
			Help:    "Time from the arrival of a statement to the end of its answer, by account.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"account"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "running_requests",
			Help: "Statements that run now, by account.",
		}, []string{"account"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "guard_refusals_total",
			Help: "Statements of the researcher's account that the guard refused.",
		}),
		bodies: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "insert_body_bytes_total",
			Help: "Bytes of INSERT bodies spooled, after decompression.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "engine_restarts_total",
			Help: "Times the engine child ended without being asked and was started again.",
		}),
		hangs: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "engine_hangs_total",
			Help: "Times the engine child did not answer its liveness query and was killed.",
		}),
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "engine_up",
			Help: "1 while the engine child serves, else 0.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.running, m.refused, m.bodies, m.restarts, m.hangs, m.up} {
		errs = append(errs, registerer.Register(c))
	}
	return m, errors.Join(errs...)
}
