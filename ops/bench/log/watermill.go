//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/stofstrom/stofstrom/ingest/eventstore"
)

const (
	publishGoal   = 3.0
	subscribeGoal = 1.0
)

// broker is one Pub/Sub with the server behind it.
type broker struct {
	server    *child
	publisher message.Publisher
	// subscriber makes one that begins at the start of the topic, as a group
	// of its own that keeps its place. How an Ack is kept is in its name.
	subscriber func(acks ackMode, group string) (message.Subscriber, error)
	close      func() error
}

// ackMode is what has happened when a subscriber takes the next message.
type ackMode int

const (
	acksSent      ackMode = iota // the ack is on its way, or saved by the hundred
	acksConfirmed                // the server has confirmed each ack
	acksParallel                 // as acksSent, by eight subscribers without order
)

// startOurs is the product's Pub/Sub over a node.
func startOurs(ctx context.Context, dir string) (*broker, error) {
	server, err := startChild(ctx, "node", dir, 0)
	if err != nil {
		return nil, err
	}
	holder, err := eventstore.NewHolder(eventstore.Config{Connection: server.address, Logger: quiet()})
	if err != nil {
		return nil, errors.Join(err, server.stop())
	}
	log, err := eventstore.NewLog(holder, eventstore.LogConfig{})
	if err != nil {
		return nil, errors.Join(err, holder.Close(), server.stop())
	}
	publisher := eventstore.NewPublisher(log, eventstore.PublisherConfig{})
	return &broker{
		server: server, publisher: publisher,
		subscriber: func(acks ackMode, group string) (message.Subscriber, error) {
			c := eventstore.SubscriberConfig{Group: group, Positions: eventstore.NewStreamPositions(log)}
			if acks == acksConfirmed {
				c.SaveMessages = 1
			}
			return eventstore.NewSubscriber(log, c)
		},
		close: func() error { return errors.Join(publisher.Close(), holder.Close(), server.stop()) },
	}, nil
}

// measureWatermill follows the method of Watermill's own benchmark: workers
// publish messages one by one; then a subscriber takes and acknowledges all of
// them. It compares with JetStream that syncs every write.
func measureWatermill(ctx context.Context, o *options, dir string, r *report) (err error) {
	topic := "bench-" + watermill.NewUUID()
	ours, err := startOurs(ctx, filepath.Join(dir, "ours"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	jet, err := startJetStream(ctx, filepath.Join(dir, "jetstream"), topic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, jet.close()) }()
	brokers := [2]*broker{jet, ours}

	r.head(fmt.Sprintf("Watermill, publish %d-byte messages, one a Publish, messages/s, fsync before each answer", watermillBytes), comparedColumns("JetStream")...)
	published, err := measurePublish(ctx, o, brokers, topic, r)
	if err != nil {
		return err
	}
	count := min(published[0], published[1], o.messages)
	r.head(fmt.Sprintf("Watermill, subscribe to %s messages and acknowledge each, messages/s", thousands(float64(count))), comparedColumns("JetStream")...)
	return measureSubscribe(ctx, o, brokers, topic, count, r)
}

func measurePublish(ctx context.Context, o *options, brokers [2]*broker, topic string, r *report) (published [2]int, err error) {
	body := payload(1, watermillBytes)
	for _, workers := range []int{1, 64, 200} {
		sides := [2]*side{}
		for i, b := range brokers {
			sides[i] = &side{server: b.server, run: func(ctx context.Context, limit time.Duration) (int, error) {
				n, err := publishFor(ctx, limit, b.publisher, topic, body, workers)
				published[i] += n
				return n, err
			}}
		}
		name := fmt.Sprintf("%d workers", workers)
		goal := publishGoal
		if workers == 1 {
			name, goal = "1 worker", 0 // both wait for one sync a message, nothing can be shared
		}
		c, err := compare(ctx, o, fmt.Sprintf("publish-%d", workers), sides[0], sides[1])
		if err != nil {
			return published, fmt.Errorf("publish, %s: %w", name, err)
		}
		r.compared(name, c, goal, "×")
	}
	return published, nil
}

func publishFor(ctx context.Context, limit time.Duration, publisher message.Publisher, topic string, body []byte, workers int) (int, error) {
	var published atomic.Int64
	until := time.Now().Add(limit)
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			for time.Now().Before(until) && ctx.Err() == nil {
				if err := publisher.Publish(topic, message.NewMessage(watermill.NewUUID(), body)); err != nil {
					return err
				}
				published.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return int(published.Load()), err
}

// measureSubscribe compares by equal semantics: one subscriber, in order, the
// next message after the last one's Ack.
func measureSubscribe(ctx context.Context, o *options, brokers [2]*broker, topic string, count int, r *report) error {
	rows := []struct {
		name, file string
		jet, ours  ackMode
		goal       float64
		count      int
	}{
		{"acks sent, not waited for (ours: place saved every 100)", "subscribe", acksSent, acksSent, subscribeGoal, count},
		{"JetStream: each ack confirmed by its server; ours: place saved every 100", "subscribe-confirmed", acksConfirmed, acksSent, subscribeGoal, count},
		{"JetStream: each ack confirmed by its server; ours: each ack synced to disk", "subscribe-each", acksConfirmed, acksConfirmed, 0, max(1, count/20)},
		{"JetStream: 8 subscribers, no order; ours: one, in order", "subscribe-parallel", acksParallel, acksSent, 0, count},
	}
	for _, row := range rows {
		sides := [2]*side{}
		for i, acks := range []ackMode{row.jet, row.ours} {
			sides[i] = &side{server: brokers[i].server, run: func(ctx context.Context, _ time.Duration) (int, error) {
				return row.count, consume(ctx, brokers[i], acks, topic, row.count)
			}}
		}
		c, err := compare(ctx, o, row.file, sides[0], sides[1])
		if err != nil {
			return fmt.Errorf("subscribe, %s: %w", row.name, err)
		}
		r.compared(row.name, c, row.goal, "×")
	}
	return nil
}

func consume(ctx context.Context, b *broker, acks ackMode, topic string, count int) (err error) {
	subscriber, err := b.subscriber(acks, "g"+watermill.NewShortUUID())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, subscriber.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	messages, err := subscriber.Subscribe(ctx, topic)
	if err != nil {
		return err
	}
	for n := range count {
		m, ok := <-messages
		if !ok {
			return fmt.Errorf("subscription ended after %d messages of %d: %w", n, count, context.Cause(ctx))
		}
		m.Ack()
	}
	return nil
}
