package index

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Status is what is known of an identity.
type Status uint8

// The statuses. Their numbers are stored.
const (
	Live      Status = 1 // its fact counts
	Cancelled Status = 2 // its fact was cancelled
	Replaced  Status = 3 // another identity took its place
)

// String is the status in one word.
func (s Status) String() string {
	switch s {
	case Live:
		return "live"
	case Cancelled:
		return "cancelled"
	case Replaced:
		return "replaced"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Entry is what the index holds of one identity.
type Entry struct {
	Status     Status
	Ledger     string    // ledger stream the identity stands in
	FactID     uuid.UUID // id of the fact's first event
	EventID    uuid.UUID // event that holds its version now
	Content    [16]byte  // flow.Fact.ContentHash of that version
	ExternalID string
	Position   eventlog.Position // of the event that last changed the entry
}

// Place is where an event stands in the log.
type Place struct {
	Stream   string
	Revision uint64
}

// Arrival is a move whose target ledger has no Arrived event yet.
type Arrival struct {
	Moved  uuid.UUID // the Moved event
	At     Place     // where it stands
	Target string    // ledger stream that the Arrived event is due in
}

// scopeKey names a reporter and source; the identities of one scope are
// neighbours in the index.
type scopeKey [16]byte

// Key names an identity in the index: its scope, then the identity itself.
type Key [32]byte

// KeyOf is the key of an identity. Equal keys mean equal identities.
func KeyOf(id flow.Identity) Key {
	var k Key
	scope := scopeOf(id.Reporter, id.Source)
	hash := id.Hash()
	copy(k[:16], scope[:])
	copy(k[16:], hash[:])
	return k
}

// scopeOf hashes the two names, each behind its length, so that ("a", "bc")
// and ("ab", "c") differ.
func scopeOf(reporter, source string) scopeKey {
	buf := make([]byte, 0, 128)
	buf = appendString(buf, reporter)
	buf = appendString(buf, source)
	sum := sha256.Sum256(buf)
	return scopeKey(sum[:16])
}

// errEntry marks a stored value that cannot be read; the index is rebuilt.
var errEntry = errors.New("index entry cannot be read")

func appendEntry(buf []byte, e Entry) []byte {
	buf = append(buf, byte(e.Status))
	buf = append(buf, e.FactID[:]...)
	buf = append(buf, e.EventID[:]...)
	buf = append(buf, e.Content[:]...)
	buf = appendPosition(buf, e.Position)
	buf = appendString(buf, e.Ledger)
	return appendString(buf, e.ExternalID)
}

func readEntry(value []byte) (Entry, error) {
	d := decoder{rest: value}
	e := Entry{Status: Status(d.byte())}
	e.FactID = d.id()
	e.EventID = d.id()
	e.Content = d.id()
	e.Position = d.position()
	e.Ledger = d.string()
	e.ExternalID = d.string()
	if e.Status < Live || e.Status > Replaced {
		d.failed = true
	}
	return e, d.end("identity")
}

func appendPlace(buf []byte, p Place) []byte {
	return binary.AppendUvarint(appendString(buf, p.Stream), p.Revision)
}

func readPlace(value []byte) (Place, error) {
	d := decoder{rest: value}
	p := Place{Stream: d.string(), Revision: d.uvarint()}
	return p, d.end("place")
}

func appendArrival(buf []byte, a Arrival) []byte {
	return appendString(appendPlace(buf, a.At), a.Target)
}

func readArrival(moved uuid.UUID, value []byte) (Arrival, error) {
	d := decoder{rest: value}
	a := Arrival{Moved: moved, At: Place{Stream: d.string(), Revision: d.uvarint()}, Target: d.string()}
	return a, d.end("arrival")
}

// appendRecorded keeps a whole event: what the registers are folded from.
// The metadata is left out, since no register reads it.
func appendRecorded(buf []byte, r eventlog.Recorded) []byte {
	buf = appendPlace(buf, Place{Stream: r.Stream, Revision: r.Revision})
	buf = appendPosition(buf, r.Position)
	buf = append(buf, r.ID[:]...)
	buf = binary.AppendVarint(buf, r.RecordedAt.UnixNano())
	buf = appendString(buf, r.Type)
	return appendString(buf, string(r.Data))
}

func readRecorded(value []byte) (eventlog.Recorded, error) {
	d := decoder{rest: value}
	r := eventlog.Recorded{Stream: d.string(), Revision: d.uvarint(), Position: d.position(), ID: d.id()}
	r.RecordedAt = time.Unix(0, d.varint()).UTC()
	r.Type = d.string()
	r.Data = []byte(d.string())
	return r, d.end("register event")
}

func appendString(buf []byte, s string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(s))), s...)
}

func appendPosition(buf []byte, p eventlog.Position) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(buf, p.Commit), p.Prepare)
}

// decoder reads a stored value; the first thing missing makes it fail and
// every later read return zero.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) take(n uint64) []byte {
	if d.failed || n > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	b := d.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (d *decoder) id() (id [16]byte) {
	copy(id[:], d.take(16))
	return id
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.failed || n <= 0 {
		d.failed = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if d.failed || n <= 0 {
		d.failed = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

func (d *decoder) position() eventlog.Position {
	return eventlog.Position{Commit: d.uvarint(), Prepare: d.uvarint()}
}

func (d *decoder) end(what string) error {
	if d.failed || len(d.rest) != 0 {
		return fmt.Errorf("%w: %s", errEntry, what)
	}
	return nil
}
