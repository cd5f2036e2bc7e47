package eventstore

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// defaultFollowName labels the measurements of subscriptions without a name.
const defaultFollowName = "follow"

// Named returns the same log with a name for its subscriptions in metrics and
// log lines. Two subscriptions at a time should not share one.
func (l *Log) Named(name string) *Log {
	named := *l
	named.name = name
	return &named
}

// Follow implements eventlog.Feed. It returns at once; connecting is waited
// out inside. The subscription ends with ctx as well as with Close.
func (l *Log) Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter) (eventlog.Subscription, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	return &subscription{
		caller: ctx,
		feed:   l.newFeed(ctx, l.name, sourceOfFilter(filter), cursor{position: after}),
	}, nil
}

// subscription is a feed as the port wants it.
type subscription struct {
	caller context.Context // Follow's
	feed   *feed
	once   sync.Once
}

// Next implements eventlog.Subscription.
func (s *subscription) Next(ctx context.Context) (eventlog.Batch, error) {
	if err := ctx.Err(); err != nil {
		return eventlog.Batch{}, err
	}
	batch, err := s.feed.next(ctx)
	if err != nil {
		return eventlog.Batch{}, endedByCaller(s.caller, err)
	}
	return batch, nil
}

// Close implements eventlog.Subscription.
func (s *subscription) Close() error {
	s.once.Do(s.feed.close)
	return nil
}

// endBackwards reads the whole log from its end towards its start.
func endBackwards(ctx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
	return c.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, math.MaxInt64)
}
