package e2e

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
)

// startLog runs the embedded log alone and returns its connection string.
func startLog(t testing.TB, data string) (*program, string) {
	t.Helper()
	p := start(t, "eventstore", "--data", data, "--log-listen", "127.0.0.1:0")
	connection := p.waitFor(`^log +(esdb://\S+)`)[1]
	p.waitFor(`^ready`)
	return p, connection
}

// reader is the adapter on a log.
func reader(t testing.TB, connection string) *eventstore.Log {
	t.Helper()
	holder, err := eventstore.NewHolder(eventstore.Config{Connection: connection})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, holder.Close()) })
	l, err := eventstore.NewLog(holder, eventstore.LogConfig{})
	require.NoError(t, err)
	return l
}

func allEvents(t testing.TB, l *eventstore.Log) []eventlog.Recorded {
	t.Helper()
	var all []eventlog.Recorded
	for e, err := range l.ReadAll(t.Context(), eventlog.Position{}, eventlog.Filter{}) {
		require.NoError(t, err)
		e.Position = eventlog.Position{} // is the server's own
		all = append(all, e)
	}
	return all
}

// requireSameEvents compares order, ids, contents and recorded times.
func requireSameEvents(t testing.TB, want, got []eventlog.Recorded) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		g := got[i]
		same := w.Stream == g.Stream && w.Revision == g.Revision && w.ID == g.ID && w.Type == g.Type &&
			bytes.Equal(w.Data, g.Data) && bytes.Equal(w.Meta, g.Meta) && w.RecordedAt.Equal(g.RecordedAt)
		if !same {
			require.Equal(t, w, g, "event %d", i)
		}
	}
}

// digestIn finds the digest that a command printed.
func digestIn(t testing.TB, out string) string {
	t.Helper()
	found := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(out)
	require.NotEmpty(t, found, out)
	return found
}

// answers are the rows and totals by every dimension, as they are sent.
func (s *server) answers() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, d := range strings.Fields("kind month year origin_area origin_region facility facility_name facility_area facility_region site_category waste_code waste_chapter operation operation_stage hierarchy fate") {
		a := s.flows("group_by=" + d)
		require.Equal(s.t, wholeEvents, a.Total.Events, d)
		raw, err := json.Marshal([]any{a.Rows, a.Total, a.Rules})
		require.NoError(s.t, err)
		all[d] = string(raw)
	}
	return all
}

