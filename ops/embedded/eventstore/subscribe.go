package eventstore

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

func isDeleted(err error) bool {
	var deleted *store.StreamDeletedError
	return errors.As(err, &deleted)
}

// interrupted says why a call that could go on must not.
func (r *reader) interrupted() error {
	select {
	case <-r.service.draining:
		return fmt.Errorf("the node is shutting down: %w", store.ErrStopped)
	default:
		return r.call.Context().Err()
	}
}

// wait blocks until the watch wakes, or says why the call must end.
func (r *reader) wait(w *store.Watch) error {
	select {
	case <-w.Wake():
		return nil
	case <-r.service.draining:
		return fmt.Errorf("the node is shutting down: %w", store.ErrStopped)
	case <-r.call.Context().Done():
		return r.call.Context().Err()
	}
}

func (r *reader) confirm() error {
	return r.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}})
}

// liveState tells the client whether it is up to date, once per change.
type liveState struct{ caughtUp bool }

// fellBehindChunks is how many full chunks a live subscription may be late
// before it is told so.
const fellBehindChunks = 4

// progress is called after each chunk; behind is the number of events that
// are there to be delivered still.
func (r *reader) progress(l *liveState, behind uint64) error {
	switch {
	case behind == 0 && !l.caughtUp:
		l.caughtUp = true
		return r.call.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
	case behind > uint64(fellBehindChunks*r.service.limits.chunkEvents) && l.caughtUp:
		l.caughtUp = false
		return r.call.Send(&streams.ReadResp{Content: &streams.ReadResp_FellBehind_{FellBehind: &streams.ReadResp_FellBehind{}}})
	}
	return nil
}

// subscribeStream delivers a stream's events after a revision, for ever.
func (r *reader) subscribeStream(name string, o *streams.ReadReq_Options_StreamOptions) error {
	// The watch begins before the first look, so that nothing falls between.
	watch := r.service.store.Watch(name)
	defer watch.Close()
	view, err := r.service.store.Stream(name)
	if err != nil {
		return err
	}
	next := int64(0)
	switch v := o.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_End:
		if view.Found {
			next = view.Last + 1
		}
	case *streams.ReadReq_Options_StreamOptions_Revision:
		next = clampRevision(v.Revision)
		if next < store.RevisionTombstone {
			next++
		}
	}
	r.service.metrics.subscriptions.Inc()
	defer r.service.metrics.subscriptions.Dec()
	if err := r.confirm(); err != nil {
		return err
	}
	var live liveState
	for {
		atEnd, err := r.streamChunk(view, &next)
		if err != nil {
			return err
		}
		behind := uint64(0)
		if view.Found && !atEnd {
			behind = uint64(max(0, view.Last+1-next))
		}
		if err := r.progress(&live, behind); err != nil {
			return err
		}
		if atEnd {
			if err := r.wait(watch); err != nil {
				return err
			}
		} else if err := r.interrupted(); err != nil {
			return err
		}
		if view, err = r.service.store.Stream(name); err != nil {
			return err
		}
	}
}

func (r *reader) streamChunk(view store.StreamView, next *int64) (atEnd bool, err error) {
	r.begin()
	atEnd = true
	err = r.service.store.ScanStream(view, *next, false, func(rec *store.Record) bool {
		*next = int64(rec.Revision) + 1
		atEnd = r.add(rec)
		return atEnd
	})
	if err != nil {
		return false, err
	}
	return atEnd, r.flush()
}

// subscribeAll delivers the log's events after a position, for ever.
func (r *reader) subscribeAll(o *streams.ReadReq_Options_AllOptions) error {
	watch := r.service.store.Watch("")
	defer watch.Close()
	next := uint64(1)
	switch v := o.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_End:
		next = r.service.store.Head() + 1
	case *streams.ReadReq_Options_AllOptions_Position:
		next = v.Position.GetCommitPosition() + 1
		if next == 0 { // the largest position: only what is new
			next = r.service.store.Head() + 1
		}
	}
	r.service.metrics.subscriptions.Inc()
	defer r.service.metrics.subscriptions.Dec()
	if err := r.confirm(); err != nil {
		return err
	}
	var live liveState
	unmarked := 0 // events looked at since the client was last told a position
	for {
		atEnd, err := r.allChunk(&next, &unmarked)
		if err != nil {
			return err
		}
		behind := uint64(0)
		if head := r.service.store.Head(); !atEnd && head >= next {
			behind = head + 1 - next
		}
		if behind == 0 && !live.caughtUp && r.filter != nil && unmarked > 0 {
			if err := r.checkpoint(next - 1); err != nil {
				return err
			}
			unmarked = 0
		}
		if err := r.progress(&live, behind); err != nil {
			return err
		}
		if atEnd {
			err = r.wait(watch)
		} else {
			err = r.interrupted()
		}
		if err != nil {
			return err
		}
	}
}

// allChunk sends what fits into one chunk, checkpoints among the events.
func (r *reader) allChunk(next *uint64, unmarked *int) (atEnd bool, err error) {
	r.begin()
	atEnd = true
	looked := 0
	var failed error
	err = r.service.store.ScanAll(*next, false, func(rec *store.Record) bool {
		*next = rec.Position + 1
		looked++
		room := true
		if r.filter.matches(rec) {
			room = r.add(rec)
		}
		if r.filter != nil {
			*unmarked++
			if *unmarked >= r.filter.checkpointEvery {
				*unmarked = 0
				failed = r.mark(rec.Position)
			}
		}
		atEnd = room && failed == nil && looked < r.service.limits.chunkEvents*scanFactor
		return atEnd
	})
	if err := errors.Join(err, failed); err != nil {
		return false, err
	}
	return atEnd, r.flush()
}

// scanFactor times a chunk's events are looked at in one go when a filter
// lets few of them through.
const scanFactor = 16

// mark adds a checkpoint to the chunk. Chunks of its own for every few dozen
// events would cost more than the events.
func (r *reader) mark(position uint64) error {
	text, err := proto.Marshal(checkpointAt(position))
	if err != nil {
		return fmt.Errorf("encode a checkpoint: %w", err)
	}
	r.frames = append(r.frames, text)
	r.checkpoints++
	return nil
}

// checkpoint tells the client now that all up to a position was looked at.
func (r *reader) checkpoint(position uint64) error {
	return r.call.Send(checkpointAt(position))
}

func checkpointAt(position uint64) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
		Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position},
	}}
}
