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
// good is kept by facility: the rows of such a facility are refused with the
// same reason.
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
			if _, err := outcome(r.m.deps.Register.PutAreas(ctx, p.areas, source, meta)); err != nil {
				return err
			}
			p.areas = p.areas[:0]
		}
		if len(p.facilities) == 0 {
			return nil
		}
		refused, err := outcome(r.m.deps.Register.PutFacilities(ctx, p.facilities, source, meta))
		if err != nil {
			return err
		}
		for i, f := range refused {
			violations := make([]fault.Violation, len(f.Violations))
			for n, v := range f.Violations {
				v.Field = "facility." + v.Field
				violations[n] = v
			}
			r.refused[p.facilities[i].ID] = &fault.Fault{Kind: fault.Invalid, Detail: f.Detail, Violations: violations}
		}
		return nil
	})
	p.areas, p.facilities = p.areas[:0], p.facilities[:0]
	return err
}

// outcome splits what the register answered: refusals for good, by index, and
// the first error that may pass.
func outcome(all []register.Outcome) (refused map[int]*fault.Fault, err error) {
	for i, o := range all {
		var f *fault.Fault
		switch {
		case o.Err == nil:
		case errors.As(o.Err, &f) && (f.Kind == fault.Invalid || f.Kind == fault.Conflict):
			if refused == nil {
				refused = map[int]*fault.Fault{}
			}
			refused[i] = f
		default:
			return nil, o.Err
		}
	}
	return refused, nil
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
	if refused := r.refused[f.Facility]; refused != nil {
		return refused.Violations, nil
	}
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
