package analytics_test

import (
	"context"
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/analyticstest"
	"github.com/stofstrom/stofstrom/domain/fault"
)

var (
	_      = flag.Bool("update", false, "rewrite golden answers")
	worlds = flag.Int("worlds", 6, "random worlds to try")
)

func TestSuiteOnTheTwin(t *testing.T) {
	analyticstest.Run(t, analyticstest.Options{
		Open:   func(_ *testing.T, w analyticstest.World) analytics.Conn { return analyticstest.NewTwin(w) },
		Golden: "analyticstest/testdata/flows",
		Update: flag.Lookup("update"),
		Worlds: *worlds, Facts: 150,
	})
}

func service(t *testing.T, w analyticstest.World, change func(*analytics.Config)) (*analytics.Service, *analyticstest.Twin) {
	t.Helper()
	twin := analyticstest.NewTwin(w)
	config := analytics.DefaultConfig()
	if change != nil {
		change(&config)
	}
	s, err := analytics.New(config, analytics.Deps{Conn: twin})
	require.NoError(t, err)
	return s, twin
}

func query(t *testing.T, values map[string][]string) analytics.FlowQuery {
	t.Helper()
	q, err := analytics.ParseFlowQuery(values)
	require.NoError(t, err)
	return q
}

func TestAnswersNeverGoBack(t *testing.T) {
	w := analyticstest.Seed()
	s, twin := service(t, w, nil)
	q := query(t, nil)
	_, err := s.Flows(t.Context(), q)
	require.NoError(t, err)
	w.Committed--
	twin.Set(w)
	_, err = s.Flows(t.Context(), q)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.ErrorContains(t, err, "position 59, behind 60")
	w.Committed++
	twin.Set(w)
	_, err = s.Flows(t.Context(), q)
	require.NoError(t, err)
}

func TestAMomentKeepsItsRegisterWhenTheTablesMoveOn(t *testing.T) {
	w := analyticstest.Seed()
	w.Committed = 15 // Malmö is still spelled Malmø
	s, twin := service(t, w, nil)
	before, err := s.Now(t.Context())
	require.NoError(t, err)
	w.Committed = 100
	twin.Set(w)
	_, err = s.Now(t.Context())
	require.NoError(t, err)
	q := query(t, map[string][]string{"facility_area": {"Malmø"}})
	_, err = s.FlowsAt(t.Context(), q, before)
	require.NoError(t, err, "the name of then")
	_, err = s.Flows(t.Context(), q)
	require.ErrorContains(t, err, "Malmø")
}

func TestTheRegisterIsReadOnlyWhenThePositionMoves(t *testing.T) {
	w := analyticstest.Seed()
	s, twin := service(t, w, nil)
	q := query(t, map[string][]string{"group_by": {"facility_area"}})
	for range 2 {
		_, err := s.Flows(t.Context(), q)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"snapshot", "areas", "facilities", "flows", "snapshot", "flows"}, twin.Asked())
	w.Committed++
	twin.Set(w)
	_, err := s.Flows(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []string{"snapshot", "areas", "facilities", "flows"}, twin.Asked())
}

func TestLimits(t *testing.T) {
	q := query(t, map[string][]string{"group_by": {"facility", "waste_code"}})
	t.Run("ErrRows", func(t *testing.T) {
		s, _ := service(t, analyticstest.Seed(), func(c *analytics.Config) { c.MaxRows = 2 })
		_, err := s.Flows(t.Context(), q)
		require.Equal(t, fault.TooLarge, fault.KindOf(err))
		require.ErrorContains(t, err, "larger than 2 rows; narrow it")
	})
	t.Run("ErrGroups", func(t *testing.T) {
		s, _ := service(t, analyticstest.Seed(), func(c *analytics.Config) { c.MaxGroups = 2 })
		_, err := s.Flows(t.Context(), q)
		require.Equal(t, fault.TooLarge, fault.KindOf(err))
		require.ErrorContains(t, err, "larger than 2 groups")
	})
	t.Run("OK exactly at the limit", func(t *testing.T) {
		s, _ := service(t, analyticstest.Seed(), func(c *analytics.Config) { c.MaxRows, c.MaxGroups = 5, 6 })
		a, err := s.Flows(t.Context(), q)
		require.NoError(t, err)
		require.Len(t, a.Rows, 4, "one of five groups was taken back whole")
	})
	t.Run("ErrConfig", func(t *testing.T) {
		_, err := analytics.New(analytics.Config{}, analytics.Deps{Conn: analyticstest.NewTwin(analyticstest.Seed())})
		require.ErrorContains(t, err, "limits must be positive")
		_, err = analytics.New(analytics.DefaultConfig(), analytics.Deps{})
		require.ErrorContains(t, err, "no connection")
	})
}

