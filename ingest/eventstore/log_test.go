package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func proposed(n int) []eventlog.Proposed {
	events := make([]eventlog.Proposed, n)
	for i := range events {
		events[i] = eventlog.Proposed{ID: uuid.New(), Type: "t.v1", Data: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	return events
}

// hangUp answers an append before it has read it.
func hangUp(err error) func(streams.Streams_AppendServer) (bool, error) {
	return func(streams.Streams_AppendServer) (bool, error) { return true, err }
}

// refuse answers an append when it has read it.
func refuse(answer error) func(streams.Streams_AppendServer) (bool, error) {
	return func(in streams.Streams_AppendServer) (bool, error) {
		for {
			if _, err := in.Recv(); errors.Is(err, io.EOF) {
				return true, answer
			} else if err != nil {
				return true, err
			}
		}
	}
}

// conflict answers an append, when it has read it, that the stream is not as
// expected.
func conflict(in streams.Streams_AppendServer) (bool, error) {
	if _, err := refuse(nil)(in); err != nil {
		return true, err
	}
	return true, in.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{
		WrongExpectedVersion: &streams.AppendResp_WrongExpectedVersion{}}})
}

func TestAppendWithUnknownOutcomeIsRepeatedTheSameWay(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	lose := func(in streams.Streams_AppendServer) (bool, error) { return true, s.store(in, false) }
	s.script(lose, refuse(status.Error(codes.Internal, "stream reset")), lose)
	done, err := l.Append(testContext(t), "ledger-1", eventlog.Exactly(41), proposed(3))
	require.NoError(t, err)
	require.Equal(t, uint64(2), done.Revision)
	require.Len(t, s.events, 3, "recorded once")
	require.Len(t, s.appends, 3)
	for _, try := range s.appends {
		require.Equal(t, uint64(41), try.options.GetRevision(), "a retry carries the same expectation")
		require.Equal(t, s.appends[0].ids, try.ids)
	}
}

func TestAppendCutEarlyReadsLikeEOF(t *testing.T) {
	large := proposed(7)
	for i := range large {
		// Beyond the flow-control window, so that the client is still sending
		// when the server hangs up.
		large[i].Data = fmt.Appendf(nil, "%q", strings.Repeat("x", 100<<10))
	}
	t.Run("is repeated when the server takes it then", func(t *testing.T) {
		s := newFake()
		l := testLog(t, s, LogConfig{})
		s.script(hangUp(status.Error(codes.Internal, "hung up")), hangUp(status.Error(codes.Internal, "hung up")))
		_, err := l.Append(testContext(t), "ledger-1", eventlog.NoStream(), large)
		require.NoError(t, err)
		require.Len(t, s.events, 7)
	})
	t.Run("shows a refusal for good", func(t *testing.T) {
		s := newFake()
		l := testLog(t, s, LogConfig{})
		denied := status.Error(codes.PermissionDenied, "no")
		s.script(hangUp(denied))
		s.scriptRead(func(*streams.ReadReq, streams.Streams_ReadServer) (bool, error) { return true, denied })
		_, err := l.Append(testContext(t), "ledger-1", eventlog.NoStream(), large)
		require.ErrorIs(t, err, ErrDenied)
	})
}

func TestAppendGivesUpWithinItsLimits(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{Attempts: 3})
	broken := refuse(status.Error(codes.Internal, "broken"))
	s.script(broken, broken, broken)
	_, err := l.Append(testContext(t), "ledger-1", eventlog.NoStream(), proposed(1))
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	_, err = l.Append(testContext(t), "ledger-1", eventlog.NoStream(), proposed(1))
	require.NoError(t, err, "three attempts were used up, not four")

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	s.script(func(in streams.Streams_AppendServer) (bool, error) {
		<-in.Context().Done()
		return true, in.Context().Err()
	})
	_, err = l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(1))
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAppendRefusals(t *testing.T) {
	full, err := status.New(codes.Unavailable, "no space left").WithDetails(&errdetails.ErrorInfo{Reason: "DISK_FULL"})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		answer error
		want   error
	}{
		"disk full, by its reason":   {full.Err(), eventlog.ErrNoRoom},
		"resource exhausted":         {status.Error(codes.ResourceExhausted, "disk"), eventlog.ErrNoRoom},
		"permission denied":          {status.Error(codes.PermissionDenied, "acl"), ErrDenied},
		"unauthenticated":            {status.Error(codes.Unauthenticated, "who"), ErrDenied},
		"invalid argument, for good": {status.Error(codes.InvalidArgument, "bad"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFake()
			l := testLog(t, s, LogConfig{})
			s.script(refuse(test.answer))
			_, err := l.Append(testContext(t), "ledger-1", eventlog.NoStream(), proposed(1))
			require.Error(t, err)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			require.NotErrorIs(t, err, eventlog.ErrUnavailable)
			require.Empty(t, s.appends, "a refusal for good was tried again")
		})
	}
	t.Run("stream deleted", func(t *testing.T) {
		s := newFake()
		l := testLog(t, s, LogConfig{})
		s.script(func(in streams.Streams_AppendServer) (bool, error) {
			in.SetTrailer(metadata.Pairs("exception", "stream-deleted", "stream-name", "ledger-1"))
			return refuse(status.Error(codes.FailedPrecondition, "deleted"))(in)
		})
		_, err := l.Append(testContext(t), "ledger-1", eventlog.NoStream(), proposed(1))
		require.ErrorIs(t, err, eventlog.ErrStreamDeleted)
	})
}

