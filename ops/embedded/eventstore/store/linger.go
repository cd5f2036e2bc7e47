package store

import (
	"runtime"
	"sync/atomic"
)

// syncs counts the groups that are on their way to the disk.
type syncs struct {
	running atomic.Int64
	ended   chan struct{} // holds a value after a sync ended
}

func newSyncs() *syncs { return &syncs{ended: make(chan struct{}, 1)} }

func (s *syncs) begin() { s.running.Add(1) }

func (s *syncs) end() {
	s.running.Add(-1)
	select {
	case s.ended <- struct{}{}:
	default: // the last end was not noticed yet; one look covers both
	}
}

// poll returns a request that is waiting, or nil.
func (w *writer) poll() *request {
	select {
	case r := <-w.store.queue:
		return r
	default:
		return nil
	}
}

// linger looks for one more request for a small group whose queue is empty,
// nil if none is to be expected.
//
// It lets every goroutine that is ready run first. That costs an idle node
// nothing; on a busy one those are the callers whose appends then share a
// sync, a record in the write-ahead log and a look at the free space. And
// while a sync is under way it waits for requests: the group could only be
// synced after it anyway.
func (w *writer) linger() *request {
	runtime.Gosched()
	if r := w.poll(); r != nil {
		return r
	}
	for w.syncs.running.Load() > 0 {
		select {
		case r := <-w.store.queue:
			return r
		case <-w.syncs.ended:
		case <-w.store.failure.ch:
			return nil
		}
	}
	return w.poll()
}
