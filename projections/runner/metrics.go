package runner

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stofstrom/stofstrom/projections/sink"
)

// Metrics are the numbers a projector shows. A nil *Metrics shows none.
type Metrics struct {
	position   prometheus.Gauge
	epoch      prometheus.Gauge
	lagEvents  prometheus.Gauge
	caughtUp   prometheus.Gauge
	events     prometheus.Counter
	payload    prometheus.Counter
	rows       *prometheus.CounterVec
	insertRows *prometheus.HistogramVec
	insertTime *prometheus.HistogramVec
	flushTime  prometheus.Histogram
	flushSize  prometheus.Histogram
	lastFlush  prometheus.Gauge
	stepErrors *prometheus.CounterVec
	poison     prometheus.Counter
	fencedOut  prometheus.Counter
	unknown    prometheus.Counter
	segments   prometheus.Counter

	first  atomic.Int64 // log time of the oldest event being assembled or flushed, Unix ms; 0 for none
	second atomic.Int64 // log time of the first event delivered after a flush was handed on, Unix ms; 0 for none
}

// NewMetrics registers the metrics of a projection.
func NewMetrics(reg prometheus.Registerer, projection string) (*Metrics, error) {
	const sub = "stofstrom_projector_"
	labels := prometheus.Labels{"projection": projection}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: sub + name, Help: help, ConstLabels: labels})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: sub + name, Help: help, ConstLabels: labels})
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: sub + name, Help: help, ConstLabels: labels, Buckets: buckets}
	}
	seconds := prometheus.ExponentialBuckets(0.001, 2, 16) // 1 ms to 33 s
	sizes := prometheus.ExponentialBuckets(1, 4, 10)       // 1 to 262,144
	m := &Metrics{
		position:  gauge("position", "Commit position of the log up to which the tables are complete."),
		epoch:     gauge("epoch", "Epoch of this writer."),
		lagEvents: gauge("lag_events", "Events that the log has delivered and that are not in the tables yet."),
		caughtUp:  gauge("caught_up", "1 when the last flush reached the end of the log, 0 when more was to come."),
		events:    counter("events_total", "Events in the tables or in quarantine, by this process."),
		payload:   counter("payload_bytes_total", "Payload and metadata of these events, in bytes."),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: sub + "rows_total", Help: "Rows inserted, by table; rows inserted again count again.", ConstLabels: labels,
		}, []string{"table"}),
		insertRows: prometheus.NewHistogramVec(histogram("insert_rows", "Rows of an insert, by table.", sizes), []string{"table"}),
		insertTime: prometheus.NewHistogramVec(histogram("insert_seconds", "Time an insert took, by table.", seconds), []string{"table"}),
		flushTime:  prometheus.NewHistogram(histogram("flush_seconds", "Time a whole flush took, waits included.", seconds)),
		flushSize:  prometheus.NewHistogram(histogram("flush_events", "Events of a flush.", sizes)),
		lastFlush:  gauge("last_flush_timestamp_seconds", "When the last flush ended, Unix time."),
		stepErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: sub + "flush_errors_total", Help: "Attempts of a step of a flush that failed, by step.", ConstLabels: labels,
		}, []string{"step"}),
		poison:    counter("quarantined_total", "Events put into quarantine; an event read again counts again."),
		fencedOut: counter("fenced_total", "Times this writer found that another took over."),
		unknown:   counter("epoch_unknown_total", "Times the log could not tell whether another writer took over."),
		segments:  counter("rollup_segments_total", "Segments of the rollup completed."),
	}
	for _, s := range Steps() {
		m.stepErrors.WithLabelValues(string(s))
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: sub + "lag_seconds", ConstLabels: labels,
		Help: "Age of the oldest event that the log has delivered and that is not in the tables yet; 0 when there is none.",
	}, m.lagSeconds)
	for _, c := range []prometheus.Collector{
		m.position, m.epoch, m.lagEvents, m.caughtUp, m.events, m.payload, m.rows, m.insertRows, m.insertTime, m.flushTime,
		m.flushSize, m.lastFlush, m.stepErrors, m.poison, m.fencedOut, m.unknown, m.segments, lag,
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// lagSeconds is the age of the oldest event on its way.
func (m *Metrics) lagSeconds() float64 {
	oldest := m.first.Load()
	if oldest == 0 {
		oldest = m.second.Load()
	}
	if oldest == 0 {
		return 0
	}
	return max(0, time.Since(time.UnixMilli(oldest)).Seconds())
}

// started notes where a writer begins.
func (m *Metrics) started(p sink.Position, epoch uint64) {
	if m == nil {
		return
	}
	m.position.Set(float64(p.Log.Commit))
	m.epoch.Set(float64(epoch))
}

// delivered notes an event that is now on its way to the tables.
func (m *Metrics) delivered(recordedAt time.Time) {
	if m == nil {
		return
	}
	m.lagEvents.Inc()
	m.second.CompareAndSwap(0, max(1, recordedAt.UnixMilli()))
}

// handedOn notes that what was delivered so far is with the inserting side.
func (m *Metrics) handedOn() {
	if m != nil {
		m.second.Store(0)
	}
}

// flushing notes the flush that is being written.
func (m *Metrics) flushing(f *flush) {
	if m != nil && f.events > 0 {
		m.first.Store(max(1, f.oldest.UnixMilli()))
	}
}

func (m *Metrics) inserted(b sink.Block, took time.Duration) {
	if m == nil {
		return
	}
	m.rows.WithLabelValues(b.Table).Add(float64(b.Rows))
	m.insertRows.WithLabelValues(b.Table).Observe(float64(b.Rows))
	m.insertTime.WithLabelValues(b.Table).Observe(took.Seconds())
}

func (m *Metrics) flushed(f *flush, p sink.Position, took time.Duration) {
	if m == nil {
		return
	}
	m.first.Store(0)
	m.position.Set(float64(p.Log.Commit))
	m.lagEvents.Sub(float64(f.events))
	m.caughtUp.Set(0)
	if f.caughtUp {
		m.caughtUp.Set(1)
	}
	m.events.Add(float64(f.events))
	m.payload.Add(float64(f.bytes))
	m.flushTime.Observe(took.Seconds())
	m.flushSize.Observe(float64(f.events))
	m.lastFlush.SetToCurrentTime()
}

func (m *Metrics) failed(s Step) {
	if m != nil {
		m.stepErrors.WithLabelValues(string(s)).Inc()
	}
}

func (m *Metrics) quarantined() {
	if m != nil {
		m.poison.Inc()
	}
}

func (m *Metrics) fenced() {
	if m != nil {
		m.fencedOut.Inc()
	}
}

func (m *Metrics) epochUnknown() {
	if m != nil {
		m.unknown.Inc()
	}
}

func (m *Metrics) rolledUp(n int) {
	if m != nil {
		m.segments.Add(float64(n))
	}
}
