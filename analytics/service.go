package analytics

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/analytics/queries"
	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/fault"
)

// Config sets the limits of a question.
type Config struct {
	Timeout   time.Duration // for finding a moment, and again for an answer at it
	MaxRows   int           // rows of one answer
	MaxGroups int           // groups the engine hands over for one answer, before names are looked up
	// MaxBoundBytes is how long a list of ids may be that is sent with a
	// statement; ClickHouse takes 128 KiB a parameter over HTTP. What a longer
	// list would group or filter is done here, slower and with the same result.
	MaxBoundBytes int
	// Uncertainties say how well each method of measurement knows a mass; a
	// question may override single methods.
	Uncertainties balance.Uncertainties
}

// DefaultConfig is what serve uses when nothing is set.
func DefaultConfig() Config {
	return Config{Timeout: 15 * time.Second, MaxRows: 100_000, MaxGroups: 2_000_000, MaxBoundBytes: 96 << 10, Uncertainties: balance.DefaultUncertainties()}
}

// Deps are what a Service works with.
type Deps struct {
	Conn Conn
}

// Service answers questions. It is safe for concurrent use and starts nothing.
type Service struct {
	config                      Config
	conn                        Conn
	flows, snapshot, wordsQuery queries.Query
	balances, balanceDays       queries.Query
	words                       words
	registers                   registerQueries
	answered                    atomic.Uint64  // highest position of any answer
	registerAt                  chan *register // of size 1: holds the latest register, and is the lock on it
}

// New makes a Service. Errors: a limit that is not positive, or a query file
// that does not hold together.
func New(config Config, deps Deps) (*Service, error) {
	if config.Timeout <= 0 || config.MaxRows <= 0 || config.MaxGroups <= 0 || config.MaxBoundBytes < 0 {
		return nil, fmt.Errorf("analytics: limits must be positive, got %+v", config)
	}
	if config.Uncertainties.ID == "" {
		return nil, errors.New("analytics: the rule set of uncertainties has no id")
	}
	if deps.Conn == nil {
		return nil, errors.New("analytics: no connection to the tables")
	}
	s := &Service{config: config, conn: deps.Conn, registerAt: make(chan *register, 1)}
	for name, into := range map[string]*queries.Query{
		"flows": &s.flows, "words": &s.wordsQuery, "snapshot": &s.snapshot, "areas": &s.registers.areas, "facilities": &s.registers.facilities,
		"balances": &s.balances, "balance_days": &s.balanceDays,
	} {
		var err error
		if *into, err = queries.Load(name); err != nil {
			return nil, fmt.Errorf("analytics: %w", err)
		}
	}
	s.registerAt <- &register{}
	return s, nil
}

// Moment is a position of the log that questions are answered at. All answers
// of one Moment agree with one another.
type Moment struct {
	Position uint64    // commit position; 0 before the first flush
	AsOf     time.Time // when the event there was recorded; zero before the first

	watermark uint64
	builds    []uuid.UUID
	register  *register
}

// Now finds the latest moment that every table has reached. Moments never go
// back: one asked for after an answer was given is not earlier than it.
// Errors are faults: Unavailable when the tables are away or being rebuilt.
func (s *Service) Now(ctx context.Context) (Moment, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	floor := s.answered.Load() // before the tables are read: a concurrent answer may be newer than this one
	var m Moment
	err := each(ctx, s.conn, s.snapshot, nil, func(scan func(...any) error) error {
		return scan(&m.Position, &m.AsOf, &m.watermark, &m.builds)
	})
	if err != nil {
		return Moment{}, fmt.Errorf("read position: %w", err)
	}
	if m.Position < floor {
		return Moment{}, fault.New(fault.Unavailable,
			"the tables stand at position %d, behind %d that was answered before: they are being rebuilt or restored; try again", m.Position, floor)
	}
	if m.Position == 0 {
		m.AsOf = time.Time{}
	}
	m.AsOf = m.AsOf.UTC()
	if m.register, err = s.registerOf(ctx, m.Position); err != nil {
		return Moment{}, fmt.Errorf("read register at position %d: %w", m.Position, err)
	}
	return m, nil
}

// registerOf gives the register of a position: the latest one known, advanced
// if the tables have moved on, or one made anew for a position before it.
func (s *Service) registerOf(ctx context.Context, position uint64) (*register, error) {
	var latest *register
	select {
	case latest = <-s.registerAt:
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "the answer took longer than it may; try again")
	}
	keep := latest
	defer func() { s.registerAt <- keep }()
	switch {
	case latest.upto == position, latest.changed <= position && position <= latest.upto:
		return latest, nil
	case latest.upto < position:
		next, err := latest.advance(ctx, s.conn, s.registers, position)
		if err != nil {
			return nil, err
		}
		keep = next
		return next, nil
	}
	return (&register{}).advance(ctx, s.conn, s.registers, position)
}

// answeredAt notes that an answer of a position is about to leave.
func (s *Service) answeredAt(position uint64) {
	for {
		before := s.answered.Load()
		if position <= before || s.answered.CompareAndSwap(before, position) {
			return
		}
	}
}
