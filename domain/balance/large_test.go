package balance_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/fault"
)

// large is a connected network in which a part of the streams is not measured.
func large(seed uint64, nodes, streams int, unmeasured float64) balance.Problem {
	r := rand.New(rand.NewPCG(seed, 5))
	node := func(i int) string { return fmt.Sprintf("n%05d", i) }
	edges := make([]balance.Edge, streams)
	stock := make([]float64, nodes) // what flowed in less what flowed out, exactly
	for i := range edges {
		e := balance.Edge{Stream: balance.Stream{ID: fmt.Sprint(i)}}
		flow := 1 + 1e6*r.Float64()
		switch {
		case i < nodes: // every node passes on, or out
			from := i
			e.From = node(from)
			stock[from] -= flow
			if to := from + 1 + r.IntN(20); to < nodes {
				e.To = node(to)
				stock[to] += flow
			}
		default:
			to := r.IntN(nodes)
			e.To = node(to)
			stock[to] += flow
		}
		sd := flow * []float64{0.002, 0.05, 0.2}[r.IntN(3)]
		if r.Float64() >= unmeasured {
			e.Measured, e.Value, e.Variance = true, flow+sd*r.NormFloat64(), sd*sd
		}
		edges[i] = e
	}
	return balance.Network(edges)
}

func TestTooLargeIsRefused(t *testing.T) {
	edges := make([]balance.Edge, balance.MaxComponent+1)
	for i := range edges {
		edges[i] = balance.Edge{Stream: measured(fmt.Sprint(i), 1, 1), To: "n"}
	}
	_, err := balance.Reconcile(balance.Network(edges), balance.Options{})
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	for i := range edges {
		edges[i].To = fmt.Sprint("n", i/2) // the same in small parts
	}
	_, err = balance.Reconcile(balance.Network(edges), balance.Options{})
	require.NoError(t, err)
}

func BenchmarkReconcile(b *testing.B) {
	for _, unmeasured := range []float64{0, 0.2} {
		p := large(1, 300, 1000, unmeasured)
		b.Run(fmt.Sprintf("1000 streams 300 nodes unmeasured %g", unmeasured), func(b *testing.B) {
			for b.Loop() {
				_, err := balance.Reconcile(p, balance.Options{})
				require.NoError(b, err)
			}
		})
	}
}
