package intake

import (
	"sync"
	"time"
)

// ledgers holds the tasks that wait, one queue per ledger, and says which
// ledger a writer is to take next. A ledger is with one writer at a time, and
// takes its turn again at the end of the line.
type ledgers struct {
	mu      sync.Mutex
	wake    *sync.Cond
	queues  map[string]*ledgerQueue
	line    []*ledgerQueue // ledgers with work that no writer has
	stopped bool
}

// ledgerQueue is what waits for one ledger.
type ledgerQueue struct {
	stream string
	tasks  []*task // under ledgers.mu
	busy   bool    // in line or with a writer; under ledgers.mu

	// Only the writer that has the ledger uses these.
	doubt *batch // an append whose outcome is not known
	pause time.Duration
	timer *time.Timer // wakes the ledger to settle the doubt; set under ledgers.mu
}

func newLedgers() *ledgers {
	l := &ledgers{queues: map[string]*ledgerQueue{}}
	l.wake = sync.NewCond(&l.mu)
	return l
}

// add queues tasks for their ledgers. It returns false when the service has
// stopped; the tasks are then the caller's to refuse.
func (l *ledgers) add(tasks []*task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	for _, t := range tasks {
		q := l.queues[t.stream]
		if q == nil {
			q = &ledgerQueue{stream: t.stream}
			l.queues[t.stream] = q
		}
		q.tasks = append(q.tasks, t)
		l.lineUp(q)
	}
	return true
}

// lineUp makes a writer take the ledger. The caller holds mu.
func (l *ledgers) lineUp(q *ledgerQueue) {
	if q.busy {
		return
	}
	q.busy = true
	l.line = append(l.line, q)
	l.wake.Signal()
}

// next waits for a ledger with work and gives it to the caller; ok is false
// when the service has stopped.
func (l *ledgers) next() (q *ledgerQueue, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.line) == 0 && !l.stopped {
		l.wake.Wait()
	}
	if l.stopped {
		return nil, false
	}
	q = l.line[0]
	l.line[0] = nil
	l.line = l.line[1:]
	return q, true
}

// take removes up to limit tasks from a ledger that the caller has.
func (l *ledgers) take(q *ledgerQueue, limit int) []*task {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(limit, len(q.tasks))
	tasks := append([]*task(nil), q.tasks[:n]...)
	clear(q.tasks[:n])
	q.tasks = q.tasks[n:]
	if len(q.tasks) == 0 {
		q.tasks = nil
	}
	return tasks
}

// putBack returns tasks that were taken to the head of their ledger.
func (l *ledgers) putBack(q *ledgerQueue, tasks []*task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q.tasks = append(tasks, q.tasks...)
}

// giveBack ends the caller's turn with a ledger. A ledger in doubt lines up
// again after its pause, or as soon as a task comes for it. When the service
// has stopped, the tasks left are the caller's to refuse.
func (l *ledgers) giveBack(q *ledgerQueue) (left []*task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q.busy = false
	switch {
	case l.stopped:
		left, q.tasks = q.tasks, nil
	case len(q.tasks) > 0:
		l.lineUp(q)
	case q.doubt != nil:
		if q.timer == nil {
			q.timer = time.AfterFunc(q.pause, func() { l.again(q) })
		}
	default:
		delete(l.queues, q.stream)
	}
	return left
}

// again lines a ledger up whose pause is over.
func (l *ledgers) again(q *ledgerQueue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q.timer = nil
	if !l.stopped {
		l.lineUp(q)
	}
}

// stop ends all waiting and returns the tasks that no writer took.
func (l *ledgers) stop() []*task {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.wake.Broadcast()
	var left []*task
	for _, q := range l.queues {
		left = append(left, q.tasks...)
		q.tasks = nil
		if q.timer != nil {
			q.timer.Stop()
		}
	}
	l.line = nil
	return left
}
