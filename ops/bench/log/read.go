//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// readStream is the one long stream among the others.
const readStream = "ledger-facility-00-202601"

// readGoal is the least ratio of reads; subscriptions have the same.
const readGoal = 0.85

// reading is one way of getting events, count of them.
type reading struct {
	name, file string
	do         func(ctx context.Context, client *esdb.Client, count int) (int, error)
}

var readings = []reading{
	{"stream", "read-stream", func(ctx context.Context, client *esdb.Client, count int) (int, error) {
		stream, err := client.ReadStream(ctx, readStream, esdb.ReadStreamOptions{}, uint64(count))
		return drain(stream, err)
	}},
	{"`$all`", "read-all", func(ctx context.Context, client *esdb.Client, count int) (int, error) {
		stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Start{}}, uint64(count))
		return drain(stream, err)
	}},
	{"`$all` backwards", "read-back", func(ctx context.Context, client *esdb.Client, count int) (int, error) {
		stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, uint64(count))
		return drain(stream, err)
	}},
	{"subscription to a stream", "subscribe-stream", func(ctx context.Context, client *esdb.Client, count int) (int, error) {
		sub, err := client.SubscribeToStream(ctx, readStream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		return follow(sub, err, count)
	}},
	{"subscription to `$all`", "subscribe-all", func(ctx context.Context, client *esdb.Client, count int) (int, error) {
		sub, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
		return follow(sub, err, count)
	}},
	{"subscription to `$all`, filtered", "subscribe-filtered", func(ctx context.Context, client *esdb.Client, count int) (int, error) {
		sub, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: esdb.ExcludeSystemEventsFilter()})
		return follow(sub, err, count)
	}},
}

// measureReads compares reads and catch-up subscriptions. The node's log has
// twice the events that are read: the long stream, and as many of other
// streams between them.
func measureReads(ctx context.Context, o *options, dir string, r *report) (err error) {
	p, err := startPair(ctx, dir, o.readable)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := fillForReads(ctx, p.clients[1], o.readable); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	r.head(fmt.Sprintf("Reads and subscriptions, %s events of %d bytes, events/s", thousands(float64(o.readable)), readBytes), comparedColumns("no-op")...)
	for _, what := range readings {
		if !o.match.MatchString(what.name) {
			continue
		}
		sides := [2]*side{}
		for i := range sides {
			sides[i] = &side{server: p.servers[i], run: func(ctx context.Context, limit time.Duration) (int, error) {
				return readFor(ctx, limit, p.clients[i], what, o.readable)
			}}
		}
		c, err := compare(ctx, o, what.file, sides[0], sides[1])
		if err != nil {
			return fmt.Errorf("%s: %w", what.name, err)
		}
		r.compared(what.name, c, readGoal, "%")
	}
	return nil
}

// readFor reads all there is, again and again until the time is over.
func readFor(ctx context.Context, limit time.Duration, client *esdb.Client, what reading, count int) (int, error) {
	total := 0
	for until := time.Now().Add(limit); total == 0 || time.Now().Before(until); {
		n, err := what.do(ctx, client, count)
		if err != nil {
			return total, err
		}
		if n != count {
			return total, fmt.Errorf("read %d events, want %d", n, count)
		}
		total += n
	}
	return total, nil
}

func drain(stream *esdb.ReadStream, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	for n := 0; ; n++ {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

func follow(sub *esdb.Subscription, err error, count int) (int, error) {
	if err != nil {
		return 0, err
	}
	for n := 0; n < count; {
		got := sub.Recv()
		if got.SubscriptionDropped != nil {
			return n, fmt.Errorf("subscription dropped: %w", got.SubscriptionDropped.Error)
		}
		if got.EventAppeared != nil {
			n++
		}
	}
	return count, sub.Close()
}

// fillForReads writes count events to the long stream and as many to others,
// by turns.
func fillForReads(ctx context.Context, client *esdb.Client, count int) error {
	const size = 100
	group, ctx := errgroup.WithContext(ctx)
	for k := range 2 {
		group.Go(func() error {
			for first := 0; first < count; first += size {
				stream := readStream
				if k == 1 {
					stream = fmt.Sprintf("ledger-facility-%02d-202602", 1+first/size%50)
				}
				if err := appendOnce(ctx, client, stream, k*count+first, min(size, count-first)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// appendOnce appends n events from the given one on, with random ids.
func appendOnce(ctx context.Context, client *esdb.Client, stream string, first, n int) error {
	events := proposed(first, n, readBytes)
	for i := range events {
		events[i].EventID = uuid.New()
	}
	if _, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events...); err != nil {
		return fmt.Errorf("append to %s: %w", stream, err)
	}
	return nil
}
