package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/stofstrom/stofstrom/ingest/imports"
)

const (
	// jobPause is how long the client waits before it asks again how far a
	// job is.
	jobPause = 150 * time.Millisecond
	// shownLines is how many lines that want attention are printed; all of
	// them are in the report.
	shownLines = 20
)

// quietStatuses are results that need nobody's attention.
var quietStatuses = []imports.LineStatus{imports.LineRecorded, imports.LineAlreadyRecorded, imports.LineCorrected, imports.LineCancelled}

type importOptions struct {
	profile  string
	params   map[string]string
	replace  bool
	most     bool
	reason   string
	report   string
	progress bool
	dryRun   bool
	watch    string
	settle   time.Duration
	lang     string

	key string // Idempotency-Key of the request; "" for none
}

func importCommand(s streams) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import --profile P FILE… | --watch DIR",
		Short: "Send files to a running server; per-line report",
		Long: "Sends each file to a running server, follows its job, and prints what became of its lines.\n" +
			"Sending a file again is always safe. Exit code 1 when a line was not recorded.\n\n" +
			"With --dry-run nothing is recorded: it shows what would become of each line.\n\n" +
			"With --watch it stays and takes the files that are dropped into a folder once nobody writes to them any more.\n" +
			"They end in done/, or in failed/ when somebody must look at them, with what became of their lines beside them.",
		Example: `  stofstrom import --profile wdi waste_received_2019.csv.gz
  stofstrom import --profile wdi --replace --reason "corrected by the operator" waste_received_2019.csv`,
	}
	server := serverFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.profile, "profile", "", "`name` of the profile that reads the files")
	flags.StringToStringVar(&o.params, "param", nil, "`name=value` of a parameter of the profile; may be repeated")
	flags.BoolVar(&o.replace, "replace", false, "the file replaces what was recorded from an earlier one: what it lacks is corrected or cancelled")
	flags.BoolVar(&o.most, "cancel-most", false, "with --replace: also when that cancels more than half of what is recorded")
	flags.StringVar(&o.reason, "reason", "", "`why` it is replaced; recorded with every change")
	flags.StringVar(&o.report, "report", "", "`file` that the whole report is written to, as CSV")
	flags.BoolVar(&o.dryRun, "dry-run", false, "show what would become of each line, and record nothing")
	flags.StringVar(&o.watch, "watch", "", "`folder` whose files are imported as they are dropped; stays until it is stopped")
	flags.DurationVar(&o.settle, "settle", 2*time.Second, "how long a dropped file must not have changed before it is taken")
	flags.StringVar(&o.lang, "lang", "en", "`language` of the files that --watch returns: en or da")
	flags.BoolVar(&o.progress, "progress", isTerminal(s.err), "show a progress bar")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		switch {
		case o.profile == "":
			return usageError{errors.New("--profile is missing: which profile reads the files?")}
		case o.lang != "en" && o.lang != "da":
			return usageError{fmt.Errorf("--lang %q is neither en nor da", o.lang)}
		case o.watch != "" && (len(files) > 0 || o.dryRun || o.report != ""):
			return usageError{errors.New("--watch takes no files, no --dry-run and no --report")}
		case o.watch == "" && len(files) == 0:
			return usageError{errors.New("no file is named")}
		case o.replace && strings.TrimSpace(o.reason) == "":
			return usageError{errors.New("--replace needs --reason: it is recorded with every change")}
		case o.most && !o.replace:
			return usageError{errors.New("--cancel-most goes with --replace: nothing else cancels rows")}
		case o.report != "" && len(files) > 1:
			return usageError{errors.New("--report takes the report of one file")}
		}
		if o.watch != "" {
			return watchFolder(cmd.Context(), s, *server, o)
		}
		attention := false
		for _, file := range files {
			needs, err := importFile(cmd.Context(), s, *server, file, o)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			attention = attention || needs
		}
		if attention {
			return exitError{exitFailed}
		}
		return nil
	}
	return cmd
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// importFile sends one file and tells whether a line of it wants attention.
func importFile(ctx context.Context, s streams, server, file string, o importOptions) (bool, error) {
	job, err := sendFile(ctx, server, file, o)
	if err != nil {
		return false, err
	}
	job, err = follow(ctx, s, server, job, o.progress)
	if err != nil {
		return false, err
	}
	if o.report != "" {
		report, err := ask(ctx, server, "/v1/imports/"+job.ID+"/report?format=csv")
		if err != nil {
			return false, err
		}
		if err := os.WriteFile(o.report, report, 0o644); err != nil {
			return false, err
		}
	}
	return printJob(ctx, s, server, file, job)
}

