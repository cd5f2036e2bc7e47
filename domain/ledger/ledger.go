// Package ledger is the write model: the ledger of one facility and one month
// (or, for period totals, one year), what it holds, and what may happen to it.
//
// A State is folded from the ledger's events, in the order of its stream, and
// from nothing else. Decide takes a state, a command and the time, and returns
// the events that follow or a refusal that carries the values it is about; it
// never changes the state. The package promises that one identity stands for
// one fact whatever is sent, resent, corrected, replaced, moved or cancelled,
// and that every change names the event it changes and a reason.
//
// It leaves out everything that needs more than one ledger: whether an
// identity is known elsewhere is the intake's index to say, and what two
// ledgers contradict each other in is a finding of the projections. It does
// not validate facts: package flow does, before.
package ledger

import (
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Command is something that somebody wants to happen to a ledger: one of the
// types of this file.
type Command interface{ isCommand() }

// Record reports a fact for the first time, or again.
type Record struct {
	Fact     flow.Fact
	Warnings []fault.Violation // of flow.Check, recorded with the fact
}

// Replace puts a fact of a keyless source in the place of another one of the
// same ledger. Unlike Record it brings back an identity that was replaced or
// cancelled before: a file that changes back is again what it was.
type Replace struct {
	Fact     flow.Fact
	Replaces flow.Identity // the fact it stands in for; zero when it stands in for none
	Reason   string
	Warnings []fault.Violation
}

// Correct says that a recorded fact is otherwise: same identity, same ledger,
// new content.
type Correct struct {
	Fact flow.Fact
	// Version is the event that holds what is to be corrected; zero when
	// whatever stands is. Another one is a conflict: somebody was quicker.
	Version  uuid.UUID
	Reason   string
	Warnings []fault.Violation
}

// Cancel says that a recorded fact did not happen.
type Cancel struct {
	Identity flow.Identity
	Version  uuid.UUID // as in Correct
	Reason   string
}

// Move says, to the ledger that holds a fact, that it belongs to another. The
// Arrive that follows tells the other one.
type Move struct {
	Fact     flow.Fact // as it is from now on
	To       Key       // the ledger it belongs to
	ToClosed bool      // whether that ledger is closed: the move is booked in the open month then
	Version  uuid.UUID // as in Correct
	Reason   string
	Warnings []fault.Violation
}

// Arrive says, to the ledger that a fact belongs to from now on, that it was
// moved there. It is built by ArriveAfter.
type Arrive struct {
	Fact     flow.Fact
	FactID   uuid.UUID
	Moved    uuid.UUID // the event in the ledger it came from
	From     Key
	Revision uint32 // of the Moved event
}

// Close closes the books. The caller has read the ledger's stream and brings
// the digest over it (type Digest).
type Close struct {
	Digest string // lower-case hex
	Events uint64 // how many events the digest covers
}

func (Record) isCommand()  {}
func (Replace) isCommand() {}
func (Correct) isCommand() {}
func (Cancel) isCommand()  {}
func (Move) isCommand()    {}
func (Arrive) isCommand()  {}
func (Close) isCommand()   {}

// Subject is the identity that a command is about; zero for Close.
func Subject(c Command) flow.Identity {
	switch c := c.(type) {
	case Record:
		return c.Fact.Identity
	case Replace:
		return c.Fact.Identity
	case Correct:
		return c.Fact.Identity
	case Cancel:
		return c.Identity
	case Move:
		return c.Fact.Identity
	case Arrive:
		return c.Fact.Identity
	case Close:
	}
	return flow.Identity{}
}

// Status tells what became of a command.
type Status string

// What can become of a command that is not refused.
const (
	StatusRecorded        Status = "recorded"
	StatusAlreadyRecorded Status = "already_recorded" // nothing to do: it is so already
	StatusCorrected       Status = "corrected"
	StatusCancelled       Status = "cancelled"
	StatusMoved           Status = "moved"
	StatusClosed          Status = "closed"
)

// Decision is what follows from a command.
type Decision struct {
	Status   Status
	Events   []event.Event     // to append, in this order; none when already recorded
	FactID   uuid.UUID         // the fact's id; zero for Close
	EventID  uuid.UUID         // the event that now holds the fact's version
	Revision uint32            // of the identity, after the events
	Warnings []fault.Violation // recorded with the events: the command's own and the ledger's
}

// ArriveAfter is the command for the other ledger that follows a Move, both
// when the move was decided now and when it turned out to be decided before
// (a process killed between the two appends).
func ArriveAfter(m Move, from Key, d Decision) Arrive {
	return Arrive{Fact: m.Fact, FactID: d.FactID, Moved: d.EventID, From: from, Revision: d.Revision}
}

// Decide tells what follows from a command in a state. It changes nothing;
// the events take effect when they are appended and applied.
//
// now must be in the facility's time zone: the month it falls in is the open
// month, where late facts are booked. Refusals are *fault.Fault: Invalid,
// NotFound, Conflict or Cancelled.
func Decide(s *State, c Command, now time.Time) (Decision, error) {
	switch c := c.(type) {
	case Record:
		return s.record(c, now)
	case Replace:
		return s.replace(c, now)
	case Correct:
		return s.correct(c, now)
	case Cancel:
		return s.cancel(c, now)
	case Move:
		return s.move(c, now)
	case Arrive:
		return s.arrive(c)
	case Close:
		return s.close(c, now)
	}
	return Decision{}, fault.New(fault.Internal, "ledger %s: no such command: %T", s.key.Stream(), c)
}
