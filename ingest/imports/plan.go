package imports

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/imports/extsort"
	"github.com/stofstrom/stofstrom/ingest/profile"
)

// action is what the plan says of one row of a keyless file.
type action uint8

const (
	actSame    action = 1 // it is recorded
	actNew     action = 2 // it is not
	actReplace action = 3 // it takes the place of a recorded row that the file lacks
)

// decision is the plan for one row. Its bytes sort by line.
type decision struct {
	line     uint64
	act      action
	ordinal  uint32      // of the row's own identity
	replaces profile.Key // actReplace: identity it stands in for (Group is the row's own)
	old      uint32      // actReplace: ordinal of that identity
}

const decisionSize = 8 + 1 + 4 + 8 + 4

func (d decision) bytes(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b[:0], d.line)
	b = append(b, byte(d.act))
	b = binary.BigEndian.AppendUint32(b, d.ordinal)
	b = append(b, d.replaces.Measure[:]...)
	return binary.BigEndian.AppendUint32(b, d.old)
}

func parseDecision(b []byte) decision {
	d := decision{line: binary.BigEndian.Uint64(b), act: action(b[8]), ordinal: binary.BigEndian.Uint32(b[9:]), old: binary.BigEndian.Uint32(b[21:])}
	copy(d.replaces.Measure[:], b[13:21])
	return d
}

// missing is a recorded row that the file lacks.
type missing struct {
	key     profile.Key
	ordinal uint32
	eventID [16]byte
}

// Rows of the file and of the books as records that sort by key.
const (
	fileRecord  = 16 + 8 + 8      // group, measure, line
	liveRecord  = 16 + 8 + 4 + 16 // group, measure, ordinal, event id
	missingSize = liveRecord
)

func appendKey(b []byte, k profile.Key) []byte {
	b = append(b[:0], k.Group[:]...)
	return append(b, k.Measure[:]...)
}

func parseKey(b []byte) (k profile.Key) {
	copy(k.Group[:], b)
	copy(k.Measure[:], b[16:])
	return k
}

func (m missing) bytes(b []byte) []byte {
	b = appendKey(b, m.key)
	b = binary.BigEndian.AppendUint32(b, m.ordinal)
	return append(b, m.eventID[:]...)
}

func parseMissing(b []byte) missing {
	m := missing{key: parseKey(b), ordinal: binary.BigEndian.Uint32(b[24:])}
	copy(m.eventID[:], b[28:])
	return m
}

// compare makes the plan of a keyless file: it sorts the rows of the file and
// the live identities of its scope by key, merges them, and writes what to do
// with each line and which recorded rows are missing. The plan is durable
// before anything of it is done, so that a kill never makes two plans of one
// file.
func (r *run) compare(ctx context.Context) error {
	rows := extsort.New(r.dir, fileRecord, r.m.cfg.SortBytes/3)
	plan := extsort.New(r.dir, decisionSize, r.m.cfg.SortBytes/3)
	defer func() { r.note(errors.Join(rows.Close(), plan.Close())) }()

	if err := r.readKeys(ctx, rows); err != nil {
		return err
	}
	live, err := r.readScope(ctx)
	if err != nil {
		return err
	}
	defer func() { r.note(live.Close()) }()
	c := &comparison{plan: plan, pair: r.man.Replace && r.man.Broken == 0}
	missingPath := filepath.Join(r.dir, missingFile)
	if err := writeRecords(missingPath, func(w io.Writer) error {
		c.missing = w
		return c.merge(rows, live)
	}); err != nil {
		return err
	}
	if err := r.cancelsMost(c); err != nil {
		return err
	}
	if err := writeRecords(filepath.Join(r.dir, planFile), func(w io.Writer) error { return copySorted(w, plan, decisionSize) }); err != nil {
		return err
	}
	if err := syncDir(r.dir); err != nil {
		return err
	}
	r.update(func(man *manifest) {
		man.Missing = c.lacking
		man.Held = c.lacking > 0 && !c.pair
	})
	return r.step(stepPlanned)
}

