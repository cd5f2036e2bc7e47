package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func load(t *testing.T, groups Group, args, environ []string, file string) (*Config, *Loaded, error) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c := Flags(fs, groups)
	require.NoError(t, fs.Parse(args))
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "stofstrom.yaml")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	}
	l, err := Load(fs, c, groups, environ, path)
	return c, l, err
}

func TestDefaultsAreValidForEveryCommand(t *testing.T) {
	for name, groups := range map[string]Group{"serve": Serve, "ingest": Ingest, "project": Project, "eventstore": EventStore, "clickhouse": ClickHouse} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, groups, nil, nil, "")
			require.NoError(t, err)
		})
	}
}

func TestFlagWinsOverEnvironmentOverFileOverDefault(t *testing.T) {
	file := "flush-rows: 2000\nledger-cache: 17\nshutdown-timeout: 3s\n"
	c, l, err := load(t, Serve, []string{"--flush-rows", "4000"}, []string{"STOFSTROM_FLUSH_ROWS=3000", "STOFSTROM_LEDGER_CACHE=18"}, file)
	require.NoError(t, err)
	require.Equal(t, 4000, c.FlushRows)
	require.Equal(t, 18, c.LedgerCacheMiB)
	require.Equal(t, 3*time.Second, c.ShutdownTimeout)
	require.Equal(t, "info", c.LogLevel)
	require.Equal(t, map[string]Source{"flush-rows": FromFlag, "ledger-cache": FromEnv, "shutdown-timeout": FromFile, "log-level": FromDefault},
		map[string]Source{"flush-rows": l.sources["flush-rows"], "ledger-cache": l.sources["ledger-cache"], "shutdown-timeout": l.sources["shutdown-timeout"], "log-level": l.sources["log-level"]})
}

func TestAllErrorsComeAtOnceEachNamingItsKey(t *testing.T) {
	file := "flush-rowz: 1\nimport-max: many\nlisten: 0.0.0.0:8080\n"
	_, _, err := load(t, Serve,
		[]string{"--eventstore", "http://localhost", "--clickhouse", "localhost:9000", "--log-level", "loud"},
		[]string{"STOFSTROM_FLUSH_INTERVAL=soon", "STOFSTROM_NONSENSE=1", "STOFSTROM_DATABASE=a;b"}, file)
	var problems Problems
	require.ErrorAs(t, err, &problems)
	keys := make([]string, 0, len(problems))
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	for _, want := range []string{"flush-rowz", "import-max", "listen", "eventstore", "clickhouse", "log-level", "flush-interval", "STOFSTROM_NONSENSE", "database"} {
		require.Contains(t, keys, want, err.Error())
	}
	require.Contains(t, err.Error(), "file", "the source of a value is named")
}

func TestProblems(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no port", []string{"--listen", "127.0.0.1"}, "listen: an address host:port"},
		{"port too large", []string{"--listen", "127.0.0.1:70000"}, "listen: a port from 0"},
		{"every interface", []string{"--listen", ":8080"}, "listen: a host is wanted"},
		{"foreign address", []string{"--listen", "192.0.2.1:8080"}, "without access keys"},
		{"log on a foreign address", []string{"--log-listen", "192.0.2.1:2113"}, "log-listen: an address that is not loopback needs"},
		{"tables on a foreign address", []string{"--sql-listen", "192.0.2.1:8123"}, "loopback addresses only"},
		{"certificate without key", []string{"--tls-cert", missing}, "tls-cert: tls-cert and tls-key"},
		{"unreadable password", []string{"--researcher-password-file", missing}, "researcher-password-file: cannot be read"},
		{"no host", []string{"--eventstore", "esdb://?tls=false"}, "eventstore: a host is wanted"},
		{"unknown sample", []string{"--sample", "mars"}, "sample: one of none, wdi"},
		{"rows too few", []string{"--flush-rows", "1"}, "flush-rows: a number from 1000"},
		{"no time to stop", []string{"--shutdown-timeout", "0s"}, "shutdown-timeout"},
		{"no folder", []string{"--data", " "}, "data: a folder is wanted"},
		{"no memory", []string{"--query-max-memory", "1"}, "query-max-memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := load(t, Serve, c.args, nil, "")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestALogIsCopiedFromOneToAnother(t *testing.T) {
	_, _, err := load(t, LogCopy, []string{"--to", "localhost:2113"}, nil, "")
	require.ErrorContains(t, err, "from: the connection string of a log is wanted")
	require.ErrorContains(t, err, "to: a connection string is wanted that begins with")
	c, _, err := load(t, LogCopy, []string{"--to", "esdb://b"}, []string{"STOFSTROM_FROM=esdb://u:p@a"}, "")
	require.NoError(t, err)
	require.Equal(t, "esdb://u:p@a", c.CopyFrom)
	require.Equal(t, "esdb://b", c.CopyTo)
}

func TestSeveralHostsAreAConnectionString(t *testing.T) {
	_, _, err := load(t, Serve, []string{"--eventstore", "esdb+discover://u:p@a:2113,b:2113/?tls=true"}, nil, "")
	require.NoError(t, err)
}

func TestOptionsOfOtherCommandsMayStandInTheEnvironment(t *testing.T) {
	_, _, err := load(t, EventStore, nil, []string{"STOFSTROM_SAMPLE=wdi"}, "")
	require.NoError(t, err)
}

func TestPrintShowsSourcesAndHidesPasswords(t *testing.T) {
	_, l, err := load(t, Serve, []string{"--eventstore", "esdb://reader:s3cret@log:2113?tls=true"}, nil, "")
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, l.Print(&out))
	require.NotContains(t, out.String(), "s3cret")
	require.Regexp(t, `eventstore: +"esdb://reader:\*\*\*@log:2113\?tls=true" +# flag`, out.String())
	// What is printed is a configuration file that gives the same again.
	_, _, err = load(t, Serve, nil, nil, out.String())
	require.NoError(t, err)
}

func TestErrorsNeverShowPasswords(t *testing.T) {
	_, _, err := load(t, Serve, []string{"--clickhouse", "tcp://u:s3cret@host:9000"}, nil, "")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"esdb://u:p@h:1":            "esdb://u:***@h:1",
		"esdb://u:p@ss@h:1/?a=b@c":  "esdb://u:***@h:1/?a=b@c",
		"http://h:1/db":             "http://h:1/db",
		"http://u@h":                "http://u@h",
		"no connection string at:@": "no connection string at:@",
	} {
		require.Equal(t, want, Redact(in))
	}
}

func FuzzConnectionStrings(f *testing.F) {
	f.Add("esdb://u:p@h:1")
	f.Add("clickhouse://a,b,c/x?y")
	f.Fuzz(func(t *testing.T, conn string) {
		_ = schemeProblem(conn, "esdb")
		if _, secret, ok := strings.Cut(conn, "://user:"); ok && strings.HasSuffix(secret, "@host") {
			password := strings.TrimSuffix(secret, "@host")
			if len(password) > 8 && !strings.ContainsAny(password, "/?") && strings.Contains(Redact(conn), password) {
				t.Fatalf("%q shows its password: %q", conn, Redact(conn))
			}
		}
	})
}
