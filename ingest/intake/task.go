package intake

import (
	"sync/atomic"

	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// call is one Submit.
type call struct {
	results []Result     // each set once, by set
	left    atomic.Int64 // results not set yet
	done    chan struct{}
}

// set gives an item its result; the last one ends the call.
func (c *call) set(i int, r Result, m *Metrics) {
	m.result(r)
	c.results[i] = r
	if c.left.Add(-1) == 0 {
		close(c.done)
	}
}

// task is an item on its way.
type task struct {
	call *call // nil for the service's own work
	slot int   // of the call's results

	command ledger.Command
	meta    []byte
	key     index.Key // of the identity; reserved while the task is under way
	keyed   bool      // whether the command is about an identity
	alone   bool      // needs the identity for itself
	stream  string    // ledger to decide in; found late for commands that name none
	group   *group    // what it is recorded together with; nil when it goes by itself

	state atomic.Uint32 // waiting, taken or abandoned

	// Only who has the task uses these.
	held     bool           // the identity is reserved for it
	answered bool           // its caller has its result
	arrive   *ledger.Arrive // the second leg of a move that is being decided
	moved    *Result        // of the first leg of a move, while the second is under way
}

const (
	taskWaiting uint32 = iota
	taskTaken
	taskAbandoned
)

// take claims the task for a writer; false when its caller has gone.
func (t *task) take() bool {
	state := t.claimed()
	return state.CompareAndSwap(taskWaiting, taskTaken) || state.Load() == taskTaken
}

// abandon withdraws the task, and with it its whole group; false when it is
// too late.
func (t *task) abandon() bool {
	state := t.claimed()
	return state.CompareAndSwap(taskWaiting, taskAbandoned) || t.group != nil && state.Load() == taskAbandoned
}

// claimed is who has the task: those of a group are claimed together.
func (t *task) claimed() *atomic.Uint32 {
	if t.group != nil {
		return &t.group.state
	}
	return &t.state
}

// subjectOf is the identity that a task is about.
func subjectOf(t *task) flow.Identity { return ledger.Subject(t.command) }
