package register

import (
	"context"
	"sync"
)

// keyedLock lets one goroutine at a time work on each key. The zero value is
// ready.
type keyedLock struct {
	mu   sync.Mutex
	held map[string]*keyHolder
}

type keyHolder struct {
	turn  chan struct{} // holds one token while nobody works on the key
	users int           // working or waiting, under keyedLock.mu
}

// lock waits for its turn or for ctx, and returns how to give the key back.
func (l *keyedLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*keyHolder{}
	}
	h := l.held[key]
	if h == nil {
		h = &keyHolder{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		l.held[key] = h
	}
	h.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, key)
		}
	}
	select {
	case <-h.turn:
		return func() { h.turn <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
