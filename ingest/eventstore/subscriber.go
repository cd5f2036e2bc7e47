package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// AllTopic is the topic that means the whole log, unless
// SubscriberConfig.Select says otherwise.
const AllTopic = "$all"

// Limits of a Subscriber where its SubscriberConfig leaves them out.
const (
	DefaultNackDelay    = 10 * time.Millisecond
	DefaultSaveMessages = 100
	DefaultSaveInterval = time.Second

	// flushTimeout is how long saving a position at the end may take.
	flushTimeout = 5 * time.Second
	// initializeTimeout is how long SubscribeInitialize, which has no context,
	// may take.
	initializeTimeout = 15 * time.Second
)

// Selection is what a topic stands for: one stream, or those events of the
// whole log that pass one filter. Without a filter the whole log passes, save
// for the server's own events, whose types begin with $.
type Selection struct {
	Stream string // one stream; the fields below are then empty

	StreamPrefixes    []string // streams that begin with one of these
	StreamRegex       string   // streams that match
	EventTypePrefixes []string // events whose type begins with one of these
	EventTypeRegex    string   // events whose type matches
}

func (s Selection) source() (source, error) {
	filters := 0
	keep := func(e *esdb.RecordedEvent) bool { return !strings.HasPrefix(e.EventType, "$") }
	chosen := source{filter: esdb.ExcludeSystemEventsFilter(), keep: keep}
	add := func(set bool, f esdb.SubscriptionFilter) {
		if set {
			filters++
			chosen.filter = &f
		}
	}
	add(len(s.StreamPrefixes) > 0, esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: s.StreamPrefixes})
	add(s.StreamRegex != "", esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: s.StreamRegex})
	add(len(s.EventTypePrefixes) > 0, esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: s.EventTypePrefixes})
	add(s.EventTypeRegex != "", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: s.EventTypeRegex})
	if s.Stream != "" {
		if filters > 0 {
			return source{}, fmt.Errorf("selection: stream %s with %d filters; a stream has none", s.Stream, filters)
		}
		return source{stream: s.Stream}, nil
	}
	if filters > 1 {
		return source{}, fmt.Errorf("selection: %d filters; the server takes one", filters)
	}
	return chosen, nil
}

// From is where a Subscriber without a saved position starts. The zero value
// is the start.
type From struct {
	end      bool
	after    *eventlog.Position
	revision *uint64
}

// FromStart starts before the first event.
func FromStart() From { return From{} }

// FromEnd starts after the last event there is when Subscribe, or
// SubscribeInitialize, is called.
func FromEnd() From { return From{end: true} }

// FromPosition starts a subscription to the whole log after a position.
func FromPosition(after eventlog.Position) From { return From{after: &after} }

// FromRevision starts a subscription to a stream after a revision.
func FromRevision(after uint64) From { return From{revision: &after} }

// SubscriberConfig says how a Subscriber behaves. The zero value subscribes to
// the stream of the topic's name, from its start.
type SubscriberConfig struct {
	// Select says what a topic stands for. Default: the stream of that name,
	// and the whole log for AllTopic.
	Select func(topic string) Selection
	// From is where to start when no position is saved. Default FromStart.
	From From

	// Group names the position that is kept in Positions; "" keeps none.
	// Every member of a group receives every message: run one at a time. The
	// next one goes on where the last one was.
	Group     string
	Positions PositionStore // required with Group
	// SaveMessages and SaveInterval say after how many acknowledged messages,
	// or how long after the first unsaved one, the position is saved.
	// Defaults 100 and 1 s. It is saved on Close as well. What was
	// acknowledged after the last save comes again after a crash.
	SaveMessages int
	SaveInterval time.Duration

	// NackDelay is the pause before a refused message comes again. Default
	// 10 ms.
	NackDelay time.Duration
	// Name labels metrics and log lines. Default: the group, or "subscriber".
	Name string
}

// Subscriber is a Watermill subscriber. It delivers the messages of a topic in
// the order of the log, each after the one before was acknowledged; a refused
// message comes again until it is acknowledged. It reconnects by itself and
// goes on from the last message processed. When a subscription can never go on
// (its stream was deleted for good, access is denied) its channel is closed and
// the reason logged.
type Subscriber struct {
	log  *Log
	conf SubscriberConfig

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool           // guarded by mu
	running sync.WaitGroup // added to under mu
	failed  []error        // guarded by mu; positions that could not be saved at the end
}

