// Package imports takes files: it keeps them safe in a spool, reads them by a
// profile, records their rows, and reports line by line what became of each.
//
// It promises that
//   - a file that was accepted is on disk, fsynced, and its job ends by itself
//     whatever happens: after a kill at any moment the next start resumes it;
//   - each row of the file gets exactly one result, in the order of the file,
//     and what this job itself recorded is reported as recorded, also when a
//     kill came between recording and reporting;
//   - a log that is slow or away makes a job wait, never fail or skip a row;
//   - a changed keyless file counts nothing twice: rows that are new are held
//     back while recorded rows are missing, unless replacement is asked for
//     with a reason (docs/adr/0011-changed-keyless-files.md);
//   - a dry run judges every row and changes nothing;
//   - the sender gets the file itself back, with the results beside its rows;
//   - memory stays flat whatever the size of the file, and the spool has
//     limits.
//
// It leaves out what columns mean (ingest/profile), the rules of facts
// (domain/flow) and who may send files (ingest/access). The spool belongs to
// one process at a time.
package imports

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/profile"
	"github.com/stofstrom/stofstrom/ingest/register"
)

// Config says where the spool lies and what it may use. Zero values take the
// defaults.
type Config struct {
	Dir string // folder of the spool; required, made when missing

	MaxFileBytes int64          // bytes of a file as it is sent; 2 GiB
	Limits       profile.Limits // of records and of unpacking

	MaxQueued    int           // jobs that wait when a file comes; files on their way then may go beyond it; 100
	MaxReceiving int           // files that are received at a time; 200
	Workers      int           // jobs at a time, of different scopes; 2
	BatchRows    int           // rows submitted together; 500
	InFlight     int           // batches under way within a job; 8
	SortBytes    int           // memory of comparing a keyless file with what is recorded; 32 MiB
	KeepFor      time.Duration // finished jobs and their files; 30 days
	KeepBytes    int64         // bytes of all finished jobs; 10 GiB
	KeepJobs     int           // finished jobs; 1,000
	FirstPause   time.Duration // first pause after the log was away, doubled up to 64 times it; 250 ms
}

func (c Config) orDefaults() Config {
	setDefault(&c.MaxFileBytes, 2<<30)
	setDefault(&c.MaxQueued, 100)
	setDefault(&c.MaxReceiving, 200)
	setDefault(&c.Workers, 2)
	setDefault(&c.BatchRows, 500)
	setDefault(&c.InFlight, 8)
	setDefault(&c.SortBytes, 32<<20)
	setDefault(&c.KeepFor, 30*24*time.Hour)
	setDefault(&c.KeepBytes, 10<<30)
	setDefault(&c.KeepJobs, 1000)
	setDefault(&c.FirstPause, 250*time.Millisecond)
	return c
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Intake is where rows are recorded. *intake.Service is one.
type Intake interface {
	// Submit returns one result per item, in order. A result whose error is
	// Unavailable or NoRoom may be submitted again, any number of times.
	Submit(ctx context.Context, items []intake.Item) []intake.Result
	// Event tells where an event stands in the log.
	Event(ctx context.Context, id uuid.UUID) (place index.Place, found bool, err error)
	// Refused counts a row that was refused before it could be submitted.
	Refused(err error)
	// Scope yields the live identities of a reporter and source.
	Scope(ctx context.Context, reporter, source string) iter.Seq2[intake.Live, error]
	// Lookup tells where an identity stands.
	Lookup(ctx context.Context, id flow.Identity) (entry index.Entry, found bool, err error)
}

// Register is where the facilities and areas of a file are made known.
// *register.Register is one.
type Register interface {
	Facility(id facility.ID) (register.FacilityEntry, bool)
	Area(id area.ID) (register.AreaEntry, bool)
	KnownArea(id area.ID) bool
	KnownFacility(id facility.ID) bool
	PutFacilities(ctx context.Context, all []facility.Facility, source register.Source, meta event.Meta) []register.Outcome
	PutAreas(ctx context.Context, all []area.Area, source register.Source, meta event.Meta) []register.Outcome
}

// Streams reads ledgers back, to tell who recorded an event.
type Streams interface {
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error]
}

// Deps is what imports work with. Metrics and Logger may be nil.
type Deps struct {
	Intake   Intake
	Register Register
	Streams  Streams
	Profiles map[string]*profile.Profile
	Now      func() time.Time
	Metrics  *Metrics
	Logger   *slog.Logger
}
