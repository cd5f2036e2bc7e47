//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	jetpubsub "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// startJetStream is watermill-nats over a server that syncs every write.
func startJetStream(ctx context.Context, dir, topic string) (*broker, error) {
	server, err := startChild(ctx, "nats", dir, 0)
	if err != nil {
		return nil, err
	}
	publisher, err := jetpubsub.NewPublisher(jetpubsub.PublisherConfig{
		URL: server.address,
		// A look at the stream before each Publish would halve its rate.
		JetStream: jetpubsub.JetStreamConfig{},
	}, watermill.NopLogger{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("JetStream publisher: %w", err), server.stop())
	}
	if err := makeStream(server.address, topic); err != nil {
		return nil, errors.Join(err, publisher.Close(), server.stop())
	}
	return &broker{
		server: server, publisher: publisher,
		subscriber: func(acks ackMode, group string) (message.Subscriber, error) {
			c := jetpubsub.SubscriberConfig{
				URL: server.address, AckWaitTimeout: 30 * time.Second, CloseTimeout: 30 * time.Second,
				JetStream: jetpubsub.JetStreamConfig{
					DurablePrefix: group, AckAsync: acks != acksConfirmed,
					SubscribeOptions: []nats.SubOpt{nats.DeliverAll(), nats.AckExplicit()},
				},
			}
			if acks == acksParallel {
				c.SubscribersCount, c.QueueGroupPrefix = 8, group
			}
			return jetpubsub.NewSubscriber(c, watermill.NopLogger{})
		},
		close: func() error { return errors.Join(publisher.Close(), server.stop()) },
	}, nil
}

// makeStream makes the stream of the topic, on disk.
func makeStream(url, topic string) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("JetStream at %s: %w", url, err)
	}
	defer conn.Close()
	manager, err := conn.JetStream()
	if err != nil {
		return fmt.Errorf("JetStream at %s: %w", url, err)
	}
	if _, err := manager.AddStream(&nats.StreamConfig{Name: topic, Subjects: []string{topic}, Storage: nats.FileStorage}); err != nil {
		return fmt.Errorf("make the stream: %w", err)
	}
	return nil
}
