package httpapi

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// Each file of testdata is a conversation with a fresh server:
//
//	>>> METHOD path        a request; {job} is the last import's id
//	Header: value
//
//	body
//	<<< status             its answer, scrubbed of what differs from run to run
//	Header: value          those of shownHeaders
//
//	body
//	=== wait               until the last import has ended
//	=== followed           until the index has followed what was recorded
//
//	# text                 said in between
//
// {next} is the cursor of the last page.
func TestExchanges(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			got := converse(t, string(text))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				return
			}
			require.Equal(t, string(text), got, "run with -update and look at the difference")
		})
	}
}

var shownHeaders = []string{"Allow", "Content-Type", "Content-Disposition", "Location", "Retry-After"}

func converse(t *testing.T, script string) string {
	t.Helper()
	w := newWorld(t, Config{SingleUser: true, MaxBodyBytes: 4000}, nil)
	var out bytes.Buffer
	job, next := "", ""
	for _, part := range splitBefore(script, ">>> ", "=== ", "<<< ", "# ") {
		switch {
		case strings.HasPrefix(part, "<<< "):
			continue // written anew below
		case strings.HasPrefix(part, "=== wait"):
			out.WriteString(part)
			_, err := w.imports.Wait(t.Context(), job)
			require.NoError(t, err)
			continue
		case strings.HasPrefix(part, "=== followed"):
			out.WriteString(part)
			w.followed()
			continue
		case !strings.HasPrefix(part, ">>> "):
			out.WriteString(part) // what the conversation is about
			continue
		}
		out.WriteString(part)
		head, body, _ := strings.Cut(part, "\n\n")
		lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
		method, path, ok := strings.Cut(strings.TrimPrefix(lines[0], ">>> "), " ")
		require.True(t, ok, lines[0])
		header := map[string]string{"X-Request-Id": "request-1"}
		for _, line := range lines[1:] {
			name, value, ok := strings.Cut(line, ": ")
			require.True(t, ok, line)
			header[name] = value
		}
		status, heads, answer := w.do(method, strings.NewReplacer("{job}", job, "{next}", next).Replace(path), header, strings.NewReader(strings.TrimSuffix(body, "\n")))
		require.Equal(t, "request-1", heads.Get("X-Request-Id"))
		require.Equal(t, "nosniff", heads.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", heads.Get("Cache-Control"))
		if location := heads.Get("Location"); strings.HasPrefix(location, "/v1/imports/") {
			job = strings.TrimPrefix(location, "/v1/imports/")
		}
		if cursor := cursors.FindStringSubmatch(answer); cursor != nil {
			next = cursor[1]
		}
		var answered strings.Builder
		fmt.Fprintf(&answered, "<<< %d %s\n", status, http.StatusText(status))
		for _, name := range shownHeaders {
			if value := heads.Get(name); value != "" {
				fmt.Fprintf(&answered, "%s: %s\n", name, value)
			}
		}
		fmt.Fprintf(&answered, "\n%s\n", answer)
		out.WriteString(scrub(answered.String(), job))
	}
	return out.String()
}

// scrub takes out what differs from run to run.
func scrub(s, job string) string {
	if job != "" {
		s = strings.ReplaceAll(s, job, "{job}")
	}
	s = positions.ReplaceAllString(s, `"position":{}`)
	s = cursors.ReplaceAllString(s, `"next":"{next}"`)
	return recorded.ReplaceAllString(s, "")
}

var (
	positions = regexp.MustCompile(`"position":\{[^}]*\}`)
	cursors   = regexp.MustCompile(`"next":"([^"]*)"`)
	recorded  = regexp.MustCompile(`,"recorded_at":"[^"]*"`) // shown once the log has delivered it
)

// splitBefore cuts a text before each line that begins with a mark.
func splitBefore(s string, marks ...string) []string {
	var parts []string
	var part strings.Builder
	for line := range strings.Lines(s) {
		for _, mark := range marks {
			if strings.HasPrefix(line, mark) && part.Len() > 0 {
				parts = append(parts, part.String())
				part.Reset()
			}
		}
		part.WriteString(line)
	}
	return append(parts, part.String())
}