func TestWrongRevisionNamesWhatItFound(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	ctx := testContext(t)
	var wrong *eventlog.WrongRevision

	s.script(conflict)
	_, err := l.Append(ctx, "ledger-1", eventlog.Exactly(7), proposed(1))
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, eventlog.NoStream(), wrong.Actual)

	_, err = l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(3))
	require.NoError(t, err)
	s.script(conflict)
	_, err = l.Append(ctx, "ledger-1", eventlog.Exactly(7), proposed(1))
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, eventlog.WrongRevision{Stream: "ledger-1", Expected: eventlog.Exactly(7), Actual: eventlog.Exactly(2)}, *wrong)

	s.script(conflict) // but by the time one looks, the stream is as expected
	_, err = l.Append(ctx, "ledger-1", eventlog.Exactly(2), proposed(1))
	require.NoError(t, err)

	s.script(conflict) // and what it is cannot be read
	down := func(*streams.ReadReq, streams.Streams_ReadServer) (bool, error) {
		return true, status.Error(codes.PermissionDenied, "no")
	}
	s.scriptRead(down)
	_, err = l.Append(ctx, "ledger-1", eventlog.Exactly(9), proposed(1))
	require.ErrorAs(t, err, &wrong, "the refusal is certain all the same")
	require.Equal(t, eventlog.Exactly(9), wrong.Expected)
}

func TestReadGoesOnWhereItWasCut(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	ctx := testContext(t)
	_, err := l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(10))
	require.NoError(t, err)
	cut := func(n int) func(*streams.ReadReq, streams.Streams_ReadServer) (bool, error) {
		return func(req *streams.ReadReq, out streams.Streams_ReadServer) (bool, error) {
			s.mu.Lock()
			events := s.selected(req.Options)
			s.mu.Unlock()
			for _, e := range events[:n] {
				if err := out.Send(eventResp(e)); err != nil {
					return true, err
				}
			}
			return true, status.Error(codes.Internal, "cut")
		}
	}
	s.scriptRead(cut(3), cut(0), cut(4))
	var revisions []uint64
	for e, err := range l.ReadStream(ctx, "ledger-1", 0) {
		require.NoError(t, err)
		revisions = append(revisions, e.Revision)
	}
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, revisions)

	whole := func(req *streams.ReadReq, _ streams.Streams_ReadServer) (bool, error) { return false, nil }
	s.scriptRead(whole, cut(5), cut(2)) // the first finds the end
	revisions = nil
	for e, err := range l.ReadAll(ctx, eventlog.Position{}, eventlog.Filter{}) {
		require.NoError(t, err)
		revisions = append(revisions, e.Revision)
	}
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, revisions)
}

func TestCutReadNeverLooksLikeAnEnd(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{Attempts: 2})
	cut := func(*streams.ReadReq, streams.Streams_ReadServer) (bool, error) {
		return true, status.Error(codes.Internal, "cut")
	}
	s.scriptRead(cut, cut)
	var errs []error
	for _, err := range l.ReadStream(testContext(t), "ledger-1", 0) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], eventlog.ErrUnavailable)
}

func TestFollowResubscribesFromWhatItHas(t *testing.T) {
	s := newFake()
	reg := prometheus.NewRegistry()
	metrics := NewMetrics(reg)
	h := testHolder(t, Config{Connection: "esdb://" + s.serve(t, "127.0.0.1:0") + "?tls=false", Metrics: metrics})
	l, err := NewLog(h, LogConfig{})
	require.NoError(t, err)
	ctx := testContext(t)
	_, err = l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(6))
	require.NoError(t, err)

	var froms []uint64
	drop := func(n int, checkpoint uint64) func(*streams.ReadReq, streams.Streams_ReadServer) (bool, error) {
		return func(req *streams.ReadReq, out streams.Streams_ReadServer) (bool, error) {
			froms = append(froms, req.Options.GetAll().GetPosition().GetCommitPosition())
			if err := confirm(out); err != nil {
				return true, err
			}
			s.mu.Lock()
			events := s.events
			s.mu.Unlock()
			for _, e := range events[:n] { // from the start, whatever was asked: all but the new are dropped
				if err := out.Send(eventResp(e)); err != nil {
					return true, err
				}
			}
			if checkpoint > 0 {
				if err := out.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
					Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: checkpoint, PreparePosition: checkpoint}}}); err != nil {
					return true, err
				}
			}
			return true, status.Error(codes.Internal, "dropped")
		}
	}
	last := func(req *streams.ReadReq, _ streams.Streams_ReadServer) (bool, error) {
		froms = append(froms, req.Options.GetAll().GetPosition().GetCommitPosition())
		return false, nil
	}
	s.scriptRead(drop(2, 0), drop(2, 3), drop(5, 0), last)
	sub, err := l.Named("flows").Follow(ctx, eventlog.Position{}, eventlog.Filter{})
	require.NoError(t, err)
	var revisions []uint64
	for caughtUp := false; !caughtUp; {
		batch, err := sub.Next(ctx)
		require.NoError(t, err)
		for _, e := range batch.Events {
			revisions = append(revisions, e.Revision)
		}
		caughtUp = batch.CaughtUp
	}
	require.NoError(t, sub.Close())
	require.Equal(t, []uint64{0, 2, 3, 5}, froms, "from the last event, or the checkpoint where that is further")
	require.Equal(t, []uint64{0, 1, 3, 4, 5}, revisions, "each once; the third was covered by the checkpoint")
	require.InDelta(t, 3, testutil.ToFloat64(metrics.resubscribed.WithLabelValues("flows")), 0)
}

