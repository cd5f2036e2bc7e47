package logcopy

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
	node "github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a node with the adapter and the bare client on it.
type server struct {
	log    *eventstore.Log
	client *esdb.Client
}

func startServer(t *testing.T, clock func() time.Time) server {
	t.Helper()
	n, err := node.New(node.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: clock, BallastBytes: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case <-n.Ready():
	case err := <-ended:
		ended <- err
		require.NoError(t, err)
	}
	h, err := eventstore.NewHolder(eventstore.Config{Connection: n.ConnectionString()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	l, err := eventstore.NewLog(h, eventstore.LogConfig{})
	require.NoError(t, err)
	conf, err := esdb.ParseConnectionString(n.ConnectionString())
	require.NoError(t, err)
	conf.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(conf)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return server{l, client}
}

func (s server) append(t *testing.T, stream string, n int, with func(i int, e *esdb.EventData)) {
	t.Helper()
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{EventID: uuid.New(), EventType: "t.v1", ContentType: esdb.ContentTypeJson, Data: fmt.Appendf(nil, `{"n":%d}`, i), Metadata: fmt.Appendf(nil, `{"actor":"%d"}`, i)}
		if with != nil {
			with(i, &events[i])
		}
	}
	_, err := s.client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, events...)
	require.NoError(t, err)
}

// aLog is a log with everything in it that a copy must keep.
func aLog(t *testing.T) server {
	t.Helper()
	s := startServer(t, nil)
	ctx := t.Context()
	for i := range 20 {
		s.append(t, fmt.Sprintf("ledger-%d-202601", i%3), 1+i%4, nil)
	}
	s.append(t, "binary", 2, func(i int, e *esdb.EventData) {
		e.ContentType, e.Data, e.Metadata = esdb.ContentTypeBinary, []byte{0, 255, '}'}, []byte{1, '{', 0}
	})
	s.append(t, "bare", 2, func(i int, e *esdb.EventData) { e.Data, e.Metadata = nil, nil })
	age := esdb.StreamMetadata{}
	age.SetMaxAge(time.Hour)
	age.AddCustomProperty("owner", "us")
	_, err := s.client.SetStreamMetadata(ctx, "ledger-1-202601", esdb.AppendToStreamOptions{}, age)
	require.NoError(t, err)
	count := esdb.StreamMetadata{}
	count.SetMaxCount(2)
	_, err = s.client.SetStreamMetadata(ctx, "ledger-2-202601", esdb.AppendToStreamOptions{}, count)
	require.NoError(t, err)
	// Deleted and back again, by an event and by metadata; the server adds
	// metadata of its own.
	s.append(t, "back", 3, nil)
	_, err = s.client.DeleteStream(ctx, "back", esdb.DeleteStreamOptions{})
	require.NoError(t, err)
	s.append(t, "back", 2, nil)
	_, err = s.client.DeleteStream(ctx, "back", esdb.DeleteStreamOptions{})
	require.NoError(t, err)
	_, err = s.client.SetStreamMetadata(ctx, "back", esdb.AppendToStreamOptions{}, count)
	require.NoError(t, err)
	s.append(t, "back", 2, nil)
	s.append(t, "gone", 2, nil)
	_, err = s.client.DeleteStream(ctx, "gone", esdb.DeleteStreamOptions{})
	require.NoError(t, err)
	s.append(t, "ended", 2, nil)
	_, err = s.client.TombstoneStream(ctx, "ended", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	s.append(t, "ledger-0-202601", 700, nil) // more than one append
	return s
}

func (s server) all(t *testing.T) []eventlog.Recorded {
	t.Helper()
	var all []eventlog.Recorded
	for e, err := range s.log.ReadAll(t.Context(), eventlog.Position{}, eventlog.Filter{}) {
		require.NoError(t, err)
		e.Position = eventlog.Position{}
		all = append(all, e)
	}
	return all
}

func requireSame(t *testing.T, a, b server) Sum {
	t.Helper()
	sum, err := New(a.log, b.log, nil).Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(a.all(t), b.all(t)), "also the recorded times")
	return sum
}

