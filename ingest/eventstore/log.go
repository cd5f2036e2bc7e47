package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Limits of a Log where its LogConfig leaves them out.
const (
	// DefaultMaxAppendBytes leaves room below the server's 1 MiB for what it
	// counts and we do not see. Above its limit the server hangs up early,
	// which reads like a lost connection.
	DefaultMaxAppendBytes = 768 << 10
	// MostAppendBytes is the largest MaxAppendBytes that may be configured.
	MostAppendBytes = 960 << 10
	// DefaultAttempts is how often an append is tried in all.
	DefaultAttempts = 8
	// DefaultBufferEvents and DefaultBufferBytes bound what a subscription
	// has received and not delivered.
	DefaultBufferEvents = 8192
	DefaultBufferBytes  = 16 << 20

	// bytesPerEvent is what the server adds to each event, rounded up.
	bytesPerEvent = 256

	firstRetryPause = 20 * time.Millisecond
	mostRetryPause  = time.Second
)

// LogConfig says how a Log behaves. The zero value is good.
type LogConfig struct {
	// MaxAppendBytes limits one append: payloads, metadata, types, and 256
	// bytes for each event. Default 768 KiB, at most 960 KiB.
	MaxAppendBytes int
	// Attempts limits how often one append is tried while its outcome is
	// unknown. Default 8, about 3 seconds of pauses.
	Attempts int
	// BufferEvents and BufferBytes bound what one subscription has received
	// and not delivered. Defaults 8,192 events, 16 MiB.
	BufferEvents, BufferBytes int
	// IdleProbe is how long a subscription waits for a server to say that it
	// is caught up before it looks at the end of the log itself, as it must
	// with servers that never say so. Default 1 s.
	IdleProbe time.Duration
	// MeasureEvery is the interval at which a subscription's distance to the
	// end of the log is measured, when there are Metrics. Default 5 s.
	MeasureEvery time.Duration
}

// Log is the port domain/eventlog over a Holder. It is safe for concurrent
// use. It owns nothing: the Holder is closed by who made it.
type Log struct {
	holder *Holder
	conf   LogConfig
	name   string // of its subscriptions, see Named
}

var _ eventlog.Log = (*Log)(nil)

// NewLog builds a Log over the holder.
func NewLog(h *Holder, c LogConfig) (*Log, error) {
	if c.MaxAppendBytes < 0 || c.MaxAppendBytes > MostAppendBytes {
		return nil, fmt.Errorf("eventstore: MaxAppendBytes is %d, must be between 1 and %d", c.MaxAppendBytes, MostAppendBytes)
	}
	if c.Attempts < 0 || c.BufferEvents < 0 || c.BufferBytes < 0 || c.IdleProbe < 0 || c.MeasureEvery < 0 {
		return nil, errors.New("eventstore: Attempts, BufferEvents, BufferBytes, IdleProbe and MeasureEvery must not be negative")
	}
	setDefault(&c.MaxAppendBytes, DefaultMaxAppendBytes)
	setDefault(&c.Attempts, DefaultAttempts)
	setDefault(&c.BufferEvents, DefaultBufferEvents)
	setDefault(&c.BufferBytes, DefaultBufferBytes)
	setDefault(&c.IdleProbe, time.Second)
	setDefault(&c.MeasureEvery, 5*time.Second)
	return &Log{holder: h, conf: c, name: defaultFollowName}, nil
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Append implements eventlog.Appender. Besides the port's errors it returns
// ErrDenied. An append whose outcome is unknown is tried again with the same
// ids and the same expectation, with back-off, while ctx, LogConfig.Attempts
// and Config.Patience allow; with eventlog.Any such a retry is idempotent only
// by the server's best effort.
func (l *Log) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	data := make([]esdb.EventData, len(events))
	for i, e := range events {
		data[i] = esdb.EventData{
			EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson,
			Data: e.Data, Metadata: e.Meta,
		}
	}
	return l.append(ctx, stream, expected, data)
}

