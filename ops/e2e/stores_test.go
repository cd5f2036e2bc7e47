package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/sample"
)

// The stores run as programs of their own and serve is told where they are:
// nothing but configuration changes.
func TestServersByConnectionString(t *testing.T) {
	logData, sqlData, data := t.TempDir(), t.TempDir(), t.TempDir()
	logStore := start(t, "eventstore", "--data", logData, "--log-listen", "127.0.0.1:0")
	esdb := logStore.waitFor(`^log +(esdb://\S+)`)[1]
	tables := start(t, "clickhouse", "--data", sqlData, "--sql-listen", "127.0.0.1:0")
	address := strings.TrimPrefix(tables.waitFor(`^SQL +(http://\S+)`)[1], "http://")
	secret, err := os.ReadFile(filepath.Join(sqlData, "secret-clickhouse"))
	require.NoError(t, err)
	dsn := "http://stofstrom:" + strings.TrimSpace(string(secret)) + "@" + address

	// The two halves, each a process of its own.
	project := start(t, "project", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--eventstore", esdb, "--clickhouse", dsn)
	ingest := start(t, "ingest", "--data", data, "--listen", "127.0.0.1:0", "--eventstore", esdb)
	in := &server{program: ingest, api: ingest.waitFor(`^API +(http://\S+)$`)[1]}
	ingest.waitFor(`^ready`)
	out := &server{program: project, api: project.waitFor(`^API +(http://\S+)$`)[1]}
	project.waitFor(`^ready`)

	j := in.jobEnd(in.sendFile(sample.WDI(), "profile=wdi").ID)
	require.Equal(t, wholeEvents, j.Counts["recorded"], "%v", j.Counts)
	out.settle()
	requireWhole(t, out)

	code, printed, errOut := run(t, "verify", "--data", t.TempDir(), "--eventstore", esdb, "--clickhouse", dsn)
	require.Zero(t, code, "%s\n%s", printed, errOut)
	require.Contains(t, printed, "no difference")

	for _, p := range []*program{ingest, project, tables, logStore} {
		require.Zero(t, p.stop(), p.cmd.Args[1])
	}
}

// A disk that fills up under a running server: what is sent is refused in
// words, nothing that was acknowledged is lost, and with room everything goes
// on by itself.
func TestAFullDiskRefusesAndLosesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "small")
	require.NoError(t, os.Mkdir(data, 0o700))
	cmd := command(serveArgs(data, "--sample", "wdi")...)
	onSmallDisk(cmd, data, 600<<20)
	s := awaitServer(launch(t, cmd))
	requireWhole(t, s)
	inside := insideDisk(cmd.Process.Pid, data)

	makeRoom := fillDisk(t, inside, 0)
	code, body := s.do("POST", "/v1/imports?profile=wdi", "text/csv", sample.WDI())
	require.Contains(t, []int{503, 507}, code, string(body))
	require.Contains(t, string(body), "room")
	requireWhole(t, s)

	makeRoom()
	var j job
	eventually(t, "the import goes through again", func() bool {
		code, body := s.do("POST", "/v1/imports?profile=wdi", "text/csv", sample.WDI())
		if code != 202 {
			require.Contains(t, []int{503, 507}, code, string(body))
			return false
		}
		j = s.jobEnd(readJob(t, body).ID)
		return true
	})
	require.Equal(t, wholeEvents, j.Counts["already_recorded"], "%v", j.Counts)
	requireWhole(t, s)
	require.Zero(t, s.stop())
}

func TestAFullDiskAtTheStartIsNamed(t *testing.T) {
	data := filepath.Join(t.TempDir(), "small")
	require.NoError(t, os.Mkdir(data, 0o700))
	cmd := command(serveArgs(data)...)
	onSmallDisk(cmd, data, 32<<10)
	p := launch(t, cmd)
	require.Equal(t, exitConfig, p.wait(), p.log.String())
	require.Contains(t, p.log.String(), "cannot be written")
}
