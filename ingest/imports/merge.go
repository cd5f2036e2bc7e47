package imports

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/stofstrom/stofstrom/ingest/imports/extsort"
	"github.com/stofstrom/stofstrom/ingest/profile"
)

// comparison merges the rows of a file with the recorded rows of its scope.
// Both are multisets: of n equal rows in the file and m in the books, the
// lesser number is the same, whichever lines and ordinals they have.
type comparison struct {
	plan    *extsort.Sorter
	missing io.Writer
	pair    bool // a new row takes the place of a missing one that differs in the measure only

	lacking int64 // recorded rows that the file lacks, before pairing
	gone    int64 // of these, those that no new row takes the place of
	live    int64 // recorded rows of the scope
	record  []byte
}

// newRow is a row of the file that is not recorded.
type newRow struct {
	key     profile.Key
	line    uint64
	ordinal uint32
}

// cursor looks at the next record of a sorted reader.
type cursor struct {
	src  *extsort.Reader
	rec  []byte
	more bool
}

func newCursor(s *extsort.Sorter, size int) (*cursor, error) {
	src, err := s.Sorted()
	if err != nil {
		return nil, err
	}
	c := &cursor{src: src, rec: make([]byte, size)}
	return c, c.advance()
}

func (c *cursor) advance() error {
	err := c.src.Next(c.rec)
	c.more = err == nil
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (c *cursor) key() profile.Key { return parseKey(c.rec) }

// merge goes through both in the order of their keys, group by group.
func (c *comparison) merge(rows, live *extsort.Sorter) error {
	file, err := newCursor(rows, fileRecord)
	if err != nil {
		return err
	}
	books, err := newCursor(live, liveRecord)
	if err != nil {
		return err
	}
	for file.more || books.more {
		group := least(file, books).Group
		var added []newRow
		var gone []missing
		for inGroup(file, group) || inGroup(books, group) {
			key := least(file, books)
			if !bytes.Equal(key.Group[:], group[:]) {
				break
			}
			if err := c.equal(key, file, books, &added, &gone); err != nil {
				return err
			}
		}
		if err := c.group(added, gone); err != nil {
			return err
		}
	}
	return nil
}

func least(a, b *cursor) profile.Key {
	switch {
	case !a.more:
		return b.key()
	case !b.more || a.key().Compare(b.key()) <= 0:
		return a.key()
	}
	return b.key()
}

func inGroup(c *cursor, group [16]byte) bool { return c.more && bytes.Equal(c.rec[:16], group[:]) }

// equal takes the rows of one key from both sides: as many as both have are
// the same; the rest is new or gone.
func (c *comparison) equal(key profile.Key, file, books *cursor, added *[]newRow, gone *[]missing) error {
	var lines []uint64
	for file.more && file.key() == key {
		lines = append(lines, binary.BigEndian.Uint64(file.rec[24:]))
		if err := file.advance(); err != nil {
			return err
		}
	}
	var recorded []missing
	for books.more && books.key() == key {
		recorded = append(recorded, parseMissing(books.rec))
		c.live++
		if err := books.advance(); err != nil {
			return err
		}
	}
	same := min(len(lines), len(recorded))
	for i := range same {
		if err := c.decide(decision{line: lines[i], act: actSame, ordinal: recorded[i].ordinal}); err != nil {
			return err
		}
	}
	*gone = append(*gone, recorded[same:]...)
	// New rows take the lowest ordinals that no live row has. One that was
	// cancelled before is refused or revived by its ledger, not stepped around:
	// a file sent by mistake must not count again under another name.
	next, taken := uint32(1), recorded
	for _, line := range lines[same:] {
		for len(taken) > 0 && taken[0].ordinal <= next {
			if taken[0].ordinal == next {
				next++
			}
			taken = taken[1:]
		}
		*added = append(*added, newRow{key: key, line: line, ordinal: next})
		next++
	}
	return nil
}

// group decides on what one group gained and lost.
func (c *comparison) group(added []newRow, gone []missing) error {
	c.lacking += int64(len(gone))
	pairs := 0
	if c.pair {
		pairs = min(len(added), len(gone))
	}
	for i, row := range added {
		d := decision{line: row.line, act: actNew, ordinal: row.ordinal}
		if i < pairs {
			d.act, d.replaces, d.old = actReplace, gone[i].key, gone[i].ordinal
		}
		if err := c.decide(d); err != nil {
			return err
		}
	}
	c.gone += int64(len(gone) - pairs)
	for _, m := range gone[pairs:] {
		c.record = m.bytes(c.record)
		if _, err := c.missing.Write(c.record); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) decide(d decision) error {
	c.record = d.bytes(c.record)
	return c.plan.Add(c.record)
}
