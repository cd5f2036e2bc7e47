package eventstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// untilCaughtUp collects what a subscription delivers until it is up to date.
func untilCaughtUp(t testing.TB, sub *esdb.Subscription) (events []*esdb.RecordedEvent, checkpoints []esdb.Position) {
	t.Helper()
	for {
		e := sub.Recv()
		switch {
		case e.EventAppeared != nil:
			events = append(events, e.EventAppeared.Event)
		case e.CheckPointReached != nil:
			checkpoints = append(checkpoints, *e.CheckPointReached)
		case e.CaughtUp != nil:
			return events, checkpoints
		case e.SubscriptionDropped != nil:
			require.NoError(t, e.SubscriptionDropped.Error)
		}
	}
}

func subscribeAll(t testing.TB, client *esdb.Client, opts esdb.SubscribeToAllOptions) *esdb.Subscription {
	t.Helper()
	sub, err := client.SubscribeToAll(testContext(t), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sub.Close()) })
	return sub
}

// fill writes events of several types to several streams and returns all of
// them in log order.
func fill(t testing.TB, client *esdb.Client, appends int) []*esdb.RecordedEvent {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for range appends {
		events := newEvents(1 + rng.IntN(5))
		for i := range events {
			events[i].EventType = fmt.Sprintf("type-%d", rng.IntN(10))
		}
		_, err := client.AppendToStream(testContext(t), fmt.Sprintf("stream-%d", rng.IntN(10)), expect(esdb.Any{}), events...)
		require.NoError(t, err)
	}
	var all []*esdb.RecordedEvent
	for _, e := range readAll(t, client, esdb.ReadAllOptions{From: esdb.Start{}}) {
		all = append(all, e.Event)
	}
	return all
}

func positions(events []*esdb.RecordedEvent) []uint64 {
	out := make([]uint64, 0, len(events))
	for _, e := range events {
		out = append(out, e.Position.Commit)
	}
	return out
}

func TestFilters(t *testing.T) {
	client := startClient(t)
	all := fill(t, client, 200)
	cases := map[string]struct {
		filter esdb.SubscriptionFilter
		want   func(*esdb.RecordedEvent) bool
	}{
		"stream prefixes": {
			esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"stream-1", "stream-7"}},
			func(e *esdb.RecordedEvent) bool { return e.StreamID == "stream-1" || e.StreamID == "stream-7" },
		},
		"type prefix": {
			esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"type-3"}},
			func(e *esdb.RecordedEvent) bool { return e.EventType == "type-3" },
		},
		"stream expression": {
			esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: `^stream-[0-4]$`},
			func(e *esdb.RecordedEvent) bool { return e.StreamID < "stream-5" },
		},
		"type expression": {
			esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: `[13]$`},
			func(e *esdb.RecordedEvent) bool {
				return strings.HasSuffix(e.EventType, "1") || strings.HasSuffix(e.EventType, "3")
			},
		},
		"nothing matches": {
			esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"other"}},
			func(*esdb.RecordedEvent) bool { return false },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want []*esdb.RecordedEvent
			for _, e := range all {
				if c.want(e) {
					want = append(want, e)
				}
			}
			sub := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &c.filter, MaxSearchWindow: 8, CheckpointInterval: 2})
			got, checkpoints := untilCaughtUp(t, sub)
			require.Equal(t, positions(want), positions(got))
			// One checkpoint per 16 events looked at, and one for the rest on catching up.
			require.Len(t, checkpoints, (len(all)+15)/16)
			for i, p := range checkpoints[:len(all)/16] {
				require.EqualValues(t, (i+1)*16, p.Commit)
				require.Equal(t, p.Commit, p.Prepare)
			}
			require.EqualValues(t, len(all), checkpoints[len(checkpoints)-1].Commit)
		})
	}
}

func TestFilterThatIsNone(t *testing.T) {
	client := startClient(t)
	for _, expr := range []string{"(", "a(?=b)"} {
		_, err := client.SubscribeToAll(testContext(t), esdb.SubscribeToAllOptions{
			From: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: expr},
		})
		require.ErrorContains(t, err, "filter")
	}
}

