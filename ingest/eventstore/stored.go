package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// contentTypeJSON is what the client says of events whose data is JSON.
const contentTypeJSON = "application/json"

// Stored is an event as whoever carries a log elsewhere needs it: also the
// server's own events, which the port leaves out.
type Stored struct {
	eventlog.Recorded
	// JSON tells whether the event says of its data that it is JSON.
	JSON bool
	// Origin is where a copied event comes from; nil for an event that was
	// appended here.
	Origin *Origin
}

func toStored(e *esdb.RecordedEvent) Stored {
	recorded, origin := asRecorded(plainRecorded(e))
	return Stored{Recorded: recorded, JSON: e.ContentType == contentTypeJSON, Origin: origin}
}

// Stored yields every event from the position on, the one that stands there
// included, up to the end of the log, whatever its type. A read that is cut
// goes on from the last event seen. An error is the last element.
func (l *Log) Stored(ctx context.Context, from eventlog.Position) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		next, seen := from, false
		err := l.readOn(ctx, func(callCtx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
			return c.ReadAll(callCtx, esdb.ReadAllOptions{From: toClientPosition(next)}, math.MaxInt64)
		}, func(e *esdb.RecordedEvent) bool {
			position := fromClientPosition(e.Position)
			if seen && position.Compare(next) <= 0 {
				return true
			}
			next, seen = position, true
			return yield(toStored(e), nil)
		})
		if err != nil {
			yield(Stored{}, fmt.Errorf("read the log from %s: %w", next, err))
		}
	}
}

// StoredBackwards yields every event from the end of the log towards its
// start, whatever its type. A read that is cut goes on from the last event
// seen. An error is the last element.
func (l *Log) StoredBackwards(ctx context.Context) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		var before eventlog.Position
		err := l.readOn(ctx, func(callCtx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
			if before.IsStart() {
				return endBackwards(callCtx, c)
			}
			return c.ReadAll(callCtx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: toClientPosition(before)}, math.MaxInt64)
		}, func(e *esdb.RecordedEvent) bool {
			position := fromClientPosition(e.Position)
			if !before.IsStart() && position.Compare(before) >= 0 {
				return true
			}
			before = position
			return yield(toStored(e), nil)
		})
		if err != nil {
			yield(Stored{}, fmt.Errorf("read the log backwards from its end: %w", err))
		}
	}
}

// StoredEnd is the position of the log's last event, whatever its type; the
// start for a log without events.
func (l *Log) StoredEnd(ctx context.Context) (eventlog.Position, error) {
	for e, err := range l.StoredBackwards(ctx) {
		return e.Position, err
	}
	return eventlog.Position{}, nil
}

// AppendCopies appends events of another log, with their ids, types, data and
// metadata, and with where they come from. It keeps to the contract of Append.
func (l *Log) AppendCopies(ctx context.Context, stream string, expected eventlog.Expected, events []Stored) (eventlog.Appended, error) {
	data := make([]esdb.EventData, len(events))
	for i, e := range events {
		origin := Origin{Position: e.Position, RecordedAt: e.RecordedAt}
		meta, err := withOrigin(e.Meta, origin)
		if err != nil {
			return eventlog.Appended{}, fmt.Errorf("event %s: %w", e.ID, err)
		}
		data[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeBinary, Data: e.Data, Metadata: meta}
		if e.JSON {
			data[i].ContentType = esdb.ContentTypeJson
		}
	}
	return l.append(ctx, stream, expected, data)
}

// Tombstone ends a stream for good. Ending it again is no error.
func (l *Log) Tombstone(ctx context.Context, stream string) error {
	lease, err := l.holder.acquire(ctx, waitPatiently)
	if err != nil {
		return err
	}
	timeout := l.holder.callTimeout
	_, err = await(ctx, func() (*esdb.DeleteResult, error) {
		defer lease.release()
		return lease.client.TombstoneStream(lease.ctx, stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}, Deadline: &timeout})
	}, nil)
	l.holder.reconsider(ctx, lease.gen, err)
	if err == nil {
		return nil
	}
	if _, err = judge(err); errors.Is(err, eventlog.ErrStreamDeleted) {
		return nil
	}
	return fmt.Errorf("end stream %s: %w", stream, endedByCaller(ctx, err))
}
