package balance_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// BenchmarkClose closes a book of a region's year: 850 facilities that report
// 35 materials each.
func BenchmarkClose(b *testing.B) {
	var entries []balance.Entry
	for f := range 850 {
		for m := range 35 {
			entries = append(entries, balance.Entry{
				Facility: facility.ID(fmt.Sprint("f", f)), Kind: flow.PeriodReported, Measure: "received", Method: flow.Declared, Net: 1e9, Squares: 1e17, Legs: 10,
				Material: balance.Material{Waste: waste.Code(fmt.Sprint(200000 + m))}, Period: flow.Period{From: "2019-01-01", To: "2020-01-01"},
			})
		}
	}
	for b.Loop() {
		book := balance.NewBook("2019-01-01", "2020-01-01", func(facility.ID) bool { return true })
		require.NoError(b, book.Add(entries...))
		_, err := book.Close(balance.DefaultUncertainties(), balance.Options{})
		require.NoError(b, err)
	}
}
