package register

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
)

// Status is what became of an entry that somebody put.
type Status string

// The statuses.
const (
	Registered Status = "registered" // first entry
	Changed    Status = "changed"    // the entry was replaced, or a file filled what was empty
	Unchanged  Status = "unchanged"  // it says what stands there already
	Kept       Status = "kept"       // what stands there is from a better source (or says all that a file could fill)
)

// Outcome is what became of one entry. Err is nil or a *fault.Fault: Invalid,
// Conflict (others changed the entry again and again), Unavailable, NoRoom;
// or the context's error.
type Outcome struct {
	Status Status
	Err    error
}

// maxAppendEvents is what one append to an areas stream holds at most. With
// the limits of area.Validate it stays below half a megabyte.
const maxAppendEvents = 400

// PutFacility registers or changes one facility.
func (r *Register) PutFacility(ctx context.Context, f facility.Facility, source Source, meta event.Meta) Outcome {
	return r.PutFacilities(ctx, []facility.Facility{f}, source, meta)[0]
}

// PutFacilities registers or changes facilities, many at a time, and returns
// one outcome each, in their order. What is recorded when it returns is
// durable, and already visible to readers.
func (r *Register) PutFacilities(ctx context.Context, all []facility.Facility, source Source, meta event.Meta) []Outcome {
	outcomes := make([]Outcome, len(all))
	turns := make(chan struct{}, r.cfg.Concurrency)
	var wg sync.WaitGroup
	for i, f := range all {
		if violations := r.checkFacility(f); len(violations) > 0 {
			outcomes[i].Err = invalid("facility", string(f.ID), violations)
			continue
		}
		// What changes nothing is settled here, without a goroutine.
		if e, known := r.Facility(f.ID); known {
			if _, status := mergeFacility(e, known, f, source); status == Unchanged || status == Kept {
				outcomes[i].Status = status
				continue
			}
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			status, err := r.putFacility(ctx, f, source, meta)
			outcomes[i] = Outcome{Status: status, Err: asFault(err, "facility "+string(f.ID))}
		})
	}
	wg.Wait()
	return outcomes
}

func (r *Register) putFacility(ctx context.Context, f facility.Facility, source Source, meta event.Meta) (Status, error) {
	stream := f.ID.Stream()
	unlock, err := r.writers.lock(ctx, stream)
	if err != nil {
		return "", err
	}
	defer unlock()
	for range r.cfg.MaxAttempts {
		old, known := r.Facility(f.ID)
		merged, status := mergeFacility(old, known, f, source)
		if status == Unchanged || status == Kept {
			return status, nil
		}
		expected := eventlog.NoStream()
		if known {
			expected = eventlog.Exactly(old.streamRevision)
		}
		ev := event.WithID(event.FacilityRegistered{Revision: old.Revision + 1, Facility: merged, Source: source.String()})
		err := r.append(ctx, stream, expected, []event.Event{ev}, meta)
		if err == nil {
			return status, nil
		}
		if err := r.overtaken(ctx, stream, known, old.streamRevision, err); err != nil {
			return "", err
		}
	}
	return "", fault.New(fault.Conflict, "facility %s was changed by others %d times in a row; look at it and try again", f.ID, r.cfg.MaxAttempts)
}

// mergeFacility decides what is to stand, by the rank of the sources.
func mergeFacility(old FacilityEntry, known bool, f facility.Facility, source Source) (facility.Facility, Status) {
	switch {
	case !known:
		return f, Registered
	case old.Facility.Equal(f):
		return f, Unchanged
	case source.Kind < old.Source.Kind:
		return f, Kept
	case source.Kind == File && old.Source.Kind == File:
		filled := fillFacility(old.Facility, f)
		if old.Facility.Equal(filled) {
			return filled, Kept
		}
		return filled, Changed
	}
	return f, Changed
}

// fillFacility puts what f knows into the empty fields of old.
func fillFacility(old, f facility.Facility) facility.Facility {
	old.Name = fill(old.Name, f.Name)
	old.Area = fill(old.Area, f.Area)
	old.Locality = fill(old.Locality, f.Locality)
	old.Location = fill(old.Location, f.Location)
	old.TimeZone = fill(old.TimeZone, f.TimeZone)
	old.Permit = fill(old.Permit, f.Permit)
	if len(old.Operations) == 0 {
		old.Operations = f.Operations
	}
	return old
}

func fill[T comparable](old, value T) T {
	var empty T
	if old == empty {
		return value
	}
	return old
}

// append records events of one stream and shows them to readers at once.
func (r *Register) append(ctx context.Context, stream string, expected eventlog.Expected, events []event.Event, meta event.Meta) error {
	metadata, err := event.EncodeMeta(meta)
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	proposed := make([]eventlog.Proposed, len(events))
	for i, ev := range events {
		p, err := event.Encode(ev)
		if err != nil {
			return fmt.Errorf("encode %s: %w", ev.Type(), err)
		}
		p.Meta = metadata
		proposed[i] = p
	}
	appended, err := r.deps.Append.Append(ctx, stream, expected, proposed)
	if err != nil {
		return err
	}
	for i, ev := range events {
		r.Apply(eventlog.Recorded{
			Stream: stream, Revision: appended.Revision - uint64(len(events)-1-i), ID: ev.EventID(), Type: ev.Type(),
		}, ev)
	}
	return nil
}

