package ledger

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

func (s *State) record(c Record, now time.Time) (Decision, error) {
	if err := s.belongs(c.Fact); err != nil {
		return Decision{}, err
	}
	if sl, ok := s.slots[c.Fact.Identity.Hash()]; ok {
		return s.again(c.Fact, sl)
	}
	return s.enterAs(c.Fact, 1, "", c.Warnings, now), nil
}

// again answers a report under an identity that is known.
func (s *State) again(f flow.Fact, sl slot) (Decision, error) {
	if sl.standing == Live && sl.content == f.ContentHash() {
		return already(sl), nil
	}
	return Decision{}, s.refusal(f, sl)
}

// refusal says why a fact cannot be reported under an identity that is known.
func (s *State) refusal(f flow.Fact, sl slot) *fault.Fault {
	id := f.Identity
	switch sl.standing {
	case Void:
		return refuse(fault.Cancelled, flow.RuleCancelled, "id", id.ExternalID,
			fmt.Sprintf("Event %s cancelled fact %s.", sl.eventID, sl.factID), "the fact %s was cancelled", id)
	case Replaced:
		return refuse(fault.Conflict, flow.RuleReplaced, "id", id.ExternalID,
			fmt.Sprintf("Its last version is event %s.", sl.eventID), "the fact %s was replaced by another", id)
	case Away:
		return refuse(fault.Conflict, flow.RuleElsewhere, "id", id.ExternalID,
			fmt.Sprintf("It was moved to %s.", s.texts.at(sl.to)), "the fact %s was moved to %s", id, s.texts.at(sl.to))
	case Live:
	}
	out := fault.New(fault.Conflict, "the fact %s is recorded with other content in %s", id, s.key.Stream())
	for _, d := range flow.Diff(s.unpack(sl), f) {
		out.Violations = append(out.Violations, flow.Violates(flow.RuleConflict, d.Field, d.Is,
			fmt.Sprintf("Recorded: %q, given: %q.", d.Was, d.Is)))
	}
	return out
}

// enterAs is the decision to record a fact as the given revision.
func (s *State) enterAs(f flow.Fact, revision uint32, reason string, warnings []fault.Violation, now time.Time) Decision {
	warnings = s.warn(warnings, s.changes(nil, &f))
	e := event.Recorded{Revision: revision, Reason: reason, Fact: f, BookedIn: s.bookedIn(now), Warnings: warnings}
	e.ID = event.IDOf(e)
	return Decision{Status: StatusRecorded, Events: []event.Event{e}, FactID: e.ID, EventID: e.ID, Revision: revision, Warnings: warnings}
}

func (s *State) replace(c Replace, now time.Time) (Decision, error) {
	if err := s.belongs(c.Fact); err != nil {
		return Decision{}, err
	}
	if err := checkReason(c.Reason); err != nil {
		return Decision{}, err
	}
	next, known := s.slots[c.Fact.Identity.Hash()]
	if known && (next.standing == Live || next.standing == Away) {
		return s.again(c.Fact, next)
	}
	if c.Replaces.IsZero() {
		return s.enterAs(c.Fact, next.revision+1, returns(known, c.Reason), c.Warnings, now), nil
	}
	old, err := s.liveSlot(c.Replaces)
	if err != nil {
		return Decision{}, err
	}
	return s.correctTo(c.Fact, old, next.revision+1, c.Reason, c.Warnings, now), nil
}

// returns is the reason recorded with an identity that was there before.
func returns(known bool, reason string) string {
	if known {
		return reason
	}
	return ""
}

func (s *State) correct(c Correct, now time.Time) (Decision, error) {
	if err := s.belongs(c.Fact); err != nil {
		return Decision{}, err
	}
	if err := checkReason(c.Reason); err != nil {
		return Decision{}, err
	}
	old, err := s.liveSlot(c.Fact.Identity)
	if err != nil {
		return Decision{}, err
	}
	if old.content == c.Fact.ContentHash() {
		return already(old), nil
	}
	if err := stands(c.Version, old, c.Fact.Identity); err != nil {
		return Decision{}, err
	}
	return s.correctTo(c.Fact, old, old.revision+1, c.Reason, c.Warnings, now), nil
}

