package imports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// Cancellation is the cancelling of an import: every fact that it recorded, and
// that stands as it recorded it, is cancelled. What was changed since is left
// and listed, and so is what the import put in the place of an earlier row.
type Cancellation struct {
	Status      Status           `json:"status"` // queued, running or done
	Reason      string           `json:"reason"`
	Actor       string           `json:"actor"`
	RequestedAt time.Time        `json:"requested_at"`
	FinishedAt  *time.Time       `json:"finished_at,omitempty"`
	Rows        int64            `json:"rows"`   // with a result so far
	Counts      map[string]int64 `json:"counts"` // results by status: cancelled, left
	Explanation string           `json:"explanation,omitempty"`
}

// cancelFile is the report of the cancellation.
const cancelFile = "cancelled.ndjson"

// over tells that nothing is left to be done for a job.
func (m *manifest) over() bool {
	return (m.Status == Done || m.Status == Failed) && (m.Cancellation == nil || m.Cancellation.Status == Done)
}

// scopeToCancel is what a cancellation has for itself while it runs: its data
// set, as far as this program knows the profile. The caller holds mu.
func (m *Manager) scopeToCancel(e *entry) string {
	if p, ok := m.deps.Profiles[e.man.Profile]; ok {
		if bound, err := p.Bind(e.man.Parameters); err == nil {
			return scopeOf(bound)
		}
	}
	return e.man.ID
}

