package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Limits of a Holder where its Config leaves them out.
const (
	DefaultPatience    = 2 * time.Second
	DefaultCallTimeout = 10 * time.Second

	firstConnectPause = 50 * time.Millisecond
	mostConnectPause  = time.Second
)

// Config says how a Holder reaches the log.
type Config struct {
	// Connection is a connection string as the client defines it:
	//
	//	esdb://localhost:2113?tls=false
	//	esdb://user:password@host:2113?tlsCaFile=ca.pem
	//	esdb://a:2113,b:2113,c:2113          (gossip seeds)
	//	esdb+discover://user:password@cluster.example:2113
	//
	// User and password are sent over TLS only. maxDiscoverAttempts has no
	// effect: a Holder tries for as long as somebody needs the log.
	Connection string
	// Patience is how long, from the moment the connection was lost, calls
	// wait for it to come back. After that they fail at once with
	// eventlog.ErrUnavailable until it is back. Default 2 s.
	Patience time.Duration
	// CallTimeout limits one attempt of a call that is not a stream. Default:
	// defaultDeadline of the connection string, else 10 s.
	CallTimeout time.Duration
	Logger      *slog.Logger // default: discard
	Metrics     *Metrics     // default: none
}

// Holder keeps one live client to the log and replaces it when its connection
// is lost. It is safe for concurrent use.
type Holder struct {
	conf        esdb.Configuration
	address     string // redacted
	patience    time.Duration
	callTimeout time.Duration
	logger      *slog.Logger
	metrics     *Metrics

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the connecting goroutine

	mu         sync.Mutex
	current    *generation              // guarded by mu; nil while there is no connection
	live       map[*generation]struct{} // guarded by mu; every generation whose client is open
	changed    chan struct{}            // guarded by mu; closed and replaced when current or closed changes
	connecting bool                     // guarded by mu
	downSince  time.Time                // guarded by mu; zero while connected or never needed
	lastErr    error                    // guarded by mu; why the last attempt to connect failed
	closed     bool                     // guarded by mu
}

// NewHolder checks the configuration. It dials nothing: the first call does,
// or Connect.
func NewHolder(c Config) (*Holder, error) {
	conf, err := parse(c.Connection)
	if err != nil {
		return nil, fmt.Errorf("eventstore: %w", err)
	}
	// One round over the candidates for each client: the holder starts over
	// itself, with back-off, and can be stopped between rounds.
	conf.MaxDiscoverAttempts = 1
	if err := conf.Validate(); err != nil {
		return nil, fmt.Errorf("eventstore: connection string: %w", err)
	}
	if c.Patience < 0 || c.CallTimeout < 0 {
		return nil, fmt.Errorf("eventstore: Patience (%s) and CallTimeout (%s) must not be negative", c.Patience, c.CallTimeout)
	}
	h := &Holder{
		conf: *conf, address: Redact(c.Connection),
		patience: c.Patience, callTimeout: c.CallTimeout,
		logger: c.Logger, metrics: c.Metrics,
		live: make(map[*generation]struct{}), changed: make(chan struct{}),
	}
	if h.patience == 0 {
		h.patience = DefaultPatience
	}
	if h.callTimeout == 0 && conf.DefaultDeadline != nil {
		h.callTimeout = *conf.DefaultDeadline
	}
	if h.callTimeout == 0 {
		h.callTimeout = DefaultCallTimeout
	}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// Connect waits until the log answers, for as long as ctx allows, whatever the
// Patience. The error is ctx's, with the reason of the last failed attempt, or
// eventlog.ErrClosed.
func (h *Holder) Connect(ctx context.Context) error {
	l, err := h.acquire(ctx, waitForever)
	if err != nil {
		return err
	}
	l.release()
	return nil
}

// Connected tells whether there is a connection now.
func (h *Holder) Connected() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current != nil
}

// Close refuses new calls, waits for those under way (their time is limited by
// CallTimeout), ends streams, and closes the connections. It may be called more
// than once.
func (h *Holder) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	current := h.current
	h.broadcast()
	h.mu.Unlock()

	h.cancel()
	if current != nil {
		current.retire()
	}
	h.wg.Wait()
	limit := time.NewTimer(h.callTimeout + time.Second)
	defer limit.Stop()
	for {
		h.mu.Lock()
		var left *generation
		for g := range h.live {
			left = g
			break
		}
		h.mu.Unlock()
		if left == nil {
			return nil
		}
		select {
		case <-left.closed:
		case <-limit.C:
			return fmt.Errorf("eventstore: close: %d calls to %s did not return within %s",
				left.calls.Load(), h.address, h.callTimeout+time.Second)
		}
	}
}

// lease is the use of the current client for one call.
type lease struct {
	client *esdb.Client
	ctx    *entryContext // to make the call with
	gen    *generation
	// release gives the client back; call it once, when the call has returned.
	release func()
}

type waiting bool

const (
	waitPatiently waiting = false // as Config.Patience says
	waitForever   waiting = true
)

