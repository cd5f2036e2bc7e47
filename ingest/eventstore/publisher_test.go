package eventstore

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

func appendAny() esdb.AppendToStreamOptions {
	return esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}
}

func data(events []eventlog.Proposed) []esdb.EventData {
	out := make([]esdb.EventData, len(events))
	for i, e := range events {
		out[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, Data: e.Data}
	}
	return out
}

func stored(t *testing.T, l *Log, stream string) (all []eventlog.Recorded) {
	t.Helper()
	for e, err := range l.ReadStream(testContext(t), stream, 0) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestPublishIsOneAppend(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	p := NewPublisher(l, PublisherConfig{Stream: func(topic string) string { return "stream-of-" + topic }})
	messages := []*message.Message{
		message.NewMessage(watermill.NewUUID(), []byte(`{"a":1}`)),
		message.NewMessage(watermill.NewUUID(), nil),
		message.NewMessage(watermill.NewUUID(), []byte{0xff, 0x00}),
	}
	SetExpected(messages[0], eventlog.Exactly(6))
	messages[2].Metadata.Set(MetaEventType, "dk.stofstrom.flow.received.v1")
	require.NoError(t, p.Publish("loads", messages...))
	require.Len(t, s.appends, 1)
	require.Equal(t, uint64(6), s.appends[0].options.GetRevision())
	events := stored(t, l, "stream-of-loads")
	require.Len(t, events, 3)
	for i, e := range events {
		require.Equal(t, messages[i].UUID, e.ID.String())
		require.Equal(t, []byte(messages[i].Payload), append([]byte(nil), e.Data...))
		at, ok := AppendedOf(messages[i])
		require.True(t, ok)
		require.Equal(t, eventlog.Appended{Revision: uint64(i), Position: events[2].Position}, at)
	}
	require.Equal(t, DefaultEventType, events[0].Type)
	require.Equal(t, "dk.stofstrom.flow.received.v1", events[2].Type)
	require.Equal(t, "application/json", s.events[0].Metadata["content-type"])
	require.Equal(t, "application/octet-stream", s.events[2].Metadata["content-type"])

	require.NoError(t, p.Publish("loads"), "nothing to publish")
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Publish("loads", messages[0]), eventlog.ErrClosed)
}

func TestPublishErrors(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{Attempts: 2})
	p := NewPublisher(l, PublisherConfig{})
	msg := func(metadata ...string) *message.Message {
		m := message.NewMessage(watermill.NewUUID(), []byte(`{}`))
		for i := 0; i < len(metadata); i += 2 {
			m.Metadata.Set(metadata[i], metadata[i+1])
		}
		return m
	}
	id := watermill.NewUUID()
	for name, test := range map[string]struct {
		messages []*message.Message
		says     string
	}{
		"expected revision":           {[]*message.Message{msg(MetaExpectedRevision, "last")}, `es_expected_revision is "last"`},
		"expected revisions disagree": {[]*message.Message{msg(MetaExpectedRevision, "1"), msg(), msg(MetaExpectedRevision, "2")}, "earlier message"},
		"event id":                    {[]*message.Message{msg(MetaEventID, "42")}, `es_event_id is "42"`},
		"event id repeats":            {[]*message.Message{msg(MetaEventID, id), msg(MetaEventID, id)}, "repeats"},
		"event type":                  {[]*message.Message{msg(MetaEventType, "")}, "es_event_type is set and empty"},
		"raw metadata":                {[]*message.Message{msg(MetaRaw, "[1]")}, "JSON object"},
		"raw metadata, merged":        {[]*message.Message{msg(MetaRaw, "{", "a", "b")}, MetaRaw},
		"raw metadata, two":           {[]*message.Message{msg(MetaRaw, "{}{}")}, "one JSON object"},
		"nil message":                 {[]*message.Message{msg(), nil}, "message 2 of 2 is nil"},
	} {
		require.ErrorContains(t, p.Publish("t", test.messages...), test.says, name)
	}
	require.Empty(t, s.appends)

	large := message.NewMessage(id, []byte(strings.Repeat("x", 1<<20)))
	require.ErrorIs(t, p.Publish("t", large), eventlog.ErrTooLarge)
	s.script(refuse(status.Error(codes.ResourceExhausted, "disk")))
	require.ErrorIs(t, p.Publish("t", msg()), eventlog.ErrNoRoom)
	broken := refuse(status.Error(codes.Internal, "broken"))
	s.script(broken, broken)
	require.ErrorIs(t, p.Publish("t", msg()), eventlog.ErrUnavailable)
	s.script(conflict)
	var wrong *eventlog.WrongRevision
	require.ErrorAs(t, p.Publish("t", msg(MetaExpectedRevision, "7")), &wrong)
	require.Equal(t, eventlog.Exactly(7), wrong.Expected)

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late := msg()
	late.SetContext(cancelled)
	require.ErrorIs(t, p.Publish("t", late), context.Canceled)

	byHand := &message.Message{UUID: watermill.NewUUID()}
	require.NoError(t, p.Publish("t", byHand), "a message without metadata")
}