// TestResumeFromEveryPosition takes each event's position, and each
// checkpoint, as the place to go on from.
func TestResumeFromEveryPosition(t *testing.T) {
	client := startClient(t)
	all := fill(t, client, 40)
	filter := &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"stream-2"}}
	for i := range all {
		sub := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: all[i].Position})
		got, _ := untilCaughtUp(t, sub)
		require.Equal(t, positions(all[i+1:]), positions(got))

		var want []*esdb.RecordedEvent
		for _, e := range all[i+1:] {
			if strings.HasPrefix(e.StreamID, "stream-2") {
				want = append(want, e)
			}
		}
		sub = subscribeAll(t, client, esdb.SubscribeToAllOptions{From: all[i].Position, Filter: filter, MaxSearchWindow: 3, CheckpointInterval: 1})
		got, _ = untilCaughtUp(t, sub)
		require.Equal(t, positions(want), positions(got))

		one, err := client.SubscribeToStream(testContext(t), all[i].StreamID, esdb.SubscribeToStreamOptions{From: esdb.Revision(all[i].EventNumber)})
		require.NoError(t, err)
		got, _ = untilCaughtUp(t, one)
		require.NoError(t, one.Close())
		for k, e := range got {
			require.Equal(t, all[i].EventNumber+1+uint64(k), e.EventNumber)
		}
	}
}

func TestSubscriptionsFromTheEndGetOnlyWhatIsNew(t *testing.T) {
	client := startClient(t)
	ctx := testContext(t)
	fill(t, client, 10)
	all := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.End{}})
	one, err := client.SubscribeToStream(ctx, "later", esdb.SubscribeToStreamOptions{From: esdb.End{}})
	require.NoError(t, err)
	defer func() { require.NoError(t, one.Close()) }()
	for _, sub := range []*esdb.Subscription{all, one} {
		got, _ := untilCaughtUp(t, sub)
		require.Empty(t, got)
	}
	e := newEvent(0)
	_, err = client.AppendToStream(ctx, "later", expect(esdb.NoStream{}), e)
	require.NoError(t, err)
	for _, sub := range []*esdb.Subscription{all, one} {
		require.Equal(t, e.EventID, sub.Recv().EventAppeared.Event.EventID)
	}
}

// TestOrderUnderConcurrentWriters compares what live subscriptions saw with
// what is read afterwards.
func TestOrderUnderConcurrentWriters(t *testing.T) {
	client := startClient(t)
	const writers, appends, each = 16, 30, 3
	live := subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	var group sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		group.Go(func() {
			for n := range appends {
				// Half of them share one stream.
				stream := "shared"
				if w%2 == 0 {
					stream = fmt.Sprintf("own-%d", w)
				}
				if _, err := client.AppendToStream(context.Background(), stream, expect(esdb.Any{}), newEvents(each)...); err != nil {
					errs <- fmt.Errorf("append %d: %w", n, err)
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	const total = writers * appends * each
	next := map[string]uint64{}
	var seen []string
	for len(seen) < total {
		e := live.Recv()
		require.Nil(t, e.SubscriptionDropped)
		if e.EventAppeared == nil {
			continue
		}
		r := e.EventAppeared.Event
		require.EqualValues(t, len(seen)+1, r.Position.Commit)
		require.Equal(t, next[r.StreamID], r.EventNumber)
		next[r.StreamID]++
		seen = append(seen, r.EventID.String())
	}
	for i, e := range readAll(t, client, esdb.ReadAllOptions{From: esdb.Start{}}) {
		require.Equal(t, seen[i], e.Event.EventID.String())
	}
	require.EqualValues(t, writers/2*appends*each, next["shared"])
}

// TestASlowSubscriberIsToldAndLosesNothing does not receive while much is
// written, and then takes all of it.
func TestASlowSubscriberIsToldAndLosesNothing(t *testing.T) {
	client := startClient(t)
	const appends, each = 40, 500
	subs := []*esdb.Subscription{subscribeAll(t, client, esdb.SubscribeToAllOptions{From: esdb.Start{}})}
	one, err := client.SubscribeToStream(testContext(t), "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer func() { require.NoError(t, one.Close()) }()
	subs = append(subs, one)
	for _, sub := range subs {
		require.NotNil(t, sub.Recv().CaughtUp)
	}
	for range appends {
		_, err := client.AppendToStream(testContext(t), "s", expect(esdb.Any{}), newEvents(each)...)
		require.NoError(t, err)
	}
	for _, sub := range subs {
		next, fellBehind := uint64(0), false
		for caughtUp := false; !caughtUp; {
			e := sub.Recv()
			switch {
			case e.EventAppeared != nil:
				require.Equal(t, next, e.EventAppeared.Event.EventNumber)
				next++
			case e.FellBehind != nil:
				fellBehind = true
			case e.CaughtUp != nil:
				caughtUp = true
			case e.SubscriptionDropped != nil:
				require.NoError(t, e.SubscriptionDropped.Error)
			}
		}
		require.True(t, fellBehind)
		require.EqualValues(t, appends*each, next)
	}
}
