package httpapi

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the numbers of asking.
type metrics struct {
	questions *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	rows      *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stofstrom_questions_total", Help: "Questions asked over HTTP, by question and outcome.",
		}, []string{"question", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stofstrom_question_duration_seconds", Help: "Time from question to answer, in seconds.",
			Buckets: []float64{.005, .01, .02, .035, .05, .075, .1, .15, .2, .3, .5, 1, 2, 5, 15},
		}, []string{"question"}),
		rows: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stofstrom_answer_rows", Help: "Rows of an answer.",
			Buckets: prometheus.ExponentialBuckets(1, 10, 6),
		}, []string{"question"}),
	}
	for _, c := range []prometheus.Collector{m.questions, m.seconds, m.rows} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
