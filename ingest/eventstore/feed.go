package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

const (
	firstResubscribePause = 50 * time.Millisecond
	mostResubscribePause  = 2 * time.Second

	// searchWindow is after how many events that do not pass the filter the
	// server tells how far it has searched. Its default of 32 makes it talk a
	// lot on a log of many kinds of streams.
	searchWindow = 1024
)

// source is what a subscription listens to: one stream, or the whole log
// through a filter.
type source struct {
	stream string                   // empty for the whole log
	filter *esdb.SubscriptionFilter // for the whole log; never nil there
	keep   func(*esdb.RecordedEvent) bool
}

func sourceOfFilter(f eventlog.Filter) source {
	s := source{filter: esdb.ExcludeSystemEventsFilter(), keep: func(e *esdb.RecordedEvent) bool { return passes(f, e) }}
	if len(f.StreamPrefixes) > 0 {
		s.filter = &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: f.StreamPrefixes}
	}
	return s
}

// cursor is how far a subscription has come. For a stream the revision counts,
// for the whole log the position.
type cursor struct {
	started  bool // false: nothing of the stream yet
	revision uint64
	position eventlog.Position
}

func (c cursor) before(e *esdb.RecordedEvent, s source) bool {
	if s.stream != "" {
		return !c.started || c.revision < e.EventNumber
	}
	return c.position.Compare(fromClientPosition(e.Position)) < 0
}

// feed is a subscription that keeps itself alive: one goroutine receives and
// reconnects, the caller takes what is in the buffer. It resumes from the last
// event or checkpoint it has received, which is where the buffer ends.
type feed struct {
	log    *Log
	name   string
	source source
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	buffer buffer
}

func (l *Log) newFeed(ctx context.Context, name string, s source, from cursor) *feed {
	f := &feed{log: l, name: name, source: s}
	f.ctx, f.cancel = context.WithCancel(ctx)
	f.buffer.init(l.conf.BufferEvents, l.conf.BufferBytes, from)
	f.done.Go(f.run)
	if l.holder.metrics != nil {
		f.done.Go(f.measure)
	}
	return f
}

func (f *feed) close() {
	f.cancel()
	f.done.Wait()
}

func (f *feed) run() {
	pauses := backoff{first: firstResubscribePause, most: mostResubscribePause}
	for {
		progressed, err := f.session()
		f.buffer.setCaughtUp(false)
		if f.ctx.Err() != nil {
			f.buffer.fail(eventlog.ErrClosed)
			return
		}
		if errors.Is(err, eventlog.ErrClosed) {
			f.buffer.fail(err)
			return
		}
		verdict, portErr := judge(err)
		if verdict == verdictRefused {
			f.buffer.fail(fmt.Errorf("subscription %s: %w", f.name, portErr))
			return
		}
		if progressed {
			pauses.reset()
		}
		pause := pauses.pause()
		f.log.holder.logger.Debug("subscription dropped, resubscribing", "subscription", f.name, "after", f.buffer.end(), "in", pause, "error", err)
		f.log.holder.metrics.resubscribe(f.name)
		if sleep(f.ctx, pause) != nil {
			f.buffer.fail(eventlog.ErrClosed)
			return
		}
	}
}

// session runs one subscription of the client until it drops. The client's own
// never comes back once dropped, and asking it again spins.
func (f *feed) session() (progressed bool, err error) {
	lease, err := f.log.holder.acquire(f.ctx, waitForever)
	if err != nil {
		return false, err
	}
	from := f.buffer.end()
	sub, end, err := openStream(f.ctx, lease, func(ctx context.Context, c *esdb.Client) (*esdb.Subscription, error) {
		return f.subscribe(ctx, c, from)
	}, func(s *esdb.Subscription) { _ = s.Close() }) // returns nil always
	if err != nil {
		f.log.holder.reconsider(f.ctx, lease.gen, err)
		return false, err
	}
	defer end()
	for {
		event := sub.Recv()
		switch {
		case event.SubscriptionDropped != nil:
			f.log.holder.reconsider(f.ctx, lease.gen, event.SubscriptionDropped.Error)
			return progressed, event.SubscriptionDropped.Error
		case event.EventAppeared != nil:
			progressed = true
			if err := f.received(event.EventAppeared.OriginalEvent()); err != nil {
				return progressed, err
			}
		case event.CheckPointReached != nil:
			progressed = true
			f.buffer.checkpoint(fromClientPosition(*event.CheckPointReached))
		case event.CaughtUp != nil:
			f.buffer.setCaughtUp(true)
		case event.FellBehind != nil:
			f.buffer.setCaughtUp(false)
		}
	}
}

