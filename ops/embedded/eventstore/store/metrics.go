package store

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the write path. Reads are counted where they are served.
type metrics struct {
	appends       *prometheus.CounterVec
	events        prometheus.Counter
	bytes         prometheus.Counter
	commitSeconds prometheus.Histogram
	groupAppends  prometheus.Histogram
	position      prometheus.Gauge
	diskFull      prometheus.Gauge
}

// Values of the label "result" of eventstore_appends_total.
const (
	resultWritten    = "written"
	resultIdempotent = "idempotent"
	resultConflict   = "conflict"
	resultFailed     = "failed"
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		appends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventstore_appends_total",
			Help: "Appends, deletions and tombstones decided, by result: written, idempotent, conflict, failed.",
		}, []string{"result"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventstore_events_written_total", Help: "Events made durable in the log.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventstore_written_bytes_total", Help: "Bytes of event data, metadata and type names made durable, before compression.",
		}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "eventstore_commit_seconds", Help: "Time from handing a group of appends to the disk until it was fsynced.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16),
		}),
		groupAppends: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "eventstore_commit_group_appends", Help: "Appends made durable by one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		position: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "eventstore_position", Help: "Position of the last durable event; also the number of events in the log.",
		}),
		diskFull: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "eventstore_disk_full", Help: "1 while writes are refused for lack of disk space, else 0.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.appends, m.events, m.bytes, m.commitSeconds, m.groupAppends, m.position, m.diskFull} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register event store metrics: %w", err)
		}
	}
	return m, nil
}