func TestACopyKeepsOrderIdsContentsAndRecordedTimes(t *testing.T) {
	a, b := aLog(t), startServer(t, nil)
	done, err := New(a.log, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	sum := requireSame(t, a, b)
	require.Equal(t, done.Events, sum.Events)
	require.Greater(t, sum.Events, uint64(700))

	for _, stream := range []string{"ledger-0-202601", "ledger-1-202601", "ledger-2-202601", "back"} {
		want, err := a.client.GetStreamMetadata(t.Context(), stream, esdb.ReadStreamOptions{})
		if err != nil {
			continue // has none
		}
		got, err := b.client.GetStreamMetadata(t.Context(), stream, esdb.ReadStreamOptions{})
		require.NoError(t, err)
		require.Equal(t, want, got, stream)
		require.Equal(t, readable(t, a, stream), readable(t, b, stream), "%s shows the same events", stream)
	}
	_, err = b.log.Append(t.Context(), "ended", eventlog.Any(), []eventlog.Proposed{{ID: uuid.New(), Type: "t"}})
	require.ErrorIs(t, err, eventlog.ErrStreamDeleted)
	require.Empty(t, readable(t, b, "gone"))

	// What the target records itself comes after what was copied, in time too.
	_, err = b.log.Append(t.Context(), "new", eventlog.NoStream(), []eventlog.Proposed{{ID: uuid.New(), Type: "t.v1"}})
	require.NoError(t, err)
	all := b.all(t)
	require.False(t, all[len(all)-1].RecordedAt.Before(all[len(all)-2].RecordedAt))
}

func readable(t *testing.T, s server, stream string) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for e, err := range s.log.ReadStream(t.Context(), stream, 0) {
		require.NoError(t, err)
		ids = append(ids, e.ID)
	}
	return ids
}

