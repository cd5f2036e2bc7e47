package imports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/profile"
)

// step names a point of a job's way after which a kill must do no harm. Tests
// stop the job there.
type step string

// The steps, in their order, and what stands on disk when each is done.
const (
	stepSpooled  step = "1 body synced"      // nobody was told: a start throws it away
	stepAccepted step = "2 folder renamed"   // 202 may be answered
	stepStarted  step = "3 running saved"    //
	stepPlanned  step = "4 plan renamed"     // the manifest does not know of it: compared again
	stepCompared step = "5 phase saved"      // from here on the plan stands
	stepWindow   step = "6 window saved"     // rows up to here may be submitted
	stepRecorded step = "7 batch submitted"  // in the log, not in the report
	stepReported step = "8 batch reported"   // in the report
	stepLacking  step = "9 lacking reported" //
	stepSynced   step = "10 report synced"   //
	stepDone     step = "11 done saved"      //

	stepUndone         step = "cancel 1 batch submitted" // in the log, not in the report
	stepUndoneReported step = "cancel 2 batch reported"  // in the report
)

// windowRows is how far ahead rows are declared as possibly submitted: one
// fsync for so many.
const windowRows = 20_000

// run is one attempt at one job.
type run struct {
	m     *Manager
	id    string
	actor string
	dir   string
	bound *profile.Bound
	log   *slog.Logger

	man     *manifest    // written through update only
	read    atomic.Int64 // bytes of the file read in this phase
	report  *report
	broke   error // why the file breaks off; written by feed before it ends
	owner   *owner
	ownerMu sync.Mutex                  // owner is asked by the batches under way
	window  int                         // SubmittedUpTo when this attempt began
	sound   map[*facility.Facility]bool // descriptions that were found sound
	trial   *trial                      // of a dry run; nil when the file is to be recorded
}

// counted counts what is read of the file.
type counted struct {
	*io.SectionReader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.SectionReader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// ReadAt is how workbooks are read. Of them, what is read twice counts twice,
// so that the count ends at the size of the file.
func (c counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.SectionReader.ReadAt(p, at)
	if c.n.Add(int64(n)) > c.Size() {
		c.n.Store(c.Size())
	}
	return n, err
}

// body opens a spooled file so that it can be read in any order.
func body(dir string) (*os.File, *io.SectionReader, error) {
	f, err := os.Open(filepath.Join(dir, bodyFile))
	if err != nil {
		return nil, nil, fmt.Errorf("open file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open file: %w", err), f.Close())
	}
	return f, io.NewSectionReader(f, 0, info.Size()), nil
}

// opened is a decoder with the file below it.
type opened struct {
	*profile.Decoder
	file *os.File
}

// Close closes both.
func (o *opened) Close() error { return errors.Join(o.Decoder.Close(), o.file.Close()) }

func (r *run) open() (*opened, error) {
	f, src, err := body(r.dir)
	if err != nil {
		return nil, err
	}
	r.read.Store(0)
	dec, err := r.bound.Open(counted{SectionReader: src, n: &r.read}, r.m.cfg.Limits)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &opened{Decoder: dec, file: f}, nil
}

// update changes the job in memory, where readers see it.
func (r *run) update(change func(*manifest)) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	change(r.man)
}

// save changes the job and makes the change durable.
func (r *run) save(change func(*manifest)) error {
	r.m.mu.Lock()
	change(r.man)
	copied := *r.man
	r.m.mu.Unlock()
	return copied.save(r.dir)
}

// step is where tests stop a job as a kill would.
func (r *run) step(s step) error {
	if r.m.atStep != nil {
		return r.m.atStep(s)
	}
	return nil
}

// note logs an error of cleaning up that changes nothing for the job.
func (r *run) note(err error) {
	if err != nil {
		r.log.Warn("clean-up of an import failed", "error", err)
	}
}

func (r *run) progress() {
	r.update(func(man *manifest) { man.BytesRead = r.read.Load() })
}

// work brings the job to its end. An error means that it is not there: the
// context ended, or the disk failed; the next start goes on.
func (r *run) work(ctx context.Context) error {
	r.window = r.man.SubmittedUpTo
	r.owner = &owner{streams: r.m.deps.Streams, job: r.id, ledgers: map[string]map[[16]byte]int{}}
	r.sound = map[*facility.Facility]bool{}
	r.trial = nil
	if r.man.DryRun {
		r.trial = newTrial(r)
		// What a killed attempt found may not be so any more: it starts again.
		if err := removeIfThere(filepath.Join(r.dir, reportFile)); err != nil {
			return fmt.Errorf("start a dry run again: %w", err)
		}
	}
	if err := r.save(func(man *manifest) {
		man.Status = Running
		if man.StartedAt == nil {
			now := r.m.deps.Now().UTC()
			man.StartedAt = &now
		}
	}); err != nil {
		return err
	}
	if err := r.step(stepStarted); err != nil {
		return err
	}
	if r.man.Phase != Recording || r.man.DryRun {
		if r.bound.Keyless() {
			r.update(func(man *manifest) { man.Phase, man.BytesRead = Comparing, 0 })
			if err := r.compare(ctx); err != nil {
				return r.fileFailed(err)
			}
		}
		if err := r.save(func(man *manifest) { man.Phase = Recording }); err != nil {
			return err
		}
		if err := r.step(stepCompared); err != nil {
			return err
		}
	}
	if err := r.record(ctx); err != nil {
		return r.fileFailed(err)
	}
	return r.finish(Done, nil)
}