func (l *Log) append(ctx context.Context, stream string, expected eventlog.Expected, events []esdb.EventData) (eventlog.Appended, error) {
	if err := l.checkAppend(stream, events); err != nil {
		return eventlog.Appended{}, err
	}
	start := time.Now()
	done, err := l.appendUntilKnown(ctx, stream, expected, events)
	l.holder.metrics.observeAppend(start, len(events), resultLabel(err))
	if err != nil {
		return eventlog.Appended{}, fmt.Errorf("append %d events to %s: %w", len(events), stream, err)
	}
	return done, nil
}

func resultLabel(err error) string {
	var wrong *eventlog.WrongRevision
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &wrong):
		return "wrong_revision"
	case errors.Is(err, eventlog.ErrUnavailable):
		return "unavailable"
	default:
		return "refused"
	}
}

func (l *Log) checkAppend(stream string, events []esdb.EventData) error {
	if stream == "" {
		return errors.New("append: stream name must not be empty")
	}
	if len(events) == 0 {
		return fmt.Errorf("append to %s: no events", stream)
	}
	size := 0
	for i, e := range events {
		if e.EventID == uuid.Nil {
			return fmt.Errorf("append to %s: event %d of %d has no id", stream, i+1, len(events))
		}
		if e.EventType == "" {
			return fmt.Errorf("append to %s: event %d of %d (%s) has no type", stream, i+1, len(events), e.EventID)
		}
		size += len(e.Data) + len(e.Metadata) + len(e.EventType) + bytesPerEvent
	}
	if size > l.conf.MaxAppendBytes {
		return fmt.Errorf("append to %s: %w: %d events make %d bytes, the limit is %d", stream, eventlog.ErrTooLarge, len(events), size, l.conf.MaxAppendBytes)
	}
	return nil
}

func (l *Log) appendUntilKnown(ctx context.Context, stream string, expected eventlog.Expected, events []esdb.EventData) (eventlog.Appended, error) {
	pauses := backoff{first: firstRetryPause, most: mostRetryPause}
	for attempt := 1; ; attempt++ {
		result, err := l.appendOnce(ctx, stream, expected, events)
		if err == nil {
			return l.appended(ctx, stream, result)
		}
		what, portErr := judge(err)
		if errors.Is(err, eventlog.ErrClosed) || errors.Is(err, errNoConnection) {
			return eventlog.Appended{}, err
		}
		switch what {
		case verdictRefused:
			return eventlog.Appended{}, portErr
		case verdictConflict:
			again, conflict := l.conflict(ctx, stream, expected, portErr)
			if !again {
				return eventlog.Appended{}, conflict
			}
			portErr = conflict
			l.holder.metrics.retry("not_stored")
		case verdictNotDone:
			l.holder.metrics.retry("not_stored")
		case verdictUnknown:
			l.holder.metrics.retry("unknown")
			if errors.Is(err, io.EOF) {
				// The server hung up early and the client did not ask why. A
				// read of the stream meets the same refusal, if it is one for
				// good, and shows it.
				if refusal := l.probe(ctx, stream); refusal != nil {
					return eventlog.Appended{}, refusal
				}
			}
		}
		if ctx.Err() != nil || attempt >= l.conf.Attempts {
			return eventlog.Appended{}, endedByCaller(ctx, portErr)
		}
		if err := sleep(ctx, pauses.pause()); err != nil {
			return eventlog.Appended{}, endedByCaller(ctx, portErr)
		}
	}
}

// errNoConnection marks errors of Holder.acquire: waiting was done there.
var errNoConnection = errors.New("no connection")

func (l *Log) appendOnce(ctx context.Context, stream string, expected eventlog.Expected, events []esdb.EventData) (*esdb.WriteResult, error) {
	lease, err := l.holder.acquire(ctx, waitPatiently)
	if err != nil {
		return nil, &acquireError{err}
	}
	timeout := l.holder.callTimeout
	options := esdb.AppendToStreamOptions{ExpectedRevision: toClientExpected(expected), Deadline: &timeout}
	result, err := await(ctx, func() (*esdb.WriteResult, error) {
		defer lease.release()
		return lease.client.AppendToStream(lease.ctx, stream, options, events...)
	}, nil)
	l.holder.reconsider(ctx, lease.gen, err)
	return result, err
}

