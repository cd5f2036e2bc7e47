// Package logcopy carries a log from one server to another through the
// official client, or by way of a file: event by event, in the order of the
// whole log.
//
// It promises that the target is, at every moment, an exact beginning of the
// source: same order, same streams and revisions, same ids, types, data and
// metadata, and for each event the position and the recorded time it had. A
// copy that was killed or cut off goes on where the target ends, which the
// target itself tells: no event is copied twice and none is left out. A target
// that holds anything else is refused.
//
// It leaves out what a server does not give away or makes for itself:
// positions, events that were scavenged, the server's own streams (names that
// begin with $, save the metadata of streams), and events that are written to
// the source after the copy began: run it again for those. docs/adr/0015 says
// why it is made this way.
package logcopy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
)

// Limits of one append to the target. Only consecutive events of one stream
// are put into one.
const (
	maxEvents = 500
	maxBytes  = 512 << 10
	// bytesPerEvent is what the origin and the server add to an event.
	bytesPerEvent = 512
)

// Types and stream names with a meaning of their own.
const (
	typeTombstone    = "$streamDeleted"
	systemPrefix     = "$"
	metastreamPrefix = "$$"
	systemMetastream = "$$$"
)

// Errors of a copy, matched with errors.Is.
var (
	// ErrForeign: the target holds events that are no copies.
	ErrForeign = errors.New("the target holds events that were not copied there")
	// ErrOtherSource: the target holds copies of another log.
	ErrOtherSource = errors.New("the target holds a copy of another log")
	// ErrGap: the source lacks events, so that revisions cannot be kept.
	ErrGap = errors.New("the source lacks events")
	// ErrDifferent: source and target do not hold the same.
	ErrDifferent = errors.New("the copy differs from the source")
)

// errAhead: the target holds more than this copy has put there.
var errAhead = errors.New("the target has more than was copied")

// Progress is how far a copy or a comparison is.
type Progress struct {
	Events uint64            // handled in this run
	At     eventlog.Position // of the last event handled, in the source
	From   eventlog.Position // where this run began; the start for an empty target
	End    eventlog.Position // where it ends: the end of the source as it was when the run began
}

// Source is where events are copied from: a log, or a file of one. Both
// methods may be called any number of times.
type Source interface {
	// Stored yields every event from the position on, the one that stands
	// there included.
	Stored(ctx context.Context, from eventlog.Position) iter.Seq2[eventstore.Stored, error]
	// StoredEnd is the position of the last event, the start without one.
	StoredEnd(ctx context.Context) (eventlog.Position, error)
}

// Copier copies one log. It is for one goroutine.
type Copier struct {
	from     Source
	to       *eventstore.Log
	progress func(Progress)

	state Progress
	run   []eventstore.Stored // waiting to be appended; all of one stream
	bytes int                 // of run
}

// New makes a Copier. progress is called after every append; it may be nil.
func New(from Source, to *eventstore.Log, progress func(Progress)) *Copier {
	if progress == nil {
		progress = func(Progress) {}
	}
	return &Copier{from: from, to: to, progress: progress}
}

// Copy copies what the target lacks, up to the end of the source as it is now.
// After an error it may be called again, by this process or another, and goes
// on. Errors: ErrForeign, ErrOtherSource, ErrGap and those of the port.
func (c *Copier) Copy(ctx context.Context) (Progress, error) {
	end, err := c.end(ctx)
	if err != nil {
		return c.state, err
	}
	c.state = Progress{End: end}
	if c.state.From, err = c.copied(ctx); err != nil {
		return c.state, err
	}
	c.state.At = c.state.From
	c.progress(c.state)
	for {
		err := c.copyOn(ctx)
		var wrong *eventlog.WrongRevision
		if err == nil || !errors.As(err, &wrong) && !errors.Is(err, eventlog.ErrStreamDeleted) && !errors.Is(err, errAhead) {
			return c.state, err
		}
		// A late append of a run that was killed, another copy that is faster,
		// or somebody else. The target tells.
		at, lookErr := c.copied(ctx)
		if lookErr != nil {
			return c.state, lookErr
		}
		if at.Compare(c.state.At) <= 0 {
			return c.state, explain(wrong, err)
		}
		c.state.At = at
	}
}

// explain says what a target that is not as expected means; wrong is nil when
// it is the stream that has ended there, or the target that goes on.
func explain(wrong *eventlog.WrongRevision, err error) error {
	if wrong == nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	want, exact := wrong.Expected.Revision()
	have, some := wrong.Actual.Revision()
	if exact && (!some || have < want) {
		return fmt.Errorf("%w: of stream %s there is none between revisions %s and %d, which were scavenged or cannot be read; revisions cannot be kept",
			ErrGap, wrong.Stream, wrong.Actual, want+1)
	}
	return fmt.Errorf("%w: %w", ErrForeign, err)
}

// end is where the source ends now. The start for one without events.
func (c *Copier) end(ctx context.Context) (eventlog.Position, error) {
	end, err := c.from.StoredEnd(ctx)
	if err != nil {
		return end, fmt.Errorf("source: %w", err)
	}
	return end, nil
}

