package eventstore

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// generation is one client and its one connection, from the first successful
// dial until the connection is lost. A client is never asked to rediscover:
// rediscovery leaks the old connection, blocks every caller regardless of its
// context, and kills the client when it fails. A new generation takes over
// instead, and the old one is closed when its last call has returned.
type generation struct {
	client *esdb.Client
	// ctx ends when the generation retires; streams hang on it.
	ctx    context.Context
	cancel context.CancelFunc

	// entry is held for reading from the moment a call takes the generation
	// until the client has handed it the connection. Retiring takes it for
	// writing, so that no call can ask for a connection after the client was
	// told that this one is lost: that would start a rediscovery.
	entry   sync.RWMutex
	retired bool // guarded by entry

	calls  atomic.Int64  // calls that have not returned
	closed chan struct{} // closed when the client is
	once   sync.Once     // closes the client

	onRetire func(*generation)
	retiring atomic.Bool
}

func newGeneration(onRetire func(*generation)) *generation {
	g := &generation{closed: make(chan struct{}), onRetire: onRetire}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// lease takes the generation for one call. The call must run with the context
// that lease returns, and release must be called when it has returned for
// good. ok is false when the generation is retired or about to be.
func (g *generation) lease(ctx context.Context) (entering *entryContext, release func(), ok bool) {
	// A writer that holds or awaits the lock is retiring this generation.
	if !g.entry.TryRLock() {
		return nil, nil, false
	}
	if g.retired {
		g.entry.RUnlock()
		return nil, nil, false
	}
	g.calls.Add(1)
	e := &entryContext{Context: ctx, unlock: g.entry.RUnlock}
	return e, func() {
		e.entered()
		if g.calls.Add(-1) == 0 {
			g.closeIfIdle()
		}
	}, true
}

// retire takes the generation out of use. It returns once no call can ask the
// client for a connection any more.
func (g *generation) retire() {
	if g.retiring.CompareAndSwap(false, true) && g.onRetire != nil {
		g.onRetire(g) // callers turn to the next generation from here on
	}
	g.entry.Lock()
	g.retired = true
	g.entry.Unlock()
	g.cancel()
	g.closeIfIdle()
}

// closeIfIdle closes the client when it is retired and nobody uses it: to
// close it earlier would make the calls under way panic.
func (g *generation) closeIfIdle() {
	g.entry.RLock()
	idle := g.retired && g.calls.Load() == 0
	g.entry.RUnlock()
	if !idle {
		return
	}
	g.once.Do(func() {
		// The client's Close always returns nil.
		_ = g.client.Close()
		close(g.closed)
	})
}

// logging hands the client's messages to the logger, and reads from them the
// one thing the client tells nobody else in time: that it is about to start a
// rediscovery. It logs the error that makes it do so just before.
func (g *generation) logging(logger *slog.Logger) esdb.LoggingFunc {
	return func(level esdb.LogLevel, format string, args ...any) {
		if level == esdb.LogError && len(args) == 1 {
			if err, ok := args[0].(error); ok && status.Code(err) == codes.Unavailable {
				g.retire()
			}
		}
		logger.Debug("eventstore client", "level", level, "message", lazyf{format, args})
	}
}

// entryContext notices when the client first looks at the context of a call,
// which is right after it was handed its connection.
type entryContext struct {
	context.Context
	unlock func()
	done   atomic.Bool
}

func (c *entryContext) entered() {
	if c.done.CompareAndSwap(false, true) {
		c.unlock()
	}
}

func (c *entryContext) Deadline() (time.Time, bool) { c.entered(); return c.Context.Deadline() }
func (c *entryContext) Done() <-chan struct{}       { c.entered(); return c.Context.Done() }
func (c *entryContext) Err() error                  { c.entered(); return c.Context.Err() }
func (c *entryContext) Value(key any) any           { c.entered(); return c.Context.Value(key) }
