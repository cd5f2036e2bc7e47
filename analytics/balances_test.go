package analytics_test

import (
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/analyticstest"
	"github.com/stofstrom/stofstrom/domain/fault"
)

func TestBalancesOnTheTwin(t *testing.T) {
	analyticstest.RunBalances(t, analyticstest.Options{
		Open:   func(_ *testing.T, w analyticstest.World) analytics.Conn { return analyticstest.NewTwin(w) },
		Golden: "analyticstest/testdata/balances",
		Update: flag.Lookup("update"),
		Worlds: *worlds, Facts: 150,
	})
}

func TestBalancesRefuseWhatIsTooMuch(t *testing.T) {
	for name, change := range map[string]func(*analytics.Config){
		"rows":       func(c *analytics.Config) { c.MaxRows = 3 },
		"groups":     func(c *analytics.Config) { c.MaxGroups = 3 },
		"neighbours": func(c *analytics.Config) { c.MaxBoundBytes = len("'dk-p-1',") },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := service(t, analyticstest.Seed(), change)
			_, err := s.Balances(t.Context(), analytics.BalanceQuery{From: "2019-01-01", To: "2020-01-01", Facilities: []string{"dk-p-1"}})
			require.Equal(t, fault.TooLarge, fault.KindOf(err), "%v", err)
		})
	}
}

func TestBalancesNameTroubleOfTheTables(t *testing.T) {
	s, twin := service(t, analyticstest.Seed(), nil)
	m, err := s.Now(t.Context())
	require.NoError(t, err)
	twin.Fail(errors.New("gone"))
	_, err = s.BalancesAt(t.Context(), analytics.BalanceQuery{}, m)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	_, err = s.BalancesAt(t.Context(), analytics.BalanceQuery{}, analytics.Moment{Position: 1})
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

func TestExactValuesThatContradictAreRefused(t *testing.T) {
	s, _ := service(t, analyticstest.Seed(), nil)
	_, err := s.Balances(t.Context(), analytics.BalanceQuery{From: "2019-01-01", To: "2020-01-01", Uncertainty: []string{"weighed:0", "volume:0", "declared:0", "estimated:0"}})
	require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)
	require.ErrorContains(t, err, "exact-values-contradict")
}