var (
	_ message.Subscriber           = (*Subscriber)(nil)
	_ message.SubscribeInitializer = (*Subscriber)(nil)
)

// NewSubscriber builds a Subscriber over the log.
func NewSubscriber(l *Log, c SubscriberConfig) (*Subscriber, error) {
	if c.Group != "" && c.Positions == nil {
		return nil, fmt.Errorf("eventstore: group %s needs Positions", c.Group)
	}
	if c.Group == "" && c.Positions != nil {
		return nil, errors.New("eventstore: Positions need a Group")
	}
	if c.SaveMessages < 0 || c.SaveInterval < 0 || c.NackDelay < 0 {
		return nil, errors.New("eventstore: SaveMessages, SaveInterval and NackDelay must not be negative")
	}
	if c.Select == nil {
		c.Select = func(topic string) Selection {
			if topic == AllTopic {
				return Selection{}
			}
			return Selection{Stream: topic}
		}
	}
	if c.Name == "" {
		c.Name = c.Group
	}
	if c.Name == "" {
		c.Name = "subscriber"
	}
	setDefault(&c.SaveMessages, DefaultSaveMessages)
	setDefault(&c.SaveInterval, DefaultSaveInterval)
	setDefault(&c.NackDelay, DefaultNackDelay)
	s := &Subscriber{log: l, conf: c}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Subscribe implements message.Subscriber. It needs the log only with FromEnd,
// and with a group to find its position; then its errors are the port's.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if topic == "" {
		return nil, errors.New("subscribe: topic must not be empty")
	}
	src, err := s.conf.Select(topic).source()
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	start, err := s.start(ctx, topic, src)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %s: subscriber: %w", topic, eventlog.ErrClosed)
	}
	subCtx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	d := &delivery{
		sub: s, topic: topic, out: make(chan *message.Message),
		feed: s.log.newFeed(subCtx, s.conf.Name, src, start),
		mark: start.mark(), saved: start.mark(),
	}
	s.running.Go(func() {
		defer cancel()
		defer stop()
		d.run(subCtx)
	})
	return d.out, nil
}

// SubscribeInitialize implements message.SubscribeInitializer. A group without
// a position gets one, so that what is published from now on reaches it even
// with FromEnd. Nothing else needs initialising.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	src, err := s.conf.Select(topic).source()
	if err != nil {
		return fmt.Errorf("initialize %s: %w", topic, err)
	}
	if s.conf.Group == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, initializeTimeout)
	defer cancel()
	start, err := s.start(ctx, topic, src)
	if err != nil {
		return fmt.Errorf("initialize %s: %w", topic, err)
	}
	if err := s.conf.Positions.Save(ctx, s.conf.Group, topic, start.mark()); err != nil {
		return fmt.Errorf("initialize %s: %w", topic, err)
	}
	return nil
}

// Close implements message.Subscriber. It ends all subscriptions, saves the
// positions of groups, and closes the channels. It may be called more than
// once. The Holder stays open.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(s.failed...)
	s.failed = nil
	return err
}

// start finds where a subscription starts.
func (s *Subscriber) start(ctx context.Context, topic string, src source) (cursor, error) {
	if s.conf.Group != "" {
		mark, ok, err := s.conf.Positions.Load(ctx, s.conf.Group, topic)
		if err != nil {
			return cursor{}, err
		}
		if ok {
			return cursor{started: mark.Started, revision: mark.Revision, position: mark.Position}, nil
		}
	}
	from := s.conf.From
	switch {
	case from.after != nil && src.stream != "":
		return cursor{}, fmt.Errorf("starts from position %s, but is a stream: use FromRevision", from.after)
	case from.revision != nil && src.stream == "":
		return cursor{}, fmt.Errorf("starts from revision %d, but is the whole log: use FromPosition", *from.revision)
	case from.after != nil:
		return cursor{position: *from.after}, nil
	case from.revision != nil:
		return cursor{started: true, revision: *from.revision}, nil
	case from.end:
		return s.log.endCursor(ctx, src)
	}
	return cursor{}, nil
}

func (c cursor) mark() Mark {
	return Mark{Started: c.started, Revision: c.revision, Position: c.position}
}

func (l *Log) endCursor(ctx context.Context, src source) (cursor, error) {
	if src.stream == "" {
		end, err := l.End(ctx)
		return cursor{position: end}, err
	}
	last, err := l.last(ctx, src.stream)
	if err != nil {
		return cursor{}, err
	}
	revision, exists := last.Revision()
	return cursor{started: exists, revision: revision}, nil
}