func TestFollowCatchesUpWithServersThatNeverSaySo(t *testing.T) {
	s := newFake()
	s.silent = true
	l := testLog(t, s, LogConfig{IdleProbe: 10 * time.Millisecond})
	ctx := testContext(t)
	_, err := l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(4))
	require.NoError(t, err)
	sub, err := l.Follow(ctx, eventlog.Position{}, eventlog.Filter{StreamPrefixes: []string{"ledger-"}})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Close()) }()
	seen := 0
	for caughtUp := false; !caughtUp; {
		batch, err := sub.Next(ctx)
		require.NoError(t, err)
		seen += len(batch.Events)
		caughtUp = batch.CaughtUp
	}
	require.Equal(t, 4, seen)
}

func TestFollowEndsOnARefusalForGood(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	s.scriptRead(func(*streams.ReadReq, streams.Streams_ReadServer) (bool, error) {
		return true, status.Error(codes.PermissionDenied, "no")
	})
	sub, err := l.Follow(testContext(t), eventlog.Position{}, eventlog.Filter{})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Close()) }()
	for range 2 {
		_, err = sub.Next(testContext(t))
		require.ErrorIs(t, err, ErrDenied)
	}
}

func TestFollowHoldsNoMoreThanItsBuffer(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{BufferEvents: 5})
	ctx := testContext(t)
	_, err := l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(23))
	require.NoError(t, err)
	sub, err := l.Follow(ctx, eventlog.Position{}, eventlog.Filter{})
	require.NoError(t, err)
	defer func() { require.NoError(t, sub.Close()) }()
	for seen := 0; seen < 23; {
		batch, err := sub.Next(ctx)
		require.NoError(t, err)
		require.LessOrEqual(t, len(batch.Events), 5)
		seen += len(batch.Events)
	}
}

func TestMetricsMove(t *testing.T) {
	s := newFake()
	metrics := NewMetrics(prometheus.NewRegistry())
	h := testHolder(t, Config{Connection: "esdb://" + s.serve(t, "127.0.0.1:0") + "?tls=false", Metrics: metrics})
	l, err := NewLog(h, LogConfig{MeasureEvery: time.Millisecond})
	require.NoError(t, err)
	ctx := testContext(t)
	s.script(refuse(status.Error(codes.Internal, "broken")))
	_, err = l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(3))
	require.NoError(t, err)
	require.InDelta(t, 3, testutil.ToFloat64(metrics.appended), 0)
	require.InDelta(t, 1, testutil.ToFloat64(metrics.retries.WithLabelValues("unknown")), 0)
	require.InDelta(t, 1, testutil.ToFloat64(metrics.connects.WithLabelValues("ok")), 0)
	require.Equal(t, 1, testutil.CollectAndCount(metrics.appendSeconds))

	sub, err := l.Named("flows").Follow(ctx, eventlog.Position{}, eventlog.Filter{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // received, and nobody takes them
		return testutil.ToFloat64(metrics.lagEvents.WithLabelValues("flows")) == 3 &&
			testutil.ToFloat64(metrics.lagSeconds.WithLabelValues("flows")) > 0
	}, 10*time.Second, time.Millisecond)
	for caughtUp := false; !caughtUp; {
		batch, err := sub.Next(ctx)
		require.NoError(t, err)
		caughtUp = batch.CaughtUp
	}
	require.InDelta(t, 0, testutil.ToFloat64(metrics.lagEvents.WithLabelValues("flows")), 0)
	require.InDelta(t, 0, testutil.ToFloat64(metrics.lagSeconds.WithLabelValues("flows")), 0)
	require.NoError(t, sub.Close())
	require.Zero(t, testutil.CollectAndCount(metrics.lagSeconds), "a subscription that ended has no lag")

	var none *Metrics
	none.observeAppend(time.Now(), 1, "ok")
	none.retry("unknown")
	none.connect(nil)
	none.resubscribe("x")
	none.redeliver("x")
	none.lag("x", 1, 1)
	none.behind("x", 1)
	none.forget("x")
}
