package sink_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/projections/flows"
	"github.com/stofstrom/stofstrom/projections/sink"
	"github.com/stofstrom/stofstrom/projections/sink/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader reads a Memory as a question does.
type reader struct {
	*sink.Memory
}

func (r reader) Snapshot(ctx context.Context) (sinktest.Snapshot, error) {
	p, err := r.Position(ctx, flows.Name)
	if err != nil {
		return sinktest.Snapshot{}, err
	}
	s := sinktest.Snapshot{Committed: p.Log.Commit}
	for _, seg := range r.Cover(p.Log.Commit) {
		s.Builds = append(s.Builds, seg.Build)
		s.Watermark = seg.To
	}
	return s, nil
}

func (r reader) Sums(_ context.Context, s sinktest.Snapshot) (sinktest.Sums, error) {
	sums := sinktest.Sums{}
	for _, b := range s.Builds {
		add(sums, r.Built(b))
	}
	add(sums, r.Fold(s.Watermark, s.Committed))
	return sums, nil
}

func (r reader) FactSums(_ context.Context, s sinktest.Snapshot) (sinktest.Sums, error) {
	sums := sinktest.Sums{}
	add(sums, r.Fold(0, s.Committed))
	return sums, nil
}

func add(sums sinktest.Sums, all []sink.Sum) {
	for _, s := range all {
		k := sinktest.Key{}
		k.Measure, _ = s.Row["measure"].(string)
		k.Facility, _ = s.Row["facility"].(string)
		k.Waste, _ = s.Row["waste_code"].(string)
		k.Year, _ = s.Row["year"].(uint16)
		k.Month, _ = s.Row["month"].(uint8)
		sums.Add(k, sinktest.Sum{Grams: s.Grams, Events: s.Events})
	}
}

func (r reader) Count(_ context.Context, table string, committed uint64) (uint64, error) {
	var n uint64
	for _, row := range r.Rows(table) {
		if p, ok := row["position"].(uint64); ok && p <= committed {
			n++
		}
	}
	return n, nil
}

func TestMemory(t *testing.T) {
	sinktest.Run(t, func(*testing.T) sinktest.Store {
		m := sink.NewMemory(flows.MemorySchema(sinktest.SegmentEvents, sinktest.FanIn))
		return sinktest.Store{
			Open:   func(testing.TB) sink.Sink { return m },
			Reader: reader{m},
			Hide: func(_ testing.TB, table string) func() {
				var once sync.Once
				restore := m.Hide(table)
				return func() { once.Do(restore) }
			},
			Lose: func(testing.TB) { m.Drop(flows.FactsTable) },
		}
	})
}