// A log leaves its machine: backed up while it is in use, restored elsewhere,
// copied to another server with a kill on the way. Tables made from the copy
// answer the same.
func TestACopiedLogGivesTheSameAnswers(t *testing.T) {
	data, elsewhere, target := t.TempDir(), filepath.Join(t.TempDir(), "data"), t.TempDir()
	s := serve(t, data, "--sample", "wdi")
	before := s.answers()
	kept := filepath.Join(t.TempDir(), "backup")
	code, out, errOut := run(t, "eventstore", "backup", "--data", data, kept)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "backed up the event log of "+data)
	want := allEvents(t, reader(t, s.waitFor(`^log +(esdb://\S+)`)[1]))
	require.Zero(t, s.stop())

	code, out, errOut = run(t, "eventstore", "restore", "--data", elsewhere, kept)
	require.Zero(t, code, errOut)
	require.Regexp(t, `^restored \d+ events`, out)
	_, from := startLog(t, elsewhere)
	_, to := startLog(t, target)
	a, b := reader(t, from), reader(t, to)
	requireSameEvents(t, want, allEvents(t, a))

	end, err := a.End(t.Context())
	require.NoError(t, err)
	args := []string{"log", "copy", "--from", from, "--to", to}
	first := start(t, args...)
	var cut eventlog.Position
	eventually(t, "a copy that has begun", func() bool {
		cut, err = b.End(t.Context())
		require.NoError(t, err)
		return !cut.IsStart()
	})
	first.kill()
	cut, err = b.End(t.Context())
	require.NoError(t, err)
	require.Negative(t, cut.Compare(end), "killed before the end, or this shows nothing")

	code, out, errOut = run(t, append(args, "--verify")...)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "went on after ")
	require.Regexp(t, `(?m)^verified \d+ events, no difference, sha256:[0-9a-f]{64}$`, out)
	requireSameEvents(t, want, allEvents(t, b))

	t.Run("and by way of a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "log.ndjson.zst")
		code, exported, errOut := run(t, "log", "export", "--from", from, file)
		require.Zero(t, code, errOut)
		_, third := startLog(t, t.TempDir())
		importing := start(t, "log", "import", "--to", third, file)
		eventually(t, "an import that has begun", func() bool {
			at, err := reader(t, third).End(t.Context())
			require.NoError(t, err)
			return !at.IsStart()
		})
		importing.kill()
		code, imported, errOut := run(t, "log", "import", "--to", third, file, "--verify")
		require.Zero(t, code, errOut)
		require.Contains(t, imported, "went on after ")
		require.Equal(t, digestIn(t, out), digestIn(t, exported))
		require.Equal(t, digestIn(t, out), digestIn(t, imported))
		code, _, errOut = run(t, "log", "export", "--from", from, file)
		require.Equal(t, exitConfig, code, errOut)
		require.Contains(t, errOut, "exists")
	})

	fresh := t.TempDir()
	other := serve(t, fresh, "--eventstore", to)
	other.settle()
	require.Equal(t, before, other.answers())
	code, out, errOut = run(t, "verify", "--data", fresh)
	require.Zero(t, code, "%s\n%s", out, errOut)
	require.Contains(t, out, "no difference")

	// The new home has been written to: it is no longer a copy.
	code, _, errOut = run(t, args...)
	require.Equal(t, 1, code, errOut)
	require.Contains(t, errOut, "events that were not copied there")
	require.Zero(t, other.stop())
}

func TestLogCopyRefusesWhatItCannotReach(t *testing.T) {
	code, _, errOut := run(t, "log", "copy", "--to", "localhost")
	require.Equal(t, exitConfig, code)
	require.Contains(t, errOut, "from: the connection string of a log is wanted")
	require.Contains(t, errOut, "to: a connection string is wanted")
	code, _, errOut = run(t, "log", "copi")
	require.Equal(t, 2, code, errOut)
	require.Contains(t, errOut, `there is no command log "copi"`)
}

// Both logs are killed and come back while a copy runs: it waits and goes on.
func TestACopyWaitsForLogsThatComeBack(t *testing.T) {
	type store struct{ data, address string }
	up := func(s store) *program {
		p := start(t, "eventstore", "--data", s.data, "--log-listen", s.address)
		p.waitFor(`^ready`)
		return p
	}
	a, b := store{t.TempDir(), freeAddress(t)}, store{t.TempDir(), freeAddress(t)}
	source, target := up(a), up(b)
	from, to := "esdb://"+a.address+"?tls=false", "esdb://"+b.address+"?tls=false"
	w := startWriters(t, reader(t, from), 4)
	eventually(t, "events", func() bool { return w.n.Load() > 3000 || t.Failed() })
	w.end()
	want := allEvents(t, reader(t, from))

	copying := start(t, "log", "copy", "--from", from, "--to", to, "--verify")
	copied := func() int {
		end, err := reader(t, to).End(t.Context())
		require.NoError(t, err)
		return int(end.Commit)
	}
	eventually(t, "a copy that has begun", func() bool { return copied() > 0 })
	target.kill()
	up(b)
	before := copied()
	require.Less(t, before, len(want), "killed before the end, or this shows nothing")
	eventually(t, "a copy that goes on", func() bool { return copied() > before })
	source.kill()
	up(a)
	require.Zero(t, copying.wait(), copying.log.String())
	require.Contains(t, copying.lines.String(), "no difference")
	requireSameEvents(t, want, allEvents(t, reader(t, to)))
}
