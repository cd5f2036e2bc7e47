package imports

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// clean removes finished jobs that are too old, too many or too large
// together, oldest first.
func (m *Manager) clean() {
	for _, e := range m.removable() {
		m.mu.Lock()
		delete(m.jobs, e.man.ID)
		m.mu.Unlock()
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

func (m *Manager) removable() []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	var finished []*entry
	var total int64
	for _, e := range m.jobs {
		if e.man.Status == Done || e.man.Status == Failed {
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
