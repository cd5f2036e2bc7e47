// Package intake is the write path: it takes commands about material-flow
// facts, has the facility ledgers decide on them, and records the outcome in
// the log.
//
// It promises that
//   - a result without an error is durable in the log before Submit returns;
//   - one identity stands in one place: known in another ledger is a conflict
//     that names it, or a move when a reason is given;
//   - the same submission again, at any time and after any failure, records
//     nothing twice, so that every retry is safe;
//   - a ledger has one writer at a time; its items are decided in the order in
//     which they came, save those that wait for their identity to be free in
//     another ledger, and share appends while they wait;
//   - memory is bounded: queue, cached ledgers and appends have limits.
//
// It leaves out decoding (ingest/codec, ingest/imports), who may report what
// (ingest/access) and rules that need more than one ledger (projections). Two
// instances on one log may each record the same identity in the same instant
// in different ledgers; the projection finds that.
package intake

import (
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/register"
)

// Item is one command with what is recorded beside its events.
//
// The fact of a command need not be checked: Submit checks it by the rule
// catalogue of domain/flow against the register, and adds its warnings.
type Item struct {
	Command ledger.Command
	// Ledger names the ledger that a Close is for; all other commands find
	// theirs by fact or identity. The digest of a Close is left empty: it is
	// taken here, over the ledger as it is closed.
	Ledger ledger.Key
	Meta   event.Meta
}

// Result is what became of one item.
type Result struct {
	// Status is one of the words of domain/ledger; "" when Err is set.
	Status   ledger.Status
	FactID   uuid.UUID // the fact's id for ever; the id of its first event
	EventID  uuid.UUID // the event that holds the fact's version now
	Ledger   string    // name of the ledger stream the fact stands in now
	Revision uint64    // of the last event appended for this item; 0 when already recorded
	// Position of the append that holds it; zero when already recorded: then
	// it lies before anything that is appended later.
	Position eventlog.Position
	Warnings []fault.Violation
	// Err is nil, the context's error, or a *fault.Fault: Invalid, Conflict,
	// Cancelled, NotFound, TooLarge (nothing recorded), or Unavailable and
	// NoRoom (retry the same item: it is recorded once, whatever happened).
	Err error
}

// Config limits the service. Zero values take the defaults.
type Config struct {
	MaxQueued       int           // items waiting or under way; 100,000
	MaxUnfollowed   int           // index entries of own appends that the log has not delivered yet; 2,000,000
	MaxAppendEvents int           // events in one append; 500
	MaxAppendBytes  int           // bytes of payload and metadata in one append; 512 KiB
	Writers         int           // ledgers decided and appended at a time; 64
	CacheBytes      int64         // estimated bytes of ledger states kept; 256 MiB
	MaxAttempts     int           // decisions of one item that another writer overtook; 8
	RetryLog        time.Duration // first pause after the log was unavailable, doubled up to 16 times it; 250 ms
	Drain           time.Duration // how long Run lets appends under way finish when it is stopped; 10 s
}

// Deps is what the service works with. All but Logger are required.
type Deps struct {
	Log      Log
	Append   eventlog.Appender // ingest/publish in the product
	Register *register.Register
	Index    *index.Index
	Now      func() time.Time
	Logger   *slog.Logger
	Metrics  *Metrics
}

// Log is the reading side of the log.
type Log interface {
	eventlog.Reader
	eventlog.Feed
}
