package store

import (
	"fmt"
	"log/slog"
	"sync"
)

// failure is the one way in which the engine can fail for good.
type failure struct {
	mu    sync.Mutex
	cause error
	ch    chan struct{}
}

func newFailure() *failure { return &failure{ch: make(chan struct{})} }

func (f *failure) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause == nil {
		f.cause = err
		close(f.ch)
	}
}

func (f *failure) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

// engineLogger carries Pebble's log lines to slog.
type engineLogger struct {
	log     *slog.Logger
	failure *failure
}

// Infof implements pebble.Logger.
func (l *engineLogger) Infof(format string, args ...any) {
	l.log.Debug("storage engine", "detail", fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l *engineLogger) Errorf(format string, args ...any) {
	l.log.Error("storage engine", "detail", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. Pebble calls it when it cannot go on and
// expects the process to end. We let [Store.Run] return the error, so that the
// owner decides and says so; the calling goroutine is held for ever, since
// nothing it could do next would be safe. The folder stays locked until the
// process ends.
func (l *engineLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("storage engine failed for good: "+format, args...)
	l.log.Error("storage engine", "err", err)
	l.failure.set(err)
	select {}
}
