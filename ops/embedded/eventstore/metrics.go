package eventstore

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of what is served; the write path has its own in package store.
type metrics struct {
	eventsRead    prometheus.Counter
	bytesRead     prometheus.Counter
	subscriptions prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		eventsRead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventstore_events_read_total", Help: "Events sent to readers and subscribers.",
		}),
		bytesRead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventstore_read_bytes_total", Help: "Bytes of encoded events sent to readers and subscribers.",
		}),
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "eventstore_subscriptions", Help: "Subscriptions that are open now.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.eventsRead, m.bytesRead, m.subscriptions} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register event store metrics: %w", err)
		}
	}
	return m, nil
}
