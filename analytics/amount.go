package analytics

import (
	"errors"
	"math"

	"github.com/stofstrom/stofstrom/domain/mass"
)

// ErrOverflow refuses a sum beyond 9.2 billion tonnes × 1000: more than whole
// grams in 64 bits hold. It never wraps silently.
var ErrOverflow = errors.New("sum is larger than 64 bits of grams hold")

func (a *Amount) add(b Amount) error {
	grams, ok := addInt64(int64(a.Mass), int64(b.Mass))
	if !ok {
		return ErrOverflow
	}
	events, ok := addInt64(a.Events, b.Events)
	if !ok {
		return ErrOverflow
	}
	a.Mass, a.Events = mass.Grams(grams), events
	return nil
}

func addInt64(a, b int64) (sum int64, ok bool) {
	if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) {
		return 0, false
	}
	return a + b, true
}
