// Package event holds what is written to the log: one frozen payload per
// event type and version, their codec, and the translation to and from the
// facts that the program works with.
//
// Payload types end in their version (ReceivedV1) and never change: golden
// bytes in testdata/golden say so. A change is a new version and an upcaster
// that reads the old one. Fields the codec does not know are refused.
package event

import (
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Event is a decoded event: one of the types of this file. Switches over it
// are exhaustive.
type Event interface {
	// EventID is the id the event has, or will have, in the log:
	// UUIDv5 of identity, content, revision ordinal and type, never random.
	EventID() uuid.UUID
	// Type is the event type in the log, version included.
	Type() string
	isEvent()
}

// Recorded says that a fact was reported for the first time. Its event id is
// the fact's id for ever.
type Recorded struct {
	ID       uuid.UUID
	Revision uint32 // 1; higher when an identity returns after its fact was replaced
	Reason   string // why it returns; "" at revision 1
	Fact     flow.Fact
	BookedIn string            // yyyymm when the fact's own month was closed; else ""
	Warnings []fault.Violation // rules broken that do not stop a fact
}

// Corrected says that a fact is otherwise than recorded, within one ledger.
// It carries both versions, so that a reader needs no other event to know
// what changes.
type Corrected struct {
	ID       uuid.UUID
	FactID   uuid.UUID // of the fact, from its first event
	Corrects uuid.UUID // the event that held the version up to now
	Revision uint32    // of the identity of Is
	Reason   string
	Was, Is  flow.Fact
	BookedIn string
	Warnings []fault.Violation
}

// Moved is a correction that changes month or facility. It stands in the
// ledger the fact leaves and moves the mass at once; the other ledger gets an
// Arrived.
type Moved struct {
	ID       uuid.UUID
	FactID   uuid.UUID
	Corrects uuid.UUID
	Revision uint32
	Reason   string
	Was, Is  flow.Fact
	To       string // name of the ledger stream it moves to
	BookedIn string
	Warnings []fault.Violation
}

// Arrived notes in a ledger that a fact was moved into it. It carries no mass
// of its own: Moved did.
type Arrived struct {
	ID       uuid.UUID
	FactID   uuid.UUID
	Moved    uuid.UUID // the Moved event
	From     string    // name of the ledger stream it came from
	Revision uint32
	Fact     flow.Fact
}

// Cancelled says that a fact did not happen.
type Cancelled struct {
	ID       uuid.UUID
	FactID   uuid.UUID
	Cancels  uuid.UUID // the event that held the version up to now
	Revision uint32
	Reason   string
	Was      flow.Fact
	BookedIn string // yyyymm when the fact's own month was closed; else ""
}

// LedgerClosed closes the books of a month.
type LedgerClosed struct {
	ID       uuid.UUID
	Facility facility.ID
	Month    string // yyyymm
	Stock    []StockLine
	Digest   string // hex SHA-256 over the ledger's event hashes, in order
	Events   uint64 // how many events the digest covers
}

// StockLine is the stock of one material.
type StockLine struct {
	Material flow.Material
	Net      mass.Grams
}

// FacilityRegistered says what is known of a facility from now on. It
// replaces the earlier entry whole.
type FacilityRegistered struct {
	ID       uuid.UUID
	Revision uint32 // 1 for the first entry
	Facility facility.Facility
	Source   string // who says so: a profile and data set, or a key
}

// AreaRegistered says what is known of an area from now on.
type AreaRegistered struct {
	ID       uuid.UUID
	Revision uint32
	Area     area.Area
	Source   string
}

func (Recorded) isEvent()           {}
func (Corrected) isEvent()          {}
func (Moved) isEvent()              {}
func (Arrived) isEvent()            {}
func (Cancelled) isEvent()          {}
func (LedgerClosed) isEvent()       {}
func (FacilityRegistered) isEvent() {}
func (AreaRegistered) isEvent()     {}

// EventID is the id of the event in the log.
func (e Recorded) EventID() uuid.UUID { return e.ID }

// EventID is the id of the event in the log.
func (e Corrected) EventID() uuid.UUID { return e.ID }

// EventID is the id of the event in the log.
func (e Moved) EventID() uuid.UUID { return e.ID }

// EventID is the id of the event in the log.
func (e Arrived) EventID() uuid.UUID { return e.ID }

// EventID is the id of the event in the log.
func (e Cancelled) EventID() uuid.UUID { return e.ID }

// EventID is the id of the event in the log.
func (e LedgerClosed) EventID() uuid.UUID { return e.ID }

// EventID is the id of the event in the log.
func (e FacilityRegistered) EventID() uuid.UUID { return e.ID }

// EventID is the id of the event in the log.
func (e AreaRegistered) EventID() uuid.UUID { return e.ID }

// Type is dk.stofstrom.flow.<kind>.v1.
func (e Recorded) Type() string { return FactType(e.Fact.Kind) }

// Type is the event type in the log.
func (Corrected) Type() string { return TypeCorrected }

// Type is the event type in the log.
func (Moved) Type() string { return TypeMoved }

// Type is the event type in the log.
func (Arrived) Type() string { return TypeArrived }

// Type is the event type in the log.
func (Cancelled) Type() string { return TypeCancelled }

// Type is the event type in the log.
func (LedgerClosed) Type() string { return TypeLedgerClosed }

// Type is the event type in the log.
func (FacilityRegistered) Type() string { return TypeFacility }

// Type is the event type in the log.
func (AreaRegistered) Type() string { return TypeArea }

// Meta is the metadata recorded beside every event.
type Meta struct {
	CorrelationID string // request or job that the event belongs to
	CausationID   string // event or message that caused it
	Actor         string // key id, "single-user", or "stofstrom" for built-in registers
	Import        string // id of the import job; "" when not from a file
	Line          int    // line of that file, 1-based; 0 when not from a file
	Reason        string // why, of an event whose payload has no place for it (closing a ledger)
}
