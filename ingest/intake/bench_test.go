package intake_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stofstrom/stofstrom/ingest/intake"
)

// BenchmarkSubmitSingle has 64 callers submit one item each, of 50 facilities.
func BenchmarkSubmitSingle(b *testing.B) {
	w := start(b, options{})
	w.plants(50)
	before := w.log.appends.Load()
	var ticket atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for n := int(ticket.Add(1)); n <= b.N; n = int(ticket.Add(1)) {
				if r := w.submit(record(load(n%50, n, 5))); r.Err != nil {
					b.Error(r.Err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
	b.ReportMetric(float64(b.N)/float64(w.log.appends.Load()-before), "events/append")
}

// BenchmarkSubmitBatch submits batches of 1,000 items of 50 facilities.
func BenchmarkSubmitBatch(b *testing.B) {
	w := start(b, options{})
	w.plants(50)
	before := w.log.appends.Load()
	items := make([]intake.Item, 1000)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range items {
			n++
			items[i] = record(load(n%50, n, 5))
		}
		for _, r := range w.Submit(b.Context(), items) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "items/s")
	b.ReportMetric(float64(n)/float64(w.log.appends.Load()-before), "events/append")
}
