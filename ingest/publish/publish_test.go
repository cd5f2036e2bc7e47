package publish_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
	"github.com/stofstrom/stofstrom/ingest/publish"
)

// published is one Publish as a publisher sees it.
type published struct {
	topic    string
	messages []*message.Message
}

// recorder is a publisher that keeps what it is given and answers as told.
type recorder struct {
	calls  []published
	answer eventlog.Appended
	silent bool
	err    error
}

func (r *recorder) Publish(topic string, messages ...*message.Message) error {
	r.calls = append(r.calls, published{topic, messages})
	if r.err != nil || r.silent {
		return r.err
	}
	for i, m := range messages {
		m.Metadata.Set(eventstore.MetaRevision, strconv.FormatUint(r.answer.Revision-uint64(len(messages)-1-i), 10))
		m.Metadata.Set(eventstore.MetaPosition, r.answer.Position.String())
	}
	return nil
}

func (r *recorder) Close() error { return nil }

func proposed(n int) []eventlog.Proposed {
	events := make([]eventlog.Proposed, n)
	for i := range events {
		events[i] = eventlog.Proposed{
			ID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)), Type: "dk.stofstrom.flow.received.v1",
			Data: fmt.Appendf(nil, `{"n":%d}`, i), Meta: fmt.Appendf(nil, `{"actor":"key-%d"}`, i),
		}
	}
	return events
}

func TestOneAppendIsOnePublish(t *testing.T) {
	pub := &recorder{answer: eventlog.Appended{Revision: 9, Position: eventlog.Position{Commit: 900, Prepare: 899}}}
	events := proposed(3)

	got, err := publish.New(pub).Append(t.Context(), "ledger-dk-p-1-201901", eventlog.Exactly(6), events)

	require.NoError(t, err)
	require.Equal(t, pub.answer, got, "revision and position are those of the last event")
	require.Len(t, pub.calls, 1)
	require.Equal(t, "ledger-dk-p-1-201901", pub.calls[0].topic)
	require.Len(t, pub.calls[0].messages, 3)
	for i, m := range pub.calls[0].messages {
		require.Equal(t, events[i].ID.String(), m.UUID)
		require.Equal(t, events[i].ID.String(), m.Metadata.Get(eventstore.MetaEventID))
		require.Equal(t, events[i].Type, m.Metadata.Get(eventstore.MetaEventType))
		require.Equal(t, string(events[i].Meta), m.Metadata.Get(eventstore.MetaRaw))
		require.Equal(t, string(events[i].Data), string(m.Payload))
		expected, err := eventstore.ParseExpected(m.Metadata.Get(eventstore.MetaExpectedRevision))
		require.NoError(t, err)
		require.Equal(t, eventlog.Exactly(6), expected)
	}
}

func TestExpectationsSurviveTheMessage(t *testing.T) {
	for _, want := range []eventlog.Expected{eventlog.Any(), eventlog.NoStream(), eventlog.Exactly(0), eventlog.Exactly(1 << 40)} {
		pub := &recorder{}
		_, err := publish.New(pub).Append(t.Context(), "s", want, proposed(1))
		require.NoError(t, err)
		got, err := eventstore.ParseExpected(pub.calls[0].messages[0].Metadata.Get(eventstore.MetaExpectedRevision))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

type contextKey struct{}

func TestTheCallersContextTravels(t *testing.T) {
	pub := &recorder{}
	ctx := context.WithValue(t.Context(), contextKey{}, "mine")
	_, err := publish.New(pub).Append(ctx, "s", eventlog.NoStream(), proposed(2))
	require.NoError(t, err)
	require.Equal(t, "mine", pub.calls[0].messages[0].Context().Value(contextKey{}))
}

func TestErrorsAreThePorts(t *testing.T) {
	wrong := &eventlog.WrongRevision{Stream: "s", Expected: eventlog.Exactly(1), Actual: eventlog.Exactly(2)}
	for _, cause := range []error{wrong, eventlog.ErrUnavailable, eventlog.ErrTooLarge, eventlog.ErrNoRoom, eventlog.ErrStreamDeleted} {
		pub := &recorder{err: fmt.Errorf("publish: %w", cause)}
		_, err := publish.New(pub).Append(t.Context(), "s", eventlog.Exactly(1), proposed(1))
		require.ErrorIs(t, err, cause)
		var as *eventlog.WrongRevision
		require.Equal(t, errors.Is(cause, wrong), errors.As(err, &as))
	}
}

func TestErrNoAnswerFromAnotherKindOfPublisher(t *testing.T) {
	_, err := publish.New(&recorder{silent: true}).Append(t.Context(), "s", eventlog.NoStream(), proposed(1))
	require.ErrorIs(t, err, publish.ErrNoAnswer)
}

func TestErrNoEvents(t *testing.T) {
	pub := &recorder{}
	_, err := publish.New(pub).Append(t.Context(), "s", eventlog.NoStream(), nil)
	require.Error(t, err)
	require.Empty(t, pub.calls)
}
