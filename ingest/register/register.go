// Package register is what is known of areas and facilities now, folded from
// the log and kept in memory for concurrent readers, and the way to change it.
//
// It promises that an entry that is not better than what stands there changes
// nothing and records nothing, that entries from files never overwrite what a
// person curated, and that concurrent changes of one entry are decided one
// after the other on an explicit expected revision.
//
// It leaves out history (the log has it) and who may change an entry
// (ingest/access).
package register

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
)

// FacilityEntry is what is known of a facility.
type FacilityEntry struct {
	Facility   facility.Facility
	Location   *time.Location // of its time zone; nil when this machine does not know the zone
	Source     Source
	Revision   uint32 // 1 for the first entry
	EventID    uuid.UUID
	Position   eventlog.Position // zero until the log has delivered what this instance appended
	RecordedAt time.Time         // likewise

	streamRevision uint64
}

// AreaEntry is what is known of an area.
type AreaEntry struct {
	Area       area.Area
	Source     Source
	Revision   uint32
	EventID    uuid.UUID
	Position   eventlog.Position
	RecordedAt time.Time

	streamRevision uint64
}

// Config limits the register. Zero values take the defaults.
type Config struct {
	Concurrency int // appends at a time within one call; 64
	MaxAttempts int // tries of one change that others overtake; 8
}

// Deps is what the register works with. Logger may be nil.
type Deps struct {
	Log    eventlog.Reader
	Append eventlog.Appender
	Logger *slog.Logger
}

// Register holds the entries. All methods may be called from any goroutine.
type Register struct {
	cfg    Config
	deps   Deps
	logger *slog.Logger

	mu         sync.RWMutex
	facilities map[facility.ID]FacilityEntry
	areas      map[area.ID]AreaEntry
	streams    map[string]uint64 // last revision of each areas stream
	zones      map[string]*time.Location

	writers keyedLock // one change of a stream at a time
}

// New makes an empty register; Apply fills it.
func New(cfg Config, deps Deps) *Register {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 64
	}
	if cfg.MaxAttempts <= 0 {
		cfg.MaxAttempts = 8
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Register{
		cfg: cfg, deps: deps, logger: deps.Logger,
		facilities: map[facility.ID]FacilityEntry{},
		areas:      map[area.ID]AreaEntry{},
		streams:    map[string]uint64{},
		zones:      map[string]*time.Location{},
	}
}

// Facility returns what is known of a facility.
func (r *Register) Facility(id facility.ID) (FacilityEntry, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, ok := r.facilities[id]
	return e, ok
}

// KnownFacility tells whether a facility is registered.
func (r *Register) KnownFacility(id facility.ID) bool {
	_, ok := r.Facility(id)
	return ok
}

// Facilities returns all facilities, by id.
func (r *Register) Facilities() []FacilityEntry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.facilities), func(a, b FacilityEntry) int { return cmp.Compare(a.Facility.ID, b.Facility.ID) })
}

// Area returns what is known of an area.
func (r *Register) Area(id area.ID) (AreaEntry, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, ok := r.areas[id]
	return e, ok
}

// KnownArea tells whether an area is registered.
func (r *Register) KnownArea(id area.ID) bool {
	_, ok := r.Area(id)
	return ok
}

// Areas returns all areas, by id.
func (r *Register) Areas() []AreaEntry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.areas), func(a, b AreaEntry) int { return cmp.Compare(a.Area.ID, b.Area.ID) })
}

// Apply folds an event of the register's streams; any other is passed over.
// An event that was applied before changes nothing but its position.
func (r *Register) Apply(rec eventlog.Recorded, ev event.Event) {
	switch e := ev.(type) {
	case event.FacilityRegistered:
		r.mu.Lock()
		defer r.mu.Unlock()
		if old, ok := r.facilities[e.Facility.ID]; ok && rec.Revision < old.streamRevision {
			return
		}
		r.facilities[e.Facility.ID] = FacilityEntry{
			Facility: e.Facility, Location: r.zone(e.Facility.TimeZone), Source: ParseSource(e.Source),
			Revision: e.Revision, EventID: e.ID, Position: rec.Position, RecordedAt: rec.RecordedAt,
			streamRevision: rec.Revision,
		}
	case event.AreaRegistered:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.streams[rec.Stream] = max(r.streams[rec.Stream], rec.Revision)
		if old, ok := r.areas[e.Area.ID]; ok && rec.Revision < old.streamRevision {
			return
		}
		r.areas[e.Area.ID] = AreaEntry{
			Area: e.Area, Source: ParseSource(e.Source),
			Revision: e.Revision, EventID: e.ID, Position: rec.Position, RecordedAt: rec.RecordedAt,
			streamRevision: rec.Revision,
		}
	case event.Recorded, event.Corrected, event.Moved, event.Arrived, event.Cancelled, event.LedgerClosed, nil:
	}
}

// zone loads a time zone once. The caller holds mu.
func (r *Register) zone(name string) *time.Location {
	if loc, ok := r.zones[name]; ok {
		return loc
	}
	loc, err := facility.Zone(name)
	if err != nil {
		r.logger.Error("time zone of a registered facility is not known here, its facts are refused", "time_zone", name, "error", err)
	}
	r.zones[name] = loc
	return loc
}
