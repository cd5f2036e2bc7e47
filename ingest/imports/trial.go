package imports

import (
	"context"
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/register"
)

// trial is what a dry run knows beside the log: what its file names, and the
// identities it has met. Nothing of it is recorded. What only a ledger can say
// (a closed month, a stock below zero) a dry run does not say.
//
// It belongs to the goroutine that reads the file.
type trial struct {
	r          *run
	areas      map[area.ID]area.Area
	facilities map[facility.ID]trialFacility
	seen       map[[16]byte][16]byte // identity → content, of the rows that would be recorded
}

type trialFacility struct {
	facility.Facility
	location *time.Location
}

// maxTrialRows is how many rows of a file with ids a dry run can tell apart:
// about 100 bytes each. Rows of files without ids need no memory.
const maxTrialRows = 2_000_000

func newTrial(r *run) *trial {
	return &trial{r: r, areas: map[area.ID]area.Area{}, facilities: map[facility.ID]trialFacility{}, seen: map[[16]byte][16]byte{}}
}

// name takes in what rows name for the first time, and forgets it.
func (t *trial) name(p *places) {
	for _, a := range p.areas {
		if len(register.CheckArea(a, t.area)) == 0 {
			t.areas[a.ID] = a
		}
	}
	for _, f := range p.facilities {
		violations := register.CheckFacility(f, t.knownArea)
		location, err := time.LoadLocation(f.TimeZone)
		if len(violations) > 0 || err != nil { // the zone is among what is checked
			continue // the row that says so is refused (misplaced)
		}
		t.facilities[f.ID] = trialFacility{f, location}
	}
	p.areas, p.facilities = p.areas[:0], p.facilities[:0]
}

func (t *trial) area(id area.ID) (area.Area, bool) {
	if a, ok := t.areas[id]; ok {
		return a, true
	}
	entry, ok := t.r.m.deps.Register.Area(id)
	return entry.Area, ok
}

func (t *trial) knownArea(id area.ID) bool {
	_, named := t.areas[id]
	return named || t.r.m.deps.Register.KnownArea(id)
}

func (t *trial) knownFacility(id facility.ID) bool {
	_, named := t.facilities[id]
	return named || t.r.m.deps.Register.KnownFacility(id)
}

// decide says what would become of the rows of a batch, in their order.
func (t *trial) decide(ctx context.Context, b *batch, dec *opened) error {
	for i, item := range b.items {
		line := &b.lines[b.of[i]]
		var f flow.Fact
		var replace *ledger.Replace
		switch c := item.Command.(type) {
		case ledger.Record:
			f = c.Fact
		case ledger.Replace:
			f, replace = c.Fact, &c
		default:
			return fault.New(fault.Internal, "a dry run knows no command %T", item.Command)
		}
		got, err := t.row(ctx, line.Line, f, replace)
		if err != nil {
			return err
		}
		got.Violations, got.Warnings = named(got.Violations, b.cells[i], dec), named(got.Warnings, b.cells[i], dec)
		*line = got
	}
	return nil
}

// row says what would become of one fact.
func (t *trial) row(ctx context.Context, at int, f flow.Fact, replace *ledger.Replace) (Line, error) {
	errs, warnings := t.r.check(f)
	if len(errs) > 0 {
		return refused(at, &fault.Fault{Kind: fault.Invalid, Detail: "the row breaks a rule", Violations: errs}), nil
	}
	_, zone := t.r.facility(f.Facility)
	if !f.When.Occurred.IsZero() {
		f.When.Occurred = flow.LocalTime(f.When.Occurred, zone)
	}
	hash, content := f.Identity.Hash(), f.ContentHash()
	if earlier, met := t.seen[hash]; met {
		return t.against(at, f, earlier == content, flow.RuleConflict, "It stands in an earlier row with other content."), nil
	}
	var entry index.Entry
	var found bool
	err := t.r.patiently(ctx, "look an identity up", func() (err error) {
		entry, found, err = t.r.m.deps.Intake.Lookup(ctx, f.Identity)
		return err
	})
	if err != nil {
		return Line{}, err
	}
	ours := ledger.KeyOf(f, zone).Stream()
	switch {
	case found && entry.Status == index.Live:
		same := entry.Content == content // wherever it stands: the facility's time zone may have changed
		rule, detail := flow.RuleConflict, fmt.Sprintf("It is recorded with other content, event %s.", entry.EventID)
		if entry.Ledger != ours {
			rule, detail = flow.RuleElsewhere, fmt.Sprintf("Ledger %s, event %s.", entry.Ledger, entry.EventID)
		}
		return t.against(at, f, same, rule, detail), nil
	case found && replace == nil && entry.Status == index.Cancelled:
		return t.against(at, f, false, flow.RuleCancelled, fmt.Sprintf("Ledger %s, event %s.", entry.Ledger, entry.EventID)), nil
	case found && replace == nil:
		return t.against(at, f, false, flow.RuleReplaced, fmt.Sprintf("Ledger %s, event %s.", entry.Ledger, entry.EventID)), nil
	}
	if !t.r.bound.Keyless() {
		if len(t.seen) >= maxTrialRows {
			return Line{}, fault.New(fault.TooLarge, "a dry run tells at most %d rows with ids apart; try a part of the file", maxTrialRows)
		}
		t.seen[hash] = content
	}
	line := Line{Line: at, Status: LineRecorded, Warnings: onLine(at, warnings)}
	if replace != nil && !replace.Replaces.IsZero() {
		line.Status = LineCorrected
	}
	return line, nil
}

// against is the line of a fact whose identity is taken.
func (t *trial) against(at int, f flow.Fact, same bool, rule, detail string) Line {
	if same {
		return Line{Line: at, Status: LineAlreadyRecorded}
	}
	kind := fault.Conflict
	if rule == flow.RuleCancelled {
		kind = fault.Cancelled
	}
	v := flow.Violates(rule, "id", f.Identity.ExternalID, detail)
	return refused(at, &fault.Fault{Kind: kind, Detail: "the row contradicts what is recorded", Violations: []fault.Violation{v}})
}