// TestEventIDs goes by what a message UUID may be.
func TestEventIDs(t *testing.T) {
	ids := func(t *testing.T, p *Publisher, stream string, messages ...*message.Message) []uuid.UUID {
		t.Helper()
		got, err := p.identify(stream, true, messages)
		require.NoError(t, err)
		return got
	}
	canonical := watermill.NewUUID()
	msg := func(id, payload string) *message.Message { return message.NewMessage(id, []byte(payload)) }
	distinct := func(t *testing.T, all ...uuid.UUID) {
		t.Helper()
		seen := map[uuid.UUID]bool{}
		for _, id := range all {
			require.NotEqual(t, uuid.Nil, id)
			require.False(t, seen[id], "%s given twice: the second event would be dropped", id)
			seen[id] = true
		}
	}
	t.Run("a UUID is the id, on every retry and from every publisher", func(t *testing.T) {
		p := NewPublisher(nil, PublisherConfig{})
		for range 3 {
			require.Equal(t, canonical, ids(t, p, "s", msg(canonical, "a"))[0].String())
		}
		require.Equal(t, canonical, ids(t, NewPublisher(nil, PublisherConfig{}), "s", msg(canonical, "a"))[0].String())
	})
	t.Run("MetaEventID wins", func(t *testing.T) {
		m, id := msg(canonical, "a"), uuid.New()
		m.Metadata.Set(MetaEventID, id.String())
		require.Equal(t, id, ids(t, NewPublisher(nil, PublisherConfig{}), "s", m)[0])
	})
	t.Run("a UUID used again for other content or another stream", func(t *testing.T) {
		p := NewPublisher(nil, PublisherConfig{})
		other := msg(canonical, "a")
		other.Metadata.Set("k", "v")
		distinct(t, ids(t, p, "s", msg(canonical, "a"))[0], ids(t, p, "s", msg(canonical, "b"))[0],
			ids(t, p, "other", msg(canonical, "a"))[0], ids(t, p, "s", other)[0])
		require.Equal(t, ids(t, p, "s", msg(canonical, "b")), ids(t, p, "s", msg(canonical, "b")), "a retry of it")
	})
	t.Run("repeated within one Publish", func(t *testing.T) {
		p, again := NewPublisher(nil, PublisherConfig{}), msg(canonical, "a")
		batch := []*message.Message{again, msg(canonical, "a"), again, msg("1", ""), msg("1", ""), msg("", ""), msg("", "")}
		got := ids(t, p, "s", batch...)
		distinct(t, got...)
		require.Equal(t, got, ids(t, p, "s", batch...), "a retry of the same batch")
	})
	t.Run("not UUIDs", func(t *testing.T) {
		p := NewPublisher(nil, PublisherConfig{})
		var all []uuid.UUID
		for _, id := range []string{"1", "1", "", "", watermill.NewULID(), strings.ToUpper(canonical), "{" + canonical + "}",
			strings.ReplaceAll(canonical, "-", ""), uuid.Nil.String(), "\xff\xfe"} {
			m := msg(id, "")
			first := ids(t, p, "s", m)
			require.Equal(t, first, ids(t, p, "s", m), "a retry of the same message")
			all = append(all, first[0], ids(t, p, "other", m)[0])
		}
		distinct(t, all...)
	})
	t.Run("two spellings of a UUID", func(t *testing.T) {
		p := NewPublisher(nil, PublisherConfig{})
		distinct(t, ids(t, p, "s", msg(canonical, ""), msg(strings.ToUpper(canonical), ""))...)
	})
	t.Run("what is remembered is bounded", func(t *testing.T) {
		seen := seenUUIDs{limit: 100}
		for range 1000 {
			require.True(t, seen.sameOrNew(uuid.New(), "s", 1))
		}
		require.LessOrEqual(t, len(seen.newest)+len(seen.older), 100)
	})
}

func TestPublishedAgainAfterSuccessIsANewEvent(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	p := NewPublisher(l, PublisherConfig{})
	m := message.NewMessage("7", nil)
	for range 3 {
		require.NoError(t, p.Publish("t", m))
	}
	require.Len(t, stored(t, l, "t"), 3)
}

