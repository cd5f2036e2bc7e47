package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"
)

// Digester computes the digest over a ledger's events that LedgerClosed
// carries and the auditor checks. The zero value is ready for the first event.
//
// The hash of an event is SHA-256 over its id (16 bytes), the length of its
// type and its type, the length of its payload and its payload (lengths as
// 8 bytes, big end first): the bytes of the log, so that anybody can compute
// it without this program. The digest is SHA-256 over the hashes in order.
type Digester struct {
	hashes []byte
	events uint64
}

// Add takes the next event, as the log holds it.
func (d *Digester) Add(id uuid.UUID, typ string, data []byte) {
	b := make([]byte, 0, len(id)+len(typ)+len(data)+16)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(typ)))
	b = append(b, typ...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(data)))
	b = append(b, data...)
	sum := sha256.Sum256(b)
	d.hashes = append(d.hashes, sum[:]...)
	d.events++
}

// Sum is the digest over the events so far, in lower-case hex, and their number.
func (d *Digester) Sum() (digest string, events uint64) {
	sum := sha256.Sum256(d.hashes)
	return hex.EncodeToString(sum[:]), d.events
}