// acquire waits for a client. The errors are ErrUnavailable (with ctx's error
// or the reason of the failed attempts) and ErrClosed.
func (h *Holder) acquire(ctx context.Context, wait waiting) (*lease, error) {
	for {
		h.mu.Lock()
		if h.closed {
			h.mu.Unlock()
			return nil, fmt.Errorf("eventstore: %w", eventlog.ErrClosed)
		}
		g := h.current
		if g == nil {
			h.startConnecting()
		}
		changed, since, lastErr := h.changed, h.downSince, h.lastErr
		h.mu.Unlock()

		if g != nil {
			if entering, release, ok := g.lease(ctx); ok {
				return &lease{client: g.client, ctx: entering, gen: g, release: release}, nil
			}
			continue // retiring: it is not current any more
		}
		if err := h.await(ctx, changed, since, lastErr, wait); err != nil {
			return nil, err
		}
	}
}

func (h *Holder) await(ctx context.Context, changed <-chan struct{}, since time.Time, lastErr error, wait waiting) error {
	var patience <-chan time.Time
	if wait == waitPatiently {
		timer := time.NewTimer(max(0, h.patience-time.Since(since)))
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return h.unavailable(ctx.Err(), lastErr)
	case <-patience:
		return h.unavailable(nil, lastErr)
	}
}

func (h *Holder) unavailable(cause, lastErr error) error {
	if lastErr == nil {
		lastErr = errors.New("still connecting")
	}
	if cause != nil {
		return fmt.Errorf("%w: no connection to %s: %w (%w)", eventlog.ErrUnavailable, h.address, cause, lastErr)
	}
	return fmt.Errorf("%w: no connection to %s: %w", eventlog.ErrUnavailable, h.address, lastErr)
}

// broadcast wakes everybody who waits for a change. The caller holds mu.
func (h *Holder) broadcast() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// startConnecting sees to it that one goroutine, and only one, is at work to
// get a connection. The caller holds mu.
func (h *Holder) startConnecting() {
	if h.connecting || h.closed {
		return
	}
	h.connecting = true
	if h.downSince.IsZero() {
		h.downSince = time.Now()
	}
	h.wg.Go(h.connect)
}

func (h *Holder) connect() {
	pauses := backoff{first: firstConnectPause, most: mostConnectPause}
	reported := false
	for {
		g, err := h.dial()
		h.metrics.connect(err)
		if err == nil {
			h.connected(g)
			return
		}
		h.mu.Lock()
		h.lastErr = err
		h.mu.Unlock()
		if !reported { // one line per outage, not per attempt
			h.logger.Warn("event log not reachable, trying on", "address", h.address, "error", err)
			reported = true
		}
		if sleep(h.ctx, pauses.pause()) != nil {
			h.mu.Lock()
			h.connecting = false
			h.mu.Unlock()
			return
		}
	}
}

// dial makes a client and its connection. It blocks for one round of the
// client's discovery, which no context can cut short.
func (h *Holder) dial() (*generation, error) {
	g := newGeneration(h.retired)
	conf := h.conf
	conf.Logger = g.logging(h.logger)
	client, err := esdb.NewClient(&conf)
	if err != nil {
		g.cancel()
		return nil, err
	}
	g.client = client
	if _, err := client.GetServerVersion(); err != nil {
		g.cancel()
		_ = client.Close() // returns nil always; nobody else has this client
		return nil, err
	}
	return g, nil
}

func (h *Holder) connected(g *generation) {
	h.mu.Lock()
	h.connecting = false
	if h.closed {
		h.mu.Unlock()
		g.retire()
		return
	}
	h.current = g
	h.live[g] = struct{}{}
	down := time.Since(h.downSince)
	h.downSince, h.lastErr = time.Time{}, nil
	h.broadcast()
	h.mu.Unlock()
	context.AfterFunc(g.ctx, func() { h.forgetWhenClosed(g) })
	h.logger.Info("event log connected", "address", h.address, "after", down.Round(time.Millisecond))
}

func (h *Holder) forgetWhenClosed(g *generation) {
	<-g.closed
	h.mu.Lock()
	delete(h.live, g)
	h.mu.Unlock()
}

// retired is told by a generation that it must not be used any more.
func (h *Holder) retired(g *generation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != g {
		return
	}
	h.current = nil
	h.downSince = time.Now()
	h.broadcast()
	if !h.closed {
		h.logger.Warn("event log connection lost", "address", h.address)
		h.startConnecting()
	}
}

// await runs a call of the client, which may block without regard for any
// context, and returns when it does or soon after ctx is done. What comes
// later goes to late.
func await[T any](ctx context.Context, call func() (T, error), late func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := call()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
	}
	// The client normally notices at once; then its own answer says more.
	timer := time.NewTimer(graceAfterCancel)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-timer.C:
	}
	go func() {
		if a := <-answers; a.err == nil && late != nil {
			late(a.value)
		}
	}()
	var none T
	return none, ctx.Err()
}

const graceAfterCancel = 100 * time.Millisecond

// lazyf formats a message of the client when a handler wants it.
type lazyf struct {
	format string
	args   []any
}

func (l lazyf) String() string { return fmt.Sprintf(l.format, l.args...) }

// LogValue implements slog.LogValuer.
func (l lazyf) LogValue() slog.Value { return slog.StringValue(l.String()) }
