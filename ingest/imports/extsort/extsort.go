// Package extsort sorts more fixed-size records than memory should hold: in
// runs on disk, merged while they are read. Its promise is flat memory and a
// total order by bytes; it leaves out durability, since what is sorted can be
// sorted again.
package extsort

import (
	"bufio"
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Sorter collects records and gives them back in the order of their bytes.
// For one goroutine.
type Sorter struct {
	dir  string
	size int // bytes of one record
	room int // bytes of a run

	buf  []byte
	runs []*os.File
}

// New makes a sorter for records of size bytes that keeps its runs, of about
// runBytes each, in dir. They are deleted from the folder at once and freed
// by Close.
func New(dir string, size, runBytes int) *Sorter {
	return &Sorter{dir: dir, size: size, room: max(runBytes/size, 1) * size}
}

// Add takes a copy of a record.
func (s *Sorter) Add(record []byte) error {
	if len(record) != s.size {
		return fmt.Errorf("record of %d bytes, want %d", len(record), s.size)
	}
	if len(s.buf)+s.size > s.room {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buf = append(s.buf, record...)
	return nil
}

// sortBuffer orders the records in memory by sorting their places.
func (s *Sorter) sortBuffer() []int {
	at := make([]int, len(s.buf)/s.size)
	for i := range at {
		at[i] = i * s.size
	}
	slices.SortFunc(at, func(a, b int) int { return bytes.Compare(s.buf[a:a+s.size], s.buf[b:b+s.size]) })
	return at
}

func (s *Sorter) spill() error {
	f, err := os.CreateTemp(s.dir, "run-*.tmp")
	if err != nil {
		return fmt.Errorf("open sort run: %w", err)
	}
	s.runs = append(s.runs, f)
	// Nobody else needs the name, and a crash leaves nothing behind.
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("unlink sort run: %w", err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	for _, at := range s.sortBuffer() {
		if _, err := w.Write(s.buf[at : at+s.size]); err != nil {
			return fmt.Errorf("write sort run: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write sort run: %w", err)
	}
	s.buf = s.buf[:0]
	return nil
}

// Reader gives records in order.
type Reader struct {
	size  int
	heads heads
}

// Sorted ends adding and returns a reader over all records.
func (s *Sorter) Sorted() (*Reader, error) {
	r := &Reader{size: s.size}
	sources := make([]io.Reader, 0, len(s.runs)+1)
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("rewind sort run: %w", err)
		}
		sources = append(sources, bufio.NewReaderSize(f, 64<<10))
	}
	if len(s.buf) > 0 {
		sorted := make([]byte, 0, len(s.buf))
		for _, at := range s.sortBuffer() {
			sorted = append(sorted, s.buf[at:at+s.size]...)
		}
		s.buf = nil
		sources = append(sources, bytes.NewReader(sorted))
	}
	for _, src := range sources {
		h := &head{src: src, record: make([]byte, s.size)}
		if err := h.advance(); err != nil {
			if errors.Is(err, io.EOF) {
				continue
			}
			return nil, err
		}
		r.heads = append(r.heads, h)
	}
	heap.Init(&r.heads)
	return r, nil
}

// Next copies the next record into a slice of its size; io.EOF at the end.
func (r *Reader) Next(into []byte) error {
	if len(r.heads) == 0 {
		return io.EOF
	}
	copy(into, r.heads[0].record)
	switch err := r.heads[0].advance(); {
	case errors.Is(err, io.EOF):
		heap.Pop(&r.heads)
	case err != nil:
		return err
	default:
		heap.Fix(&r.heads, 0)
	}
	return nil
}

// Close frees memory and disk.
func (s *Sorter) Close() error {
	var errs []error
	for _, f := range s.runs {
		errs = append(errs, f.Close())
	}
	s.runs, s.buf = nil, nil
	return errors.Join(errs...)
}

type head struct {
	src    io.Reader
	record []byte
}

func (h *head) advance() error {
	_, err := io.ReadFull(h.src, h.record)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read sort run: %w", err)
	}
	return err
}

type heads []*head

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return bytes.Compare(h[i].record, h[j].record) < 0 }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *heads) Push(x any) {
	if head, ok := x.(*head); ok {
		*h = append(*h, head)
	}
}

// Pop removes the last head.
func (h *heads) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
