package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// openRead starts a read on a client.
type openRead func(ctx context.Context, c *esdb.Client) (*esdb.ReadStream, error)

// readOnce runs one read and hands its events to each until that returns
// false. The error is the client's own, or an acquireError.
func (l *Log) readOnce(ctx context.Context, open openRead, each func(*esdb.RecordedEvent) bool) error {
	lease, err := l.holder.acquire(ctx, waitPatiently)
	if err != nil {
		return &acquireError{err}
	}
	stream, end, err := openStream(ctx, lease, open, (*esdb.ReadStream).Close)
	if err != nil {
		l.holder.reconsider(ctx, lease.gen, err)
		return err
	}
	defer end()
	for {
		resolved, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			l.holder.reconsider(ctx, lease.gen, err)
			return err
		}
		if event := resolved.OriginalEvent(); event != nil && !each(event) {
			return nil
		}
	}
}

// openStream opens a read or a subscription that ends with ctx, with the
// client's generation, or with end, whichever is first.
func openStream[S any](ctx context.Context, lease *lease, open func(context.Context, *esdb.Client) (S, error), closeStream func(S)) (S, func(), error) {
	streamCtx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(lease.gen.ctx, cancel)
	entering := lease.ctx
	entering.Context = streamCtx // nobody has looked at it yet
	end := func() { stop(); cancel(); lease.release() }
	stream, err := await(ctx, func() (S, error) {
		s, err := open(entering, lease.client)
		if err != nil {
			end()
		}
		return s, err
	}, func(s S) { closeStream(s); end() })
	if err != nil {
		var none S
		return none, nil, err
	}
	return stream, func() { closeStream(stream); end() }, nil
}

// ReadStream implements eventlog.Reader. A read that is cut goes on from the
// last event yielded while Config.Patience allows.
func (l *Log) ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		next := from
		err := l.readOn(ctx, func(callCtx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
			return c.ReadStream(callCtx, stream, esdb.ReadStreamOptions{From: esdb.Revision(next)}, math.MaxInt64)
		}, func(e *esdb.RecordedEvent) bool {
			next = e.EventNumber + 1
			return yield(toRecorded(e), nil)
		})
		if err != nil {
			yield(eventlog.Recorded{}, fmt.Errorf("read stream %s from revision %d: %w", stream, next, err))
		}
	}
}

// ReadAll implements eventlog.Reader. The filter is applied here: the client
// has none for reads. A read that is cut goes on from the last event seen.
func (l *Log) ReadAll(ctx context.Context, after eventlog.Position, filter eventlog.Filter) iter.Seq2[eventlog.Recorded, error] {
	return func(yield func(eventlog.Recorded, error) bool) {
		end, err := l.End(ctx)
		if err != nil {
			yield(eventlog.Recorded{}, err)
			return
		}
		seen := after
		if seen.Compare(end) >= 0 {
			return
		}
		err = l.readOn(ctx, func(callCtx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
			return c.ReadAll(callCtx, esdb.ReadAllOptions{From: toClientPosition(seen)}, math.MaxInt64)
		}, func(e *esdb.RecordedEvent) bool {
			position := fromClientPosition(e.Position)
			if position.Compare(end) > 0 {
				return false
			}
			// A read from a position includes the event that stands there.
			if position.Compare(seen) <= 0 {
				return true
			}
			seen = position
			return !passes(filter, e) || yield(toRecorded(e), nil)
		})
		if err != nil {
			yield(eventlog.Recorded{}, fmt.Errorf("read the log after %s: %w", seen, err))
		}
	}
}

// End implements eventlog.Reader.
func (l *Log) End(ctx context.Context) (eventlog.Position, error) {
	var end eventlog.Position
	err := l.readOn(ctx, endBackwards, func(e *esdb.RecordedEvent) bool {
		if passes(eventlog.Filter{}, e) {
			end = fromClientPosition(e.Position)
			return false
		}
		return true
	})
	if err != nil {
		return eventlog.Position{}, fmt.Errorf("read the end of the log: %w", err)
	}
	return end, nil
}

// readOn reads and, when the read is cut, reads on: open starts where the
// events handed to each have led. It gives up when several attempts in a row
// brought nothing.
func (l *Log) readOn(ctx context.Context, open openRead, each func(*esdb.RecordedEvent) bool) error {
	pauses := backoff{first: firstRetryPause, most: mostRetryPause}
	for attempt := 1; ; attempt++ {
		err := l.readOnce(ctx, open, func(e *esdb.RecordedEvent) bool {
			attempt = 0
			pauses.reset()
			return each(e)
		})
		if err == nil || isNotFound(err) {
			return nil
		}
		if errors.Is(err, errNoConnection) {
			return err
		}
		_, portErr := judge(err)
		if !errors.Is(portErr, eventlog.ErrUnavailable) {
			return portErr
		}
		if ctx.Err() != nil || attempt >= l.conf.Attempts {
			return endedByCaller(ctx, portErr)
		}
		if sleep(ctx, pauses.pause()) != nil {
			return endedByCaller(ctx, portErr)
		}
	}
}

// passes applies a filter as the server would.
func passes(filter eventlog.Filter, e *esdb.RecordedEvent) bool {
	if strings.HasPrefix(e.EventType, "$") {
		return false
	}
	return len(filter.StreamPrefixes) == 0 ||
		slices.ContainsFunc(filter.StreamPrefixes, func(p string) bool { return strings.HasPrefix(e.StreamID, p) })
}

// toRecorded shows an event to the port; a copied one as its original was.
func toRecorded(e *esdb.RecordedEvent) eventlog.Recorded {
	recorded, _ := asRecorded(plainRecorded(e))
	return recorded
}

func plainRecorded(e *esdb.RecordedEvent) eventlog.Recorded {
	return eventlog.Recorded{
		Stream: e.StreamID, Revision: e.EventNumber, Position: fromClientPosition(e.Position),
		ID: e.EventID, Type: e.EventType, Data: e.Data, Meta: e.UserMetadata, RecordedAt: e.CreatedDate,
	}
}

func fromClientPosition(p esdb.Position) eventlog.Position {
	return eventlog.Position{Commit: p.Commit, Prepare: p.Prepare}
}

func toClientPosition(p eventlog.Position) esdb.AllPosition {
	if p.IsStart() {
		return esdb.Start{}
	}
	return esdb.Position{Commit: p.Commit, Prepare: p.Prepare}
}
