// Package eventlogtest is the conformance suite of the event log's port. It
// runs against any implementation, also one that already holds events and is
// shared with others: every test uses streams of its own, named as in
// production, with dashes and UUIDs. It leaves out what the port does not
// promise: speed, and how a log fails (each implementation tests its own).
package eventlogtest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Factory returns the log to test. It is called once for every test and cleans
// up by t.Cleanup.
type Factory func(t *testing.T) eventlog.Log

// testTimeout is how long one test may take: far more than it does.
const testTimeout = 2 * time.Minute

// Run runs the suite.
func Run(t *testing.T, factory Factory) {
	t.Helper()
	tests := []struct {
		name string
		run  func(t *testing.T, l fixture)
	}{
		{"append/what goes in comes out", appendRoundTrip},
		{"append/one append is one run of revisions and positions", appendRun},
		{"append/bad requests are refused and record nothing", appendBad},
		{"append/too large is refused whole", appendTooLarge},
		{"append/a large event round trips", appendLarge},
		{"append/a cancelled context", appendCancelled},
		{"expectation/no stream", expectNoStream},
		{"expectation/exactly", expectExactly},
		{"expectation/any", expectAny},
		{"retry/no stream", retryNoStream},
		{"retry/exactly, after others have appended", retryExactly},
		{"retry/a part of an append or more than it is a conflict", retryPartial},
		{"writers/each its own stream", writersApart},
		{"writers/one stream, one winner per revision", writersTogether},
		{"read/stream from every revision", readStreamFrom},
		{"read/streams that do not exist or end earlier", readStreamNothing},
		{"read/all after every position", readAllAfter},
		{"read/all ends where the log ended at the call", readAllEnds},
		{"read/filters", readFilters},
		{"read/stopping early", readStops},
		{"read/a cancelled context is an error, never an end", readCancelled},
		{"read/end moves with every append", readEnd},
		{"follow/catches up and goes on", followLive},
		{"follow/from every checkpoint", followResume},
		{"follow/filters, and covers what it leaves out", followFilter},
		{"follow/under concurrent writers", followWriters},
		{"follow/Next's context ends the wait only", followNextContext},
		{"follow/ends with Close and with its context", followEnds},
		{"big/a long stream reads and follows in order", bigStream},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
			defer cancel()
			l := factory(t)
			start, err := l.End(ctx)
			require.NoError(t, err)
			test.run(t, fixture{Log: l, ctx: ctx, start: start, id: uuid.NewString()})
		})
	}
}

// fixture is a log, a context, and a corner of the log for one test.
type fixture struct {
	eventlog.Log
	ctx   context.Context
	start eventlog.Position // the end of the log before the test
	id    string
}

// stream names a stream of this test. Names hold dashes, and the number stands
// last, so that whoever cuts at the wrong dash mixes them up.
func (l fixture) stream(kind string, n int) string {
	return fmt.Sprintf("%s-%s-%06d", kind, l.id, n)
}

// mine passes the test's own streams of the given kinds.
func (l fixture) mine(kinds ...string) eventlog.Filter {
	var f eventlog.Filter
	for _, kind := range kinds {
		f.StreamPrefixes = append(f.StreamPrefixes, kind+"-"+l.id+"-")
	}
	return f
}

// propose makes n events that differ.
func propose(n int) []eventlog.Proposed {
	events := make([]eventlog.Proposed, n)
	for i := range events {
		id := uuid.New()
		events[i] = eventlog.Proposed{
			ID: id, Type: "dk.stofstrom.flow.received.v1",
			Data: fmt.Appendf(nil, `{"id":%q,"grams":%d,"note":"æøå"}`, id, i),
			Meta: fmt.Appendf(nil, `{"$correlationId":%q,"line":%d}`, uuid.New(), i),
		}
	}
	return events
}

func (l fixture) append(t *testing.T, stream string, expected eventlog.Expected, events ...eventlog.Proposed) eventlog.Appended {
	t.Helper()
	done, err := l.Append(l.ctx, stream, expected, events)
	require.NoError(t, err)
	return done
}

func collect(t *testing.T, events iter.Seq2[eventlog.Recorded, error]) []eventlog.Recorded {
	t.Helper()
	var all []eventlog.Recorded
	for e, err := range events {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func (l fixture) read(t *testing.T, stream string) []eventlog.Recorded {
	t.Helper()
	return collect(t, l.ReadStream(l.ctx, stream, 0))
}

// requireRecorded compares what was proposed with what was recorded.
func requireRecorded(t *testing.T, stream string, first uint64, proposed []eventlog.Proposed, recorded []eventlog.Recorded) {
	t.Helper()
	require.Len(t, recorded, len(proposed))
	for i, p := range proposed {
		r := recorded[i]
		require.Equal(t, stream, r.Stream)
		require.Equal(t, first+uint64(i), r.Revision)
		require.Equal(t, p.ID, r.ID)
		require.Equal(t, p.Type, r.Type)
		require.Equal(t, string(p.Data), string(r.Data))
		require.Equal(t, string(p.Meta), string(r.Meta))
		require.False(t, r.Position.IsStart(), "an event at the zero position")
		require.False(t, r.RecordedAt.IsZero())
	}
	requireOrdered(t, recorded)
}

// requireOrdered checks the log's own order.
func requireOrdered(t *testing.T, events []eventlog.Recorded) {
	t.Helper()
	last := map[string]uint64{}
	for i, e := range events {
		if before, ok := last[e.Stream]; ok {
			require.Equal(t, before+1, e.Revision, "revisions of %s have a gap or double", e.Stream)
		}
		last[e.Stream] = e.Revision
		if i == 0 {
			continue
		}
		require.Positive(t, e.Position.Compare(events[i-1].Position), "positions do not rise at %d", i)
		require.False(t, e.RecordedAt.Before(events[i-1].RecordedAt), "recorded time goes backwards at %d", i)
	}
}

func requireWrong(t *testing.T, err error, stream string, expected, actual eventlog.Expected) {
	t.Helper()
	var wrong *eventlog.WrongRevision
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, eventlog.WrongRevision{Stream: stream, Expected: expected, Actual: actual}, *wrong)
}

func ids[E eventlog.Recorded | eventlog.Proposed](events []E) []uuid.UUID {
	all := make([]uuid.UUID, len(events))
	for i, e := range events {
		switch e := any(e).(type) {
		case eventlog.Recorded:
			all[i] = e.ID
		case eventlog.Proposed:
			all[i] = e.ID
		}
	}
	return all
}

func jsonOfSize(n int) []byte {
	data, err := json.Marshal(map[string]string{"pad": string(make([]byte, n))})
	if err != nil {
		panic(err) // a map of strings always marshals
	}
	return data
}
