package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/sample"
)

var (
	tortureRounds = flag.Int("torture.rounds", 0, "kills per kind of victim; 0: 2, or 10 with STOFSTROM_LONG")
	tortureSeed   = flag.Uint64("torture.seed", 0, "seed of the random moments; 0: taken from the clock and printed")
)

// importTime is about how long the sample takes to import; the random moments
// of kills are spread over a little more than it.
const importTime = 2500 * time.Millisecond

// job is an import as the API shows it.
type job struct {
	ID       string         `json:"id"`
	Status   string         `json:"status"`
	Rows     int            `json:"rows"`
	Counts   map[string]int `json:"counts"`
	Needs    string         `json:"needs"`
	Position json.Number    `json:"position"`
}

// sendFile sends a file and returns its job. A request that a kill cut off is
// sent again, as any sender would.
func (s *server) sendFile(file []byte, query string) job {
	s.t.Helper()
	code, body := s.do("POST", "/v1/imports?"+query, "text/csv", file)
	require.Equal(s.t, 202, code, string(body))
	return readJob(s.t, body)
}

func readJob(t testing.TB, body []byte) job {
	t.Helper()
	var j job
	require.NoError(t, json.Unmarshal(body, &j))
	return j
}

// jobEnd waits for the end of a job.
func (s *server) jobEnd(id string) job {
	s.t.Helper()
	var j job
	eventually(s.t, "job "+id, func() bool {
		code, body, err := s.try("GET", "/v1/imports/"+id, "", nil)
		if err != nil || code != 200 {
			return false
		}
		require.NoError(s.t, json.Unmarshal(body, &j))
		return j.Status == "done" || j.Status == "failed"
	})
	return j
}

// settle waits until the whole sample is visible; what is there never shrinks
// or passes the whole on the way.
func (s *server) settle() {
	s.t.Helper()
	last := 0
	eventually(s.t, "all events in the tables", func() bool {
		code, body, err := s.try("GET", "/v1/flows", "", nil)
		if err != nil || code == 503 {
			return false // the tables are being restarted
		}
		require.Equal(s.t, 200, code, string(body))
		var a flowAnswer
		require.NoError(s.t, json.Unmarshal(body, &a))
		require.GreaterOrEqual(s.t, a.Total.Events, last, "an answer went back")
		require.LessOrEqual(s.t, a.Total.Events, wholeEvents, "an event counts twice")
		last = a.Total.Events
		return last == wholeEvents
	})
}

func TestTortureKillsDuringAnImport(t *testing.T) {
	rounds := *tortureRounds
	if rounds == 0 {
		rounds = 2
		if os.Getenv("STOFSTROM_LONG") != "" {
			rounds = 10
		}
	}
	seed := *tortureSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d; repeat with -torture.seed=%d", seed, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, victim := range []struct {
		name string
		kill func(t *testing.T, moment time.Duration)
	}{
		{"the whole", killTheWhole}, {"the log", killTheLog}, {"the tables", killTheTables},
	} {
		for round := range rounds {
			moment := time.Duration(random.Int64N(int64(importTime)))
			t.Run(fmt.Sprintf("%s, round %d", victim.name, round+1), func(t *testing.T) {
				t.Logf("killed after %s", moment.Round(time.Millisecond))
				victim.kill(t, moment)
			})
		}
	}
}

func requireEverythingOnce(t *testing.T, s *server, data string, j job) {
	t.Helper()
	require.Equal(t, "done", j.Status)
	require.Equal(t, wholeEvents, j.Rows, "every line has a result")
	require.Equal(t, wholeEvents, j.Counts["recorded"], "this job recorded every line: %v", j.Counts)
	s.settle()
	requireWhole(t, s)
	code, out, errOut := run(t, "verify", "--data", data)
	require.Zero(t, code, "%s\n%s", out, errOut)
	require.Contains(t, out, "no difference")
}

func killTheWhole(t *testing.T, moment time.Duration) {
	data := t.TempDir()
	s := serve(t, data)
	j := s.sendFile(sample.WDI(), "profile=wdi")
	<-time.After(moment)
	s.kill()
	again := serve(t, data)
	requireEverythingOnce(t, again, data, again.jobEnd(j.ID))
}

func killTheLog(t *testing.T, moment time.Duration) {
	logData, data := t.TempDir(), t.TempDir()
	address := freeAddress(t)
	logStore := start(t, "eventstore", "--data", logData, "--log-listen", address)
	logStore.waitFor(`^ready`)
	s := serve(t, data, "--eventstore", "esdb://"+address+"?tls=false")
	j := s.sendFile(sample.WDI(), "profile=wdi")
	<-time.After(moment)
	logStore.kill()
	again := start(t, "eventstore", "--data", logData, "--log-listen", address)
	again.waitFor(`^ready`)
	requireEverythingOnce(t, s, data, s.jobEnd(j.ID))
}

func killTheTables(t *testing.T, moment time.Duration) {
	data := t.TempDir()
	s := serve(t, data)
	j := s.sendFile(sample.WDI(), "profile=wdi")
	<-time.After(moment)
	engine := childOf(t, s.cmd.Process.Pid)
	require.NoError(t, syscall.Kill(engine, syscall.SIGKILL))
	requireEverythingOnce(t, s, data, s.jobEnd(j.ID))
	require.NotEqual(t, engine, childOf(t, s.cmd.Process.Pid), "another engine serves now")
}

// childOf finds the engine that a server started.
func childOf(t testing.TB, pid int) int {
	t.Helper()
	child := 0
	eventually(t, "an engine process", func() bool {
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		require.NoError(t, err)
		for _, stat := range stats {
			raw, err := os.ReadFile(stat)
			if err != nil {
				continue // ended meanwhile
			}
			// pid (name) state ppid …; the name may hold blanks and brackets.
			text := string(raw)
			fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
			if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
				child, err = strconv.Atoi(text[:strings.IndexByte(text, ' ')])
				require.NoError(t, err)
				return true
			}
		}
		return false
	})
	return child
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
