package pubsub_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
	node "github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

// features are what the Pub/Sub claims. Delivery is at least once: a message
// comes again when the process ends between its Ack and the next save of the
// group's position.
func features(restart ...string) tests.Features {
	return tests.Features{
		ConsumerGroups:                   true,
		ExactlyOnceDelivery:              false,
		GuaranteedOrder:                  true,
		Persistent:                       true,
		NewSubscriberReceivesOldMessages: true,
		RestartServiceCommand:            restart,
		GenerateTopicFunc: func(c tests.TestContext) string {
			return "ledger-gb-ea-" + c.TestID.String() + "-202601"
		},
	}
}

// pubSubs makes publishers and subscribers over one connection each.
type pubSubs struct{ connection string }

func (p pubSubs) plain(t *testing.T) (message.Publisher, message.Subscriber) {
	return p.group(t, "")
}

func (p pubSubs) group(t *testing.T, group string) (message.Publisher, message.Subscriber) {
	l := newLog(t, newHolder(t, eventstore.Config{Connection: p.connection}))
	c := eventstore.SubscriberConfig{Group: group}
	if group != "" {
		c.Positions = eventstore.NewStreamPositions(l)
	}
	sub, err := eventstore.NewSubscriber(l, c)
	require.NoError(t, err)
	return settle(t, eventstore.NewPublisher(l, eventstore.PublisherConfig{}), sub)
}

// restarting are the features with Watermill's TestReconnect. That test reads a
// slice to which another goroutine of its own may still append, which the race
// detector reports for any Pub/Sub: TestRestartsUnderLoad stands in for it
// then, and it runs in every build without the detector.
func restarting(n *nodeProcess) tests.Features {
	if raceEnabled {
		return features()
	}
	return features(os.Args[0], roleRestart, n.pidFile)
}

func TestPubSub(t *testing.T) {
	n := startNodeProcess(t)
	p := pubSubs{n.connectionString()}
	tests.TestPubSub(t, restarting(n), p.plain, p.group)
}

// TestPubSubInGroups runs the suite once more with every subscriber of a test
// in a group, so that positions are kept in the log throughout. It is the short
// form unless STOFSTROM_LONG is set.
func TestPubSubInGroups(t *testing.T) {
	n := startNodeProcess(t)
	p := pubSubs{n.connectionString()}
	inGroup := func(t *testing.T) (message.Publisher, message.Subscriber) {
		return p.group(t, "everyone-"+watermill.NewUUID())
	}
	f := restarting(n)
	f.ForceShort = os.Getenv("STOFSTROM_LONG") == ""
	tests.TestPubSub(t, f, inGroup, p.group)
}

func TestPubSubStress(t *testing.T) {
	f := features()
	if os.Getenv("STOFSTROM_LONG") == "" {
		f.ForceShort = true // and few rounds: see TestMain
	}
	p := pubSubs{startNode(t, node.Config{}).ConnectionString()}
	tests.TestPubSubStressTest(t, f, p.plain, p.group)
}

func BenchmarkSubscriber(b *testing.B) {
	p := startNode(b, node.Config{})
	l := newLog(b, newHolder(b, eventstore.Config{Connection: p.ConnectionString()}))
	tests.BenchSubscriber(b, func(int) (message.Publisher, message.Subscriber) {
		sub, err := eventstore.NewSubscriber(l, eventstore.SubscriberConfig{})
		require.NoError(b, err)
		return eventstore.NewPublisher(l, eventstore.PublisherConfig{}), sub
	})
}

// filled appends n events of 394 bytes to the stream "full".
func filled(b *testing.B, n int) *eventstore.Log {
	b.Helper()
	l := newLog(b, newHolder(b, eventstore.Config{Connection: startNode(b, node.Config{}).ConnectionString()}))
	payload := fmt.Appendf(nil, `{"pad":%q}`, strings.Repeat("x", 384))
	for n > 0 {
		events := make([]eventlog.Proposed, min(n, 500))
		for i := range events {
			events[i] = eventlog.Proposed{ID: uuid.New(), Type: "dk.stofstrom.flow.received.v1", Data: payload}
		}
		_, err := l.Append(testContext(b), "full", eventlog.Any(), events)
		require.NoError(b, err)
		n -= len(events)
	}
	return l
}

// BenchmarkReceive takes messages that are there already, each acknowledged
// before the next.
func BenchmarkReceive(b *testing.B) {
	l := filled(b, b.N)
	b.ResetTimer()
	sub := newSubscriber(b, l, eventstore.SubscriberConfig{})
	messages := subscribe(b, sub, "full")
	for range b.N {
		(<-messages).Ack()
	}
}

// BenchmarkFollow takes the same events in batches.
func BenchmarkFollow(b *testing.B) {
	l := filled(b, b.N)
	ctx := testContext(b)
	b.ResetTimer()
	sub, err := l.Follow(ctx, eventlog.Position{}, eventlog.Filter{StreamPrefixes: []string{"full"}})
	require.NoError(b, err)
	defer func() { require.NoError(b, sub.Close()) }()
	for seen := 0; seen < b.N; {
		batch, err := sub.Next(ctx)
		require.NoError(b, err)
		seen += len(batch.Events)
	}
}

// BenchmarkPublish publishes one message a call from many callers at once.
func BenchmarkPublish(b *testing.B) {
	l := filled(b, 1)
	p := eventstore.NewPublisher(l, eventstore.PublisherConfig{})
	payload := fmt.Appendf(nil, `{"pad":%q}`, strings.Repeat("x", 384))
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		topic := "ledger-" + watermill.NewUUID() + "-202601"
		for pb.Next() {
			if err := p.Publish(topic, message.NewMessage(watermill.NewUUID(), payload)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