// correctTo is the decision that a fact stands in the place of a live one.
func (s *State) correctTo(f flow.Fact, old slot, revision uint32, reason string, warnings []fault.Violation, now time.Time) Decision {
	was := s.unpack(old)
	warnings = s.warn(warnings, s.changes(&was, &f))
	e := event.Corrected{FactID: old.factID, Corrects: old.eventID, Revision: revision, Reason: reason,
		Was: was, Is: f, BookedIn: s.bookedIn(now), Warnings: warnings}
	e.ID = event.IDOf(e)
	return Decision{Status: StatusCorrected, Events: []event.Event{e}, FactID: e.FactID, EventID: e.ID, Revision: revision, Warnings: warnings}
}

func (s *State) cancel(c Cancel, now time.Time) (Decision, error) {
	if err := checkReason(c.Reason); err != nil {
		return Decision{}, err
	}
	if sl, ok := s.slots[c.Identity.Hash()]; ok && sl.standing == Void {
		return already(sl), nil
	}
	old, err := s.liveSlot(c.Identity)
	if err != nil {
		return Decision{}, err
	}
	if err := stands(c.Version, old, c.Identity); err != nil {
		return Decision{}, err
	}
	e := event.Cancelled{FactID: old.factID, Cancels: old.eventID, Revision: old.revision + 1, Reason: c.Reason,
		Was: s.unpack(old), BookedIn: s.bookedIn(now)}
	e.ID = event.IDOf(e)
	return Decision{Status: StatusCancelled, Events: []event.Event{e}, FactID: e.FactID, EventID: e.ID, Revision: e.Revision}, nil
}

func (s *State) move(c Move, now time.Time) (Decision, error) {
	if c.To == s.key {
		return Decision{}, refuse(fault.Invalid, flow.RuleWrongLedger, "facility", string(c.Fact.Facility),
			"A fact that stays in its ledger is corrected, not moved.", "the fact %s is in %s already", c.Fact.Identity, c.To.Stream())
	}
	if c.Fact.Facility != c.To.Facility || c.Fact.When.IsPeriod() == c.To.IsMonth() {
		return Decision{}, notIts(c.Fact, c.To)
	}
	if err := checkReason(c.Reason); err != nil {
		return Decision{}, err
	}
	sl, ok := s.slots[c.Fact.Identity.Hash()]
	if ok && sl.standing == Away && s.texts.at(sl.to) == c.To.Stream() && sl.content == c.Fact.ContentHash() {
		return already(sl), nil // decided before; the Arrive may still be missing
	}
	old, err := s.liveSlot(c.Fact.Identity)
	if err != nil {
		return Decision{}, err
	}
	if err := stands(c.Version, old, c.Fact.Identity); err != nil {
		return Decision{}, err
	}
	was := s.unpack(old)
	booked := s.bookedIn(now)
	if c.ToClosed {
		booked = month(now)
	}
	warnings := s.warn(c.Warnings, s.changes(&was, nil))
	if c.ToClosed && !s.Closed() {
		warnings = append(warnings, lateWarning(c.To))
	}
	e := event.Moved{FactID: old.factID, Corrects: old.eventID, Revision: old.revision + 1, Reason: c.Reason,
		Was: was, Is: c.Fact, To: c.To.Stream(), BookedIn: booked, Warnings: warnings}
	e.ID = event.IDOf(e)
	return Decision{Status: StatusMoved, Events: []event.Event{e}, FactID: e.FactID, EventID: e.ID, Revision: e.Revision, Warnings: warnings}, nil
}

func (s *State) arrive(c Arrive) (Decision, error) {
	if err := s.belongs(c.Fact); err != nil {
		return Decision{}, err
	}
	sl, known := s.slots[c.Fact.Identity.Hash()]
	if known && sl.factID == c.FactID && sl.revision >= c.Revision {
		return already(sl), nil // it arrived before, whatever became of it since
	}
	if known && (sl.standing == Live || sl.revision >= c.Revision) {
		return Decision{}, s.refusal(c.Fact, sl)
	}
	e := event.Arrived{FactID: c.FactID, Moved: c.Moved, From: c.From.Stream(), Revision: c.Revision, Fact: c.Fact}
	e.ID = event.IDOf(e)
	return Decision{Status: StatusMoved, Events: []event.Event{e}, FactID: e.FactID, EventID: e.ID, Revision: e.Revision}, nil
}

