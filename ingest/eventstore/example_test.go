package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
)

// connection is where the examples find a log: any EventStoreDB, KurrentDB or
// embedded node. Those without an Output comment are compiled and not run.
const connection = "esdb://admin:changeit@localhost:2113?tls=false"

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	holder, err := eventstore.NewHolder(eventstore.Config{
		Connection: connection,
		Logger:     slog.Default(),
		Metrics:    eventstore.NewMetrics(prometheus.DefaultRegisterer),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println(holder.Close()) }()
	log, err := eventstore.NewLog(holder, eventstore.LogConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}

	// Publish, on the explicit expectation that the stream is new.
	publisher := eventstore.NewPublisher(log, eventstore.PublisherConfig{})
	order := message.NewMessage(watermill.NewUUID(), []byte(`{"tonnes":"12.340"}`))
	order.Metadata.Set(eventstore.MetaEventType, "load.received.v1")
	eventstore.SetExpected(order, eventlog.NoStream())
	if err := publisher.Publish("facility-42", order); err != nil {
		fmt.Println(err)
		return
	}

	// Subscribe, as a group that goes on where it was.
	subscriber, err := eventstore.NewSubscriber(log, eventstore.SubscriberConfig{
		Group:     "weights",
		Positions: eventstore.NewStreamPositions(log),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println(subscriber.Close()) }()
	messages, err := subscriber.Subscribe(ctx, "facility-42")
	if err != nil {
		fmt.Println(err)
		return
	}
	for m := range messages {
		fmt.Println(m.UUID, string(m.Payload))
		m.Ack()
	}
}

func ExampleLog_Append() {
	holder, err := eventstore.NewHolder(eventstore.Config{Connection: connection})
	if err != nil {
		fmt.Println(err)
		return
	}
	log, err := eventstore.NewLog(holder, eventstore.LogConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	event := eventlog.Proposed{ID: uuid.New(), Type: "load.received.v1", Data: []byte(`{}`)}
	_, err = log.Append(context.Background(), "facility-42", eventlog.Exactly(6), []eventlog.Proposed{event})
	var wrong *eventlog.WrongRevision
	switch {
	case errors.As(err, &wrong):
		fmt.Println("somebody was faster: load again, decide again; the stream is at", wrong.Actual)
	case errors.Is(err, eventlog.ErrUnavailable):
		fmt.Println("not known whether it was recorded: the same call again tells")
	case err != nil:
		fmt.Println("refused:", err)
	}
}

func ExampleLog_Follow() {
	holder, err := eventstore.NewHolder(eventstore.Config{Connection: connection})
	if err != nil {
		fmt.Println(err)
		return
	}
	log, err := eventstore.NewLog(holder, eventstore.LogConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	last := eventlog.Position{} // from where the rows are
	sub, err := log.Follow(ctx, last, eventlog.Filter{StreamPrefixes: []string{"ledger-", "facility-"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println(sub.Close()) }()
	for {
		batch, err := sub.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		// Write the rows of batch.Events, then batch.Checkpoint beside them.
		fmt.Println(len(batch.Events), batch.Checkpoint, batch.CaughtUp)
	}
}

func ExampleSubscriber_wholeLog() {
	holder, err := eventstore.NewHolder(eventstore.Config{Connection: connection})
	if err != nil {
		fmt.Println(err)
		return
	}
	log, err := eventstore.NewLog(holder, eventstore.LogConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The topic "flows" is every event whose type begins with dk.stofstrom.flow.
	_, err = eventstore.NewSubscriber(log, eventstore.SubscriberConfig{
		Select: func(topic string) eventstore.Selection {
			return eventstore.Selection{EventTypePrefixes: []string{"dk.stofstrom.flow."}}
		},
		From: eventstore.FromEnd(),
	})
	fmt.Println(err)
}

func ExampleRedact() {
	fmt.Println(eventstore.Redact("esdb+discover://admin:changeit@cluster.example:2113?tlsCaFile=ca.pem"))
	// Output: esdb+discover://admin:xxxxx@cluster.example:2113?tlsCaFile=ca.pem
}

func ExampleSetExpected() {
	m := message.NewMessage(watermill.NewUUID(), nil)
	eventstore.SetExpected(m, eventlog.Exactly(41))
	fmt.Println(m.Metadata.Get(eventstore.MetaExpectedRevision))
	eventstore.SetExpected(m, eventlog.NoStream())
	fmt.Println(m.Metadata.Get(eventstore.MetaExpectedRevision))
	// Output:
	// 41
	// no-stream
}

func ExampleMemoryPositions() {
	ctx, positions := context.Background(), &eventstore.MemoryPositions{}
	at := func(commit uint64) eventstore.Mark {
		return eventstore.Mark{Started: true, Position: eventlog.Position{Commit: commit, Prepare: commit}}
	}
	for _, commit := range []uint64{10, 30, 20} { // a slow member saves last
		if err := positions.Save(ctx, "weights", eventstore.AllTopic, at(commit)); err != nil {
			fmt.Println(err)
		}
	}
	mark, ok, err := positions.Load(ctx, "weights", eventstore.AllTopic)
	fmt.Println(mark.Position, ok, err)
	// Output: C:30/P:30 true <nil>
}