func TestMetadataRoundTrip(t *testing.T) {
	id := uuid.New()
	for name, test := range map[string]struct {
		uuid     string
		metadata message.Metadata
		stored   string // the JSON, where the test says it
	}{
		"nothing":             {id.String(), message.Metadata{}, ``},
		"plain":               {id.String(), message.Metadata{"b": "2", "a": "1"}, `{"a":"1","b":"2"}`},
		"causality":           {id.String(), message.Metadata{MetaCorrelationID: "c1", MetaCausationID: "c2"}, `{"$causationId":"c2","$correlationId":"c1"}`},
		"a UUID that is none": {"42", message.Metadata{}, `{"watermill_uuid":"42"}`},
		"an empty UUID":       {"", message.Metadata{"a": ""}, `{"a":"","watermill_uuid":""}`},
		"odd keys": {"x", message.Metadata{
			"": "empty", "$correlationId": "raw", "$maxAge": "1", "watermill_uuid": "u", "watermill_escaped": "e", "watermill_uuid_base64": "b",
			"quote\"": "\u2028\x00\n", "æøå": "日本", "es_other": "kept"}, ""},
		"not UTF-8": {"\xff", message.Metadata{"k\xfe": "v", "k": "\xfd", MetaCorrelationID: "\xfc"}, ""},
		"long":      {id.String(), message.Metadata{"k": strings.Repeat("x", 100_000)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := message.NewMessage(test.uuid, []byte("p"))
			maps.Copy(m.Metadata, test.metadata)
			for _, input := range []string{MetaExpectedRevision, MetaEventID, MetaEventType, MetaRevision, MetaPosition, metaToken} {
				m.Metadata.Set(input, "never stored")
			}
			meta, err := encodeMeta(m, id.String())
			require.NoError(t, err)
			if test.stored != "" || len(test.metadata) == 0 && test.uuid == id.String() {
				require.Equal(t, test.stored, string(meta))
			}
			again, err := encodeMeta(m, id.String())
			require.NoError(t, err)
			require.Equal(t, meta, again, "same message, same bytes")

			got := toMessage(eventlog.Recorded{ID: id, Type: "t", Revision: 3, Position: eventlog.Position{Commit: 9, Prepare: 8}, Data: []byte("p"), Meta: meta})
			require.Equal(t, test.uuid, got.UUID)
			at, ok := AppendedOf(got)
			require.True(t, ok)
			require.Equal(t, eventlog.Appended{Revision: 3, Position: eventlog.Position{Commit: 9, Prepare: 8}}, at)
			require.Equal(t, "t", got.Metadata.Get(MetaEventType))
			for _, ours := range []string{MetaEventType, MetaRevision, MetaPosition} {
				delete(got.Metadata, ours)
			}
			require.Equal(t, test.metadata, got.Metadata)
		})
	}
}

func TestRawMetadata(t *testing.T) {
	const raw = `{"$correlationId":"c", "actor":"a","line":12}`
	id := uuid.New()
	m := message.NewMessage(id.String(), nil)
	m.Metadata.Set(MetaRaw, raw)
	meta, err := encodeMeta(m, id.String())
	require.NoError(t, err)
	require.Equal(t, raw, string(meta), "byte for byte, when there is nothing to add")

	got := toMessage(eventlog.Recorded{ID: id, Type: "t", Meta: meta})
	require.Equal(t, raw, got.Metadata.Get(MetaRaw))
	require.Equal(t, "c", got.Metadata.Get(MetaCorrelationID))
	require.Equal(t, "a", got.Metadata.Get("actor"))

	got.Metadata.Set("actor", "b")
	got.Metadata.Set("reason", "r")
	meta, err = encodeMeta(got, id.String())
	require.NoError(t, err)
	require.JSONEq(t, `{"$correlationId":"c","actor":"b","line":12,"reason":"r"}`, string(meta), "the message's own metadata wins")
}

func TestForeignMetadata(t *testing.T) {
	for name, meta := range map[string]string{
		"not JSON": "\x01\x02", "an array": "[1]", "nested": `{"a":{"b":1}}`, "doubled": `{"a":"1","a":"2"}`,
		"ours, broken":    `{"watermill_escaped":{"!":"!"},"watermill_uuid_base64":"!"}`,
		"a reserved name": `{"es_event_id":"x"}`,
	} {
		m := toMessage(eventlog.Recorded{ID: uuid.New(), Type: "t", Meta: []byte(meta)})
		require.Equal(t, meta, m.Metadata.Get(MetaRaw), "%s: nothing of it is lost", name)
	}
}

func TestExpectedAndPositionText(t *testing.T) {
	for _, e := range []eventlog.Expected{eventlog.Any(), eventlog.NoStream(), eventlog.Exactly(0), eventlog.Exactly(1 << 63)} {
		got, err := ParseExpected(e.String())
		require.NoError(t, err)
		require.Equal(t, e, got)
	}
	p := eventlog.Position{Commit: 1 << 63, Prepare: 7}
	got, err := ParsePosition(p.String())
	require.NoError(t, err)
	require.Equal(t, p, got)
	for _, bad := range []string{"", "C:1", "C:1/P:", "C:-1/P:1", "P:1/C:1", "C:1/P:1/"} {
		_, err := ParsePosition(bad)
		require.Error(t, err, fmt.Sprintf("%q", bad))
	}
}