// delivery hands the events of one subscription to one channel.
type delivery struct {
	sub   *Subscriber
	topic string
	out   chan *message.Message
	feed  *feed

	mark    Mark      // covers everything processed and filtered out
	saved   Mark      // what was saved, or loaded, last
	unsaved int       // messages acknowledged since the last save
	since   time.Time // of the first of them
}

func (d *delivery) run(ctx context.Context) {
	defer close(d.out)
	defer d.feed.close()
	defer d.flush()
	for {
		batch, err := d.next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, eventlog.ErrClosed) {
				d.sub.log.holder.logger.Error("subscription ended for good", "subscription", d.sub.conf.Name, "topic", d.topic, "error", err)
			}
			return
		}
		for _, event := range batch.Events {
			if !d.deliver(ctx, event) {
				return
			}
			d.mark = Mark{Started: true, Revision: event.Revision, Position: event.Position}
			d.processed(ctx)
		}
		if d.feed.source.stream == "" && d.mark.Position.Compare(batch.Checkpoint) < 0 {
			// All of the batch is processed, so that what the filter left out
			// need not be searched again. That alone is no reason to save: a
			// saved position may itself be an event that the filter leaves out.
			d.mark = Mark{Started: true, Revision: d.mark.Revision, Position: batch.Checkpoint}
		}
	}
}

// next waits for events, and saves the position meanwhile when it is due.
func (d *delivery) next(ctx context.Context) (eventlog.Batch, error) {
	if d.since.IsZero() {
		return d.feed.next(ctx)
	}
	due, cancel := context.WithDeadline(ctx, d.since.Add(d.sub.conf.SaveInterval))
	defer cancel()
	batch, err := d.feed.next(due)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		d.saveIfDue(ctx)
		return eventlog.Batch{Checkpoint: d.mark.Position}, nil
	}
	return batch, err
}

// deliver hands out one event until it is acknowledged; false when the
// subscription ends first.
func (d *delivery) deliver(ctx context.Context, event eventlog.Recorded) bool {
	for {
		msg := toMessage(event)
		msgCtx, cancel := context.WithCancel(withRecorded(ctx, event))
		msg.SetContext(msgCtx)
		acked, refused := d.hand(ctx, msg)
		cancel()
		if acked {
			return true
		}
		if !refused {
			return false
		}
		d.sub.log.holder.metrics.redeliver(d.sub.conf.Name)
		if sleep(ctx, d.sub.conf.NackDelay) != nil {
			return false
		}
	}
}

func (d *delivery) hand(ctx context.Context, msg *message.Message) (acked, refused bool) {
	select {
	case d.out <- msg:
	case <-ctx.Done():
		return false, false
	}
	select {
	case <-msg.Acked():
		return true, false
	case <-msg.Nacked():
		return false, true
	case <-ctx.Done():
	}
	select {
	case <-msg.Acked(): // acknowledged at the last moment: it counts
		return true, false
	default:
		return false, false
	}
}

// processed notes that one more message is done, and saves the mark when due.
func (d *delivery) processed(ctx context.Context) {
	if d.sub.conf.Group == "" {
		return
	}
	if d.since.IsZero() {
		d.since = time.Now()
	}
	d.unsaved++
	d.saveIfDue(ctx)
}

func (d *delivery) saveIfDue(ctx context.Context) {
	if d.unsaved < d.sub.conf.SaveMessages && time.Since(d.since) < d.sub.conf.SaveInterval {
		return
	}
	if err := d.save(ctx); err != nil && ctx.Err() == nil {
		d.sub.log.holder.logger.Warn("position not saved, trying again later", "subscription", d.sub.conf.Name, "topic", d.topic, "error", err)
		d.since = time.Now()
		d.unsaved = 0
	}
}

func (d *delivery) save(ctx context.Context) error {
	if err := d.sub.conf.Positions.Save(ctx, d.sub.conf.Group, d.topic, d.mark); err != nil {
		return err
	}
	d.saved, d.unsaved, d.since = d.mark, 0, time.Time{}
	return nil
}

// flush saves what is unsaved when the subscription ends.
func (d *delivery) flush() {
	if d.sub.conf.Group == "" || d.mark == d.saved {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.feed.ctx), flushTimeout)
	defer cancel()
	if err := d.save(ctx); err != nil {
		d.sub.mu.Lock()
		d.sub.failed = append(d.sub.failed, fmt.Errorf("topic %s: %w", d.topic, err))
		d.sub.mu.Unlock()
	}
}