func TestTroubleOfTheTablesHasAKind(t *testing.T) {
	s, twin := service(t, analyticstest.Seed(), nil)
	for name, c := range map[string]struct {
		err  error
		kind fault.Kind
	}{
		"away":            {errors.New("connection refused"), fault.Unavailable},
		"engine restarts": {&clickhouse.Exception{Code: 210}, fault.Unavailable},
		"cut off":         {&clickhouse.Exception{Code: 394}, fault.Unavailable},
		"too slow":        {&clickhouse.Exception{Code: 159}, fault.TooLarge},
		"too much memory": {&clickhouse.Exception{Code: 241}, fault.TooLarge},
		"a missing table": {&clickhouse.Exception{Code: 60}, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			twin.Fail(c.err)
			_, err := s.Flows(t.Context(), query(t, nil))
			require.Equal(t, c.kind, fault.KindOf(err))
			require.ErrorIs(t, err, c.err)
		})
	}
	twin.Fail(nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Flows(ended, query(t, nil))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
}

func TestAnEmptyLogAnswersNothing(t *testing.T) {
	s, _ := service(t, analyticstest.World{RecordedAt: time.Unix(0, 0)}, nil)
	a, err := s.Flows(t.Context(), query(t, map[string][]string{"group_by": {"kind"}}))
	require.NoError(t, err)
	require.Empty(t, a.Rows)
	require.NotNil(t, a.Rows)
	require.Zero(t, a.Total)
	require.Zero(t, a.Position)
	require.True(t, a.AsOf.IsZero())
}

func TestNetflowNeedsBothAreas(t *testing.T) {
	_, err := analytics.Netflow(analytics.FlowAnswer{Columns: []string{"origin_area", "origin_area_id"}})
	require.ErrorContains(t, err, "column facility_area is missing")
}

func TestASumThatDoesNotFitIsRefused(t *testing.T) {
	w := analyticstest.Seed()
	w.Facts = []analyticstest.Fact{w.Facts[0], w.Facts[2]} // two facilities
	for i := range w.Facts {
		w.Facts[i].Grams = 1 << 62
	}
	s, _ := service(t, w, nil)
	for _, groups := range [][]string{{"facility"}, {"year", "facility"}} {
		_, err := s.Flows(t.Context(), query(t, map[string][]string{"group_by": groups}))
		require.ErrorIs(t, err, analytics.ErrOverflow)
		require.Equal(t, fault.Internal, fault.KindOf(err))
	}
}

func TestNetflow(t *testing.T) {
	s, _ := service(t, analyticstest.Seed(), nil)
	a, err := s.Flows(t.Context(), query(t, map[string][]string{"group_by": {"origin_area", "year", "facility_area"}}))
	require.NoError(t, err)
	balances, err := analytics.Netflow(a)
	require.NoError(t, err)
	area := func(name string) analytics.Value { return analytics.Value{Text: name, Stated: name != ""} }
	require.Equal(t, []analytics.AreaBalance{
		{
			Area: area("Roskilde"), ID: "dk-0265", In: analytics.Amount{Mass: 1, Events: 1}, Out: analytics.Amount{Mass: 2_331_864_132_910, Events: 1},
			Internal: analytics.Amount{Mass: 11_340_000, Events: 1}, Net: analytics.Amount{Mass: -2_331_864_132_909},
		},
		{Area: area("Malmö"), ID: "se-1280", In: analytics.Amount{Mass: 2_331_864_133_410, Events: 2}, Net: analytics.Amount{Mass: 2_331_864_133_410, Events: 2}},
		{Area: area(""), Internal: analytics.Amount{Mass: 999_999, Events: 1}},
		{Area: area("Region Sjælland"), ID: "dk-1085", Out: analytics.Amount{Mass: 500, Events: 1}, Net: analytics.Amount{Mass: -500, Events: -1}},
		{Area: area("Greve"), ID: "dk-0253", Out: analytics.Amount{Mass: 1, Events: 1}, Net: analytics.Amount{Mass: -1, Events: -1}},
	}, balances)
}

// stuck is a connection whose server stops answering.
type stuck struct {
	*analyticstest.Twin
	now bool
}

func (c *stuck) Query(ctx context.Context, statement string, args ...any) (driver.Rows, error) {
	if c.now {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return c.Twin.Query(ctx, statement, args...)
}

func TestAStoreThatHangsHoldsNobody(t *testing.T) {
	config := analytics.DefaultConfig()
	config.Timeout = 20 * time.Millisecond
	conn := &stuck{Twin: analyticstest.NewTwin(analyticstest.Seed())}
	s, err := analytics.New(config, analytics.Deps{Conn: conn})
	require.NoError(t, err)
	m, err := s.Now(t.Context())
	require.NoError(t, err)
	conn.now = true
	_, err = s.Now(t.Context())
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	_, err = s.FlowsAt(t.Context(), query(t, nil), m)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	_, err = s.FlowsAt(t.Context(), query(t, nil), analytics.Moment{Position: 1})
	require.ErrorContains(t, err, "was not found by Now")
}

func TestConcurrentQuestionsShareOneRegister(t *testing.T) {
	w := analyticstest.Seed()
	s, twin := service(t, w, nil)
	q := query(t, map[string][]string{"group_by": {"facility_region"}})
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			for range 50 {
				if _, err := s.Flows(t.Context(), q); err != nil {
					return err
				}
			}
			return nil
		})
		w.Committed = 60 + uint64(i) //nolint:gosec // small
		twin.Set(w)
	}
	require.NoError(t, group.Wait())
}
