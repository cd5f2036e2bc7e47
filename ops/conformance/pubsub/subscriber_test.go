package pubsub_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
	node "github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

func newSubscriber(tb testing.TB, l *eventstore.Log, c eventstore.SubscriberConfig) *eventstore.Subscriber {
	tb.Helper()
	sub, err := eventstore.NewSubscriber(l, c)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, sub.Close()) })
	return sub
}

func subscribe(tb testing.TB, sub *eventstore.Subscriber, topic string) <-chan *message.Message {
	tb.Helper()
	messages, err := sub.Subscribe(testContext(tb), topic)
	require.NoError(tb, err)
	return messages
}

// receive takes n messages and acknowledges them.
func receive(tb testing.TB, messages <-chan *message.Message, n int) []*message.Message {
	tb.Helper()
	var got []*message.Message
	timeout := time.After(30 * time.Second)
	for len(got) < n {
		select {
		case m, ok := <-messages:
			require.True(tb, ok, "the channel was closed after %d of %d", len(got), n)
			got = append(got, m)
			require.True(tb, m.Ack())
		case <-timeout:
			require.Len(tb, got, n, "no more came")
		}
	}
	return got
}

func payloads(messages []*message.Message) []string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = string(m.Payload)
	}
	return all
}

// publishNumbers publishes messages with payloads from..to-1, one append each.
func publishNumbers(tb testing.TB, l *eventstore.Log, topic string, from, to int) []*message.Message {
	tb.Helper()
	p := eventstore.NewPublisher(l, eventstore.PublisherConfig{})
	var all []*message.Message
	for i := from; i < to; i++ {
		m := message.NewMessage(watermill.NewUUID(), []byte(strconv.Itoa(i)))
		require.NoError(tb, p.Publish(topic, m))
		all = append(all, m)
	}
	return all
}