func sendFile(ctx context.Context, server, file string, o importOptions) (imports.Job, error) {
	f, err := os.Open(file)
	if err != nil {
		return imports.Job{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return imports.Job{}, err
	}
	if info.IsDir() {
		return imports.Job{}, usageError{errors.New("is a folder; name the files in it")}
	}
	if err := checkServer(server); err != nil {
		return imports.Job{}, err
	}
	query := url.Values{"profile": {o.profile}, "file": {filepath.Base(file)}}
	for name, value := range o.params {
		query.Set("param."+name, value)
	}
	if o.dryRun {
		query.Set("dry_run", "true")
	}
	if o.replace {
		query.Set("replace", "true")
		query.Set("reason", o.reason)
	}
	if o.most {
		query.Set("cancel_most", "true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(server, "/")+"/v1/imports?"+query.Encode(), f)
	if err != nil {
		return imports.Job{}, usageError{fmt.Errorf("--server %q: %w", server, err)}
	}
	req.ContentLength = info.Size()
	req.Header.Set("Content-Type", "application/octet-stream") // what it is, its first bytes say
	if o.key != "" {
		req.Header.Set("Idempotency-Key", o.key)
	}
	body, err := send(http.DefaultClient, req)
	if err != nil {
		return imports.Job{}, err
	}
	return readJob(body)
}

func readJob(body []byte) (imports.Job, error) {
	var job imports.Job
	if err := json.Unmarshal(body, &job); err != nil {
		return job, fmt.Errorf("reading the server's answer: %w", err)
	}
	return job, nil
}

// follow waits for the end of a job.
func follow(ctx context.Context, s streams, server string, job imports.Job, progress bool) (imports.Job, error) {
	var bar *progressbar.ProgressBar
	if progress {
		bar = progressbar.NewOptions64(job.Bytes,
			progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription(string(job.Status)),
			progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(jobPause))
	}
	again := time.NewTicker(jobPause)
	defer again.Stop()
	for job.Status != imports.Done && job.Status != imports.Failed {
		select {
		case <-again.C:
		case <-ctx.Done():
			return job, fmt.Errorf("no longer waiting; the job %s goes on by itself: %w", job.ID, ctx.Err())
		}
		body, err := ask(ctx, server, "/v1/imports/"+job.ID)
		if err != nil {
			return job, err
		}
		if job, err = readJob(body); err != nil {
			return job, err
		}
		if bar != nil {
			bar.Describe(string(job.Phase))
			if err := bar.Set64(job.BytesRead); err != nil {
				return job, fmt.Errorf("drawing progress: %w", err)
			}
		}
	}
	if bar != nil {
		return job, bar.Finish()
	}
	return job, nil
}

// printJob prints what became of a file, lines that want attention first.
func printJob(ctx context.Context, s streams, server, file string, job imports.Job) (bool, error) {
	fmt.Fprintf(s.out, "%s: %s, %d lines\n", file, job.Status, job.Rows)
	if job.DryRun {
		fmt.Fprintf(s.out, "A dry run: nothing was recorded. Sent without --dry-run, its lines would be:\n")
	}
	names := make([]string, 0, len(job.Counts))
	attention := job.Status == imports.Failed || job.Needs != ""
	loud := false
	for status, n := range job.Counts {
		names = append(names, status)
		if n > 0 && !slices.Contains(quietStatuses, imports.LineStatus(status)) {
			attention, loud = true, true
		}
	}
	slices.Sort(names)
	for _, status := range names {
		fmt.Fprintf(s.out, "%10d %s\n", job.Counts[status], strings.ReplaceAll(status, "_", " "))
	}
	if job.Error != nil {
		fmt.Fprintf(s.out, "%s\n", job.Error.Detail)
		for _, v := range job.Error.Violations {
			fmt.Fprintf(s.out, "  %s\n", v)
		}
	}
	if loud {
		if err := printLines(ctx, s, server, job.ID); err != nil {
			return attention, err
		}
	}
	if job.Explanation != "" {
		fmt.Fprintf(s.out, "%s\n", job.Explanation)
	}
	return attention, nil
}

// printLines prints the first lines of the report that want attention.
func printLines(ctx context.Context, s streams, server, id string) error {
	report, err := ask(ctx, server, "/v1/imports/"+id+"/report?format=ndjson")
	if err != nil {
		return err
	}
	shown, more := 0, 0
	scanner := bufio.NewScanner(strings.NewReader(string(report)))
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		var line imports.Line
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return fmt.Errorf("reading the report: %w", err)
		}
		if slices.Contains(quietStatuses, line.Status) {
			continue
		}
		if shown == shownLines {
			more++
			continue
		}
		shown++
		status := strings.ReplaceAll(string(line.Status), "_", " ")
		if line.Line == 0 { // recorded, and the file lacks it
			fmt.Fprintf(s.out, "%s: %s\n", status, cmp.Or(line.Detail, line.ExternalID))
		} else {
			fmt.Fprintf(s.out, "line %d: %s\n", line.Line, status)
			if line.Detail != "" {
				fmt.Fprintf(s.out, "  %s\n", line.Detail)
			}
		}
		for _, v := range line.Violations {
			fmt.Fprintf(s.out, "  %s: %s (rule %s, value %q)\n", v.Field, v.Message, v.Rule, v.Value)
		}
	}
	if more > 0 {
		fmt.Fprintf(s.out, "and %d more; the whole report: GET /v1/imports/%s/report\n", more, id)
	}
	return scanner.Err()
}
