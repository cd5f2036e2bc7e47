package httpapi

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ingest/profile/table"
)

// fileTypes are the content types that a file may be sent with. The last is
// what curl --data-binary says when it is told nothing.
var fileTypes = []string{"text/csv", imports.WorkbookType, "application/gzip", "application/x-gzip", "application/zstd", "application/octet-stream", "text/plain",
	"application/x-www-form-urlencoded"}

// postImport takes a file and answers 202 once it is durable.
func (h *Handler) postImport(w http.ResponseWriter, r *http.Request) error {
	req, err := importRequest(r)
	if err != nil {
		return err
	}
	if header := r.Header.Get("Content-Type"); header != "" {
		media, _, err := mime.ParseMediaType(header)
		if err != nil || !slices.Contains(fileTypes, media) {
			return unsupported("the body must be the file itself, as text/csv, XLSX, application/gzip, application/zstd or application/octet-stream")
		}
	}
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity", "gzip", "zstd": // kept as it is sent: the profile's reader unpacks both
	default:
		return unsupported("the Content-Encoding must be gzip, zstd or identity")
	}
	req.Actor = h.deps.Actor(r)
	body := &impatient{src: r.Body, control: http.NewResponseController(w), idle: h.cfg.IdleTimeout}
	job, err := h.deps.Imports.Create(body, req)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/imports/"+job.ID)
	h.write(w, r, http.StatusAccepted, "application/json", job)
	return nil
}

// importRequest reads the query: profile, dry_run, replace, cancel_most, reason,
// file, and param.NAME for the profile's parameters. Anything else is refused.
func importRequest(r *http.Request) (imports.Request, error) {
	req := imports.Request{Parameters: map[string]string{}}
	var bad []fault.Violation
	fail := func(rule, field, value, detail string) {
		bad = append(bad, flow.Violates(rule, fault.Clip(field), value, detail))
	}
	flag := func(name, value string) bool {
		is, err := strconv.ParseBool(value)
		if err != nil {
			fail("query-malformed", name, value, "It must be true or false.")
		}
		return is
	}
	values := r.URL.Query()
	for name, all := range values {
		if len(all) != 1 {
			fail("query-twice", name, strings.Join(all, ", "), "")
			continue
		}
		value := all[0]
		parameter, isParameter := strings.CutPrefix(name, "param.")
		switch {
		case name == "profile":
			req.Profile = value
		case name == "file":
			req.FileName = fault.Clip(value)
		case name == "reason":
			req.Reason = value
		case name == "replace":
			req.Replace = flag(name, value)
		case name == "cancel_most":
			req.CancelMost = flag(name, value)
		case name == "dry_run":
			req.DryRun = flag(name, value)
		case isParameter:
			req.Parameters[parameter] = value
		default:
			fail("query-unknown", name, value, "There are profile, dry_run, replace, cancel_most, reason, file, and param.NAME for the profile's parameters.")
		}
	}
	if req.Profile == "" {
		fail("query-missing", "profile", "", "It names the import profile.")
	}
	slices.SortFunc(bad, func(a, b fault.Violation) int { return strings.Compare(a.Field, b.Field) })
	if len(bad) > 0 {
		return req, &fault.Fault{Kind: fault.Invalid, Detail: "the query is not accepted", Violations: bad}
	}
	return req, nil
}

func (h *Handler) listImports(w http.ResponseWriter, r *http.Request) error {
	h.write(w, r, http.StatusOK, "application/json", map[string][]imports.Job{"imports": h.deps.Imports.List()})
	return nil
}

func (h *Handler) getImport(w http.ResponseWriter, r *http.Request) error {
	job, err := h.deps.Imports.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	h.write(w, r, http.StatusOK, "application/json", job)
	return nil
}

// getReport gives what became of each line, as far as the job is, as NDJSON or
// CSV; or the file itself.
func (h *Handler) getReport(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("format") == "file" {
		return h.getReturned(w, r)
	}
	asCSV, err := wantsCSV(r)
	if err != nil {
		return err
	}
	report, err := h.deps.Imports.Report(r.PathValue("id"))
	if err != nil {
		return err
	}
	h.sendReport(w, r, report, asCSV)
	return nil
}

