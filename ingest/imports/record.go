package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/profile"
)

// batch is some rows in the order of the file, on their way to the report.
type batch struct {
	lines []Line
	items []intake.Item
	of    []int           // index in lines of each item
	cells []profile.Cells // of each item's row
	ids   [][16]byte
	done  chan struct{} // closed when lines hold every result; err is set then
	err   error
}

// record reads the file from where the report broke off, submits its rows,
// several batches at a time, and reports them in order.
func (r *run) record(ctx context.Context) (err error) {
	if r.report, err = openReport(filepath.Join(r.dir, reportFile)); err != nil {
		return err
	}
	defer func() { r.note(r.report.close()) }()
	r.publish()

	group, gctx := errgroup.WithContext(ctx)
	batches := make(chan *batch, r.m.cfg.InFlight-1)
	group.Go(func() error {
		defer close(batches)
		return r.feed(gctx, group, batches)
	})
	group.Go(func() error {
		for b := range batches {
			select {
			case <-b.done:
			case <-gctx.Done():
				return gctx.Err()
			}
			if b.err != nil {
				return b.err
			}
			if err := r.write(b.lines); err != nil {
				return err
			}
		}
		return nil
	})
	// A file that breaks off in the middle has rows before the break: feed's
	// own fault comes back after they were recorded and reported.
	if err := group.Wait(); err != nil {
		return err
	}
	if r.broke != nil {
		return errors.Join(r.broke, r.report.finish())
	}
	if err := r.lacking(ctx); err != nil {
		return err
	}
	if err := r.report.finish(); err != nil {
		return err
	}
	return r.step(stepSynced)
}

// write reports results and shows them.
func (r *run) write(lines []Line) error {
	for _, line := range lines {
		if err := r.report.add(line); err != nil {
			return err
		}
	}
	if err := r.report.flush(); err != nil {
		return err
	}
	for _, line := range lines {
		if line.early && r.trial == nil {
			r.m.deps.Intake.Refused(&fault.Fault{Kind: fault.Invalid, Violations: line.Violations})
		}
	}
	r.publish()
	return r.step(stepReported)
}

// publish shows the report's counts in the job.
func (r *run) publish() {
	r.update(func(man *manifest) {
		man.Rows = r.report.rows
		man.BytesRead = r.read.Load()
		counts := make(map[string]int64, len(r.report.counts))
		for status, n := range r.report.counts {
			counts[status] = n
		}
		man.Counts = counts
	})
}