// fewCancelled is how many recorded rows a replacement may always cancel,
// however small the data set is.
const fewCancelled = 10

// cancelsMost refuses a replacement that would cancel more than half of what
// is recorded, unless that was asked for: a file that was cut off, or has its
// heading only, looks just like it.
func (r *run) cancelsMost(c *comparison) error {
	if !c.pair || r.man.CancelMost || c.gone <= fewCancelled || 2*c.gone <= c.live {
		return nil
	}
	counts := fmt.Sprintf("It would cancel %d of the %d recorded rows.", c.gone, c.live)
	return &fault.Fault{Kind: fault.Conflict, Detail: "nothing was changed: the file lacks most of what is recorded of its data set, as one that was cut off would",
		Violations: []fault.Violation{flow.Violates("replace-cancels-most", "replace", "true", counts+" If that is meant, give cancel_most=true as well.")}}
}

// readKeys reads the whole file once: it registers what rows name, and counts
// the rows that cannot be recorded.
func (r *run) readKeys(ctx context.Context, rows *extsort.Sorter) error {
	dec, err := r.open()
	if err != nil {
		return err
	}
	defer func() { r.note(dec.Close()) }()
	var broken int64
	var record []byte
	pending := newPlaces()
	check := func(row profile.Row) {
		if len(row.Rejected) > 0 || r.misplaced(row) != nil || len(r.errorsOf(row.Fact)) > 0 {
			broken++
		}
	}
	// Rows wait for what they name to be registered before they are checked.
	var waiting []profile.Row
	settle := func() error {
		if err := r.register(ctx, pending); err != nil {
			return err
		}
		for _, row := range waiting {
			check(row)
		}
		waiting = waiting[:0]
		return ctx.Err()
	}
	for {
		row, err := dec.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		pending.add(row)
		waiting = append(waiting, row)
		if len(row.Rejected) == 0 {
			record = binary.BigEndian.AppendUint64(appendKey(record, row.Key), uint64(row.Line))
			if err := rows.Add(record); err != nil {
				return err
			}
		}
		if len(waiting) >= r.m.cfg.BatchRows {
			if err := settle(); err != nil {
				return err
			}
			r.progress()
		}
	}
	if err := settle(); err != nil {
		return err
	}
	r.update(func(man *manifest) { man.Broken = broken })
	return nil
}

// readScope reads the live identities of the scope, from the start again when
// the log or the index went away meanwhile.
func (r *run) readScope(ctx context.Context) (live *extsort.Sorter, err error) {
	err = r.patiently(ctx, "read what is recorded of the file's scope", func() error {
		live = extsort.New(r.dir, liveRecord, r.m.cfg.SortBytes/3)
		if err := r.readScopeOnce(ctx, live); err != nil {
			return errors.Join(err, live.Close())
		}
		return nil
	})
	return live, err
}

func (r *run) readScopeOnce(ctx context.Context, live *extsort.Sorter) error {
	var record []byte
	for l, err := range r.m.deps.Intake.Scope(ctx, r.bound.Reporter(), r.bound.Source()) {
		if err != nil {
			return err
		}
		key, ordinal, ok := profile.ParseExternalID(l.Identity.ExternalID)
		if !ok {
			return fault.New(fault.Conflict, "%s holds identities that are not of a keyless file, such as %q", r.bound.Source(), l.Identity.ExternalID)
		}
		record = missing{key: key, ordinal: ordinal, eventID: l.Entry.EventID}.bytes(record)
		if err := live.Add(record); err != nil {
			return err
		}
	}
	return nil
}

// writeRecords writes a file durably, under its name only when whole.
func writeRecords(path string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, removeIfThere(path+".tmp"))
	}
	return os.Rename(path+".tmp", path)
}

func copySorted(w io.Writer, s *extsort.Sorter, size int) error {
	sorted, err := s.Sorted()
	if err != nil {
		return err
	}
	record := make([]byte, size)
	for {
		err := sorted.Next(record)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			_, err = w.Write(record)
		}
		if err != nil {
			return err
		}
	}
}
