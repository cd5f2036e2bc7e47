package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const headName = "HEAD"

// headFile remembers, outside Pebble, the last position that was made durable.
//
// After a crash Pebble takes damage at the very end of its write-ahead log for
// a write that was torn by the crash, and drops it without a word. The file
// tells the two apart: it is written after the sync, so a log that ends before
// it has lost acknowledged events. It is not synced itself: it survives the
// process, and after a power cut it is merely behind.
//
// Layout: position (8 bytes, big-endian), CRC-32C of them (4 bytes, big-endian).
type headFile struct {
	file vfs.File
	buf  [12]byte
}

func openHead(fs vfs.FS, dir string) (*headFile, error) {
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, headName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", headName, err)
	}
	return &headFile{file: f}, nil
}

// read returns 0 if nothing readable was written yet. A head that fails its
// own checksum was torn by a power cut, or is itself what is damaged; in
// either case the log stands without it.
func (h *headFile) read() (position uint64, intact bool, err error) {
	var buf [12]byte
	n, err := h.file.ReadAt(buf[:], 0)
	if n < len(buf) {
		if info, statErr := h.file.Stat(); statErr == nil && info.Size() < int64(len(buf)) {
			return 0, info.Size() == 0, nil
		}
		return 0, false, fmt.Errorf("read %s: %w", headName, err)
	}
	if crc32.Checksum(buf[:8], castagnoli) != binary.BigEndian.Uint32(buf[8:]) {
		return 0, false, nil
	}
	return binary.BigEndian.Uint64(buf[:8]), true, nil
}

func (h *headFile) write(position uint64) error {
	binary.BigEndian.PutUint64(h.buf[:8], position)
	binary.BigEndian.PutUint32(h.buf[8:], crc32.Checksum(h.buf[:8], castagnoli))
	if _, err := h.file.WriteAt(h.buf[:], 0); err != nil {
		return fmt.Errorf("write %s: %w", headName, err)
	}
	return nil
}

// checkHead refuses a log that ends before the last acknowledged event.
func (s *Store) checkHead(end uint64) error {
	acknowledged, intact, err := s.head.read()
	if err != nil {
		return err
	}
	if !intact {
		s.log.Warn("event log: the file that remembers the last position is damaged, it is written anew", "file", headName)
	}
	if acknowledged > end {
		return &CorruptionError{Position: end + 1, Err: fmt.Errorf(
			"the log ends at position %d, but events up to %d were acknowledged: the end of the write-ahead log (*.log in %s) is damaged", end, acknowledged, s.cfg.Dir)}
	}
	return s.head.write(end)
}

// writeHeadFile leaves a head in a backup, so that a damaged one is told too.
func writeHeadFile(dir string, position uint64) (err error) {
	f, err := os.OpenFile(dir+string(os.PathSeparator)+headName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var buf [12]byte
	binary.BigEndian.PutUint64(buf[:8], position)
	binary.BigEndian.PutUint32(buf[8:], crc32.Checksum(buf[:8], castagnoli))
	if _, err := f.Write(buf[:]); err != nil {
		return err
	}
	return f.Sync()
}
