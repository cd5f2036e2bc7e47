package store

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// collecting runs one collect while a sync is under way. Its queue holds
// nothing: a request is taken from it or it is not.
func collecting(t *testing.T, first *request) (*writer, <-chan *group) {
	t.Helper()
	s, err := New(Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	s.queue = make(chan *request)
	w := &writer{store: s, syncs: newSyncs()}
	w.syncs.begin()
	done := make(chan *group, 1)
	go func() { done <- w.collect(first) }()
	return w, done
}

func TestASmallGroupWaitsForTheSyncUnderWay(t *testing.T) {
	w, done := collecting(t, &request{bytes: 10})
	for n := range 3 {
		select {
		case w.store.queue <- &request{bytes: 10}:
		case g := <-done:
			t.Fatalf("the group was closed with %d requests, request %d came while the sync was under way", len(g.requests), n+2)
		}
	}
	w.syncs.end()
	require.Len(t, (<-done).requests, 4)
}

func TestALargeGroupDoesNotWait(t *testing.T) {
	w, done := collecting(t, &request{bytes: smallGroupBytes})
	require.Len(t, (<-done).requests, 1)
	require.EqualValues(t, 1, w.syncs.running.Load(), "the sync is still under way")
}

func TestAGroupDoesNotWaitForABrokenEngine(t *testing.T) {
	w, done := collecting(t, &request{bytes: 10})
	w.store.failure.set(errors.New("engine broke"))
	require.Len(t, (<-done).requests, 1)
}
