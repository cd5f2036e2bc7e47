package imports

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// LineStatus is what became of one row, or of one recorded row that the file
// lacks.
type LineStatus string

// What can become of a row.
const (
	LineRecorded        LineStatus = "recorded"
	LineAlreadyRecorded LineStatus = "already_recorded"
	LineCorrected       LineStatus = "corrected" // it took the place of a recorded row
	LineConflict        LineStatus = "conflict"  // contradicts what is recorded
	LineRejected        LineStatus = "rejected"  // breaks a rule, named by Violations
	LineNew             LineStatus = "new"       // not recorded: held back, see the job's needs
	// For recorded rows that the file lacks; these have no line.
	LineMissing   LineStatus = "missing"   // still counts
	LineLeft      LineStatus = "left"      // of a cancellation: not as the import recorded it any more, and not touched
	LineCancelled LineStatus = "cancelled" // does not count any more
)

// Line is one line of a job's report.
type Line struct {
	Line       int               `json:"line,omitzero"` // of the file, 1-based; 0 for rows that the file lacks
	Status     LineStatus        `json:"status"`
	EventID    string            `json:"event_id,omitempty"`    // event that holds it
	ExternalID string            `json:"external_id,omitempty"` // of rows that the file lacks
	Detail     string            `json:"detail,omitempty"`      // of conflicts and rejections, one sentence; of rows that the file lacks, what they are
	Violations []fault.Violation `json:"violations,omitempty"`
	Warnings   []fault.Violation `json:"warnings,omitempty"`

	early bool // refused before it was submitted
}

// report is a job's report, written in the order of the file.
type report struct {
	file *os.File
	w    *bufio.Writer

	rows     int64 // lines of rows
	lastLine int   // line of the last of them
	others   int64 // lines of rows that the file lacks
	counts   map[string]int64
}

// openReport opens a report where it broke off: a last line that is not whole
// is cut away, and everything before it stands.
func openReport(path string) (*report, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open report: %w", err)
	}
	r := &report{file: f, counts: map[string]int64{}}
	whole, err := r.resume()
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("resume report: %w", err), f.Close())
	}
	r.w = bufio.NewWriterSize(f, 256<<10)
	return r, nil
}

// resume counts what stands in the report and returns its whole bytes. After a
// power cut the tail may be anything: it ends at the first line that is none.
func (r *report) resume() (int64, error) {
	src := bufio.NewReaderSize(r.file, maxReportLine)
	var whole int64
	for {
		text, err := src.ReadSlice('\n')
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			return whole, nil
		}
		if err != nil {
			return 0, err
		}
		var line Line
		if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{'\n'}), &line); err != nil || line.Status == "" {
			return whole, nil //nolint:nilerr // what is no line is the torn end of the report
		}
		if line.Line > 0 && line.Line <= r.lastLine || line.Line == 0 && line.ExternalID == "" {
			return whole, nil
		}
		r.count(line)
		whole += int64(len(text))
	}
}

// maxReportLine bounds a line of a report: violations are cut to 200 bytes of
// value each, and a row has at most maxViolations of them.
const (
	maxReportLine = 1 << 20
	maxViolations = 100
)

func (r *report) count(line Line) {
	r.counts[string(line.Status)]++
	if line.Line > 0 {
		r.rows++
		r.lastLine = line.Line
	} else {
		r.others++
	}
}

// add writes a line, buffered.
func (r *report) add(line Line) error {
	line.Violations = line.Violations[:min(len(line.Violations), maxViolations)]
	line.Warnings = line.Warnings[:min(len(line.Warnings), maxViolations)]
	if err := json.MarshalWrite(r.w, line); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := r.w.WriteByte('\n'); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	r.count(line)
	return nil
}

// flush hands everything to the operating system: a kill of the process loses
// nothing of it.
func (r *report) flush() error {
	if err := r.w.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// finish makes the report durable.
func (r *report) finish() error {
	if err := r.flush(); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("sync report: %w", err)
	}
	return nil
}

func (r *report) close() error { return r.file.Close() }