// overtaken handles the error of an append: when somebody else was quicker,
// it folds what they recorded and returns nil, so that the caller decides
// again. known and revision say what of the stream is folded already.
func (r *Register) overtaken(ctx context.Context, stream string, known bool, revision uint64, err error) error {
	var wrong *eventlog.WrongRevision
	if !errors.As(err, &wrong) {
		return err
	}
	from := uint64(0)
	if known {
		from = revision + 1
	}
	for rec, err := range r.deps.Log.ReadStream(ctx, stream, from) {
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		ev, err := event.Decode(rec.Type, rec.Data)
		if err != nil {
			return fmt.Errorf("read %s, revision %d: %w", stream, rec.Revision, err)
		}
		r.Apply(rec, ev)
	}
	return nil
}

// PutAreas registers or changes areas and returns one outcome each, in their
// order. The areas of one country that stand in one call are recorded in few
// appends. A parent may stand anywhere in the same call.
func (r *Register) PutAreas(ctx context.Context, all []area.Area, source Source, meta event.Meta) []Outcome {
	outcomes := make([]Outcome, len(all))
	byStream := map[string][]int{}
	for _, i := range r.validAreas(all, outcomes) {
		stream := all[i].Stream()
		byStream[stream] = append(byStream[stream], i)
	}
	turns := make(chan struct{}, r.cfg.Concurrency)
	var wg sync.WaitGroup
	for stream, indexes := range byStream {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			for part := range slices.Chunk(indexes, maxAppendEvents) {
				r.putAreas(ctx, stream, all, part, source, meta, outcomes)
			}
		})
	}
	wg.Wait()
	return outcomes
}

// validAreas returns the indexes of the areas that can be registered and sets
// the outcomes of the others. An area whose parent is refused is refused too.
func (r *Register) validAreas(all []area.Area, outcomes []Outcome) []int {
	given := make(map[area.ID]area.Area, len(all))
	for _, a := range all {
		given[a.ID] = a
	}
	for again := true; again; {
		again = false
		for i, a := range all {
			if outcomes[i].Err != nil {
				continue
			}
			if violations := r.checkArea(a, given); len(violations) > 0 {
				outcomes[i].Err = invalid("area", string(a.ID), violations)
				again = true
				delete(given, a.ID)
			}
		}
	}
	valid := make([]int, 0, len(all))
	for i := range all {
		if outcomes[i].Err == nil {
			valid = append(valid, i)
		}
	}
	return valid
}

// putAreas records those of the given areas that change something, in one
// append, and sets their outcomes.
func (r *Register) putAreas(ctx context.Context, stream string, all []area.Area, indexes []int, source Source, meta event.Meta, outcomes []Outcome) {
	fail := func(err error) {
		for _, i := range indexes {
			outcomes[i] = Outcome{Err: asFault(err, "area "+string(all[i].ID))}
		}
	}
	unlock, err := r.writers.lock(ctx, stream)
	if err != nil {
		fail(err)
		return
	}
	defer unlock()
	for range r.cfg.MaxAttempts {
		events := r.decideAreas(all, indexes, source, outcomes)
		if len(events) == 0 {
			return
		}
		r.mu.RLock()
		revision, known := r.streams[stream]
		r.mu.RUnlock()
		expected := eventlog.NoStream()
		if known {
			expected = eventlog.Exactly(revision)
		}
		err := r.append(ctx, stream, expected, events, meta)
		if err == nil {
			return
		}
		if err := r.overtaken(ctx, stream, known, revision, err); err != nil {
			fail(err)
			return
		}
	}
	fail(fault.New(fault.Conflict, "the areas of %s were changed by others %d times in a row; try again", stream, r.cfg.MaxAttempts))
}

// decideAreas tells which events the areas call for. An area given twice is
// decided the second time on what the first time said.
func (r *Register) decideAreas(all []area.Area, indexes []int, source Source, outcomes []Outcome) []event.Event {
	var events []event.Event
	within := map[area.ID]AreaEntry{}
	for _, i := range indexes {
		a := all[i]
		old, known := within[a.ID]
		if !known {
			old, known = r.Area(a.ID)
		}
		merged, status := mergeArea(old, known, a, source)
		outcomes[i] = Outcome{Status: status}
		if status == Unchanged || status == Kept {
			continue
		}
		ev := event.AreaRegistered{Revision: old.Revision + 1, Area: merged, Source: source.String()}
		events = append(events, event.WithID(ev))
		within[a.ID] = AreaEntry{Area: merged, Source: source, Revision: ev.Revision}
	}
	return events
}

func mergeArea(old AreaEntry, known bool, a area.Area, source Source) (area.Area, Status) {
	switch {
	case !known:
		return a, Registered
	case old.Area == a:
		return a, Unchanged
	case source.Kind < old.Source.Kind:
		return a, Kept
	case source.Kind == File && old.Source.Kind == File:
		filled := fillArea(old.Area, a)
		if filled == old.Area {
			return filled, Kept
		}
		return filled, Changed
	}
	return a, Changed
}

func fillArea(old, a area.Area) area.Area {
	old.Name = fill(old.Name, a.Name)
	old.Code = fill(old.Code, a.Code)
	old.Parent = fill(old.Parent, a.Parent)
	old.NUTS = fill(old.NUTS, a.NUTS)
	old.Centre = fill(old.Centre, a.Centre)
	return old
}

// RegisterBuiltIn registers the areas that come with the program. It records
// something only the first time, and when a later program knows them better.
func (r *Register) RegisterBuiltIn(ctx context.Context, areas []area.Area) error {
	meta := event.Meta{Actor: "stofstrom"}
	for i, o := range r.PutAreas(ctx, areas, Source{Kind: BuiltIn}, meta) {
		if o.Err != nil {
			return fmt.Errorf("register built-in area %s: %w", areas[i].ID, o.Err)
		}
	}
	return nil
}