// copied is the position in the source of the last event that is in the
// target, the start when the target is empty.
func (c *Copier) copied(ctx context.Context) (eventlog.Position, error) {
	last, err := firstOf(c.to.StoredBackwards(ctx))
	if err != nil || last == nil {
		return eventlog.Position{}, err
	}
	first, err := firstOf(c.to.Stored(ctx, eventlog.Position{}))
	if err != nil {
		return eventlog.Position{}, err
	}
	for _, e := range []*eventstore.Stored{first, last} {
		if e.Origin == nil {
			return eventlog.Position{}, fmt.Errorf("%w: event %s at %s, %s@%d of type %s; copy into an empty log", ErrForeign, e.ID, e.Position, e.Stream, e.Revision, e.Type)
		}
	}
	for e, err := range c.from.Stored(ctx, last.Origin.Position) {
		if err != nil {
			return eventlog.Position{}, fmt.Errorf("source: %w", err)
		}
		if e.Position != last.Origin.Position || e.ID != last.ID || e.Stream != last.Stream {
			break
		}
		return e.Position, nil
	}
	return eventlog.Position{}, fmt.Errorf("%w: its last event %s says that it stood at %s, where the source has another or none", ErrOtherSource, last.ID, last.Origin.Position)
}

// firstOf is the first event that tells whether a target is a copy: not one
// that the server made itself.
func firstOf(events iter.Seq2[eventstore.Stored, error]) (*eventstore.Stored, error) {
	for e, err := range events {
		if err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
		switch kindOf(e) {
		case kindTombstone, kindSystem:
			continue
		case kindMetadata:
			if e.Origin == nil {
				continue
			}
		case kindEvent:
		}
		return &e, nil
	}
	return nil, nil
}

type kind uint8

const (
	kindEvent     kind = iota
	kindMetadata       // metadata of a stream
	kindTombstone      // the end of a stream
	kindSystem         // the server's own
)

func kindOf(e eventstore.Stored) kind {
	switch {
	case strings.HasPrefix(e.Stream, systemMetastream):
		return kindSystem
	case strings.HasPrefix(e.Stream, metastreamPrefix):
		return kindMetadata
	case strings.HasPrefix(e.Stream, systemPrefix):
		return kindSystem
	case e.Type == typeTombstone:
		return kindTombstone
	}
	return kindEvent
}

// copyOn copies what lies after c.state.At up to the end.
func (c *Copier) copyOn(ctx context.Context) error {
	c.run, c.bytes = c.run[:0], 0
	begin := c.state.At
	if begin.Compare(c.state.End) >= 0 {
		return nil
	}
	for e, err := range c.from.Stored(ctx, begin) {
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		if e.Position.Compare(c.state.End) > 0 {
			break
		}
		if e.Position.Compare(begin) <= 0 {
			continue // copied already; only a read from the start has none of these
		}
		if err := c.take(ctx, e); err != nil {
			return err
		}
	}
	return c.flush(ctx)
}

// take puts an event to those that are waiting, or copies it.
func (c *Copier) take(ctx context.Context, e eventstore.Stored) error {
	k := kindOf(e)
	size := len(e.Data) + len(e.Meta) + len(e.Type) + bytesPerEvent
	if len(c.run) > 0 && (k != kindEvent || !c.fits(e, size)) {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	switch k {
	case kindEvent:
		c.run = append(c.run, e)
		c.bytes += size
		return nil
	case kindMetadata:
		return c.metadata(ctx, e)
	case kindTombstone:
		if err := c.to.Tombstone(ctx, e.Stream); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	case kindSystem:
		c.state.At = e.Position
		return nil
	}
	c.done(1, e)
	return nil
}

func (c *Copier) fits(e eventstore.Stored, size int) bool {
	last := c.run[len(c.run)-1]
	return e.Stream == last.Stream && e.Revision == last.Revision+1 && len(c.run) < maxEvents && c.bytes+size <= maxBytes
}

// flush appends what is waiting, on the revision it had in the source.
func (c *Copier) flush(ctx context.Context) error {
	if len(c.run) == 0 {
		return nil
	}
	expected := eventlog.NoStream()
	if first := c.run[0].Revision; first > 0 {
		expected = eventlog.Exactly(first - 1)
	}
	if _, err := c.to.AppendCopies(ctx, c.run[0].Stream, expected, c.run); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	n := len(c.run)
	c.done(n, c.run[n-1])
	c.run, c.bytes = c.run[:0], 0
	return nil
}

// metadata appends the metadata of a stream. Servers write some of their own
// when a deleted stream comes back, so that its revision is the target's:
//
//	1 see the revision   2 see that the target has not gone ahead   3 append on that revision
//
// An append by somebody else before 1 is seen at 2, one after 1 is refused at 3.
func (c *Copier) metadata(ctx context.Context, e eventstore.Stored) error {
	expected := eventlog.NoStream()
	for there, err := range c.to.ReadStream(ctx, e.Stream, 0) {
		if err != nil {
			return fmt.Errorf("target: %w", err)
		}
		expected = eventlog.Exactly(there.Revision)
	}
	last, err := firstOf(c.to.StoredBackwards(ctx))
	switch {
	case err != nil:
		return err
	case last != nil && (last.Origin == nil || last.Origin.Position.Compare(c.state.At) > 0):
		return errAhead
	}
	if _, err := c.to.AppendCopies(ctx, e.Stream, expected, []eventstore.Stored{e}); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	c.done(1, e)
	return nil
}

func (c *Copier) done(n int, last eventstore.Stored) {
	c.state.Events += uint64(n) //nolint:gosec // a length
	c.state.At = last.Position
	c.progress(c.state)
}
