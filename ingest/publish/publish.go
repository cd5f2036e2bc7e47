// Package publish makes an event log appender of a Watermill publisher: this
// is where the product's write path meets Watermill.
//
// It promises that one Append is one Publish, of messages whose metadata name
// event id, event type and the expected revision as package
// ingest/eventstore reads them, and that the port's errors come through. It
// relies on a publisher that appends the messages of one Publish all or
// nothing and writes revision and position back into them; a publisher that
// does not is refused after the fact with ErrNoAnswer.
//
// It leaves out retries: the publisher repeats an append whose outcome is
// unknown, with the same ids and the same expectation.
package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
)

// ErrNoAnswer means that the publisher succeeded without telling revision and
// position: it is no publisher of ingest/eventstore.
var ErrNoAnswer = errors.New("publisher did not say where the messages went")

// Appender appends through a Watermill publisher. It is safe for concurrent
// use when the publisher is, as Watermill demands.
type Appender struct {
	publisher message.Publisher
}

var _ eventlog.Appender = (*Appender)(nil)

// New makes an appender. It owns nothing: the publisher is closed by who made
// it.
func New(publisher message.Publisher) *Appender { return &Appender{publisher: publisher} }

// Append implements eventlog.Appender.
func (a *Appender) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if len(events) == 0 {
		return eventlog.Appended{}, fmt.Errorf("append to %s: no events", stream)
	}
	messages := make([]*message.Message, len(events))
	for i, e := range events {
		messages[i] = toMessage(ctx, expected, e)
	}
	if err := a.publisher.Publish(stream, messages...); err != nil {
		return eventlog.Appended{}, err
	}
	done, ok := eventstore.AppendedOf(messages[len(messages)-1])
	if !ok {
		return eventlog.Appended{}, fmt.Errorf("publish %d events to %s: %w", len(events), stream, ErrNoAnswer)
	}
	return done, nil
}

// toMessage carries an event. The event id is the message's UUID as well, so
// that nothing needs to travel beside the event's own metadata.
func toMessage(ctx context.Context, expected eventlog.Expected, e eventlog.Proposed) *message.Message {
	id := e.ID.String()
	m := message.NewMessage(id, e.Data)
	m.SetContext(ctx)
	m.Metadata[eventstore.MetaEventID] = id
	m.Metadata[eventstore.MetaEventType] = e.Type
	m.Metadata[eventstore.MetaExpectedRevision] = expected.String()
	if len(e.Meta) > 0 {
		m.Metadata[eventstore.MetaRaw] = string(e.Meta)
	}
	return m
}
