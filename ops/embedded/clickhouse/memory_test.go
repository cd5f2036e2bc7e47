//go:build linux

package clickhouse_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

var residentKB = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMB is the largest memory a process has had, in MiB.
func peakMB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	require.NoError(t, err)
	m := residentKB.FindSubmatch(text)
	require.NotNil(t, m)
	kb, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return kb / 1024
}

// TestLargeResultsKeepMemoryFlat reads some 600 MB in a format that is streamed
// and in one that goes through a file.
func TestLargeResultsKeepMemoryFlat(t *testing.T) {
	server := clickhousetest.Start(t)
	pid, ok := server.EnginePID()
	require.True(t, ok)
	before := [2]int{peakMB(t, pid), peakMB(t, os.Getpid())}
	for _, format := range []string{"JSONEachRow", "JSONCompact"} {
		u, err := url.Parse(server.Admin)
		require.NoError(t, err)
		u.Path = "/"
		u.RawQuery = url.Values{"default_format": {format}, "max_threads": {"2"}}.Encode()
		response, err := http.Post(u.String(), "text/plain", strings.NewReader("SELECT number, toString(number) AS text, [number, number] AS list FROM numbers(10000000)"))
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Greater(t, n, int64(300_000_000), format)
	}
	require.Less(t, peakMB(t, pid)-before[0], 250, "the engine held the result in memory")
	require.Less(t, peakMB(t, os.Getpid())-before[1], 100, "the endpoint held the result in memory")
}
