package eventstore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the package's measurements, shared by every part built over one
// [Holder]. A nil *Metrics measures nothing.
type Metrics struct {
	appendSeconds *prometheus.HistogramVec
	appended      prometheus.Counter
	retries       *prometheus.CounterVec
	connects      *prometheus.CounterVec
	resubscribed  *prometheus.CounterVec
	lagSeconds    *prometheus.GaugeVec
	lagEvents     *prometheus.GaugeVec
	lagPositions  *prometheus.GaugeVec
	redelivered   *prometheus.CounterVec
}

// NewMetrics builds the measurements and registers them. It panics when they
// are registered already, as prometheus.MustRegister does.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns, sub = "stofstrom", "eventlog"
	m := &Metrics{
		appendSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "append_duration_seconds",
			Help:    "Time from asking for an append until its outcome was known, retries included, by result.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"result"}),
		appended: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "appended_events_total",
			Help: "Events that the log confirmed as durable.",
		}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "append_retries_total",
			Help: "Appends tried again with the same expectation, by what was known of the attempt before.",
		}, []string{"outcome"}),
		connects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "connects_total",
			Help: "Attempts to connect to the log, by result.",
		}, []string{"result"}),
		resubscribed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "resubscribes_total",
			Help: "Times a dropped subscription was opened again.",
		}, []string{"subscription"}),
		lagSeconds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: sub, Name: "subscription_lag_seconds",
			Help: "Age of the last event delivered while more are known to wait; 0 when caught up.",
		}, []string{"subscription"}),
		lagEvents: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: sub, Name: "subscription_lag_events",
			Help: "Events received and not yet delivered.",
		}, []string{"subscription"}),
		lagPositions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: sub, Name: "subscription_lag_positions",
			Help: "Distance from the last position covered to the end of the log, in the log's own unit.",
		}, []string{"subscription"}),
		redelivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "redelivered_messages_total",
			Help: "Messages delivered again because they were refused.",
		}, []string{"subscription"}),
	}
	reg.MustRegister(m.appendSeconds, m.appended, m.retries, m.connects, m.resubscribed,
		m.lagSeconds, m.lagEvents, m.lagPositions, m.redelivered)
	return m
}

func (m *Metrics) observeAppend(start time.Time, events int, result string) {
	if m == nil {
		return
	}
	m.appendSeconds.WithLabelValues(result).Observe(time.Since(start).Seconds())
	if result == "ok" {
		m.appended.Add(float64(events))
	}
}

func (m *Metrics) retry(outcome string) {
	if m != nil {
		m.retries.WithLabelValues(outcome).Inc()
	}
}

func (m *Metrics) connect(err error) {
	if m == nil {
		return
	}
	if err != nil {
		m.connects.WithLabelValues("failed").Inc()
		return
	}
	m.connects.WithLabelValues("ok").Inc()
}

func (m *Metrics) resubscribe(name string) {
	if m != nil {
		m.resubscribed.WithLabelValues(name).Inc()
	}
}

func (m *Metrics) redeliver(name string) {
	if m != nil {
		m.redelivered.WithLabelValues(name).Inc()
	}
}

func (m *Metrics) lag(name string, seconds float64, events int) {
	if m == nil {
		return
	}
	m.lagSeconds.WithLabelValues(name).Set(seconds)
	m.lagEvents.WithLabelValues(name).Set(float64(events))
}

func (m *Metrics) behind(name string, positions uint64) {
	if m != nil {
		m.lagPositions.WithLabelValues(name).Set(float64(positions))
	}
}

// forget drops the gauges of a subscription that ended, so that a stale lag is
// not mistaken for a live one.
func (m *Metrics) forget(name string) {
	if m == nil {
		return
	}
	m.lagSeconds.DeleteLabelValues(name)
	m.lagEvents.DeleteLabelValues(name)
	m.lagPositions.DeleteLabelValues(name)
}
