package imports

import "github.com/prometheus/client_golang/prometheus"

// Metrics of imports.
type Metrics struct {
	jobs     *prometheus.CounterVec // finished, by status
	lines    *prometheus.CounterVec // results, by status
	bytes    prometheus.Counter
	queued   prometheus.Gauge
	running  prometheus.Gauge
	waits    prometheus.Counter
	duration prometheus.Histogram
}

// NewMetrics registers the metrics of imports.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	name := func(n, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "stofstrom", Subsystem: "imports", Name: n, Help: help}
	}
	m := &Metrics{
		jobs:     prometheus.NewCounterVec(prometheus.CounterOpts(name("jobs_total", "Import jobs that ended, by status: done or failed.")), []string{"status"}),
		lines:    prometheus.NewCounterVec(prometheus.CounterOpts(name("lines_total", "Lines of import reports, by what became of the row.")), []string{"status"}),
		bytes:    prometheus.NewCounter(prometheus.CounterOpts(name("received_bytes_total", "Bytes of files taken into the spool, as they were sent."))),
		queued:   prometheus.NewGauge(prometheus.GaugeOpts(name("jobs_queued", "Import jobs that wait."))),
		running:  prometheus.NewGauge(prometheus.GaugeOpts(name("jobs_running", "Import jobs under way."))),
		waits:    prometheus.NewCounter(prometheus.CounterOpts(name("waits_total", "Pauses of import jobs because the log or the disk was away."))),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "stofstrom", Subsystem: "imports", Name: "job_seconds", Help: "Seconds from taking up an import job to its end, in one attempt.", Buckets: prometheus.ExponentialBuckets(0.05, 4, 9)}),
	}
	reg.MustRegister(m.jobs, m.lines, m.bytes, m.queued, m.running, m.waits, m.duration)
	return m
}

func (m *Metrics) ended(j Job) {
	m.jobs.WithLabelValues(string(j.Status)).Inc()
	for status, n := range j.Counts {
		m.lines.WithLabelValues(status).Add(float64(n))
	}
}
