package store

import "fmt"

// ExpectedKind is what a writer states about a stream.
type ExpectedKind uint8

// The closed set of statements.
const (
	// ExpectAny states nothing.
	ExpectAny ExpectedKind = iota
	// ExpectNoStream states that the stream has no events or was deleted (not
	// tombstoned).
	ExpectNoStream
	// ExpectStreamExists states that the stream has an event or metadata and
	// is not deleted.
	ExpectStreamExists
	// ExpectRevision states the revision of the stream's last event.
	ExpectRevision
)

// Expected is a statement about a stream that must hold for a write to happen.
type Expected struct {
	Kind ExpectedKind
	// Revision belongs to ExpectRevision alone.
	Revision uint64
}

func (e Expected) String() string {
	switch e.Kind {
	case ExpectAny:
		return "any revision"
	case ExpectNoStream:
		return "no stream"
	case ExpectStreamExists:
		return "an existing stream"
	case ExpectRevision:
		return fmt.Sprintf("revision %d", e.Revision)
	}
	return fmt.Sprintf("expectation of kind %d", e.Kind)
}

// number gives the expectation as EventStoreDB compares it: the revision, or
// -1 for no stream. It is meaningful for those two kinds only.
func (e Expected) number() int64 {
	if e.Kind == ExpectNoStream {
		return NoRevision
	}
	if e.Revision > RevisionTombstone {
		return RevisionTombstone
	}
	return int64(e.Revision)
}

// Proposed is an event that a client wants to append.
type Proposed struct {
	ID       [16]byte
	JSON     bool
	Type     []byte
	Metadata []byte
	Data     []byte
}

// Size is what EventStoreDB counts against its append limit, in bytes.
func (p *Proposed) Size() int { return len(p.Data) + len(p.Metadata) + 2*len(p.Type) }

// Result says where the last event of an append is, be it written now or by
// the earlier attempt that this one repeats.
type Result struct {
	// Revision of the last event; [NoRevision] if the append held no event
	// and the stream has none.
	Revision int64
	// Position of the last event; 0 if the append held no event.
	Position uint64
	// Idempotent says that nothing was written, since all was there already.
	Idempotent bool
}