// deleteImport asks for everything that an import recorded to be cancelled:
// 202, durable, and done by itself; 200 when it is done already.
func (h *Handler) deleteImport(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "reason")
	if err != nil {
		return err
	}
	job, err := h.deps.Imports.Cancel(r.PathValue("id"), values.Get("reason"), h.deps.Actor(r))
	if err != nil {
		return err
	}
	status := http.StatusAccepted
	if job.Cancellation.Status == imports.Done {
		status = http.StatusOK
	}
	w.Header().Set("Location", "/v1/imports/"+job.ID)
	h.write(w, r, status, "application/json", job)
	return nil
}

// getCancellation gives what became of each line that a cancelled import had
// recorded, as far as the cancellation is.
func (h *Handler) getCancellation(w http.ResponseWriter, r *http.Request) error {
	if format := r.URL.Query().Get("format"); format == "file" {
		return badQuery("format", format, "It must be ndjson or csv.")
	}
	asCSV, err := wantsCSV(r)
	if err != nil {
		return err
	}
	report, err := h.deps.Imports.CancelReport(r.PathValue("id"))
	if err != nil {
		return err
	}
	h.sendReport(w, r, report, asCSV)
	return nil
}

func (h *Handler) sendReport(w http.ResponseWriter, r *http.Request, report io.ReadCloser, asCSV bool) {
	var err error
	defer report.Close()
	timed := &timedWriter{w: w, h: h}
	if asCSV {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="report.csv"`)
		err = writeCSV(timed, report)
	} else {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, err = io.Copy(timed, report)
	}
	if err != nil {
		note(r.Context(), err)
		// The answer has begun: cut the connection, so that nobody takes a
		// part of a report for the whole.
		panic(http.ErrAbortHandler)
	}
}

func wantsCSV(r *http.Request) (bool, error) {
	switch format := r.URL.Query().Get("format"); format {
	case "csv":
		return true, nil
	case "ndjson":
		return false, nil
	case "":
		return strings.Contains(r.Header.Get("Accept"), "text/csv"), nil
	default:
		return false, &fault.Fault{Kind: fault.Invalid, Detail: "the query is not accepted", Violations: []fault.Violation{
			flow.Violates("query-malformed", "format", format, "It must be ndjson, csv or file."),
		}}
	}
}

// writeCSV writes a report with one row per line of the file.
func writeCSV(w io.Writer, report io.Reader) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"line", "status", "event_id", "external_id", "severity", "field", "rule", "value", "message"}); err != nil {
		return err
	}
	lines := bufio.NewScanner(report)
	lines.Buffer(make([]byte, 64<<10), 4<<20)
	for lines.Scan() {
		var line imports.Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read report: %w", err)
		}
		at := ""
		if line.Line > 0 {
			at = strconv.Itoa(line.Line)
		}
		severity, all := "", line.Warnings
		switch {
		case len(line.Violations) > 0:
			severity, all = "error", line.Violations
		case len(all) > 0:
			severity = "warning"
		}
		var fields, rules, values, messages []string
		for _, v := range all {
			fields, rules = append(fields, v.Field), append(rules, v.Rule)
			values, messages = append(values, v.Value), append(messages, v.Message)
		}
		row := []string{at, string(line.Status), line.EventID, line.ExternalID, severity,
			joined(fields), joined(rules), joined(values), joined(messages)}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return errors.Join(lines.Err(), out.Error())
}

// joined writes several texts in one cell. A text that a spreadsheet would
// take for a formula is quoted: it comes from somebody's file.
func joined(texts []string) string {
	s := strings.Join(texts, " | ")
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// timedWriter gives each write its own time.
type timedWriter struct {
	w http.ResponseWriter
	h *Handler
}

// Write writes with a deadline.
func (t *timedWriter) Write(p []byte) (int, error) {
	t.h.writeBy(t.w, time.Now().Add(t.h.cfg.IdleTimeout))
	return t.w.Write(p)
}

// packedFault gives the failures of unpacking a body their kind.
func packedFault(err error) error {
	var large *table.TooLarge
	switch {
	case errors.As(err, &large):
		return &fault.Fault{Kind: fault.TooLarge, Detail: "the body unpacks to too much", Cause: err,
			Violations: []fault.Violation{flow.Violates(large.Rule, "body", "", large.Allowed())}}
	case table.IsPacking(err):
		return damagedBody(err)
	}
	return err
}

func damagedBody(cause error) error {
	return &fault.Fault{Kind: fault.Malformed, Detail: "the compressed body cannot be unpacked", Cause: cause,
		Violations: []fault.Violation{flow.Violates("body-damaged", "body", "", "")}}
}