func numbers(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

func TestMessagesComeBackAsTheyWent(t *testing.T) {
	l := newLog(t, newHolder(t, eventstore.Config{Connection: startNode(t, node.Config{}).ConnectionString()}))
	p := eventstore.NewPublisher(l, eventstore.PublisherConfig{})
	const topic = "ledger-gb-ea-ab1234-201901"
	same := watermill.NewUUID()
	var sent []*message.Message
	add := func(id string, payload []byte, metadata message.Metadata) {
		m := message.NewMessage(id, payload)
		for k, v := range metadata {
			m.Metadata.Set(k, v)
		}
		sent = append(sent, m)
	}
	add(same, []byte(`{"a":1}`), message.Metadata{"correlation_id": "c", "causation_id": "d", "æ": "ø"})
	add(same, []byte(`{"a":1}`), message.Metadata{"correlation_id": "c", "causation_id": "d", "æ": "ø"})
	add("1", nil, nil)
	add("1", nil, nil)
	add("", []byte{0, 0xff}, message.Metadata{"$reserved": "\xff"})
	add(watermill.NewULID(), []byte("text"), nil)
	want := make([]*message.Message, len(sent))
	for i, m := range sent {
		want[i] = m.Copy()
	}
	require.NoError(t, p.Publish(topic, sent...))
	// The same UUID again, alone and for other content, and in another topic.
	other := message.NewMessage(same, []byte(`{"a":2}`))
	require.NoError(t, p.Publish(topic, other.Copy()))
	require.NoError(t, p.Publish(topic, message.NewMessage("1", nil)))
	want = append(want, other, message.NewMessage("1", nil))
	require.NoError(t, p.Publish("elsewhere", message.NewMessage(same, []byte(`{"a":1}`)), message.NewMessage("1", nil)))
	// A retry of a message that was published is not a second message.
	require.NoError(t, p.Publish(topic, other.Copy()))

	sub := newSubscriber(t, l, eventstore.SubscriberConfig{})
	got := receive(t, subscribe(t, sub, topic), len(want))
	for i, m := range got {
		event, ok := eventstore.RecordedOf(m)
		require.True(t, ok)
		require.Equal(t, topic, event.Stream)
		at, ok := eventstore.AppendedOf(m)
		require.True(t, ok)
		require.Equal(t, eventlog.Appended{Revision: uint64(i), Position: event.Position}, at)
		clean := m.Copy()
		for _, key := range []string{eventstore.MetaEventType, eventstore.MetaRevision, eventstore.MetaPosition} {
			delete(clean.Metadata, key)
		}
		require.True(t, clean.Equals(want[i]), "%d: got %v, want %v", i, clean, want[i])
	}
	require.Len(t, receive(t, subscribe(t, sub, "elsewhere"), 2), 2)
	require.Len(t, readAll(t, l.ReadStream(testContext(t), topic, 0)), len(want))
}

func TestExpectedRevisionThroughMessages(t *testing.T) {
	l := newLog(t, newHolder(t, eventstore.Config{Connection: startNode(t, node.Config{}).ConnectionString()}))
	p := eventstore.NewPublisher(l, eventstore.PublisherConfig{})
	msg := func(e eventlog.Expected) *message.Message {
		m := message.NewMessage(watermill.NewUUID(), []byte(`{}`))
		eventstore.SetExpected(m, e)
		return m
	}
	first := msg(eventlog.NoStream())
	require.NoError(t, p.Publish("ledger-x-201901", first))
	require.NoError(t, p.Publish("ledger-x-201901", first), "a retry")
	var wrong *eventlog.WrongRevision
	require.ErrorAs(t, p.Publish("ledger-x-201901", msg(eventlog.NoStream())), &wrong)
	require.Equal(t, eventlog.Exactly(0), wrong.Actual)
	require.NoError(t, p.Publish("ledger-x-201901", msg(eventlog.Exactly(0)), msg(eventlog.Exactly(0))))
	require.ErrorAs(t, p.Publish("ledger-x-201901", msg(eventlog.Exactly(0))), &wrong)
	require.Equal(t, eventlog.Exactly(2), wrong.Actual)
}

func TestWholeLogWithFilters(t *testing.T) {
	l := newLog(t, newHolder(t, eventstore.Config{Connection: startNode(t, node.Config{}).ConnectionString()}))
	p := eventstore.NewPublisher(l, eventstore.PublisherConfig{})
	var first eventlog.Appended
	for i, topic := range []string{"ledger-1", "facility-1", "ledger-2", "areas-dk", "ledger-1"} {
		m := message.NewMessage(watermill.NewUUID(), fmt.Appendf(nil, "%d", i))
		m.Metadata.Set(eventstore.MetaEventType, "type."+topic[:6]+".v1")
		require.NoError(t, p.Publish(topic, m))
		if i == 0 {
			first, _ = eventstore.AppendedOf(m)
		}
	}
	for name, test := range map[string]struct {
		config eventstore.SubscriberConfig
		topic  string
		want   []string
	}{
		"everything":       {eventstore.SubscriberConfig{}, eventstore.AllTopic, []string{"0", "1", "2", "3", "4"}},
		"after a position": {eventstore.SubscriberConfig{From: eventstore.FromPosition(first.Position)}, eventstore.AllTopic, []string{"1", "2", "3", "4"}},
		"stream prefixes":  {selecting(eventstore.Selection{StreamPrefixes: []string{"ledger-", "areas-"}}), "x", []string{"0", "2", "3", "4"}},
		"stream regex":     {selecting(eventstore.Selection{StreamRegex: "-1$"}), "x", []string{"0", "1", "4"}},
		"type prefixes":    {selecting(eventstore.Selection{EventTypePrefixes: []string{"type.facil"}}), "x", []string{"1"}},
		"type regex":       {selecting(eventstore.Selection{EventTypeRegex: `^type\.(ledger|areas-)\.v1$`}), "x", []string{"0", "2", "3", "4"}},
		"one stream":       {selecting(eventstore.Selection{Stream: "ledger-1"}), "x", []string{"0", "4"}},
		"after a revision": {eventstore.SubscriberConfig{From: eventstore.FromRevision(0)}, "ledger-1", []string{"4"}},
	} {
		t.Run(name, func(t *testing.T) {
			sub := newSubscriber(t, l, test.config)
			messages := subscribe(t, sub, test.topic)
			require.Equal(t, test.want, payloads(receive(t, messages, len(test.want))))
			requireQuiet(t, messages)
		})
	}
	for name, test := range map[string]struct {
		config eventstore.SubscriberConfig
		topic  string
		says   string
	}{
		"position of a stream":      {eventstore.SubscriberConfig{From: eventstore.FromPosition(first.Position)}, "ledger-1", "FromRevision"},
		"revision of the whole log": {eventstore.SubscriberConfig{From: eventstore.FromRevision(1)}, eventstore.AllTopic, "FromPosition"},
		"two filters":               {selecting(eventstore.Selection{StreamRegex: "a", EventTypeRegex: "b"}), "x", "2 filters"},
		"a filter on a stream":      {selecting(eventstore.Selection{Stream: "s", StreamRegex: "a"}), "x", "a stream has none"},
		"no topic":                  {eventstore.SubscriberConfig{}, "", "topic must not be empty"},
	} {
		_, err := newSubscriber(t, l, test.config).Subscribe(testContext(t), test.topic)
		require.ErrorContains(t, err, test.says, name)
	}
}

func selecting(s eventstore.Selection) eventstore.SubscriberConfig {
	return eventstore.SubscriberConfig{Select: func(string) eventstore.Selection { return s }}
}

// requireQuiet fails when another message comes within a moment.
func requireQuiet(tb testing.TB, messages <-chan *message.Message) {
	tb.Helper()
	select {
	case m, ok := <-messages:
		require.False(tb, ok, "unexpected message %v", m)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestNackRedeliversInOrder(t *testing.T) {
	metrics := prometheus.NewRegistry()
	l := newLog(t, newHolder(t, eventstore.Config{
		Connection: startNode(t, node.Config{}).ConnectionString(), Metrics: eventstore.NewMetrics(metrics)}))
	publishNumbers(t, l, "t", 0, 5)
	messages := subscribe(t, newSubscriber(t, l, eventstore.SubscriberConfig{NackDelay: time.Microsecond}), "t")
	for i := range 5 {
		for range i {
			m := <-messages
			require.Equal(t, strconv.Itoa(i), string(m.Payload))
			require.True(t, m.Nack())
			<-m.Context().Done()
		}
		require.Equal(t, numbers(i, i+1), payloads(receive(t, messages, 1)))
	}
	n, err := testutil.GatherAndCount(metrics, "stofstrom_eventlog_redelivered_messages_total")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestGroupGoesOnWhereItWas(t *testing.T) {
	ctx := testContext(t)
	s := startNode(t, node.Config{})
	publishing := newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
	publishNumbers(t, publishing, "t", 0, 30)
	stores := map[string]func(l *eventstore.Log) eventstore.PositionStore{
		"in the log": func(l *eventstore.Log) eventstore.PositionStore { return eventstore.NewStreamPositions(l) },
	}
	memory := &eventstore.MemoryPositions{}
	stores["in memory"] = func(*eventstore.Log) eventstore.PositionStore { return memory }
	for name, store := range stores {
		for _, topic := range []string{"t", eventstore.AllTopic} {
			t.Run(name+"/"+topic, func(t *testing.T) {
				next := 0
				for next < 30 {
					// Every member has a connection and a store of its own.
					l := newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
					sub := newSubscriber(t, l, eventstore.SubscriberConfig{Group: "g/1-x", Positions: store(l)})
					messages := subscribe(t, sub, topic)
					require.Equal(t, numbers(next, next+6), payloads(receive(t, messages, 6)))
					next += 6
					if next < 30 { // this one is delivered, and left without an answer
						require.Equal(t, strconv.Itoa(next), string((<-messages).Payload))
					}
					require.NoError(t, sub.Close())
					_, open := <-messages
					require.False(t, open)
				}
				other := newSubscriber(t, publishing, eventstore.SubscriberConfig{Group: "g", Positions: store(publishing)})
				require.Equal(t, numbers(0, 1), payloads(receive(t, subscribe(t, other, topic), 1)), "another group, from the start")
			})
		}
	}
	kept := readAll(t, publishing.ReadStream(ctx, "checkpoint-g%2F1-x/t", 0))
	require.Len(t, kept, 1, "the server keeps the last position only")
	require.Positive(t, kept[0].Revision)
	for _, e := range readAll(t, publishing.ReadAll(ctx, eventlog.Position{}, eventlog.Filter{})) {
		require.Equal(t, "t", e.Stream, "positions are not seen in the whole log")
	}
}

func TestPositionStores(t *testing.T) {
	s := startNode(t, node.Config{})
	connect := func(t *testing.T) *eventstore.Log {
		return newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
	}
	memory := &eventstore.MemoryPositions{}
	for name, open := range map[string]func(t *testing.T) eventstore.PositionStore{
		"memory": func(*testing.T) eventstore.PositionStore { return memory },
		"stream": func(t *testing.T) eventstore.PositionStore { return eventstore.NewStreamPositions(connect(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			a, b := open(t), open(t)
			at := func(n uint64) eventstore.Mark {
				return eventstore.Mark{Started: true, Revision: n, Position: eventlog.Position{Commit: math.MaxUint64 - 100 + n, Prepare: n}}
			}
			requireMark := func(store eventstore.PositionStore, group, topic string, want eventstore.Mark, exists bool) {
				t.Helper()
				got, ok, err := store.Load(ctx, group, topic)
				require.NoError(t, err)
				require.Equal(t, exists, ok)
				require.Equal(t, want, got)
			}
			requireMark(a, "g", "t", eventstore.Mark{}, false)
			require.NoError(t, a.Save(ctx, "g", "t", eventstore.Mark{}))
			requireMark(b, "g", "t", eventstore.Mark{}, true)
			require.NoError(t, a.Save(ctx, "g", "t", at(5)))
			require.NoError(t, b.Save(ctx, "g", "t", at(7)), "another member")
			require.NoError(t, a.Save(ctx, "g", "t", at(6)), "behind the other: changes nothing")
			requireMark(a, "g", "t", at(7), true)
			require.NoError(t, a.Save(ctx, "g", "t", at(9)))
			requireMark(b, "g", "t", at(9), true)
			// Names that look alike when joined.
			require.NoError(t, a.Save(ctx, "a/b", "c", at(1)))
			requireMark(b, "a", "b/c", eventstore.Mark{}, false)
			require.NoError(t, a.Save(ctx, "a%2Fb", "c", at(2)))
			requireMark(b, "a/b", "c", at(1), true)
		})
	}
	l := connect(t)
	_, err := l.Append(testContext(t), "checkpoint-broken/t", eventlog.NoStream(), proposed(1))
	require.NoError(t, err)
	_, _, err = eventstore.NewStreamPositions(l).Load(testContext(t), "broken", "t")
	require.ErrorContains(t, err, "does not hold a position")
}

func TestGroupSavesWithoutFurtherMessages(t *testing.T) {
	l := newLog(t, newHolder(t, eventstore.Config{Connection: startNode(t, node.Config{}).ConnectionString()}))
	publishNumbers(t, l, "t", 0, 3)
	positions := &eventstore.MemoryPositions{}
	sub := newSubscriber(t, l, eventstore.SubscriberConfig{Group: "g", Positions: positions, SaveInterval: 20 * time.Millisecond})
	receive(t, subscribe(t, sub, "t"), 3)
	require.Eventually(t, func() bool {
		mark, ok, err := positions.Load(context.Background(), "g", "t")
		return err == nil && ok && mark.Revision == 2
	}, 10*time.Second, time.Millisecond)
}

func TestGroupOfTheWholeLogDoesNotFeedOnItsOwnPositions(t *testing.T) {
	ctx := testContext(t)
	l := newLog(t, newHolder(t, eventstore.Config{Connection: startNode(t, node.Config{}).ConnectionString()}))
	publishNumbers(t, l, "t", 0, 3)
	sub := newSubscriber(t, l, eventstore.SubscriberConfig{Group: "g", Positions: eventstore.NewStreamPositions(l), SaveInterval: time.Millisecond})
	messages := subscribe(t, sub, eventstore.AllTopic)
	receive(t, messages, 3)
	requireQuiet(t, messages)
	require.NoError(t, sub.Close())
	kept := readAll(t, l.ReadStream(ctx, "checkpoint-g/$all", 0))
	require.Len(t, kept, 1)
	require.LessOrEqual(t, kept[0].Revision, uint64(3), "one for each message, and one at the end")
}

func TestFromEnd(t *testing.T) {
	l := newLog(t, newHolder(t, eventstore.Config{Connection: startNode(t, node.Config{}).ConnectionString()}))
	for _, topic := range []string{"t", "empty", eventstore.AllTopic} {
		stream := topic
		if topic == eventstore.AllTopic {
			stream = "t"
		}
		if topic != "empty" {
			publishNumbers(t, l, "t", 0, 3)
		}
		messages := subscribe(t, newSubscriber(t, l, eventstore.SubscriberConfig{From: eventstore.FromEnd()}), topic)
		grouped := newSubscriber(t, l, eventstore.SubscriberConfig{From: eventstore.FromEnd(), Group: "g", Positions: eventstore.NewStreamPositions(l)})
		require.NoError(t, grouped.SubscribeInitialize(topic))
		publishNumbers(t, l, stream, 10, 13)
		require.Equal(t, numbers(10, 13), payloads(receive(t, messages, 3)))
		require.Equal(t, numbers(10, 13), payloads(receive(t, subscribe(t, grouped, topic), 3)), "initialized before they were published")
	}
}

func TestSubscriptionEnds(t *testing.T) {
	ctx, s := testContext(t), startNode(t, node.Config{})
	l := newLog(t, newHolder(t, eventstore.Config{Connection: s.ConnectionString()}))
	publishNumbers(t, l, "t", 0, 3)
	sub := newSubscriber(t, l, eventstore.SubscriberConfig{})
	messages := subscribe(t, sub, "t")
	receive(t, messages, 3)
	bare := bareClient(t, s.ConnectionString(), nil)
	defer func() { require.NoError(t, bare.Close()) }()
	_, err := bare.TombstoneStream(ctx, "t", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	_, open := <-subscribe(t, sub, "t")
	require.False(t, open, "a stream deleted for good")
	_, err = l.Append(ctx, "t", eventlog.Any(), proposed(1))
	require.ErrorIs(t, err, eventlog.ErrStreamDeleted)
	var readErr error
	for _, err := range l.ReadStream(ctx, "t", 0) {
		readErr = err
	}
	require.ErrorIs(t, readErr, eventlog.ErrStreamDeleted)

	require.NoError(t, sub.Close())
	_, err = sub.Subscribe(ctx, "u")
	require.ErrorIs(t, err, eventlog.ErrClosed)
}

func TestSubscriberConfigIsChecked(t *testing.T) {
	for says, c := range map[string]eventstore.SubscriberConfig{
		"group g needs Positions": {Group: "g"},
		"Positions need a Group":  {Positions: &eventstore.MemoryPositions{}},
		"must not be negative":    {NackDelay: -1},
	} {
		_, err := eventstore.NewSubscriber(nil, c)
		require.ErrorContains(t, err, says)
	}
}
