package eventstore

import (
	"fmt"
	"strconv"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// DefaultEventType is the type of messages that name none.
const DefaultEventType = "message"

// rememberedUUIDs is how many message UUIDs a Publisher remembers the use of.
const rememberedUUIDs = 16384

// PublisherConfig says how a Publisher behaves. The zero value is good.
type PublisherConfig struct {
	// Stream maps a topic to the stream it is published to. Default: the
	// topic is the stream's name.
	Stream func(topic string) string
	// EventType is the type of messages without MetaEventType. Default
	// "message".
	EventType string
}

// Publisher is a Watermill publisher. One Publish is one append: all its
// messages become events, in order, one after the other, or none does. It
// returns when they are durable, and the messages then carry MetaRevision and
// MetaPosition. Its errors unwrap to those of the port: *eventlog.WrongRevision,
// eventlog.ErrUnavailable, ErrTooLarge, ErrNoRoom, ErrStreamDeleted, ErrClosed.
// The context of the first message limits the call.
//
// The server recognises a repeated append by the ids of its events, so that
// they decide what is a repetition:
//
//   - MetaEventID, where given, is the event's id.
//   - Else a message UUID in canonical form is the event's id. Repeated with the
//     same content in the same stream it is a retry; this Publisher gives a new
//     id to a message that uses a UUID again for another content or stream.
//   - Else (an ULID, a number, nothing) the id is random; it stays the same while
//     Publish of this message object is repeated after an error.
//   - Within one Publish, a UUID that occurs again gets an id of its own.
//
// A message UUID that is not the event's id travels in the metadata and comes
// back from the Subscriber, as all metadata does.
type Publisher struct {
	log  *Log
	conf PublisherConfig
	seen seenUUIDs

	mu      sync.RWMutex // held for reading by every Publish
	stopped bool         // guarded by mu
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher builds a Publisher over the log.
func NewPublisher(l *Log, c PublisherConfig) *Publisher {
	if c.Stream == nil {
		c.Stream = func(topic string) string { return topic }
	}
	if c.EventType == "" {
		c.EventType = DefaultEventType
	}
	return &Publisher{log: l, conf: c, seen: seenUUIDs{limit: rememberedUUIDs}}
}

// Publish implements message.Publisher.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.stopped {
		return fmt.Errorf("publish to %s: publisher: %w", topic, eventlog.ErrClosed)
	}
	if len(messages) == 0 {
		return nil
	}
	if err := checkMessages(messages); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	stream := p.conf.Stream(topic)
	expected, err := expectedOf(messages)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	events, err := p.events(stream, expected, messages)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	done, err := p.log.append(messages[0].Context(), stream, expected, events)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	for i, m := range messages {
		m.Metadata.Set(MetaRevision, strconv.FormatUint(done.Revision-uint64(len(messages)-1-i), 10))
		m.Metadata.Set(MetaPosition, done.Position.String())
		delete(m.Metadata, metaToken)
	}
	return nil
}

// Close implements message.Publisher: it waits for Publish calls under way and
// refuses new ones. It may be called more than once. The Holder stays open.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	return nil
}

func checkMessages(messages []*message.Message) error {
	for i, m := range messages {
		if m == nil {
			return fmt.Errorf("message %d of %d is nil", i+1, len(messages))
		}
		if m.Metadata == nil { // a message built by hand
			m.Metadata = message.Metadata{}
		}
	}
	return nil
}

func expectedOf(messages []*message.Message) (eventlog.Expected, error) {
	expected, stated := eventlog.Any(), false
	for i, m := range messages {
		text := m.Metadata.Get(MetaExpectedRevision)
		if text == "" {
			continue
		}
		e, err := ParseExpected(text)
		if err != nil {
			return eventlog.Expected{}, fmt.Errorf("message %d of %d (%s): %w", i+1, len(messages), m.UUID, err)
		}
		if stated && e != expected {
			return eventlog.Expected{}, fmt.Errorf("message %d of %d (%s): %s is %s, an earlier message of this Publish has %s",
				i+1, len(messages), m.UUID, MetaExpectedRevision, e, expected)
		}
		expected, stated = e, true
	}
	return expected, nil
}

func (p *Publisher) events(stream string, expected eventlog.Expected, messages []*message.Message) ([]esdb.EventData, error) {
	ids, err := p.identify(stream, expected.IsAny(), messages)
	if err != nil {
		return nil, err
	}
	events := make([]esdb.EventData, len(messages))
	for i, m := range messages {
		meta, err := encodeMeta(m, ids[i].String())
		if err != nil {
			return nil, fmt.Errorf("message %d of %d (%s): %w", i+1, len(messages), m.UUID, err)
		}
		eventType, stated := m.Metadata[MetaEventType]
		if !stated {
			eventType = p.conf.EventType
		}
		if eventType == "" {
			return nil, fmt.Errorf("message %d of %d (%s): %s is set and empty", i+1, len(messages), m.UUID, MetaEventType)
		}
		events[i] = esdb.EventData{
			EventID: ids[i], EventType: eventType,
			ContentType: contentType(m.Payload), Data: m.Payload, Metadata: meta,
		}
	}
	return events, nil
}

// contentType tells the server's own tools whether they may show a payload.
func contentType(payload []byte) esdb.ContentType {
	if len(payload) > 0 && jsontext.Value(payload).IsValid() {
		return esdb.ContentTypeJson
	}
	return esdb.ContentTypeBinary
}