// acquireError is an error of Holder.acquire, which needs no further judging.
type acquireError struct{ err error }

func (e *acquireError) Error() string        { return e.err.Error() }
func (e *acquireError) Unwrap() error        { return e.err }
func (e *acquireError) Is(target error) bool { return target == errNoConnection }

func toClientExpected(e eventlog.Expected) esdb.ExpectedRevision {
	if e.IsNoStream() {
		return esdb.NoStream{}
	}
	if revision, ok := e.Revision(); ok {
		return esdb.Revision(revision)
	}
	return esdb.Any{}
}

// appended turns the client's result into the port's. Some servers leave the
// position out when the events were there already; then the last of them is
// looked up.
func (l *Log) appended(ctx context.Context, stream string, result *esdb.WriteResult) (eventlog.Appended, error) {
	done := eventlog.Appended{
		Revision: result.NextExpectedVersion,
		Position: eventlog.Position{Commit: result.CommitPosition, Prepare: result.PreparePosition},
	}
	if !done.Position.IsStart() {
		return done, nil
	}
	for event, err := range l.ReadStream(ctx, stream, done.Revision) {
		if err != nil {
			return eventlog.Appended{}, fmt.Errorf("recorded, but its position could not be read: %w", err)
		}
		done.Position = event.Position
		break
	}
	return done, nil
}

// conflict finds out what the stream is instead of as expected. again is true
// when it has become as expected meanwhile.
func (l *Log) conflict(ctx context.Context, stream string, expected eventlog.Expected, cause error) (again bool, err error) {
	actual, err := l.last(ctx, stream)
	if err != nil {
		// The refusal is certain, only its detail is not: say so with the
		// truth that is known.
		return false, fmt.Errorf("%w; what it is could not be read: %w",
			&eventlog.WrongRevision{Stream: stream, Expected: expected, Actual: eventlog.Any()}, err)
	}
	wrong := &eventlog.WrongRevision{Stream: stream, Expected: expected, Actual: actual}
	if actual == expected {
		return true, fmt.Errorf("%w: %w: %w", eventlog.ErrUnavailable, wrong, cause)
	}
	return false, wrong
}

// last tells the revision of a stream's last event.
func (l *Log) last(ctx context.Context, stream string) (eventlog.Expected, error) {
	actual := eventlog.NoStream()
	err := l.readOnce(ctx, func(callCtx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
		return c.ReadStream(callCtx, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	}, func(e *esdb.RecordedEvent) bool {
		actual = eventlog.Exactly(e.EventNumber)
		return false
	})
	if err != nil && !isNotFound(err) {
		_, err = judge(err)
		return eventlog.Expected{}, err
	}
	return actual, nil
}

// probe tells why the log refuses to have to do with a stream, if it does.
func (l *Log) probe(ctx context.Context, stream string) error {
	_, err := l.last(ctx, stream)
	if err != nil && !errors.Is(err, eventlog.ErrUnavailable) {
		return err
	}
	return nil
}

// reconsider replaces the client after an error that says it is of no more
// use, or after a call that never came back although its caller still waits.
func (h *Holder) reconsider(ctx context.Context, g *generation, err error) {
	if err == nil {
		return
	}
	var client *esdb.Error
	spent := connectionSpent(err)
	if errors.As(err, &client) {
		switch client.Code() {
		case esdb.ErrorCodeNotLeader:
			// A single address is redirected by the client itself. With several,
			// discovery finds the new leader, and a failed redirection cannot
			// leave a dead client behind.
			spent = h.conf.DnsDiscover || len(h.conf.GossipSeeds) > 0
		case esdb.ErrorCodeDeadlineExceeded:
			spent = ctx.Err() == nil
		default:
		}
	}
	if spent {
		go g.retire()
	}
}