func TestACopyGoesOnWhereverItWasCutOff(t *testing.T) {
	a, b := aLog(t), startServer(t, nil)
	rounds := 0
	for finished := false; !finished; rounds++ {
		ctx, cut := context.WithCancel(t.Context())
		// Each run lives for a few appends, one more every other time.
		steps := 0
		done, err := New(a.log, b.log, func(p Progress) {
			if steps++; steps > 2+rounds/2 {
				cut()
			}
		}).Copy(ctx)
		cut()
		finished = err == nil && done.At == done.End
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Less(t, rounds, 100)
	}
	require.Greater(t, rounds, 5)
	requireSame(t, a, b)

	a.append(t, "ledger-0-202601", 3, nil)
	done, err := New(a.log, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(3), done.Events, "what came later is copied by another run")
	requireSame(t, a, b)
	done, err = New(a.log, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	require.Zero(t, done.Events)
}

// An append of a run that was killed may arrive after the next run has looked
// where the target ends.
func TestALateAppendOfAKilledRunIsNotCopiedTwice(t *testing.T) {
	for _, late := range []int{1, 5, 10} {
		a, b := startServer(t, nil), startServer(t, nil)
		a.append(t, "s", 10, nil)
		a.append(t, "u", 2, nil)
		var stored []eventstore.Stored
		for e, err := range a.log.Stored(t.Context(), eventlog.Position{}) {
			require.NoError(t, err)
			stored = append(stored, e)
		}
		arrived := false
		_, err := New(a.log, b.log, func(Progress) {
			if !arrived {
				arrived = true
				_, err := b.log.AppendCopies(t.Context(), "s", eventlog.NoStream(), stored[:late])
				require.NoError(t, err)
			}
		}).Copy(t.Context())
		require.NoError(t, err)
		requireSame(t, a, b)
	}
}

func TestTwoCopiesAtOnceDoNoHarm(t *testing.T) {
	a, b := aLog(t), startServer(t, nil)
	errs := make(chan error, 1)
	go func() {
		_, err := New(a.log, b.log, nil).Copy(t.Context())
		errs <- err
	}()
	_, err := New(a.log, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	require.NoError(t, <-errs)
	require.Empty(t, cmp.Diff(a.all(t), b.all(t)))
}

func TestACopyOfACopyIsTheSameAsTheFirst(t *testing.T) {
	a, b, c := aLog(t), startServer(t, nil), startServer(t, nil)
	for _, pair := range [][2]server{{a, b}, {b, c}} {
		_, err := New(pair[0].log, pair[1].log, nil).Copy(t.Context())
		require.NoError(t, err)
	}
	requireSame(t, a, b)
	requireSame(t, b, c)
	require.Empty(t, cmp.Diff(a.all(t), c.all(t)))
}

func TestRecordedTimeNeverGoesBackWhenTheSourcesClockWasAhead(t *testing.T) {
	ahead := func() time.Time { return time.Now().Add(24 * time.Hour) }
	a, b := startServer(t, ahead), startServer(t, nil)
	a.append(t, "s", 3, nil)
	_, err := New(a.log, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	b.append(t, "s", 1, nil)
	all := b.all(t)
	for i := range all[1:] {
		require.False(t, all[i+1].RecordedAt.Before(all[i].RecordedAt), "%v", all)
	}
	require.Less(t, time.Until(all[3].RecordedAt), time.Hour)
}

func TestTargetsThatAreNoCopyOfTheSourceAreRefused(t *testing.T) {
	a := aLog(t)
	copyTo := func(b server) error {
		before := b.all(t)
		_, err := New(a.log, b.log, nil).Copy(t.Context())
		require.Equal(t, before, b.all(t), "nothing was written")
		return err
	}
	t.Run("events of its own", func(t *testing.T) {
		b := startServer(t, nil)
		b.append(t, "mine", 1, nil)
		require.ErrorIs(t, copyTo(b), ErrForeign)
	})
	t.Run("a copy that was written to", func(t *testing.T) {
		b := startServer(t, nil)
		_, err := New(a.log, b.log, nil).Copy(t.Context())
		require.NoError(t, err)
		b.append(t, "mine", 1, nil)
		err = copyTo(b)
		require.ErrorIs(t, err, ErrForeign)
		require.ErrorContains(t, err, "mine@0")
	})
	t.Run("events of its own before those that were copied", func(t *testing.T) {
		b := startServer(t, nil)
		b.append(t, "mine", 1, nil)
		for e, err := range a.log.Stored(t.Context(), eventlog.Position{}) {
			require.NoError(t, err)
			_, err = b.log.AppendCopies(t.Context(), e.Stream, eventlog.NoStream(), []eventstore.Stored{e})
			require.NoError(t, err)
			break
		}
		require.ErrorIs(t, copyTo(b), ErrForeign)
	})
	t.Run("a copy of another log", func(t *testing.T) {
		other, b := aLog(t), startServer(t, nil)
		_, err := New(other.log, b.log, nil).Copy(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, copyTo(b), ErrOtherSource)
	})
	t.Run("the source itself", func(t *testing.T) {
		require.ErrorIs(t, copyTo(a), ErrForeign)
	})
}

func TestAGapInTheSourceIsNamed(t *testing.T) {
	a, b := startServer(t, nil), startServer(t, nil)
	a.append(t, "s", 4, nil)
	// As if revisions 0 and 1 had been scavenged: the copy begins at 2.
	for e, err := range a.log.Stored(t.Context(), eventlog.Position{}) {
		require.NoError(t, err)
		if e.Revision == 2 {
			_, err = b.log.AppendCopies(t.Context(), "s", eventlog.NoStream(), []eventstore.Stored{e})
			require.NoError(t, err)
		}
	}
	_, err := New(a.log, b.log, nil).Copy(t.Context())
	require.ErrorIs(t, err, ErrGap)
	require.ErrorContains(t, err, "of stream s there is none between revisions 0 and 3")
}

// held is a source that gives away what it is told to.
type held []eventstore.Stored

func (h held) StoredEnd(context.Context) (eventlog.Position, error) {
	return h[len(h)-1].Position, nil
}

func (h held) Stored(_ context.Context, from eventlog.Position) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for _, e := range h {
			if e.Position.Compare(from) >= 0 && !yield(e, nil) {
				return
			}
		}
	}
}

func TestRevisionsAreNeverClosedUpOverAGap(t *testing.T) {
	a := startServer(t, nil)
	a.append(t, "s", 5, nil)
	var all held
	for e, err := range a.log.Stored(t.Context(), eventlog.Position{}) {
		require.NoError(t, err)
		all = append(all, e)
	}
	for name, left := range map[string]held{"at the start": all[1:], "between": {all[0], all[1], all[3], all[4]}} {
		t.Run(name, func(t *testing.T) {
			b := startServer(t, nil)
			_, err := New(left, b.log, nil).Copy(t.Context())
			require.ErrorIs(t, err, ErrGap)
			for i, e := range b.all(t) {
				require.Equal(t, all[i].ID, e.ID)
				require.Equal(t, all[i].Revision, e.Revision)
			}
		})
	}
}

func TestAppendsAreBounded(t *testing.T) {
	a, b := startServer(t, nil), startServer(t, nil)
	a.append(t, "many", 1200, nil)
	for range 4 {
		a.append(t, "large", 3, func(_ int, e *esdb.EventData) { e.Data = make([]byte, 200<<10) })
	}
	var last Progress
	appends := 0
	_, err := New(a.log, b.log, func(p Progress) {
		require.LessOrEqual(t, p.Events-last.Events, uint64(maxEvents))
		if p.Events > 1200 && last.Events >= 1200 {
			require.LessOrEqual(t, p.Events-last.Events, uint64(2), "two large events are as much as fits")
		}
		last = p
		appends++
	}).Copy(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, appends, 1+3+6)
	requireSame(t, a, b)
}

func TestVerifyNamesTheFirstDifference(t *testing.T) {
	a := startServer(t, nil)
	a.append(t, "s", 3, nil)
	var stored []eventstore.Stored
	for e, err := range a.log.Stored(t.Context(), eventlog.Position{}) {
		require.NoError(t, err)
		stored = append(stored, e)
	}
	for name, c := range map[string]struct {
		change func(e []eventstore.Stored) []eventstore.Stored
		want   string
	}{
		"data":          {func(e []eventstore.Stored) []eventstore.Stored { e[1].Data = []byte(`{}`); return e }, "other data"},
		"metadata":      {func(e []eventstore.Stored) []eventstore.Stored { e[1].Meta = nil; return e }, "other metadata"},
		"type":          {func(e []eventstore.Stored) []eventstore.Stored { e[1].Type = "u.v1"; return e }, "another type"},
		"id":            {func(e []eventstore.Stored) []eventstore.Stored { e[1].ID = uuid.New(); return e }, "another id"},
		"content type":  {func(e []eventstore.Stored) []eventstore.Stored { e[1].JSON = false; return e }, "another content type"},
		"position":      {func(e []eventstore.Stored) []eventstore.Stored { e[1].Position.Commit = 9; return e }, "copied from C:9"},
		"recorded time": {func(e []eventstore.Stored) []eventstore.Stored { e[1].RecordedAt = time.Unix(0, 0); return e }, "recorded at"},
		"order":         {func(e []eventstore.Stored) []eventstore.Stored { e[0], e[1] = e[1], e[0]; return e }, "another id"},
		"one less":      {func(e []eventstore.Stored) []eventstore.Stored { return e[:2] }, "it ends before s@2"},
		"one more": {func(e []eventstore.Stored) []eventstore.Stored {
			more := e[0]
			more.ID = uuid.New()
			return append(e, more)
		}, "goes on with s@3"},
		"nothing": {func(e []eventstore.Stored) []eventstore.Stored { return nil }, "it ends before s@0"},
	} {
		t.Run(name, func(t *testing.T) {
			b := startServer(t, nil)
			changed := c.change(append([]eventstore.Stored{}, stored...))
			if len(changed) > 0 {
				_, err := b.log.AppendCopies(t.Context(), "s", eventlog.NoStream(), changed)
				require.NoError(t, err)
			}
			_, err := New(a.log, b.log, nil).Verify(t.Context())
			require.ErrorIs(t, err, ErrDifferent)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAnEmptyLogIsCopiedToAnEmptyLog(t *testing.T) {
	a, b := startServer(t, nil), startServer(t, nil)
	done, err := New(a.log, b.log, nil).Copy(t.Context())
	require.NoError(t, err)
	require.Zero(t, done.Events)
	require.Zero(t, requireSame(t, a, b).Events)
}
