package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exitConfig is the exit code for what is wrong with configuration or
// surroundings.
const exitConfig = 78

func TestBadConfigurationIsNamedAllAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stofstrom.yaml")
	require.NoError(t, os.WriteFile(file, []byte("flush-rows: many\nlistenn: 127.0.0.1:1\n"), 0o600))
	for _, name := range []string{"serve", "check-config"} {
		code, out, errOut := run(t, name, "--config", file, "--data", t.TempDir(),
			"--eventstore", "http://localhost:2113", "--clickhouse", "localhost", "--log-level", "loud", "--listen", "0.0.0.0:8080")
		require.Equal(t, exitConfig, code, errOut)
		require.Empty(t, out)
		for _, key := range []string{"flush-rows", "listenn", "eventstore", "clickhouse", "log-level", "listen"} {
			require.Contains(t, errOut, "  "+key+":", name)
		}
	}
}

func TestCheckConfigPrintsWhatIsInForce(t *testing.T) {
	code, out, errOut := run(t, "check-config", "--eventstore", "esdb://me:s3cret@log:2113")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "flush-rows")
	require.NotContains(t, out, "s3cret")
}

func TestUnknownCommandsAndFlagsAreUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"serv"}, {"serve", "--lisen", "x"}, {"flows", "extra"}, {"flows", "--format", "xml"}} {
		code, _, errOut := run(t, args...)
		require.Equal(t, 2, code, "%v: %s", args, errOut)
		require.Contains(t, errOut, "stofstrom: ")
	}
}

func TestSurroundingsThatAreWrongEndTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	address := taken.Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"port of the API taken", []string{"serve", "--listen", address}, []string{address, "taken", "--listen"}},
		{"port of the log taken", []string{"serve", "--listen", "127.0.0.1:0", "--log-listen", address}, []string{address, "taken", "--log-listen"}},
		{"port of the tables taken", []string{"serve", "--listen", "127.0.0.1:0", "--sql-listen", address}, []string{address, "taken", "--sql-listen"}},
		{"data folder is a file", []string{"serve", "--listen", "127.0.0.1:0", "--data", file}, []string{file}},
		{"data folder cannot be made", []string{"serve", "--listen", "127.0.0.1:0", "--data", "/proc/stofstrom"}, []string{"/proc/stofstrom"}},
		{"no log answers", []string{"serve", "--listen", "127.0.0.1:0", "--eventstore", "esdb://me:s3cret@127.0.0.1:1?tls=false", "--start-timeout", "2s"}, []string{"127.0.0.1:1", "does not answer"}},
		{"no tables answer", []string{"serve", "--listen", "127.0.0.1:0", "--clickhouse", "http://me:s3cret@127.0.0.1:1", "--start-timeout", "2s"}, []string{"127.0.0.1:1", "does not answer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			if !strings.Contains(strings.Join(args, " "), "--data") {
				args = append(args, "--data", t.TempDir())
			}
			code, _, errOut := run(t, args...)
			require.Equal(t, exitConfig, code, errOut)
			message := "\n" + errOut
			message = message[strings.LastIndex(message, "\nstofstrom: "):]
			for _, want := range c.want {
				require.Contains(t, message, want)
			}
			require.NotContains(t, errOut, "s3cret")
		})
	}
}

func TestAWrongPasswordEndsTheStart(t *testing.T) {
	store := start(t, "clickhouse", "--data", t.TempDir(), "--sql-listen", "127.0.0.1:0")
	address := store.waitFor(`^SQL +http://(\S+)`)[1]
	code, _, errOut := run(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--clickhouse", "http://stofstrom:s3cret@"+address)
	require.Equal(t, exitConfig, code, errOut)
	require.Contains(t, errOut, "password")
	require.NotContains(t, errOut, "s3cret")
}

func TestAFolderInUseIsNamed(t *testing.T) {
	data := t.TempDir()
	serve(t, data)
	code, _, errOut := run(t, "serve", "--listen", "127.0.0.1:0", "--data", data)
	require.Equal(t, exitConfig, code, errOut)
	require.Contains(t, errOut, "in use by another process")
	require.Contains(t, errOut, data)
}