// fileFailed ends the job when the file itself is at fault, and passes every
// other error on.
func (r *run) fileFailed(err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return err
	}
	switch f.Kind {
	case fault.Malformed, fault.Invalid, fault.TooLarge, fault.Conflict:
		return r.finish(Failed, &Problem{Kind: f.Kind.String(), Detail: f.Detail, Violations: f.Violations})
	case fault.Internal, fault.NotFound, fault.Cancelled, fault.Unavailable, fault.Forbidden, fault.NoRoom:
	}
	return err
}

func (r *run) finish(status Status, problem *Problem) error {
	now := r.m.deps.Now().UTC()
	if err := r.save(func(man *manifest) {
		man.Status, man.Phase, man.Error, man.FinishedAt = status, "", problem, &now
		man.Needs, man.Explanation = r.needs()
		man.BytesRead = man.Bytes
	}); err != nil {
		return err
	}
	for _, name := range []string{planFile, missingFile} {
		r.note(removeIfThere(filepath.Join(r.dir, name)))
	}
	return r.step(stepDone)
}

// needs says in words why new rows were held back or refused. The caller
// holds the lock.
func (r *run) needs() (Needs, string) {
	man := r.man
	held, lacking := man.Counts[string(LineNew)], man.Missing
	switch {
	case man.Held && man.Replace:
		text := fmt.Sprintf("Nothing was replaced: %s rejected, and the file lacks %s recorded before, which the rejected may stand for. "+
			"Mend the rejected and send the file again, with replace and a reason", rows(man.Broken, "was", "were"), rows(lacking, "", ""))
		if held > 0 {
			text += "; " + newRows(held) + " held back until then"
		}
		return NeedsFix, text + "."
	case man.Held:
		text := fmt.Sprintf("The file lacks %s recorded before", rows(lacking, "", ""))
		if held > 0 {
			text += ", so that " + newRows(held) + " held back: together they could count twice"
		}
		return NeedsReplace, text + ". Send the file again with replace=true and a reason: rows that differ only in their amount are corrected, " +
			"the other missing rows cancelled, the other new rows recorded."
	}
	return NeedsNothing, ""
}

// rows is a number of rows and the verb behind it, in the right number.
func rows(n int64, one, many string) string {
	if n == 1 {
		return strings.TrimSpace("1 row " + one)
	}
	return strings.TrimSpace(fmt.Sprintf("%d rows %s", n, many))
}

func newRows(n int64) string {
	if n == 1 {
		return "1 new row is"
	}
	return fmt.Sprintf("%d new rows are", n)
}

// patiently repeats what can be repeated while the log is away, with back-off
// and jitter, for as long as it takes.
func (r *run) patiently(ctx context.Context, what string, do func() error) error {
	return r.m.patiently(ctx, r.log, what, r.waiting, do)
}

// patiently tells why it waits, and "" when it does not any more.
func (m *Manager) patiently(ctx context.Context, log *slog.Logger, what string, waiting func(why string), do func() error) error {
	pause := m.cfg.FirstPause
	for {
		err := do()
		if !passes(err) {
			waiting("")
			return err
		}
		log.Warn("import waits", "to", what, "pause", pause, "error", err)
		waiting("The event log is away; the import goes on by itself when it is back.")
		m.deps.Metrics.waits.Inc()
		if err := m.sleep(ctx, pause/2+rand.N(pause)); err != nil {
			return err
		}
		pause = min(2*pause, 64*m.cfg.FirstPause)
	}
}

// passes tells whether an error is worth waiting for.
func passes(err error) bool {
	if err == nil {
		return false
	}
	kind := fault.KindOf(err)
	return kind == fault.Unavailable || kind == fault.NoRoom ||
		errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrNoRoom)
}

func (r *run) waiting(why string) {
	r.update(func(man *manifest) { man.Explanation = why })
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// planReader gives the decisions of a plan in the order of lines.
type planReader struct {
	file *os.File
	src  *bufio.Reader
	rec  [decisionSize]byte
	next decision
	more bool
}

func openPlan(dir string) (*planReader, error) {
	f, err := os.Open(filepath.Join(dir, planFile))
	if err != nil {
		return nil, fmt.Errorf("open plan: %w", err)
	}
	p := &planReader{file: f, src: bufio.NewReaderSize(f, 64<<10)}
	if err := p.advance(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

func (p *planReader) advance() error {
	_, err := io.ReadFull(p.src, p.rec[:])
	p.more = err == nil
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	p.next = parseDecision(p.rec[:])
	return nil
}

// of returns the decision for a line. Lines are asked for in order; one that
// the plan lacks means that file and plan do not go together.
func (p *planReader) of(line int) (decision, error) {
	for p.more && p.next.line < uint64(line) {
		if err := p.advance(); err != nil {
			return decision{}, err
		}
	}
	if !p.more || p.next.line != uint64(line) {
		return decision{}, fault.New(fault.Internal, "the plan has nothing for line %d: the spooled file changed", line)
	}
	return p.next, nil
}
