package ledger

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Standing is how an identity stands in a ledger.
type Standing uint8

// How an identity can stand.
const (
	Live     Standing = iota + 1 // its fact counts
	Void                         // cancelled
	Replaced                     // another identity stands in for it
	Away                         // moved to another ledger
)

// String names the standing in lower case.
func (s Standing) String() string {
	switch s {
	case Live:
		return "live"
	case Void:
		return "cancelled"
	case Replaced:
		return "replaced"
	case Away:
		return "moved"
	}
	return fmt.Sprintf("standing %d", uint8(s))
}

// Entry is what a ledger knows of an identity.
type Entry struct {
	Standing Standing
	FactID   uuid.UUID // of the fact, from its first event
	EventID  uuid.UUID // of the event that holds the current version, or ended it
	Content  [16]byte  // flow.Fact.ContentHash of the last version
	Revision uint32    // ordinal of that event among those of the identity
	To       string    // stream it was moved to; "" unless Away
}

// slot is an entry as kept: 72 bytes, and the fact packed in the arena.
type slot struct {
	factID, eventID uuid.UUID
	content         [16]byte
	revision        uint32
	offset, length  uint32 // of the packed fact
	to              uint32 // text number of the stream it was moved to
	standing        Standing
}

// State is what a ledger holds, folded from its events. The zero value is not
// usable; see NewState. Reading it is safe from several goroutines as long as
// none applies.
type State struct {
	key    Key
	slots  map[[16]byte]slot
	stock  map[flow.Material]mass.Grams // only waste, fraction and product are set in the keys
	texts  texts
	arena  []byte // packed facts
	live   int
	events uint64

	closed *event.LedgerClosed // nil while the books are open
}

// NewState is a ledger without events.
func NewState(k Key) *State {
	return &State{key: k, slots: make(map[[16]byte]slot), stock: make(map[flow.Material]mass.Grams)}
}

// Key tells which ledger it is.
func (s *State) Key() Key { return s.key }

// Events is the number of events applied: the next one has this revision.
func (s *State) Events() uint64 { return s.events }

// Live is the number of facts that count.
func (s *State) Live() int { return s.live }

// Closed tells whether the books are closed.
func (s *State) Closed() bool { return s.closed != nil }

// Lookup tells how an identity stands.
func (s *State) Lookup(id flow.Identity) (Entry, bool) {
	sl, ok := s.slots[id.Hash()]
	if !ok {
		return Entry{}, false
	}
	return Entry{Standing: sl.standing, FactID: sl.factID, EventID: sl.eventID, Content: sl.content,
		Revision: sl.revision, To: s.texts.at(sl.to)}, true
}

// Fact is the last version of the fact of an identity, whether it counts or not.
func (s *State) Fact(id flow.Identity) (flow.Fact, bool) {
	sl, ok := s.slots[id.Hash()]
	if !ok {
		return flow.Fact{}, false
	}
	return s.unpack(sl), true
}

// Facts calls yield with every fact that counts, in no order, until it
// returns false.
func (s *State) Facts(yield func(flow.Fact) bool) {
	for _, sl := range s.slots {
		if sl.standing == Live && !yield(s.unpack(sl)) {
			return
		}
	}
}

// Stock is the book stock by material (waste code, fraction, product), without
// materials that balance to nothing, in the order of their codes.
func (s *State) Stock() []event.StockLine {
	var lines []event.StockLine
	for m, g := range s.stock {
		if g != 0 {
			lines = append(lines, event.StockLine{Material: m, Net: g})
		}
	}
	slices.SortFunc(lines, func(a, b event.StockLine) int {
		if c := strings.Compare(string(a.Material.Waste), string(b.Material.Waste)); c != 0 {
			return c
		}
		if c := strings.Compare(a.Material.Fraction, b.Material.Fraction); c != 0 {
			return c
		}
		return strings.Compare(a.Material.Product, b.Material.Product)
	})
	return lines
}

// Size is about how much memory the state holds, in bytes.
func (s *State) Size() int64 {
	return int64(unsafe.Sizeof(State{})) + mapSize(len(s.slots), unsafe.Sizeof(slot{})+unsafe.Sizeof([16]byte{})) +
		mapSize(len(s.stock), unsafe.Sizeof(flow.Material{})+unsafe.Sizeof(mass.Grams(0))) + int64(cap(s.arena)) + s.texts.size()
}

// mapSize is about how much memory a map of n entries holds, in bytes: its
// places double when seven eighths are taken, and each has a byte of its own.
func mapSize(n int, entry uintptr) int64 {
	places := 8
	for places*7/8 < n {
		places *= 2
	}
	return int64(places)*int64(entry+1) + 64
}

// Inconsistent tells that an event does not follow from those before it: the
// stream is not one that this program wrote, or it was read out of order.
type Inconsistent struct {
	Stream string
	Event  uint64 // revision of the event in its stream
	ID     uuid.UUID
	Type   string
	Reason string
}

func (e *Inconsistent) Error() string {
	return fmt.Sprintf("ledger %s: event %d (%s %s) does not follow: %s", e.Stream, e.Event, e.Type, e.ID, e.Reason)
}

