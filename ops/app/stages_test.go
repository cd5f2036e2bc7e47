package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(s string) { j.mu.Lock(); j.lines = append(j.lines, s); j.mu.Unlock() }

// part runs until it is stopped, and notes when it starts and ends.
func (j *journal) part(name string) stage {
	return stage{name: name, start: func(context.Context) (running, error) {
		ready := make(chan struct{})
		return running{ready: ready, run: func(ctx context.Context) error {
			j.note("start " + name)
			close(ready)
			<-ctx.Done()
			j.note("stop " + name)
			return nil
		}}, nil
	}}
}

func TestStagesStopInTheOppositeOrder(t *testing.T) {
	j := &journal{}
	ctx, cancel := context.WithCancel(t.Context())
	last := stage{name: "last", start: func(context.Context) (running, error) {
		return running{run: func(ctx context.Context) error { cancel(); <-ctx.Done(); j.note("stop last"); return nil }}, nil
	}}
	err := runStages(ctx, quiet, time.Minute, time.Minute, []stage{j.part("a"), j.part("b"), last})
	require.NoError(t, err)
	require.Equal(t, []string{"start a", "start b", "stop last", "stop b", "stop a"}, j.lines)
}

func TestAStageThatFailsStopsTheOthersAndIsNamed(t *testing.T) {
	j := &journal{}
	boom := errors.New("boom")
	failing := stage{name: "b", start: func(context.Context) (running, error) {
		return running{run: func(context.Context) error { return boom }}, nil
	}}
	err := runStages(t.Context(), quiet, time.Minute, time.Minute, []stage{j.part("a"), failing})
	require.ErrorIs(t, err, boom)
	require.ErrorContains(t, err, "b: boom")
	require.Equal(t, []string{"start a", "stop a"}, j.lines)
}

func TestAStageThatEndsUnaskedIsAnError(t *testing.T) {
	ending := stage{name: "a", start: func(context.Context) (running, error) {
		return running{run: func(context.Context) error { return nil }}, nil
	}}
	require.ErrorIs(t, runStages(t.Context(), quiet, time.Minute, time.Minute, []stage{ending}), errStageEnded)
}

func TestAStageThatCannotStartStopsThoseBefore(t *testing.T) {
	j := &journal{}
	boom := errors.New("port taken")
	failing := stage{name: "b", start: func(context.Context) (running, error) { return running{}, boom }}
	err := runStages(t.Context(), quiet, time.Minute, time.Minute, []stage{j.part("a"), failing})
	require.ErrorIs(t, err, boom)
	require.Equal(t, []string{"start a", "stop a"}, j.lines)
}

func TestAStageThatIsNeverReadyIsNamed(t *testing.T) {
	never := stage{name: "a", start: func(context.Context) (running, error) {
		return running{ready: make(chan struct{}), run: func(ctx context.Context) error { <-ctx.Done(); return nil }}, nil
	}}
	err := runStages(t.Context(), quiet, time.Millisecond, time.Minute, []stage{never})
	require.ErrorContains(t, err, "a: not ready after")
}

func TestAStageThatDoesNotStopIsNamedAndLeft(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	stuck := stage{name: "a", start: func(context.Context) (running, error) {
		return running{run: func(context.Context) error { cancel(); <-release; return nil }}, nil
	}}
	err := runStages(ctx, quiet, time.Minute, time.Millisecond, []stage{stuck})
	require.ErrorContains(t, err, "a: did not stop within")
}