// feed reads rows into batches and sends them on their way. One identity is
// in one batch under way only, so that of two equal ids the first wins.
func (r *run) feed(ctx context.Context, group *errgroup.Group, batches chan<- *batch) error {
	dec, err := r.open()
	if err != nil {
		return err
	}
	defer func() { r.note(dec.Close()) }()
	var plan *planReader
	if r.bound.Keyless() {
		if plan, err = openPlan(r.dir); err != nil {
			return err
		}
		defer func() { r.note(plan.file.Close()) }()
	}
	skip := r.report.rows
	inFlight := newTracker()
	for end := false; !end; {
		b := &batch{done: make(chan struct{})}
		named := newPlaces()
		var rows []profile.Row
		for len(rows) < r.m.cfg.BatchRows {
			row, err := dec.Next()
			if errors.Is(err, io.EOF) {
				end = true
				break
			}
			if err != nil {
				r.broke, end = err, true
				break
			}
			named.add(row)
			if skip > 0 {
				skip--
				continue
			}
			rows = append(rows, row)
		}
		if err := r.register(ctx, named); err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		for _, row := range rows {
			if err := r.take(b, row, plan, dec); err != nil {
				return err
			}
		}
		if r.trial != nil {
			if err := r.trial.decide(ctx, b, dec); err != nil {
				return err
			}
			close(b.done)
			select {
			case batches <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		if err := r.declare(rows[len(rows)-1].Line); err != nil {
			return err
		}
		if err := inFlight.admit(ctx, b); err != nil {
			return err
		}
		group.Go(func() error {
			defer inFlight.release(b)
			defer close(b.done)
			b.err = r.submit(ctx, b, dec)
			return b.err
		})
		select {
		case batches <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// declare makes durable that rows up to a line may be submitted.
func (r *run) declare(line int) error {
	if line <= r.man.SubmittedUpTo {
		return nil
	}
	if err := r.save(func(man *manifest) { man.SubmittedUpTo = line + windowRows }); err != nil {
		return err
	}
	return r.step(stepWindow)
}

// take adds a row to a batch: as its result when there is nothing to record,
// as an item to submit otherwise.
func (r *run) take(b *batch, row profile.Row, plan *planReader, dec *opened) error {
	if len(row.Rejected) > 0 {
		b.lines = append(b.lines, Line{Line: row.Line, Status: LineRejected, Detail: "the row is not accepted", Violations: row.Rejected, early: true})
		return nil
	}
	if f := r.misplaced(row); f != nil {
		b.lines = append(b.lines, refusal(row.Line, f, row.Cells, dec))
		return nil
	}
	var command ledger.Command = ledger.Record{Fact: row.Fact}
	if plan != nil {
		d, err := plan.of(row.Line)
		if err != nil {
			return err
		}
		row.Fact.Identity.ExternalID = row.Key.ExternalID(d.ordinal)
		if d.act == actNew && r.man.Held {
			line := Line{Line: row.Line, Status: LineNew}
			if errs := r.errorsOf(row.Fact); len(errs) > 0 {
				line = refusal(row.Line, &fault.Fault{Kind: fault.Invalid, Detail: "the row breaks a rule", Violations: errs}, row.Cells, dec)
			}
			b.lines = append(b.lines, line)
			return nil
		}
		command = r.command(row, d)
	}
	b.of = append(b.of, len(b.lines))
	b.lines = append(b.lines, Line{Line: row.Line})
	b.items = append(b.items, intake.Item{Command: command, Meta: r.meta(row.Line)})
	b.cells = append(b.cells, row.Cells)
	b.ids = append(b.ids, row.Fact.Identity.Hash())
	return nil
}

// command is what a planned row asks of its ledger.
func (r *run) command(row profile.Row, d decision) ledger.Command {
	if !r.man.Replace || d.act == actSame {
		return ledger.Record{Fact: row.Fact}
	}
	var replaces flow.Identity
	if d.act == actReplace {
		old := profile.Key{Group: row.Key.Group, Measure: d.replaces.Measure}
		replaces = row.Fact.Identity
		replaces.ExternalID = old.ExternalID(d.old)
	}
	return ledger.Replace{Fact: row.Fact, Replaces: replaces, Reason: r.man.Reason}
}

// submit records the items of a batch and fills in its lines.
func (r *run) submit(ctx context.Context, b *batch, dec *opened) error {
	results := make([]intake.Result, len(b.items))
	doubt := make([]bool, len(b.items)) // submitted before, with an outcome that is not known
	left := make([]int, len(b.items))
	for i := range left {
		left[i] = i
	}
	err := r.patiently(ctx, "record rows", func() error {
		items := make([]intake.Item, len(left))
		for n, i := range left {
			items[n] = b.items[i]
		}
		var again []int
		var why error
		for n, res := range r.m.deps.Intake.Submit(ctx, items) {
			results[left[n]] = res
			if passes(res.Err) || res.Err != nil && ctx.Err() != nil {
				again, why = append(again, left[n]), res.Err
				doubt[left[n]] = true
			}
		}
		left = again
		return errors.Join(ctx.Err(), why)
	})
	if err != nil {
		return err
	}
	if err := r.step(stepRecorded); err != nil {
		return err
	}
	for i, res := range results {
		at := b.lines[b.of[i]].Line
		line, err := r.lineOf(ctx, at, b.items[i].Command, res, doubt[i] || at <= r.window)
		if err != nil {
			return err
		}
		if dec != nil {
			line.Violations, line.Warnings = named(line.Violations, b.cells[i], dec), named(line.Warnings, b.cells[i], dec)
		}
		b.lines[b.of[i]] = line
	}
	return nil
}

// lineOf is the report's line of a result. doubt tells that this job may have
// recorded the row before.
func (r *run) lineOf(ctx context.Context, at int, c ledger.Command, res intake.Result, doubt bool) (Line, error) {
	if res.Err != nil {
		var f *fault.Fault
		if !errors.As(res.Err, &f) || f.Kind == fault.Internal {
			return Line{}, fmt.Errorf("record line %d: %w", at, res.Err)
		}
		line := refused(at, f)
		if _, isRecord := c.(ledger.Record); isRecord && r.bound.Keyless() && wasThere(f) {
			line.Detail += "; sent with replace=true and a reason, the file brings it back"
		}
		return line, nil
	}
	line := Line{Line: at, EventID: res.EventID.String(), Warnings: onLine(at, res.Warnings)}
	switch res.Status {
	case ledger.StatusRecorded:
		line.Status = LineRecorded
	case ledger.StatusCorrected, ledger.StatusMoved:
		line.Status = LineCorrected
	case ledger.StatusCancelled:
		line.Status = LineCancelled
	default:
		line.Status = LineAlreadyRecorded
		if !doubt || at == 0 {
			return line, nil
		}
		mine, err := r.mine(ctx, at, res)
		if err != nil {
			return Line{}, err
		}
		if mine {
			line.Status = LineRecorded
			if c, ok := c.(ledger.Replace); ok && !c.Replaces.IsZero() {
				line.Status = LineCorrected
			}
		}
	}
	return line, nil
}

// wasThere tells that an identity was recorded and does not count any more.
func wasThere(f *fault.Fault) bool {
	return f.Kind == fault.Cancelled || slices.ContainsFunc(f.Violations, func(v fault.Violation) bool { return v.Rule == flow.RuleReplaced })
}

// mine tells whether a row that is recorded already was recorded by this job
// for this very line, before a kill or an answer that was lost.
func (r *run) mine(ctx context.Context, line int, res intake.Result) (mine bool, err error) {
	err = r.patiently(ctx, "tell who recorded a row", func() error {
		r.ownerMu.Lock()
		defer r.ownerMu.Unlock()
		at, ok, err := r.owner.lineOf(ctx, res.Ledger, res.EventID)
		mine = ok && at == line
		return err
	})
	return mine, err
}

// refused is the line of something that was refused: a conflict with what is
// recorded, or a broken rule.
func refused(line int, f *fault.Fault) Line {
	status := LineRejected
	if f.Kind == fault.Conflict || f.Kind == fault.Cancelled {
		status = LineConflict
	}
	return Line{Line: line, Status: status, Detail: f.Detail, Violations: onLine(line, f.Violations)}
}

// refusal is the line of a row that was refused before it was submitted, in
// the file's own words.
func refusal(line int, f *fault.Fault, cells profile.Cells, dec *opened) Line {
	l := refused(line, f)
	l.early = true
	l.Violations = named(l.Violations, cells, dec)
	return l
}

// onLine gives violations the line, in a copy: several rows may share them.
func onLine(line int, violations []fault.Violation) []fault.Violation {
	out := slices.Clone(violations)
	for i := range out {
		out[i].Line = line
	}
	return out
}

// named puts violations into the file's own words, in place: its column
// headings and, where the fact says it in another form, its cells.
func named(violations []fault.Violation, cells profile.Cells, dec *opened) []fault.Violation {
	for i, v := range violations {
		if text, ok := dec.Quote(cells, v.Field); ok {
			v.Value = fault.Clip(text)
		}
		v.Field = dec.Heading(v.Field)
		violations[i] = v
	}
	return violations
}
