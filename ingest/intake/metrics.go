package intake

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/operation"
)

// Metrics is what the write path tells Prometheus. Labels are bounded: kinds,
// hierarchy levels, rules of the catalogue and kinds of fault.
type Metrics struct {
	events       *prometheus.CounterVec // by kind
	mass         *prometheus.CounterVec // by kind and hierarchy
	rejects      *prometheus.CounterVec // by rule
	results      *prometheus.CounterVec // by status
	appendEvents prometheus.Histogram
	conflicts    prometheus.Counter
	doubts       prometheus.Counter
	cacheHits    prometheus.Counter
	cacheLoads   prometheus.Counter
	cacheBytes   prometheus.Gauge
	queued       prometheus.Gauge
	unfollowed   prometheus.Gauge
	unknown      prometheus.Counter
}

// NewMetrics registers the metrics of the write path.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns, sub = "stofstrom", "intake"
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: ns, Subsystem: sub, Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.CounterOpts { return prometheus.CounterOpts(opts(name, help)) }
	gauge := func(name, help string) prometheus.GaugeOpts { return prometheus.GaugeOpts(opts(name, help)) }
	m := &Metrics{
		events: prometheus.NewCounterVec(counter("events_total",
			"Events recorded by this instance, by kind: the kind of fact, or corrected, moved, arrived, cancelled, closed."), []string{"kind"}),
		mass: prometheus.NewCounterVec(counter("mass_grams_total",
			"Net mass of facts recorded for the first time, in grams, by kind and level of the waste hierarchy. Corrections do not change it."), []string{"kind", "hierarchy"}),
		rejects: prometheus.NewCounterVec(counter("rejects_total",
			"Events and rows that were refused, by the rule they break, each rule once a refusal; those refused without a rule count by the kind of refusal."), []string{"rule"}),
		results: prometheus.NewCounterVec(counter("items_total",
			"Items submitted, by what became of them: the status, or the kind of refusal."), []string{"result"}),
		appendEvents: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub, Name: "append_events",
			Help: "Events in one append: more than one where waiting items of a ledger share it.", Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500}}),
		conflicts: prometheus.NewCounter(counter("conflicts_retried_total",
			"Appends that another writer overtook, so that the ledger was read and decided again.")),
		doubts: prometheus.NewCounter(counter("appends_in_doubt_total",
			"Appends whose outcome the log did not tell; they are repeated until it does.")),
		cacheHits: prometheus.NewCounter(counter("ledger_cache_hits_total",
			"Ledgers found in memory when they were to be written.")),
		cacheLoads: prometheus.NewCounter(counter("ledger_cache_loads_total",
			"Ledgers read from the log before they were written.")),
		cacheBytes: prometheus.NewGauge(gauge("ledger_cache_bytes",
			"Estimated memory of the ledgers kept.")),
		queued: prometheus.NewGauge(gauge("queued_items",
			"Items waiting or under way.")),
		unfollowed: prometheus.NewGauge(gauge("unfollowed_entries",
			"Index entries of own appends that the log has not delivered yet.")),
		unknown: prometheus.NewCounter(counter("unknown_events_total",
			"Events followed that this program cannot read; facts in them are not known to the index.")),
	}
	reg.MustRegister(m.events, m.mass, m.rejects, m.results, m.appendEvents, m.conflicts, m.doubts,
		m.cacheHits, m.cacheLoads, m.cacheBytes, m.queued, m.unfollowed, m.unknown)
	return m
}

// recorded counts an event that is durable.
func (m *Metrics) recorded(ev event.Event) {
	switch e := ev.(type) {
	case event.Recorded:
		kind := string(e.Fact.Kind)
		m.events.WithLabelValues(kind).Inc()
		m.mass.WithLabelValues(kind, hierarchyOf(e.Fact)).Add(float64(e.Fact.Mass.Net))
	case event.Corrected:
		m.events.WithLabelValues("corrected").Inc()
	case event.Moved:
		m.events.WithLabelValues("moved").Inc()
	case event.Arrived:
		m.events.WithLabelValues("arrived").Inc()
	case event.Cancelled:
		m.events.WithLabelValues("cancelled").Inc()
	case event.LedgerClosed:
		m.events.WithLabelValues("closed").Inc()
	case event.FacilityRegistered, event.AreaRegistered:
	}
}

// hierarchyOf is the level of the waste hierarchy that a fact stands on.
// Preparing for reuse is a kind of fact and has no operation code.
func hierarchyOf(f flow.Fact) string {
	if f.Kind == flow.Reused || f.Kind == flow.PeriodReported && f.Measure == flow.MeasureReused {
		return "reuse"
	}
	if f.Operation == "" {
		return string(operation.LevelNotStated)
	}
	return string(f.Operation.Hierarchy())
}

// result counts what an item came to.
func (m *Metrics) result(r Result) {
	if r.Err == nil {
		m.results.WithLabelValues(string(r.Status)).Inc()
		return
	}
	var f *fault.Fault
	if !errors.As(r.Err, &f) {
		m.results.WithLabelValues("abandoned").Inc()
		return
	}
	m.results.WithLabelValues(f.Kind.String()).Inc()
	m.refused(f)
}

// uncatalogued is the label of violations whose rule is not in the catalogue,
// so that no sender can make labels.
const uncatalogued = "uncatalogued"

// refused counts the rules that a refusal names, each once.
func (m *Metrics) refused(f *fault.Fault) {
	seen := map[string]bool{}
	for _, v := range f.Violations {
		if v.Severity != fault.Error {
			continue
		}
		rule := uncatalogued
		if _, known := flow.RuleOf(v.Rule); known {
			rule = v.Rule
		}
		if !seen[rule] {
			m.rejects.WithLabelValues(rule).Inc()
		}
		seen[rule] = true
	}
	if len(seen) == 0 {
		m.rejects.WithLabelValues(f.Kind.String()).Inc()
	}
}

// Refused counts what was refused before it could be submitted: an event that
// cannot be read, a row of a file that is no fact. Errors that refuse nothing
// are not counted.
func (s *Service) Refused(err error) {
	var f *fault.Fault
	if errors.As(err, &f) {
		s.metrics.refused(f)
	}
}