func (f *feed) subscribe(ctx context.Context, c *esdb.Client, from cursor) (*esdb.Subscription, error) {
	if f.source.stream != "" {
		var start esdb.StreamPosition = esdb.Start{}
		if from.started {
			start = esdb.Revision(from.revision)
		}
		return c.SubscribeToStream(ctx, f.source.stream, esdb.SubscribeToStreamOptions{From: start})
	}
	return c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
		From: toClientPosition(from.position), Filter: f.source.filter,
		MaxSearchWindow: searchWindow, CheckpointInterval: 1,
	})
}

func (f *feed) received(e *esdb.RecordedEvent) error {
	if e == nil || !f.buffer.end().before(e, f.source) {
		return nil
	}
	if f.source.keep != nil && !f.source.keep(e) {
		f.buffer.checkpoint(fromClientPosition(e.Position))
		return nil
	}
	return f.buffer.put(f.ctx, toRecorded(e))
}

// next waits for something to deliver.
func (f *feed) next(ctx context.Context) (eventlog.Batch, error) {
	idle := time.NewTimer(f.log.conf.IdleProbe)
	defer idle.Stop()
	for {
		batch, ok, err := f.buffer.take()
		if ok || err != nil {
			f.report(batch)
			return batch, err
		}
		select {
		case <-ctx.Done():
			return eventlog.Batch{}, ctx.Err()
		case <-f.buffer.ready:
		case <-idle.C:
			if !f.buffer.isCaughtUp() {
				f.probe(ctx)
			}
			idle.Reset(f.log.conf.IdleProbe)
		}
	}
}

// probe looks for itself whether there is more, on behalf of servers that do
// not say that a subscription has caught up.
func (f *feed) probe(ctx context.Context) {
	at := f.buffer.end()
	var caughtUp bool
	var err error
	if f.source.stream != "" {
		var last eventlog.Expected
		last, err = f.log.last(ctx, f.source.stream)
		revision, exists := last.Revision()
		caughtUp = err == nil && (!exists || at.started && revision <= at.revision)
	} else {
		found := at.position
		err = f.log.readOn(ctx, endBackwards, func(e *esdb.RecordedEvent) bool {
			position := fromClientPosition(e.Position)
			if position.Compare(at.position) <= 0 {
				return false
			}
			if f.source.keep(e) {
				found = position
				return false
			}
			return true
		})
		caughtUp = err == nil && found == at.position
	}
	if err != nil {
		f.log.holder.logger.Debug("end of the log not readable", "subscription", f.name, "error", err)
		return
	}
	if caughtUp {
		f.buffer.caughtUpAt(at)
	}
}

func (f *feed) report(batch eventlog.Batch) {
	m := f.log.holder.metrics
	if m == nil || len(batch.Events) == 0 && !batch.CaughtUp {
		return
	}
	seconds := 0.0
	if !batch.CaughtUp {
		seconds = time.Since(batch.Events[len(batch.Events)-1].RecordedAt).Seconds()
	}
	m.lag(f.name, max(0, seconds), f.buffer.len())
}

// measure reports the distance to the end of the log at intervals, also while
// nobody takes anything.
func (f *feed) measure() {
	defer f.log.holder.metrics.forget(f.name)
	for sleep(f.ctx, f.log.conf.MeasureEvery) == nil {
		end, err := f.log.End(f.ctx)
		if err != nil {
			continue // the outage is reported where it matters
		}
		at := f.buffer.end().position
		f.log.holder.metrics.behind(f.name, end.Commit-min(end.Commit, at.Commit))
		if seconds, waiting := f.buffer.oldest(time.Now()); waiting > 0 {
			f.log.holder.metrics.lag(f.name, seconds, waiting)
		}
	}
}
