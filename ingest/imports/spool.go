package imports

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/profile"
)

// Folders of the spool. A file is received below incoming and renamed, whole
// and synced, to jobs: what lies in jobs was accepted, what lies in incoming
// was not.
const (
	incomingDir = "incoming"
	jobsDir     = "jobs"
)

// Create takes a file and returns its job, which is durable then. Errors are
// *fault.Fault: NotFound (no such profile), Invalid and Malformed (parameters,
// reason, or a file whose headings are not the profile's), TooLarge, NoRoom,
// Unavailable (too many jobs wait); or what reading the file failed with.
// After an error nothing is kept.
func (m *Manager) Create(body io.Reader, req Request) (Job, error) {
	bound, err := m.bind(req)
	if err != nil {
		return Job{}, err
	}
	if err := m.reserve(); err != nil {
		return Job{}, err
	}
	defer m.unreserve()
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, fmt.Errorf("make a job id: %w", err)
	}
	dir := filepath.Join(m.cfg.Dir, incomingDir, id.String())
	job, err := m.receive(dir, id.String(), body, req, bound)
	if err != nil {
		return Job{}, errors.Join(noRoom(err), os.RemoveAll(dir))
	}
	return job, nil
}

// bind checks what can be checked before the file is read.
func (m *Manager) bind(req Request) (*profile.Bound, error) {
	p, ok := m.deps.Profiles[req.Profile]
	if !ok {
		return nil, &fault.Fault{Kind: fault.NotFound, Detail: "there is no such import profile", Violations: []fault.Violation{
			flow.Violates("profile-unknown", "profile", req.Profile, "It must be one of "+m.profileNames()+"."),
		}}
	}
	bound, err := p.Bind(req.Parameters)
	if err != nil {
		return nil, err
	}
	if req.CancelMost && !req.Replace {
		return nil, &fault.Fault{Kind: fault.Invalid, Detail: "most is to be cancelled, but nothing is to be replaced", Violations: []fault.Violation{
			flow.Violates("cancel-most-without-replace", "cancel_most", "true", "Give replace=true as well."),
		}}
	}
	if req.Replace {
		if !bound.Keyless() {
			return nil, &fault.Fault{Kind: fault.Invalid, Detail: "the profile's rows have ids of their own", Violations: []fault.Violation{
				flow.Violates("replace-not-keyless", "replace", "true", ""),
			}}
		}
		if bad := flow.CheckReason(req.Reason); len(bad) > 0 {
			return nil, &fault.Fault{Kind: fault.Invalid, Detail: "replacing needs a reason", Violations: bad}
		}
	} else if req.Reason != "" {
		return nil, &fault.Fault{Kind: fault.Invalid, Detail: "a reason is given, but nothing is to be replaced", Violations: []fault.Violation{
			flow.Violates("reason-without-replace", "reason", req.Reason, "Give replace=true as well, or no reason."),
		}}
	}
	return bound, nil
}

// receive writes the file and its manifest, both synced, and renames their
// folder to where jobs lie.
func (m *Manager) receive(dir, id string, body io.Reader, req Request, bound *profile.Bound) (Job, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return Job{}, fmt.Errorf("make spool folder: %w", err)
	}
	size, sum, err := m.spool(filepath.Join(dir, bodyFile), body)
	if err != nil {
		return Job{}, err
	}
	if err := m.checkHeading(filepath.Join(dir, bodyFile), bound); err != nil {
		return Job{}, err
	}
	man := &manifest{Job: Job{
		ID: id, Profile: req.Profile, Parameters: bound.Parameters(), FileName: req.FileName, Bytes: size, SHA256: sum,
		Replace: req.Replace, CancelMost: req.CancelMost, DryRun: req.DryRun, Reason: req.Reason, Actor: req.Actor, Status: Queued, CreatedAt: m.deps.Now().UTC(),
		Counts: map[string]int64{}, Attribution: bound.Profile().Attribution(),
	}}
	if err := man.save(dir); err != nil {
		return Job{}, err
	}
	if err := m.stepOf(stepSpooled); err != nil {
		return Job{}, err
	}
	final := filepath.Join(m.cfg.Dir, jobsDir, id)
	if err := os.Rename(dir, final); err != nil {
		return Job{}, fmt.Errorf("accept file: %w", err)
	}
	if err := syncDir(filepath.Dir(final)); err != nil {
		return Job{}, fmt.Errorf("accept file: %w", err)
	}
	m.deps.Metrics.bytes.Add(float64(size))
	if err := m.stepOf(stepAccepted); err != nil {
		return Job{}, err
	}
	job := man.Job
	m.enqueue(&entry{man: man, dir: final})
	return job, nil
}

// spool copies the body to a file and syncs it.
func (m *Manager) spool(path string, body io.Reader) (size int64, sum string, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return 0, "", fmt.Errorf("open spool file: %w", err)
	}
	hash := sha256.New()
	w := bufio.NewWriterSize(f, 256<<10)
	size, err = io.Copy(io.MultiWriter(w, hash), io.LimitReader(body, m.cfg.MaxFileBytes+1))
	if err == nil && size > m.cfg.MaxFileBytes {
		err = &fault.Fault{Kind: fault.TooLarge, Detail: "the file is too large", Violations: []fault.Violation{
			flow.Violates("file-too-large", "file", "", fmt.Sprintf("It may have at most %d bytes as it is sent.", m.cfg.MaxFileBytes)),
		}}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return size, hex.EncodeToString(hash.Sum(nil)), errors.Join(err, f.Close())
}

// checkHeading refuses a file of another shape before it becomes a job.
func (m *Manager) checkHeading(path string, bound *profile.Bound) error {
	f, src, err := body(filepath.Dir(path))
	if err != nil {
		return err
	}
	dec, err := bound.Open(src, m.cfg.Limits)
	if err == nil {
		err = dec.Close()
	}
	return errors.Join(err, f.Close())
}

// noRoom makes a fault of a full disk.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.Wrap(fault.NoRoom, err, "the disk of the import spool is full; nothing of the file was kept")
	}
	return err
}
