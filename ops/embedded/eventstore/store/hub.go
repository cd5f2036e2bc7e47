package store

import "sync"

// hub wakes those who wait for new events. A wake-up says "look again", never
// what there is to see, so that a slow watcher holds no memory.
type hub struct {
	mu      sync.Mutex
	all     map[*Watch]struct{}
	streams map[string]map[*Watch]struct{}
}

// Watch is one waiter. Its channel holds at most one wake-up.
type Watch struct {
	hub    *hub
	stream string
	wake   chan struct{}
}

// Wake delivers a value after something durable was appended since the last
// one was received.
func (w *Watch) Wake() <-chan struct{} { return w.wake }

// Close ends the watch.
func (w *Watch) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if w.stream == "" {
		delete(w.hub.all, w)
		return
	}
	set := w.hub.streams[w.stream]
	delete(set, w)
	if len(set) == 0 {
		delete(w.hub.streams, w.stream)
	}
}

func newHub() *hub {
	return &hub{all: make(map[*Watch]struct{}), streams: make(map[string]map[*Watch]struct{})}
}

// watch registers a waiter for one stream, or for the whole log if stream is "".
func (h *hub) watch(stream string) *Watch {
	w := &Watch{hub: h, stream: stream, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if stream == "" {
		h.all[w] = struct{}{}
		return w
	}
	set := h.streams[stream]
	if set == nil {
		set = make(map[*Watch]struct{}, 1)
		h.streams[stream] = set
	}
	set[w] = struct{}{}
	return w
}

func (h *hub) publish(touched []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.all {
		w.signal()
	}
	if len(h.streams) == 0 {
		return
	}
	for _, stream := range touched {
		for w := range h.streams[stream] {
			w.signal()
		}
	}
}

func (w *Watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // a wake-up is already waiting
	}
}
