package imports

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// Status is where a job stands.
type Status string

// The statuses of a job. Done and Failed are final.
const (
	Queued  Status = "queued"
	Running Status = "running"
	Done    Status = "done"   // every row has its result
	Failed  Status = "failed" // the file could not be read to its end; Error says why
)

// Phase is what a running job is at.
type Phase string

// The phases of a running job.
const (
	Comparing Phase = "comparing" // keyless files: with what is recorded
	Recording Phase = "recording"
)

// Needs is what the sender must do for the rest of a file to be recorded.
type Needs string

// What can be needed.
const (
	NeedsNothing Needs = ""
	NeedsReplace Needs = "replace" // send it again with replace and a reason
	NeedsFix     Needs = "fix"     // mend the rejected rows, then replace
)

// Request is what comes with a file.
type Request struct {
	Profile    string
	Parameters map[string]string
	FileName   string // as the sender calls it; for people
	Replace    bool   // recorded rows that the file lacks are cancelled or corrected
	DryRun     bool   // nothing is recorded: the report says what would be
	CancelMost bool   // with Replace: also when most of what is recorded would be cancelled
	Reason     string // required with Replace
	Actor      string // who sends it; recorded with every event
}

// Job is an import as it is kept and shown.
type Job struct {
	ID         string            `json:"id"`
	Profile    string            `json:"profile"`
	Parameters map[string]string `json:"parameters,omitempty"`
	FileName   string            `json:"file,omitempty"`
	Bytes      int64             `json:"bytes"`  // as sent
	SHA256     string            `json:"sha256"` // of the bytes as sent, hex
	Replace    bool              `json:"replace"`
	DryRun     bool              `json:"dry_run"`              // nothing is recorded: the report says what would be
	CancelMost bool              `json:"cancel_most,omitzero"` // replace, also when most is cancelled
	Reason     string            `json:"reason,omitempty"`
	Actor      string            `json:"actor"`

	Status     Status     `json:"status"`
	Phase      Phase      `json:"phase,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`

	Rows        int64            `json:"rows"`       // with a result so far
	BytesRead   int64            `json:"bytes_read"` // of Bytes, in this phase
	Counts      map[string]int64 `json:"counts"`     // results by status
	Needs       Needs            `json:"needs,omitempty"`
	Explanation string           `json:"explanation,omitempty"` // of Needs, or of why the job waits
	Error       *Problem         `json:"error,omitempty"`       // of a failed job
	Attribution string           `json:"attribution,omitempty"` // of the profile's data

	Cancellation *Cancellation `json:"cancellation,omitempty"` // nil unless the import is, or was, cancelled
}

// Problem is why a job failed.
type Problem struct {
	Kind       string            `json:"kind"` // fault.Kind in words
	Detail     string            `json:"detail"`
	Violations []fault.Violation `json:"violations,omitempty"`
}

// manifest is a job as it lies in its folder.
type manifest struct {
	Job
	// SubmittedUpTo is the last line whose row may have been submitted: it is
	// durable before the row is. What lies between the report's end and this
	// line may be this job's own after a kill.
	SubmittedUpTo int `json:"submitted_up_to"`
	// Missing is how many recorded rows a keyless file lacks, and Held tells
	// that its new rows are held back for that. Part of the plan.
	Missing int64 `json:"missing"`
	Held    bool  `json:"held"`
	Broken  int64 `json:"broken"` // rows that the comparison found rejected
}

const (
	manifestFile = "job.json"
	bodyFile     = "body"
	reportFile   = "report.ndjson"
	planFile     = "plan"
	missingFile  = "missing"
)

// save writes the manifest so that a kill or a power cut leaves the old one or
// the new one, whole.
func (m *manifest) save(dir string) error {
	text, err := json.Marshal(m, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return writeDurably(filepath.Join(dir, manifestFile), text)
}

func loadManifest(dir string) (*manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := new(manifest)
	if err := json.Unmarshal(text, m, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", dir, err)
	}
	return m, nil
}

// writeDurably replaces a file: temporary, fsync, rename, fsync of the folder.
func writeDurably(path string, text []byte) (err error) {
	temporary := path + ".tmp"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, removeIfThere(temporary))
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
