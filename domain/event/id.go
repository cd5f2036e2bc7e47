package event

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/flow"
)

// The event types of the log, version included. Those of first reports are
// FactType of their kind.
const (
	TypeCorrected    = "dk.stofstrom.flow.corrected.v1"
	TypeMoved        = "dk.stofstrom.flow.moved.v1"
	TypeArrived      = "dk.stofstrom.flow.arrived.v1"
	TypeCancelled    = "dk.stofstrom.flow.cancelled.v1"
	TypeLedgerClosed = "dk.stofstrom.ledger.closed.v1"
	TypeFacility     = "dk.stofstrom.register.facility.v1"
	TypeArea         = "dk.stofstrom.register.area.v1"

	factPrefix = "dk.stofstrom.flow."
	factSuffix = ".v1"
)

// FactType is the event type under which a fact of a kind is recorded, which
// is its CloudEvents type as well.
func FactType(k flow.Kind) string {
	switch k { // the usual ones without building a string
	case flow.Received:
		return factPrefix + string(flow.Received) + factSuffix
	case flow.PeriodReported:
		return factPrefix + string(flow.PeriodReported) + factSuffix
	default:
		return factPrefix + string(k) + factSuffix
	}
}

// namespace is the UUID namespace of event ids. It never changes.
var namespace = uuid.UUID{0x3a, 0x5f, 0x1e, 0x0c, 0x7d, 0x42, 0x5b, 0x8e, 0x9c, 0x61, 0x2f, 0xd4, 0x0b, 0xa7, 0x93, 0x18}

// IDOf is the id that an event must have: UUIDv5 over the hash of what it is
// about (the identity of its fact, or the id of its register entry or ledger),
// the hash of what it says of it, its revision, and its type without the
// version, so that an event keeps its id when its payload is read by a later
// version of this program. The ID field of e takes no part.
//
// The content takes part because the log recognises a repeated append by its
// ids alone: were they the same for two contents, then of two instances that
// record the same identity at the same moment both would be told that it is
// recorded, and what one of them acknowledged would be nowhere.
func IDOf(e Event) uuid.UUID {
	switch e := e.(type) {
	case Recorded:
		return newID(e.Fact.Identity.Hash(), e.Fact.ContentHash(), e.Revision, e.Type())
	case Corrected:
		return newID(e.Is.Identity.Hash(), e.Is.ContentHash(), e.Revision, e.Type())
	case Moved:
		return newID(e.Is.Identity.Hash(), e.Is.ContentHash(), e.Revision, e.Type())
	case Arrived:
		return newID(e.Fact.Identity.Hash(), e.Fact.ContentHash(), e.Revision, e.Type())
	case Cancelled:
		return newID(e.Was.Identity.Hash(), e.Was.ContentHash(), e.Revision, e.Type())
	case LedgerClosed:
		return newID(nameHash(string(e.Facility), e.Month), fieldsHash(e.Digest), 1, e.Type())
	case FacilityRegistered:
		return newID(nameHash(string(e.Facility.ID)), facilityHash(e), e.Revision, e.Type())
	case AreaRegistered:
		return newID(nameHash(string(e.Area.ID)), areaHash(e), e.Revision, e.Type())
	}
	return uuid.Nil
}

// WithID returns the event with the id that IDOf says it must have.
func WithID(e Event) Event {
	id := IDOf(e)
	switch e := e.(type) {
	case Recorded:
		e.ID = id
		return e
	case Corrected:
		e.ID = id
		return e
	case Moved:
		e.ID = id
		return e
	case Arrived:
		e.ID = id
		return e
	case Cancelled:
		e.ID = id
		return e
	case LedgerClosed:
		e.ID = id
		return e
	case FacilityRegistered:
		e.ID = id
		return e
	case AreaRegistered:
		e.ID = id
		return e
	}
	return e
}

func newID(subject, content [16]byte, revision uint32, typ string) uuid.UUID {
	b := make([]byte, 0, 96)
	b = append(b, subject[:]...)
	b = append(b, content[:]...)
	b = binary.BigEndian.AppendUint32(b, revision)
	return uuid.NewSHA1(namespace, append(b, unversioned(typ)...))
}

func facilityHash(e FacilityRegistered) [16]byte {
	f := e.Facility
	fields := []string{string(f.ID), f.Name, string(f.Area), f.Locality, degrees(f.Location.Lat), degrees(f.Location.Lon),
		f.TimeZone, f.Permit, e.Source}
	// The list of operations is the last field, for ever: each has a number of
	// its own from 32 on. Other fields may be added before that.
	fields = append(fields, make([]string, 32-len(fields))...)
	return fieldsHash(append(fields, f.Operations...)...)
}

func areaHash(e AreaRegistered) [16]byte {
	a := e.Area
	return fieldsHash(string(a.ID), string(a.Level), a.Name, a.Country, a.Code, string(a.Parent), a.NUTS,
		degrees(a.Centre.Lat), degrees(a.Centre.Lon), e.Source)
}

// degrees writes a coordinate so that it reads back as the same; "" for zero.
func degrees(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// fieldsHash hashes numbered, length-prefixed fields. Empty ones are left out,
// so that a field added later changes no hash of what does not have it.
func fieldsHash(fields ...string) [16]byte {
	b := make([]byte, 0, 256)
	for i, f := range fields {
		if f == "" {
			continue
		}
		b = binary.BigEndian.AppendUint16(b, uint16(i))
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// unversioned cuts .v1 off a type.
func unversioned(typ string) string {
	if i := strings.LastIndexByte(typ, '.'); i >= 0 {
		return typ[:i]
	}
	return typ
}

// nameHash hashes length-prefixed names as identities are hashed, under a
// reporter that no identity can have.
func nameHash(names ...string) [16]byte {
	id := flow.Identity{}
	switch len(names) {
	case 1:
		id.ExternalID = names[0]
	case 2:
		id.Source, id.ExternalID = names[0], names[1]
	}
	return id.Hash()
}
