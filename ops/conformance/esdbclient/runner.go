package esdbclient

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/go-json-experiment/json"
)

const clientModule = "github.com/EventStore/EventStore-Client-Go/v4"

//go:embed testdata/containers_test.go.txt
var containersFile []byte

// ExpectedPasses is how many tests pass, over both modes. It is fixed, so that
// the suite cannot shrink unseen.
const ExpectedPasses = 77

// Reasons for leaving a test out. There are no others.
const (
	reasonPersistent = "persistent subscriptions"
	reasonProjection = "projections in JavaScript"
	reasonDataSet    = "the vendor's data set of 20 million events"
)

// leftOut names the tests that are not run, by path, with the reason.
var leftOut = []struct{ test, reason string }{
	{"TestPersistentSubscriptions", reasonPersistent},
	{"TestProjections", reasonProjection},
	{"TestStreams/AuthenticationTests/callInsecureWithoutCredentials", reasonPersistent},
	{"TestStreams/AuthenticationTests/callInsecureWithInvalidCredentials", reasonPersistent},
	{"TestStreams/AuthenticationTests/callWithTLSAndDefaultCredentials", reasonPersistent},
	{"TestStreams/AuthenticationTests/callWithTLSAndOverrideCredentials", reasonPersistent},
	{"TestStreams/ReadStreamTests/readStreamEventsForwardsFromZeroPosition", reasonDataSet},
	{"TestStreams/ReadStreamTests/readStreamEventsBackwardsFromEndPosition", reasonDataSet},
	{"TestStreams/SubscriptionTests/allSubscriptionWithFilterDeliversCorrectEvents", reasonDataSet},
	{"TestExpectations/ReadAllTests/readAllEventsForwardsFromZeroPosition(", reasonDataSet},
	{"TestExpectations/ReadAllTests/readAllEventsForwardsFromNonZeroPosition", reasonDataSet},
	{"TestExpectations/ReadAllTests/readAllEventsBackwardsFromZeroPosition", reasonDataSet},
	{"TestExpectations/ReadAllTests/readAllEventsBackwardsFromNonZeroPosition", reasonDataSet},
}

// mode is one run of the suite.
type mode struct {
	name     string
	insecure bool
	run      string // which top-level tests
	skip     string
}

var modes = []mode{
	{name: "in the clear", insecure: true, run: ".", skip: "TestPlugins"}, // TestPlugins is about TLS, see the other mode
	{name: "with TLS", insecure: false, run: "TestStreams|TestPlugins|TestExpectations"},
}

// Result of one test in one mode.
type Result struct {
	Mode, Test, Outcome string // Outcome: pass, fail or skip
	Output              string // of a failed test
}

// Summary of all runs.
type Summary struct {
	Results []Result
	LeftOut int
}

// Count says how many tests ended so: pass, fail or skip.
func (s *Summary) Count(outcome string) int {
	n := 0
	for _, r := range s.Results {
		if r.Outcome == outcome {
			n++
		}
	}
	return n
}

// Run copies the suite into dir, which must be empty, runs it against nodes
// that binary serves (see [Serve]) and returns what came of each test.
func Run(ctx context.Context, repository, dir, binary string) (*Summary, error) {
	source, err := moduleDir(ctx, repository)
	if err != nil {
		return nil, err
	}
	if err := prepare(source, repository, dir); err != nil {
		return nil, err
	}
	if err := checkLeftOut(filepath.Join(dir, "esdb")); err != nil {
		return nil, err
	}
	if err := writeCertificates(filepath.Join(dir, "certs")); err != nil {
		return nil, err
	}
	s := &Summary{LeftOut: len(leftOut)}
	for _, m := range modes {
		results, err := runMode(ctx, dir, binary, m)
		if err != nil {
			return nil, fmt.Errorf("run the suite %s: %w", m.name, err)
		}
		s.Results = append(s.Results, results...)
	}
	return s, nil
}

