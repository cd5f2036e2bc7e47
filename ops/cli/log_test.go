package cli

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ops/logcopy"
)

func at(commit uint64) eventlog.Position { return eventlog.Position{Commit: commit, Prepare: commit} }

func TestPaceCountsFromWhereTheRunBegan(t *testing.T) {
	begun := time.Unix(0, 0)
	p := pace{begun: begun}
	perSecond, part, left := p.of(begun.Add(10*time.Second), logcopy.Progress{Events: 100, From: at(1000), At: at(1250), End: at(2000)})
	require.InDelta(t, 10, perSecond, 1e-9)
	require.InDelta(t, 0.25, part, 1e-9)
	require.Equal(t, 30*time.Second, left)
	_, part, left = p.of(begun, logcopy.Progress{From: at(7), At: at(7), End: at(7)})
	require.InDelta(t, 1, part, 1e-9, "nothing to do is done")
	require.Zero(t, left)
}

func TestProgressIsDrawnOrLogged(t *testing.T) {
	var drawn, logged bytes.Buffer
	told, end := progressBar(&drawn, "copying")
	told(logcopy.Progress{Events: 42, At: at(42), End: at(84)})
	require.Contains(t, drawn.String(), "copying 42 events")
	end()
	told, end = progressLines(slog.New(slog.NewTextHandler(&logged, nil)), "copying")
	told(logcopy.Progress{Events: 42, At: at(42), End: at(84)})
	told(logcopy.Progress{Events: 43, At: at(43), End: at(84)})
	end()
	require.Contains(t, logged.String(), "msg=progress of=copying events=42 percent=50.0")
	require.NotContains(t, logged.String(), "events=43", "not more often than is read")
}
