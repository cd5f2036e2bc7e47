package imports

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/profile"
	"github.com/stofstrom/stofstrom/ingest/register"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)

// shakyLog is a log that can be told to be away.
type shakyLog struct {
	*memory.Log
	away atomic.Int64 // appends to refuse
}

func (l *shakyLog) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if l.away.Add(-1) >= 0 {
		return eventlog.Appended{}, eventlog.ErrUnavailable
	}
	return l.Log.Append(ctx, stream, expected, events)
}

// world is the write path over a log in memory, and import managers on one
// spool that come and go.
type world struct {
	t        testing.TB
	log      *shakyLog
	service  *intake.Service
	register *register.Register
	profiles map[string]*profile.Profile
	dir      string
	cfg      Config
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, log: &shakyLog{Log: memory.New(memory.Config{})}, dir: t.TempDir()}
	ix, err := index.Open(index.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	w.register = register.New(register.Config{}, register.Deps{Log: w.log, Append: w.log})
	w.service = intake.New(intake.Config{RetryLog: time.Millisecond}, intake.Deps{Log: w.log, Append: w.log, Register: w.register, Index: ix,
		Now: func() time.Time { return now }, Metrics: intake.NewMetrics(prometheus.NewRegistry())})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, ix.Close())
	})
	<-w.service.Ready()
	w.profiles, err = profile.BuiltIn()
	require.NoError(t, err)
	ticket, err := profile.Load("ticket.yaml", []byte(ticketProfile))
	require.NoError(t, err)
	w.profiles["ticket"] = ticket
	return w
}

// manager opens the spool and runs, until stop.
func (w *world) manager(atStep func(step) error) (m *Manager, stop func()) {
	w.t.Helper()
	cfg := w.cfg
	cfg.Dir = w.dir
	if cfg.FirstPause == 0 {
		cfg.FirstPause = time.Millisecond
	}
	m = New(cfg, Deps{Intake: w.service, Register: w.register, Streams: w.log, Profiles: w.profiles, Now: func() time.Time { return now }})
	m.atStep = atStep
	require.NoError(w.t, m.Open())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(w.t, <-ended)
		}
	}
	w.t.Cleanup(stop)
	return m, stop
}

// send imports a file and waits for its end.
func (w *world) send(m *Manager, req Request, file []byte) (Job, []Line) {
	w.t.Helper()
	job, err := m.Create(bytes.NewReader(file), req)
	require.NoError(w.t, err)
	job, err = m.Wait(w.t.Context(), job.ID)
	require.NoError(w.t, err)
	return job, w.report(m, job.ID)
}

func (w *world) report(m *Manager, id string) []Line {
	w.t.Helper()
	src, err := m.Report(id)
	require.NoError(w.t, err)
	text, err := io.ReadAll(src)
	require.NoError(w.t, err)
	require.NoError(w.t, src.Close())
	var lines []Line
	for _, raw := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		var l Line
		require.NoError(w.t, json.Unmarshal(raw, &l), "%s", raw)
		lines = append(lines, l)
	}
	return lines
}

// total is the net mass of everything that counts, folded from the log.
func (w *world) total() (facts int, total mass.Grams) {
	w.t.Helper()
	for rec, err := range w.log.ReadAll(w.t.Context(), eventlog.Position{}, eventlog.Filter{StreamPrefixes: []string{"ledger-"}}) {
		require.NoError(w.t, err)
		ev, err := event.Decode(rec.Type, rec.Data)
		require.NoError(w.t, err)
		switch e := ev.(type) {
		case event.Recorded:
			facts++
			total += e.Fact.Mass.Net
		case event.Corrected:
			total += e.Is.Mass.Net - e.Was.Mass.Net
		case event.Cancelled:
			facts--
			total -= e.Was.Mass.Net
		default:
			w.t.Fatalf("unexpected %T", ev)
		}
	}
	return facts, total
}

// statuses of the lines of a report, by line; those without line by 0.
func statuses(lines []Line) map[int][]LineStatus {
	m := map[int][]LineStatus{}
	for _, l := range lines {
		m[l.Line] = append(m[l.Line], l.Status)
	}
	return m
}

func count(lines []Line) map[LineStatus]int {
	m := map[LineStatus]int{}
	for _, l := range lines {
		m[l.Status]++
	}
	return m
}

// realRows are the heading and rows of the bundled file, read once; callers
// copy before they change.
var realRows = sync.OnceValues(func() ([][]string, error) {
	f, err := os.Open("../../ops/sample/wdi/wdi_2019_east_of_england_waste_received.csv.gz")
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	rows, err := csv.NewReader(z).ReadAll()
	return rows, errors.Join(err, f.Close())
})

// realFile packs the first n rows of the bundled file, after a change.
func realFile(t testing.TB, n int, change func(rows [][]string) [][]string) []byte {
	t.Helper()
	all, err := realRows()
	require.NoError(t, err)
	rows := make([][]string, n+1)
	for i := range rows {
		rows[i] = slices.Clone(all[i])
	}
	if change != nil {
		rows = append(rows[:1:1], change(rows[1:])...)
	}
	return write(t, rows)
}

func write(t testing.TB, rows [][]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	require.NoError(t, w.WriteAll(rows))
	return b.Bytes()
}

// tonnes is the index of the column Tonnes Received, permit of Permit.
const (
	permit = 4
	tonnes = 27
)

var wdi = Request{Profile: "wdi", Actor: "test", FileName: "wdi.csv"}

const ticketProfile = `
profile: ticket
version: 1
title: tickets of a weighbridge
format: {type: csv, encoding: utf-8, delimiter: ";", decimal: ",", trim: true}
identity: {reporter: dk-p-1003412345, source: weighbridge, columns: [Ticket]}
areas:
  - {key: dk, id: dk, level: country, name: Danmark, country: DK}
  - {key: region, id: dk-1084, level: region, name: Region Hovedstaden, country: DK, parent: dk}
  - {key: town, id: dk-0101, level: municipality, name: København, country: DK, parent: region}
facility: {id: dk-p-1003412345, name: Amager, area: town, time_zone: Europe/Copenhagen}
fact:
  kind: received
  occurred: {columns: [Date, Time], layout: dd-mm-yyyy HH:MM, time_zone: Europe/Copenhagen}
  waste_code: {column: EAK}
  mass: {net: Net, unit: kg, method: weighed}
  origin: {area: town}
`

var tickets = Request{Profile: "ticket", Actor: "test"}

func ticketFile(rows ...string) []byte {
	return []byte("Ticket;Date;Time;EAK;Net\n" + strings.Join(rows, "\n") + "\n")
}

// stubborn is an intake that answers with an error for some items first.
type stubborn struct {
	Intake
	refuse atomic.Int64
	with   error
}

func (s *stubborn) Submit(ctx context.Context, items []intake.Item) []intake.Result {
	results := s.Intake.Submit(ctx, items)
	for i := range results {
		if s.refuse.Add(-1) >= 0 {
			results[i] = intake.Result{Err: s.with} // though it was recorded
		}
	}
	return results
}

func (s *stubborn) Scope(ctx context.Context, reporter, source string) iter.Seq2[intake.Live, error] {
	return func(yield func(intake.Live, error) bool) {
		if s.refuse.Add(-1) >= 0 {
			yield(intake.Live{}, s.with)
			return
		}
		for l, err := range s.Intake.Scope(ctx, reporter, source) {
			if !yield(l, err) {
				return
			}
		}
	}
}

func fixed() time.Time { return now }

func packed(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

func packedReal(t testing.TB, n int) []byte { return packed(t, realFile(t, n, nil)) }