func moduleDir(ctx context.Context, repository string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", clientModule)
	cmd.Dir = repository
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", clientModule, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// prepare lays the module out under dir, with our versions of its dependencies.
func prepare(source, repository, dir string) error {
	for _, part := range []string{"esdb", "protos", "resources"} {
		if err := copyTree(filepath.Join(source, part), filepath.Join(dir, part)); err != nil {
			return fmt.Errorf("copy %s: %w", part, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "esdb", "containers_test.go"), containersFile, 0o600); err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		return err
	}
	var lines []string
	inTool := false
	for line := range strings.Lines(string(mod)) {
		switch {
		case strings.HasPrefix(line, "module "):
			line = "module " + clientModule + "\n"
		case strings.HasPrefix(line, "tool ("):
			inTool = true
		case strings.HasPrefix(line, "tool ") || strings.Contains(line, clientModule+" "):
			continue
		}
		if inTool {
			inTool = !strings.HasPrefix(line, ")")
			continue
		}
		lines = append(lines, line)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(strings.Join(lines, "")), 0o600); err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(repository, "go.sum"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600)
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}

// checkLeftOut makes sure that each test we leave out is one of the suite's,
// so that the list cannot outlive what it names.
func checkLeftOut(dir string) error {
	var sources strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		sources.Write(content)
	}
	for _, l := range leftOut {
		leaf := l.test[strings.LastIndexByte(l.test, '/')+1:]
		if !strings.Contains(sources.String(), `"`+leaf+`"`) && !strings.Contains(sources.String(), "func "+leaf+"(") {
			return fmt.Errorf("the suite has no test %s; it is left out in vain", l.test)
		}
	}
	return nil
}

// skipPattern is the suite's -skip argument for a mode.
func skipPattern(m mode) string {
	var patterns []string
	for _, l := range leftOut {
		var parts []string
		for part := range strings.SplitSeq(l.test, "/") {
			parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
		}
		patterns = append(patterns, strings.Join(parts, "/"))
	}
	if m.skip != "" {
		patterns = append(patterns, "^"+m.skip+"$")
	}
	return strings.Join(patterns, "|")
}

// testEvent is one line of go test -json.
type testEvent struct {
	Action, Test, Output string
}

func runMode(ctx context.Context, dir, binary string, m mode) ([]Result, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-mod=mod", "-json", "-count=1", "-timeout=5m", "-run", m.run, "-skip", skipPattern(m), "./esdb")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off",
		"STOFSTROM_CONFORMANCE_BINARY="+binary,
		"STOFSTROM_CONFORMANCE_CERTS="+filepath.Join(dir, "certs"),
		fmt.Sprintf("EVENTSTORE_INSECURE=%t", m.insecure))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	results, other, readErr := collect(out, m.name)
	waitErr := cmd.Wait()
	var exit *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &exit) {
		readErr = errors.Join(readErr, waitErr)
	}
	if readErr == nil && len(results) == 0 {
		readErr = fmt.Errorf("no test ran: %s", other)
	}
	return results, readErr
}

// collect keeps the innermost tests only: a test with subtests is not counted
// beside them.
func collect(out io.Reader, modeName string) (results []Result, other string, err error) {
	outcome, output := map[string]string{}, map[string]string{}
	parents := map[string]bool{}
	var rest strings.Builder
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e testEvent
		if err := json.Unmarshal(lines.Bytes(), &e, json.MatchCaseInsensitiveNames(true)); err != nil {
			rest.Write(lines.Bytes())
			rest.WriteByte('\n')
			continue
		}
		if e.Test == "" {
			rest.WriteString(e.Output)
			continue
		}
		for at := strings.LastIndexByte(e.Test, '/'); at > 0; at = strings.LastIndexByte(e.Test[:at], '/') {
			parents[e.Test[:at]] = true
		}
		switch e.Action {
		case "run":
			outcome[e.Test] = "fail" // until it says otherwise: a crash says nothing
		case "pass", "fail", "skip":
			outcome[e.Test] = e.Action
		case "output":
			output[e.Test] += e.Output
		}
	}
	for test, o := range outcome {
		if parents[test] && o != "fail" {
			continue
		}
		r := Result{Mode: modeName, Test: test, Outcome: o}
		if o == "fail" {
			r.Output = output[test]
		}
		results = append(results, r)
	}
	sort.Slice(results, func(i, j int) bool { return results[i].Test < results[j].Test })
	return results, rest.String(), lines.Err()
}

// Print writes the summary for people.
func (s *Summary) Print(w io.Writer) error {
	var b strings.Builder
	for _, r := range s.Results {
		if r.Outcome == "fail" {
			fmt.Fprintf(&b, "FAILED  %s (%s)\n%s\n", r.Test, r.Mode, r.Output)
		}
	}
	for _, r := range s.Results {
		if r.Outcome == "skip" {
			fmt.Fprintf(&b, "skipped %s (%s): by the suite itself, it is for the other mode\n", r.Test, r.Mode)
		}
	}
	for _, l := range leftOut {
		fmt.Fprintf(&b, "skipped %s: needs %s\n", l.test, l.reason)
	}
	b.WriteString("skipped ClusterTests and the like: the suite runs them only when told to use a cluster\n")
	fmt.Fprintf(&b, "passed %d, failed %d, skipped by the suite %d, left out %d\n", s.Count("pass"), s.Count("fail"), s.Count("skip"), s.LeftOut)
	_, err := io.WriteString(w, b.String())
	return err
}
