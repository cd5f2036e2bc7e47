package imports

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// clean removes finished jobs that are too old, too many or too large
// together, oldest first.
func (m *Manager) clean() {
	for _, e := range m.removable() {
		if !m.forget(e) {
			continue
		}
		// Renamed first, so that a kill leaves no half job under a job's name.
		gone := filepath.Join(m.cfg.Dir, incomingDir, "removed-"+e.man.ID)
		if err := os.Rename(e.dir, gone); err != nil {
			m.log.Error("finished import cannot be removed", "import", e.man.ID, "error", err)
			continue
		}
		if err := os.RemoveAll(gone); err != nil {
			m.log.Error("finished import cannot be removed", "import", e.man.ID, "error", err)
		}
	}
}

// forget takes a job off the list, unless it has something to do again.
func (m *Manager) forget(e *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !e.man.over() {
		return false
	}
	delete(m.jobs, e.man.ID)
	return true
}

func (m *Manager) removable() []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var finished []*entry
	var total int64
	for _, e := range m.jobs {
		if e.man.over() {
			finished = append(finished, e)
			total += e.man.Bytes
		}
	}
	slices.SortFunc(finished, func(a, b *entry) int { return cmp.Compare(a.man.ID, b.man.ID) })
	oldest := m.deps.Now().Add(-m.cfg.KeepFor)
	var out []*entry
	for i, e := range finished {
		left := len(finished) - i
		if left <= m.cfg.KeepJobs && total <= m.cfg.KeepBytes && (e.man.FinishedAt == nil || !e.man.FinishedAt.Before(oldest)) {
			break
		}
		total -= e.man.Bytes
		out = append(out, e)
	}
	return out
}

// openLines opens a file of lines as it stands; one that is not there has none.
func openLines(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("open report: %w", err)
	}
	return wholeLines(f)
}

// wholeLines reads a file that may be growing up to its last whole line.
func wholeLines(f *os.File) (io.ReadCloser, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// The last line break lies within the last line's length of the end.
	from := max(0, end-maxReportLine)
	tail := make([]byte, end-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	whole := from + int64(bytes.LastIndexByte(tail, '\n')) + 1
	return &section{Reader: io.NewSectionReader(f, 0, whole), file: f}, nil
}

type section struct {
	io.Reader
	file *os.File
}

// Close closes the file.
func (s *section) Close() error { return s.file.Close() }
