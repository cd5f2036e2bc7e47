package analytics

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAmountsDoNotWrap(t *testing.T) {
	for _, c := range []struct {
		a, b Amount
		ok   bool
	}{
		{Amount{math.MaxInt64 - 1, 0}, Amount{1, 0}, true},
		{Amount{math.MaxInt64, 0}, Amount{1, 0}, false},
		{Amount{math.MinInt64 + 1, 0}, Amount{-1, 0}, true},
		{Amount{math.MinInt64, 0}, Amount{-1, 0}, false},
		{Amount{math.MaxInt64, math.MaxInt64}, Amount{math.MinInt64, math.MinInt64}, true},
		{Amount{0, math.MaxInt64}, Amount{0, 1}, false},
		{Amount{0, math.MinInt64}, Amount{0, -1}, false},
	} {
		sum := c.a
		err := sum.add(c.b)
		if !c.ok {
			require.ErrorIs(t, err, ErrOverflow)
			require.Equal(t, c.a, sum, "nothing was added")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, Amount{c.a.Mass + c.b.Mass, c.a.Events + c.b.Events}, sum)
	}
}
