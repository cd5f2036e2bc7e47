package imports

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/profile"
	"github.com/stofstrom/stofstrom/ingest/register"
)

// places are the areas and facilities that some rows name for the first time.
type places struct {
	areas      []area.Area
	facilities []facility.Facility
}

func newPlaces() *places { return new(places) }

func (p *places) add(row profile.Row) {
	p.areas = append(p.areas, row.Areas...)
	if row.Facility != nil {
		p.facilities = append(p.facilities, *row.Facility)
	}
}

// register makes them known, and forgets them. What the register refuses for
// good is refused again where a row is judged that says it (misplaced), so that
// nothing need be remembered from one pass, or one attempt, to the next.
//
// A dry run keeps them to itself.
func (r *run) register(ctx context.Context, p *places) error {
	if r.trial != nil {
		r.trial.name(p)
		return nil
	}
	source := register.Source{Kind: register.File, Name: r.bound.Source()}
	meta := r.meta(0)
	err := r.patiently(ctx, "register areas and facilities", func() error {
		if len(p.areas) > 0 {
			// An area that is refused leaves its facts without a known area: the
			// catalogue refuses them, naming it.
			if err := lasting(r.m.deps.Register.PutAreas(ctx, p.areas, source, meta)); err != nil {
				return err
			}
			p.areas = p.areas[:0]
		}
		if len(p.facilities) == 0 {
			return nil
		}
		return lasting(r.m.deps.Register.PutFacilities(ctx, p.facilities, source, meta))
	})
	p.areas, p.facilities = p.areas[:0], p.facilities[:0]
	return err
}

// lasting is the first error of the register that may pass: everything stands
// that was not refused for good.
func lasting(all []register.Outcome) error {
	for _, o := range all {
		var f *fault.Fault
		if o.Err != nil && (!errors.As(o.Err, &f) || f.Kind != fault.Invalid && f.Kind != fault.Conflict) {
			return o.Err
		}
	}
	return nil
}

// maxSound bounds how many descriptions a run remembers as sound.
const maxSound = 50_000

// misplaced tells why a row's own description of its facility is refused; nil
// when it is sound or there is none. It depends on nothing but the row and the
// areas that are known: one bad cell refuses one row, whatever other rows of
// the facility say and whatever was read before.
//
// It belongs to the goroutine that reads the file, which asks once the row's
// areas were registered.
func (r *run) misplaced(row profile.Row) *fault.Fault {
	f := row.Described
	if f == nil || r.sound[f] {
		return nil
	}
	known := r.m.deps.Register.KnownArea
	if r.trial != nil {
		known = r.trial.knownArea
	}
	violations := register.CheckFacility(*f, known)
	if len(violations) == 0 {
		if len(r.sound) >= maxSound {
			clear(r.sound)
		}
		r.sound[f] = true
		return nil
	}
	for i := range violations {
		violations[i].Field = "facility." + violations[i].Field
	}
	return &fault.Fault{Kind: fault.Invalid, Detail: fmt.Sprintf("facility %q cannot be registered as the row describes it", f.ID), Violations: violations}
}

// errorsOf tells which rules a fact breaks, by the same catalogue and register
// that intake uses; warnings are left out.
func (r *run) errorsOf(f flow.Fact) []fault.Violation {
	f.Identity.ExternalID = "0" // of keyless rows it is not known yet, and always well-formed
	errs, _ := r.check(f)
	return errs
}

// check tells which rules of the catalogue a fact breaks.
func (r *run) check(f flow.Fact) (errs, warnings []fault.Violation) {
	reg := r.m.deps.Register
	known := flow.Context{Now: r.m.deps.Now(), KnownArea: reg.KnownArea, KnownFacility: reg.KnownFacility}
	if r.trial != nil {
		known.KnownArea, known.KnownFacility = r.trial.knownArea, r.trial.knownFacility
	}
	known.Facility, known.Location = r.facility(f.Facility)
	for _, v := range flow.Check(f, known) {
		if v.Severity == fault.Error {
			errs = append(errs, v)
		} else {
			warnings = append(warnings, v)
		}
	}
	return errs, warnings
}

// facility is an entry of the register, or what a dry run would register.
func (r *run) facility(id facility.ID) (*facility.Facility, *time.Location) {
	if entry, ok := r.m.deps.Register.Facility(id); ok {
		return &entry.Facility, entry.Location
	}
	if r.trial != nil {
		if f, ok := r.trial.facilities[id]; ok {
			return &f.Facility, f.location
		}
	}
	return nil, nil
}

// meta is what is recorded beside every event of the job.
func (r *run) meta(line int) event.Meta {
	return event.Meta{CorrelationID: r.id, CausationID: r.id, Actor: r.actor, Import: r.id, Line: line}
}

// owner tells whether this job itself recorded an event, by the metadata in
// the log. It is asked only after a kill, for the rows that may have been
// submitted and were not reported, so that ledgers are read seldom; the last
// few are kept.
type owner struct {
	streams Streams
	job     string
	ledgers map[string]map[[16]byte]int // ledger → event id → line, of this job
}

const ownerLedgers = 4096

func (o *owner) lineOf(ctx context.Context, ledger string, id [16]byte) (line int, mine bool, err error) {
	events, ok := o.ledgers[ledger]
	if !ok {
		if events, err = o.read(ctx, ledger); err != nil {
			return 0, false, err
		}
		if len(o.ledgers) >= ownerLedgers {
			clear(o.ledgers)
		}
		o.ledgers[ledger] = events
	}
	line, mine = events[id]
	return line, mine, nil
}

func (o *owner) read(ctx context.Context, ledger string) (map[[16]byte]int, error) {
	events := map[[16]byte]int{}
	for rec, err := range o.streams.ReadStream(ctx, ledger, 0) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", ledger, err)
		}
		meta, err := event.DecodeMeta(rec.Meta)
		if err != nil {
			return nil, fmt.Errorf("metadata of %s: %w", rec.ID, err)
		}
		if meta.Import == o.job {
			events[rec.ID] = meta.Line
		}
	}
	return events, nil
}
