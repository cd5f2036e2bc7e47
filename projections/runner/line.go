package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/projections/sink"
)

// flush is what is written together: the rows of consecutive events, and the
// position after them.
type flush struct {
	rows        sink.Batch
	quarantined []sink.Quarantined
	events      int
	bytes       int
	to          eventlog.Position // everything up to here is in the flush or filtered out
	recordedAt  time.Time         // of the last event
	oldest      time.Time         // recording time of the first event
	started     time.Time         // when the first event or checkpoint came
	caughtUp    bool              // to was the end of the log
}

func (f *flush) reset() {
	f.rows.Reset()
	clear(f.quarantined)
	*f = flush{rows: f.rows, quarantined: f.quarantined[:0]}
}

// line is the production line between subscription and tables: one goroutine
// pulls, one makes rows, one inserts. Two flushes go round, so that the next
// is made while the last is inserted, and memory stays bounded.
type line struct {
	r       *Runner
	batches chan eventlog.Batch // pull → assemble
	work    chan *flush         // assemble → flushAll; unbuffered: taken when flushAll is idle
	free    chan *flush         // flushAll → assemble
}

func newLine(r *Runner) *line {
	l := &line{r: r, batches: make(chan eventlog.Batch), work: make(chan *flush), free: make(chan *flush, 2)}
	for range cap(l.free) {
		l.free <- &flush{rows: r.deps.Projection.NewBatch()}
	}
	return l
}

// pull hands on what the subscription delivers.
func (l *line) pull(ctx context.Context, sub eventlog.Subscription) error {
	for {
		b, err := sub.Next(ctx)
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		select {
		case l.batches <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// assemble makes rows of events and hands a flush on when it is due and the
// inserting side is idle; until then, the flush grows.
func (l *line) assemble(ctx context.Context) error {
	var (
		cur  = <-l.free
		rest eventlog.Batch // of the last delivery, what cur had no room for
		open bool           // rest has to be taken yet
		last time.Time      // when the last flush was handed on
		at   = l.r.Position().Log
	)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for len(rest.Events) > 0 && !l.full(cur) {
			l.add(ctx, cur, rest.Events[0])
			rest.Events = rest.Events[1:]
		}
		if open && len(rest.Events) == 0 {
			l.checkpoint(cur, rest, at)
			open = false
		}
		in, out := l.batches, chan *flush(nil)
		if open {
			in = nil
		}
		if !cur.started.IsZero() {
			if wait := l.due(cur, open, last); wait <= 0 {
				out = l.work
			} else {
				timer.Reset(wait)
			}
		}
		to := cur.to // read now: once handed on, cur belongs to the other side
		select {
		case b := <-in:
			rest, open = b, true
		case out <- cur:
			l.r.deps.Metrics.handedOn()
			last, at = time.Now(), to
			select {
			case cur = <-l.free:
			case <-ctx.Done():
				return ctx.Err()
			}
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *line) full(f *flush) bool {
	return f.rows.Len()+len(f.quarantined) >= l.r.cfg.MaxRows || f.bytes >= l.r.cfg.MaxBytes
}

// due tells how long a flush should still wait: a full one not at all, one
// that holds the end of the log until Interval after the last, any other until
// it has had Interval to grow.
func (l *line) due(f *flush, more bool, last time.Time) time.Duration {
	if l.full(f) {
		return 0
	}
	from := last
	if (!f.caughtUp || more) && f.started.After(from) {
		from = f.started
	}
	return time.Until(from.Add(l.r.cfg.Interval))
}

// add makes the rows of an event, or quarantines it.
func (l *line) add(ctx context.Context, f *flush, rec eventlog.Recorded) {
	if f.started.IsZero() {
		f.started = time.Now()
	}
	if f.events == 0 {
		f.oldest = rec.RecordedAt
	}
	if err := project(f.rows, rec); err != nil {
		f.quarantined = append(f.quarantined, sink.Quarantined{Event: rec, Err: err.Error(), At: time.Now()})
		l.r.poisoned(ctx, rec, err)
	}
	f.events++
	f.bytes += len(rec.Data) + len(rec.Meta)
	f.to, f.recordedAt, f.caughtUp = rec.Position, rec.RecordedAt, false
	l.r.deps.Metrics.delivered(rec.RecordedAt)
}

// project adds an event to a batch. A panic is a fault of the projection, and
// as lasting as an error: the event is kept for a mended one.
func project(rows sink.Batch, rec eventlog.Recorded) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("projection panicked: %v", p)
		}
	}()
	return rows.Add(rec)
}

// checkpoint notes that a delivery was taken whole.
func (l *line) checkpoint(f *flush, b eventlog.Batch, at eventlog.Position) {
	f.caughtUp = b.CaughtUp
	if b.Checkpoint.Compare(f.to) > 0 && b.Checkpoint.Compare(at) > 0 {
		f.to = b.Checkpoint
		if f.started.IsZero() {
			f.started = time.Now()
		}
	}
	if f.started.IsZero() && b.CaughtUp {
		// Nothing new at all: the tables hold the log already.
		f.to, f.started = at, time.Now()
	}
}