// Cancel asks for an import to be cancelled, durably: the work is done by Run
// and goes on after any restart. Asked again, whatever the reason, it does
// nothing more. Errors: *fault.Fault of kind NotFound, Invalid (no reason, or a
// dry run), Conflict (the import has not ended), Unavailable (too many jobs
// wait), NoRoom; or the disk's.
func (m *Manager) Cancel(id, reason, actor string) (Job, error) {
	if bad := flow.CheckReason(reason); len(bad) > 0 {
		return Job{}, &fault.Fault{Kind: fault.Invalid, Detail: "cancelling needs a reason", Violations: bad}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.jobs[id]
	switch {
	case !ok:
		return Job{}, fault.New(fault.NotFound, "there is no import %q", fault.Clip(id))
	case e.man.Cancellation != nil:
		return e.man.Job, nil
	case !e.man.over():
		return Job{}, fault.New(fault.Conflict, "import %s has not ended; cancel it when it has", id)
	case e.man.DryRun:
		return Job{}, fault.New(fault.Invalid, "import %s was a dry run and recorded nothing", id)
	case len(m.queue) >= m.cfg.MaxQueued:
		return Job{}, fault.New(fault.Unavailable, "%d imports wait already; try again when some have ended", m.cfg.MaxQueued)
	}
	asked := *e.man
	asked.Cancellation = &Cancellation{Status: Queued, Reason: reason, Actor: actor, RequestedAt: m.deps.Now().UTC(), Counts: map[string]int64{}}
	// Under the lock: nobody is told of it before it is durable.
	if err := asked.save(e.dir); err != nil {
		return Job{}, noRoom(err)
	}
	e.man.Cancellation = asked.Cancellation
	e.ended = make(chan struct{})
	m.queue = append(m.queue, e)
	m.deps.Metrics.queued.Set(float64(len(m.queue)))
	m.nudge()
	return e.man.Job, nil
}

// CancelReport opens the report of a cancellation as it stands, whole lines of
// NDJSON, each a Line. Errors: *fault.Fault of kind NotFound; or of the disk.
func (m *Manager) CancelReport(id string) (io.ReadCloser, error) {
	m.mu.Lock()
	e, ok := m.jobs[id]
	cancelled := ok && e.man.Cancellation != nil
	m.mu.Unlock()
	if !cancelled {
		return nil, fault.New(fault.NotFound, "there is no cancelled import %q", fault.Clip(id))
	}
	return openLines(filepath.Join(e.dir, cancelFile))
}

// undo is one attempt at cancelling an import.
type undo struct {
	m      *Manager
	man    *manifest // Cancellation is written through change only
	dir    string
	log    *slog.Logger
	reason string
	meta   event.Meta
	report *report
}

// workCancel cancels an import, however often it must try.
func (m *Manager) workCancel(ctx context.Context, e *entry) {
	log := m.log.With("import", e.man.ID)
	c := e.man.Cancellation
	for pause := m.cfg.FirstPause; ; pause = min(2*pause, 64*m.cfg.FirstPause) {
		u := &undo{m: m, man: e.man, dir: e.dir, log: log, reason: c.Reason,
			meta: event.Meta{CorrelationID: e.man.ID, CausationID: e.man.ID, Actor: c.Actor, Import: e.man.ID}}
		log.Info("cancelling an import begins", "rows_reported", e.man.Cancellation.Rows)
		err := u.work(ctx)
		if err == nil {
			job, _ := m.Get(e.man.ID)
			log.Info("cancelling an import ended", "counts", job.Cancellation.Counts)
			for status, n := range job.Cancellation.Counts {
				m.deps.Metrics.lines.WithLabelValues(status).Add(float64(n))
			}
			close(e.ended)
			return
		}
		if ctx.Err() != nil || errors.Is(err, errKilled) {
			return
		}
		log.Error("cancelling an import broke off, it is tried again", "pause", pause, "error", err)
		u.waiting("It broke off and is tried again: " + cutDetail(noRoom(err)))
		m.deps.Metrics.waits.Inc()
		if err := m.sleep(ctx, pause); err != nil {
			return
		}
	}
}

// change changes the cancellation in memory, where readers see it: they hold
// the one before, which stays as it is.
func (u *undo) change(change func(*Cancellation)) manifest {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	next := *u.man.Cancellation
	next.Counts = maps.Clone(next.Counts)
	change(&next)
	u.man.Cancellation = &next
	return *u.man
}

func (u *undo) waiting(why string) { u.change(func(c *Cancellation) { c.Explanation = why }) }

// work goes through the report of the import from where the report of the
// cancellation broke off. The lines of both stand in the order of the file.
func (u *undo) work(ctx context.Context) (err error) {
	changed := u.change(func(c *Cancellation) { c.Status = Running })
	if err := changed.save(u.dir); err != nil {
		return err
	}
	source, err := openLines(filepath.Join(u.dir, reportFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if u.report, err = openReport(filepath.Join(u.dir, cancelFile)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.report.close()) }()
	u.publish()

	lines := bufio.NewScanner(source)
	lines.Buffer(make([]byte, 64<<10), maxReportLine)
	var batch []Line
	for lines.Scan() {
		var line Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read report: %w", err)
		}
		if line.Line <= u.report.lastLine || line.Status != LineRecorded && line.Status != LineCorrected {
			continue
		}
		if batch = append(batch, line); len(batch) == u.m.cfg.BatchRows {
			if err := u.cancel(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read report: %w", err)
	}
	if err := u.cancel(ctx, batch); err != nil {
		return err
	}
	if err := u.report.finish(); err != nil {
		return err
	}
	now := u.m.deps.Now().UTC()
	changed = u.change(func(c *Cancellation) { c.Status, c.FinishedAt, c.Explanation = Done, &now, "" })
	return changed.save(u.dir)
}

func (u *undo) publish() {
	u.change(func(c *Cancellation) { c.Rows, c.Counts = u.report.rows, maps.Clone(u.report.counts) })
}

// cancel cancels what some lines recorded, and reports them.
func (u *undo) cancel(ctx context.Context, batch []Line) error {
	out := make([]Line, len(batch))
	var ids []uuid.UUID
	var of []int
	for i, line := range batch {
		out[i] = Line{Line: line.Line, EventID: line.EventID}
		if line.Status == LineCorrected {
			out[i].Status, out[i].Detail = LineLeft, "it took the place of a row that was recorded before; correct it, or send the earlier file again with replace"
			continue
		}
		id, err := uuid.Parse(line.EventID)
		if err != nil {
			return fmt.Errorf("read report, line %d: %w", line.Line, err)
		}
		ids, of = append(ids, id), append(of, i)
	}
	var facts map[uuid.UUID]flow.Identity
	if err := u.m.patiently(ctx, u.log, "read what an import recorded", u.waiting, func() (err error) {
		facts, err = u.identities(ctx, ids)
		return err
	}); err != nil {
		return err
	}
	items := make([]intake.Item, len(ids))
	for n, id := range ids {
		meta := u.meta
		meta.Line = batch[of[n]].Line
		items[n] = intake.Item{Command: ledger.Cancel{Identity: facts[id], Version: id, Reason: u.reason}, Meta: meta}
	}
	results, err := u.submit(ctx, items)
	if err != nil {
		return err
	}
	if err := u.m.stepOf(stepUndone); err != nil {
		return err
	}
	for n, res := range results {
		line := &out[of[n]]
		var f *fault.Fault
		switch {
		case res.Err == nil: // now, before a kill, or by somebody else since
			line.Status, line.EventID = LineCancelled, res.EventID.String()
		case errors.As(res.Err, &f) && (f.Kind == fault.Conflict || f.Kind == fault.NotFound || f.Kind == fault.Cancelled):
			line.Status, line.Detail, line.Violations = LineLeft, f.Detail, f.Violations
		default:
			return fmt.Errorf("cancel line %d: %w", line.Line, res.Err)
		}
	}
	for _, line := range out {
		if err := u.report.add(line); err != nil {
			return err
		}
	}
	if err := u.report.flush(); err != nil {
		return err
	}
	u.publish()
	return u.m.stepOf(stepUndoneReported)
}

// submit submits the items until each has an outcome.
func (u *undo) submit(ctx context.Context, items []intake.Item) ([]intake.Result, error) {
	results := make([]intake.Result, len(items))
	left := make([]int, len(items))
	for i := range left {
		left[i] = i
	}
	err := u.m.patiently(ctx, u.log, "cancel what an import recorded", u.waiting, func() error {
		send := make([]intake.Item, len(left))
		for n, i := range left {
			send[n] = items[i]
		}
		var again []int
		var why error
		for n, res := range u.m.deps.Intake.Submit(ctx, send) {
			results[left[n]] = res
			if passes(res.Err) || res.Err != nil && ctx.Err() != nil {
				again, why = append(again, left[n]), res.Err
			}
		}
		left = again
		return errors.Join(ctx.Err(), why)
	})
	return results, err
}

// identities reads the identities of the facts that some events recorded.
func (u *undo) identities(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]flow.Identity, error) {
	wanted := map[string][]uint64{}
	for _, id := range ids {
		place, found, err := u.m.deps.Intake.Event(ctx, id)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fault.New(fault.Internal, "event %s of the report is not in the log", id)
		}
		wanted[place.Stream] = append(wanted[place.Stream], place.Revision)
	}
	out := make(map[uuid.UUID]flow.Identity, len(ids))
	for stream, revisions := range wanted {
		slices.Sort(revisions)
		for len(revisions) > 0 {
			n := 1 // how many are read in one go: neighbours, or nearly
			for n < len(revisions) && revisions[n]-revisions[n-1] <= nearby {
				n++
			}
			if err := u.readIdentities(ctx, stream, revisions[0], revisions[n-1], out); err != nil {
				return nil, err
			}
			revisions = revisions[n:]
		}
	}
	for _, id := range ids {
		if _, ok := out[id]; !ok {
			return nil, fault.New(fault.Internal, "event %s of the report is not where the index says", id)
		}
	}
	return out, nil
}

// nearby is how many revisions apart two events may be to be read in one go.
const nearby = 16

func (u *undo) readIdentities(ctx context.Context, stream string, from, to uint64, out map[uuid.UUID]flow.Identity) error {
	for rec, err := range u.m.deps.Streams.ReadStream(ctx, stream, from) {
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		ev, err := event.Decode(rec.Type, rec.Data)
		if err != nil {
			return fmt.Errorf("read %s, revision %d: %w", stream, rec.Revision, err)
		}
		if e, ok := ev.(event.Recorded); ok {
			out[rec.ID] = e.Fact.Identity
		}
		if rec.Revision >= to {
			return nil
		}
	}
	return nil
}