// Apply folds the next event of the ledger's stream into the state. Events
// come in the stream's order, from the first one. Errors are *Inconsistent;
// the state is then as before.
func (s *State) Apply(e event.Event) error {
	if err := s.apply(e); err != nil {
		return &Inconsistent{Stream: s.key.Stream(), Event: s.events, ID: e.EventID(), Type: e.Type(), Reason: err.Error()}
	}
	s.events++
	return nil
}

func (s *State) apply(e event.Event) error {
	switch e := e.(type) {
	case event.Recorded:
		return s.enter(e.Fact, nil, slot{standing: Live, factID: e.ID, eventID: e.ID, revision: e.Revision})
	case event.Arrived:
		return s.enter(e.Fact, nil, slot{standing: Live, factID: e.FactID, eventID: e.ID, revision: e.Revision})
	case event.Corrected:
		if err := s.isCurrent(e.Was, e.Corrects, e.FactID); err != nil {
			return err
		}
		return s.enter(e.Is, &e.Was, slot{standing: Live, factID: e.FactID, eventID: e.ID, revision: e.Revision})
	case event.Moved:
		if err := s.isCurrent(e.Was, e.Corrects, e.FactID); err != nil {
			return err
		}
		if e.Is.Identity != e.Was.Identity {
			return fmt.Errorf("a move changes the identity")
		}
		return s.leave(e.Was, e.Is, slot{standing: Away, factID: e.FactID, eventID: e.ID, revision: e.Revision, to: s.texts.number(e.To)})
	case event.Cancelled:
		if err := s.isCurrent(e.Was, e.Cancels, e.FactID); err != nil {
			return err
		}
		return s.leave(e.Was, e.Was, slot{standing: Void, factID: e.FactID, eventID: e.ID, revision: e.Revision})
	case event.LedgerClosed:
		if s.closed != nil {
			return fmt.Errorf("the ledger is closed already")
		}
		if e.Facility != s.key.Facility || e.Month != s.key.Period {
			return fmt.Errorf("it closes %s of %s", e.Month, e.Facility)
		}
		s.closed = &e
		return nil
	case event.FacilityRegistered, event.AreaRegistered:
	}
	return fmt.Errorf("not an event of a ledger")
}

// isCurrent tells whether was is the live version of its identity, held by
// the named event.
func (s *State) isCurrent(was flow.Fact, holder, factID uuid.UUID) error {
	sl, ok := s.slots[was.Identity.Hash()]
	switch {
	case !ok:
		return fmt.Errorf("no fact is recorded under %s", was.Identity)
	case sl.standing != Live:
		return fmt.Errorf("the fact %s is %s", was.Identity, sl.standing)
	case sl.eventID != holder:
		return fmt.Errorf("it changes event %s, but event %s holds the fact %s", holder, sl.eventID, was.Identity)
	case sl.factID != factID:
		return fmt.Errorf("it changes fact %s, but %s is fact %s", factID, was.Identity, sl.factID)
	case sl.content != was.ContentHash():
		return fmt.Errorf("the version that it changes is not the one recorded under %s", was.Identity)
	}
	return nil
}

// enter makes a fact live, in the place of was when that is given.
func (s *State) enter(f flow.Fact, was *flow.Fact, next slot) error {
	if f.Facility != s.key.Facility {
		return fmt.Errorf("the fact belongs to facility %s", f.Facility)
	}
	h := f.Identity.Hash()
	old, known := s.slots[h]
	takesOver := was != nil && was.Identity == f.Identity
	if known && old.standing == Live && !takesOver {
		return fmt.Errorf("a fact is recorded under %s already", f.Identity)
	}
	if known && next.revision <= old.revision {
		return fmt.Errorf("revision %d of %s comes after revision %d", next.revision, f.Identity, old.revision)
	}
	changes := s.changes(was, &f)
	if err := s.addStock(changes); err != nil {
		return err
	}
	if was != nil && !takesOver {
		wh := was.Identity.Hash()
		gone := s.slots[wh]
		gone.standing = Replaced
		s.slots[wh] = gone
		s.live--
	}
	if !takesOver {
		s.live++
	}
	s.keep(h, f, next)
	return nil
}

// leave ends the life of a fact in this ledger; last is its last version.
func (s *State) leave(was, last flow.Fact, next slot) error {
	h := was.Identity.Hash()
	if next.revision <= s.slots[h].revision {
		return fmt.Errorf("revision %d of %s comes after revision %d", next.revision, was.Identity, s.slots[h].revision)
	}
	if err := s.addStock(s.changes(&was, nil)); err != nil {
		return err
	}
	s.live--
	s.keep(h, last, next)
	return nil
}

func (s *State) keep(h [16]byte, f flow.Fact, next slot) {
	next.content = f.ContentHash()
	next.offset = uint32(len(s.arena))
	s.arena = s.texts.pack(s.arena, f)
	next.length = uint32(len(s.arena)) - next.offset
	s.slots[h] = next
}

func (s *State) unpack(sl slot) flow.Fact {
	return s.texts.unpack(s.arena[sl.offset : sl.offset+sl.length])
}
