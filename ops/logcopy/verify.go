package logcopy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"iter"

	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/ingest/eventstore"
)

// Sum is what two logs that are the same agree on.
type Sum struct {
	Events uint64
	// Digest is SHA-256 over the fields that a copy keeps, of all events in
	// order, in hexadecimal; see digest.add.
	Digest string
}

// Verify reads both logs from the start to the end of the source as it is now
// and compares them, event by event. It fails with ErrDifferent at the first
// difference, naming it.
func (c *Copier) Verify(ctx context.Context) (Sum, error) {
	end, err := c.end(ctx)
	if err != nil {
		return Sum{}, err
	}
	c.state = Progress{End: end}
	c.progress(c.state)
	next, stop := iter.Pull2(kept(c.to.Stored(ctx, eventlog.Position{}), true))
	defer stop()
	sum := newDigest()
	for e, err := range kept(c.from.Stored(ctx, eventlog.Position{}), false) {
		if err != nil {
			return Sum{}, fmt.Errorf("source: %w", err)
		}
		if e.Position.Compare(end) > 0 {
			break
		}
		twin, err, ok := next()
		switch {
		case ok && err != nil:
			return Sum{}, fmt.Errorf("target: %w", err)
		case !ok:
			return Sum{}, fmt.Errorf("%w: it ends before %s", ErrDifferent, describe(e))
		}
		if what := difference(e, twin); what != "" {
			return Sum{}, fmt.Errorf("%w: %s, in the copy %s: %s", ErrDifferent, describe(e), describe(twin), what)
		}
		sum.add(e)
		c.state.Events++
		c.state.At = e.Position
		if c.state.Events%maxEvents == 0 {
			c.progress(c.state)
		}
	}
	if extra, err, ok := next(); ok {
		if err != nil {
			return Sum{}, fmt.Errorf("target: %w", err)
		}
		// What the source has got meanwhile another run may have copied.
		if extra.Origin == nil || extra.Origin.Position.Compare(end) <= 0 {
			return Sum{}, fmt.Errorf("%w: the copy goes on with %s", ErrDifferent, describe(extra))
		}
	}
	c.state.At = end
	c.progress(c.state)
	return sum.sum(), nil
}

// kept leaves out what is not copied, and in a copy what its server made.
func kept(events iter.Seq2[eventstore.Stored, error], copied bool) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for e, err := range events {
			if err == nil {
				switch kindOf(e) {
				case kindSystem:
					continue
				case kindMetadata:
					if copied && e.Origin == nil {
						continue
					}
				case kindEvent, kindTombstone:
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func describe(e eventstore.Stored) string {
	return fmt.Sprintf("%s@%d (%s, %s, at %s)", e.Stream, e.Revision, e.Type, e.ID, e.Position)
}

// difference names the first field of a copy that is not as it must be.
func difference(e, twin eventstore.Stored) string {
	k := kindOf(e)
	switch {
	case e.Stream != twin.Stream:
		return "another stream"
	case e.Type != twin.Type:
		return "another type"
	case k == kindTombstone:
		return "" // the target's server wrote its own
	case k == kindEvent && e.Revision != twin.Revision:
		return "another revision"
	case e.ID != twin.ID:
		return "another id"
	case e.JSON != twin.JSON:
		return "another content type"
	case string(e.Data) != string(twin.Data):
		return "other data"
	case string(e.Meta) != string(twin.Meta):
		return "other metadata"
	case twin.Origin == nil:
		return "not a copy"
	case twin.Origin.Position != e.Position:
		return "copied from " + twin.Origin.Position.String()
	case !twin.Origin.RecordedAt.Equal(e.RecordedAt):
		return fmt.Sprintf("recorded at %s, not at %s", twin.Origin.RecordedAt, e.RecordedAt)
	}
	return ""
}

// digest sums up what a copy keeps.
type digest struct {
	hash  hash.Hash
	count uint64
	field [8]byte
}

func newDigest() *digest { return &digest{hash: sha256.New()} }

// add adds stream, revision, id, type, data and metadata, each with its length
// before it. Metadata of streams and ends of streams have revisions, ends also
// ids, that are the server's own: those are left out.
func (d *digest) add(e eventstore.Stored) {
	k := kindOf(e)
	d.bytes([]byte(e.Stream))
	if k == kindEvent {
		d.number(e.Revision)
	}
	if k != kindTombstone {
		d.bytes(e.ID[:])
	}
	d.bytes([]byte(e.Type))
	d.bytes(e.Data)
	d.bytes(e.Meta)
	d.count++
}

func (d *digest) bytes(b []byte) {
	d.number(uint64(len(b)))
	d.hash.Write(b)
}

func (d *digest) number(n uint64) {
	binary.BigEndian.PutUint64(d.field[:], n)
	d.hash.Write(d.field[:])
}

func (d *digest) sum() Sum { return Sum{Events: d.count, Digest: hex.EncodeToString(d.hash.Sum(nil))} }
