package index

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
)

// Placed is where an event of a facility stands, in its streams and in the
// order of the log.
type Placed struct {
	Position eventlog.Position
	Place    Place
}

// positionKey sorts as positions do.
func positionKey(p eventlog.Position) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), p.Commit)
	return binary.BigEndian.AppendUint64(b, p.Prepare)
}

// facilityPrefix ends with a byte that no facility id holds, so that no id is
// the beginning of another.
func facilityPrefix(id facility.ID) []byte {
	return append(append(make([]byte, 0, len(id)+1+16), id...), 0)
}

func feedKey(id facility.ID, p eventlog.Position) []byte {
	return append(facilityPrefix(id), positionKey(p)...)
}

func bookedPrefix(id facility.ID, month string) []byte {
	return append(append(facilityPrefix(id), month...), 0)
}

// Feed yields what stands in a facility's own streams, in the order of the
// log, from the first event after a position on, as far as the log was
// followed. An error is yielded once, as the last element.
func (ix *Index) Feed(id facility.ID, after eventlog.Position) iter.Seq2[Placed, error] {
	prefix := append([]byte{prefixFeed}, facilityPrefix(id)...)
	from := append([]byte{prefixFeed}, feedKey(id, after)...)
	if after.IsStart() {
		from = nil
	}
	return ix.placed(from, prefix)
}

// Booked yields the events of a facility that are booked in a month (yyyymm)
// though they stand in the ledger of another, in the order of the log. An
// error is yielded once, as the last element.
func (ix *Index) Booked(id facility.ID, month string) iter.Seq2[Placed, error] {
	return ix.placed(nil, append([]byte{prefixBooked}, bookedPrefix(id, month)...))
}

func (ix *Index) placed(after, prefix []byte) iter.Seq2[Placed, error] {
	return func(yield func(Placed, error) bool) {
		for kv, err := range ix.scanAfter(after, prefix) {
			if err != nil {
				yield(Placed{}, err)
				return
			}
			p, err := readPlaced(kv, len(prefix))
			if err != nil {
				yield(Placed{}, damaged(err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func readPlaced(kv keyValue, prefix int) (Placed, error) {
	at := kv.key[prefix:]
	if len(at) != 16 {
		return Placed{}, fmt.Errorf("%w: position of a facility's event", errEntry)
	}
	place, err := readPlace(kv.value)
	return Placed{Place: place, Position: eventlog.Position{
		Commit: binary.BigEndian.Uint64(at), Prepare: binary.BigEndian.Uint64(at[8:])}}, err
}
