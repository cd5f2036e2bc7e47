package intake

import (
	"sync"

	"github.com/stofstrom/stofstrom/ingest/index"
)

// reservations keep one identity from being decided in two ledgers at once.
//
// While tasks of an identity are under way in one ledger, others for the same
// ledger join them (the ledger's single writer puts them in order), and those
// for another ledger, or that need the identity alone, wait. Nobody holds two
// reservations, so that nobody waits in a circle.
type reservations struct {
	stripes [64]stripe
}

type stripe struct {
	mu sync.Mutex
	m  map[index.Key]*reservation // under mu
}

type reservation struct {
	stream string // ledger that the holders work in; "" while one has it alone
	alone  bool
	n      int     // holders
	doubt  bool    // an append that may have recorded the identity is not settled
	queue  []*task // in the order they came
}

func newReservations() *reservations {
	r := &reservations{}
	for i := range r.stripes {
		r.stripes[i].m = map[index.Key]*reservation{}
	}
	return r
}

func (r *reservations) stripe(k index.Key) *stripe { return &r.stripes[k[16]&63] }

// grant is the answer to a request for an identity.
type grant uint8

const (
	granted grant = iota
	waiting       // release will return the task when it is its turn
	inDoubt       // refused: it is not known whether the identity is recorded
)

// acquire asks for the identity of a task.
func (r *reservations) acquire(t *task) grant {
	s := r.stripe(t.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.m[t.key]
	switch {
	case held == nil:
		held = &reservation{}
		s.m[t.key] = held
		held.take(t)
		return granted
	case held.doubt:
		return inDoubt
	case len(held.queue) == 0 && held.admits(t):
		held.take(t)
		return granted
	}
	held.queue = append(held.queue, t)
	return waiting
}

func (h *reservation) admits(t *task) bool {
	return h.n == 0 || !h.alone && !t.alone && h.stream == t.stream
}

func (h *reservation) take(t *task) {
	h.n++
	h.alone, h.stream = t.alone, t.stream
}

// release gives an identity back and returns the tasks that now hold it.
func (r *reservations) release(k index.Key) []*task {
	s := r.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.m[k]
	held.n--
	if held.n > 0 {
		return nil
	}
	held.doubt = false
	var next []*task
	for len(held.queue) > 0 && held.admits(held.queue[0]) {
		t := held.queue[0]
		held.queue[0] = nil
		held.queue = held.queue[1:]
		held.take(t)
		next = append(next, t)
	}
	if held.n == 0 {
		delete(s.m, k)
	}
	return next
}

// suspect marks a held identity as in doubt and returns the tasks that waited
// for it: they are to be refused, since nobody knows how long that takes.
func (r *reservations) suspect(k index.Key) []*task {
	s := r.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.m[k]
	held.doubt = true
	queue := held.queue
	held.queue = nil
	return queue
}