func (s *State) close(c Close, now time.Time) (Decision, error) {
	if s.closed != nil {
		if s.closed.Digest == c.Digest && s.closed.Events == c.Events {
			return Decision{Status: StatusAlreadyRecorded, EventID: s.closed.ID, Revision: 1}, nil
		}
		return Decision{}, refuse(fault.Conflict, flow.RuleClosedTwice, "month", s.key.Period,
			fmt.Sprintf("Closed over %d events with digest %s.", s.closed.Events, s.closed.Digest), "ledger %s is closed", s.key.Stream())
	}
	end := s.key.end()
	if end = time.Date(end.Year(), end.Month(), 1, 0, 0, 0, 0, now.Location()); now.Before(end) {
		return Decision{}, refuse(fault.Invalid, flow.RuleClosedEarly, "month", s.key.Period,
			fmt.Sprintf("It ends %s.", end.Format(time.RFC3339)), "ledger %s cannot be closed yet", s.key.Stream())
	}
	if c.Events != s.events {
		return Decision{}, refuse(fault.Conflict, flow.RuleClosedChanged, "events", fmt.Sprint(c.Events),
			fmt.Sprintf("The ledger holds %d.", s.events), "ledger %s changed while it was being closed", s.key.Stream())
	}
	e := event.LedgerClosed{Facility: s.key.Facility, Month: s.key.Period, Stock: s.Stock(), Digest: c.Digest, Events: c.Events}
	e.ID = event.IDOf(e)
	return Decision{Status: StatusClosed, Events: []event.Event{e}, EventID: e.ID, Revision: 1}, nil
}

// belongs refuses a fact of another facility, or a load among totals. Which
// month a fact belongs to is the caller's to know (KeyOf): it takes the
// facility's time zone.
func (s *State) belongs(f flow.Fact) error {
	if f.Facility != s.key.Facility || f.When.IsPeriod() == s.key.IsMonth() {
		return notIts(f, s.key)
	}
	return nil
}

func notIts(f flow.Fact, k Key) *fault.Fault {
	return refuse(fault.Invalid, flow.RuleWrongLedger, "facility", string(f.Facility),
		fmt.Sprintf("The ledger is %s.", k.Stream()), "the fact %s does not belong in %s", f.Identity, k.Stream())
}

// liveSlot finds a fact that can be changed.
func (s *State) liveSlot(id flow.Identity) (slot, error) {
	sl, ok := s.slots[id.Hash()]
	if !ok {
		return slot{}, refuse(fault.NotFound, flow.RuleNotRecorded, "id", id.ExternalID,
			fmt.Sprintf("Looked in %s.", s.key.Stream()), "no fact is recorded under %s", id)
	}
	if sl.standing != Live {
		return slot{}, s.refusal(flow.Fact{Identity: id}, sl)
	}
	return sl, nil
}

// stands refuses a change of a version that is not the one that stands.
func stands(version uuid.UUID, now slot, id flow.Identity) error {
	if version == uuid.Nil || version == now.eventID {
		return nil
	}
	return refuse(fault.Conflict, flow.RuleSuperseded, "event", version.String(),
		fmt.Sprintf("Event %s holds it now.", now.eventID), "the fact %s was changed meanwhile", id)
}

func checkReason(reason string) error {
	if violations := flow.CheckReason(reason); len(violations) > 0 {
		return &fault.Fault{Kind: fault.Invalid, Detail: "the reason cannot be recorded", Violations: violations}
	}
	return nil
}

func refuse(kind fault.Kind, rule, field, value, detail, format string, args ...any) *fault.Fault {
	f := fault.New(kind, format, args...)
	f.Violations = []fault.Violation{flow.Violates(rule, field, value, detail)}
	return f
}

func already(sl slot) Decision {
	return Decision{Status: StatusAlreadyRecorded, FactID: sl.factID, EventID: sl.eventID, Revision: sl.revision}
}

// warn adds the ledger's own warnings to those a command brings.
func (s *State) warn(warnings []fault.Violation, changes []change) []fault.Violation {
	own := s.stockWarnings(changes)
	if s.Closed() {
		own = append(own, lateWarning(s.key))
	}
	if len(own) == 0 {
		return warnings
	}
	return append(append(make([]fault.Violation, 0, len(warnings)+len(own)), warnings...), own...)
}

func lateWarning(k Key) fault.Violation {
	return flow.Violates(flow.RuleLedgerClosed, "occurred", k.Period, "")
}

// bookedIn is the open month when the ledger is closed, else "".
func (s *State) bookedIn(now time.Time) string {
	if s.Closed() {
		return month(now)
	}
	return ""
}

func month(now time.Time) string { return fmt.Sprintf("%04d%02d", now.Year(), int(now.Month())) }
