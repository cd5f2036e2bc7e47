package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
)

const t1 = 1_000_000 // a tonne in grams

func violation(rule string) fault.Violation {
	return fault.Violation{Rule: rule, Severity: fault.Warning}
}

func TestAFactIsRecordedOnce(t *testing.T) {
	warnings := []fault.Violation{violation(flow.RuleReportedLate)}
	s := given(t, march).when(ledger.Record{Fact: load("1", 5*t1), Warnings: warnings}).
		then(ledger.StatusRecorded, event.Recorded{Revision: 1, Fact: load("1", 5*t1), Warnings: warnings})
	require.Equal(t, s.got.FactID, s.got.EventID)
	require.Equal(t, s.got.Events[0].EventID(), s.got.FactID)
	require.Equal(t, warnings, s.got.Warnings)
	first := s.got

	s.when(ledger.Record{Fact: load("1", 5*t1)}).then(ledger.StatusAlreadyRecorded)
	require.Equal(t, first.FactID, s.got.FactID)
	require.Equal(t, first.EventID, s.got.EventID)
	s.replayed()
}

func TestSameIdentityOtherContentIsAConflictWithBothVersions(t *testing.T) {
	other := load("1", 6*t1)
	other.Fate = "Recovery"
	f := given(t, march, ledger.Record{Fact: load("1", 5*t1)}).when(ledger.Record{Fact: other}).refused(fault.Conflict, flow.RuleConflict)
	require.Len(t, f.Violations, 2)
	require.Equal(t, "mass.value", f.Violations[0].Field)
	require.Contains(t, f.Violations[0].Message, "5.000000 t")
	require.Contains(t, f.Violations[0].Message, "6.000000 t")
	require.Equal(t, "6.000000 t", f.Violations[0].Value)
	require.Equal(t, "fate", f.Violations[1].Field)
}

// The ticket of 5 March resent under another date of the same month.
func TestATicketResentUnderAnotherDateIsAConflict(t *testing.T) {
	other := load("1", 5*t1)
	other.When.Occurred = other.When.Occurred.AddDate(0, 0, 1)
	f := given(t, march, ledger.Record{Fact: load("1", 5*t1)}).when(ledger.Record{Fact: other}).refused(fault.Conflict, flow.RuleConflict)
	require.Equal(t, "occurred", f.Violations[0].Field)
}

func TestACorrectionCarriesBothVersions(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)})
	first := s.got
	s.when(ledger.Correct{Fact: load("1", 6*t1), Reason: "typed wrong"}).
		then(ledger.StatusCorrected, event.Corrected{Revision: 2, Reason: "typed wrong", Was: load("1", 5*t1), Is: load("1", 6*t1)})
	e, ok := s.got.Events[0].(event.Corrected)
	require.True(t, ok)
	require.Equal(t, first.FactID, e.FactID)
	require.Equal(t, first.EventID, e.Corrects)
	second := s.got

	// A correction of the correction names the correction.
	s.when(ledger.Correct{Fact: load("1", 7*t1), Reason: "still wrong"})
	e, ok = s.got.Events[0].(event.Corrected)
	require.True(t, ok)
	require.Equal(t, second.EventID, e.Corrects)
	require.Equal(t, first.FactID, e.FactID)
	require.Equal(t, uint32(3), e.Revision)

	// The same value is no event.
	s.when(ledger.Correct{Fact: load("1", 7*t1), Reason: "again"}).then(ledger.StatusAlreadyRecorded)
	require.Equal(t, uint32(3), s.got.Revision)
	s.replayed()
}

func TestAToBToAIsThreeEventsWithThreeIDs(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)}, ledger.Correct{Fact: load("1", 6*t1), Reason: "b"},
		ledger.Correct{Fact: load("1", 5*t1), Reason: "a after all"})
	require.Len(t, s.log, 3)
	ids := map[string]bool{}
	for _, e := range s.log {
		ids[e.EventID().String()] = true
	}
	require.Len(t, ids, 3)
	s.when(ledger.Record{Fact: load("1", 5*t1)}).then(ledger.StatusAlreadyRecorded)
	s.when(ledger.Record{Fact: load("1", 6*t1)}).refused(fault.Conflict, flow.RuleConflict)
	s.replayed()
}

func TestACancelledFactStaysCancelled(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)}).when(ledger.Cancel{Identity: load("1", 0).Identity, Reason: "never came"}).
		then(ledger.StatusCancelled, event.Cancelled{Revision: 2, Reason: "never came", Was: load("1", 5*t1)})
	require.Zero(t, s.state.Live())
	require.Empty(t, s.state.Stock())
	s.when(ledger.Cancel{Identity: load("1", 0).Identity, Reason: "again"}).then(ledger.StatusAlreadyRecorded)
	f := s.when(ledger.Record{Fact: load("1", 5*t1)}).refused(fault.Cancelled, flow.RuleCancelled)
	require.Contains(t, f.Error(), "1")
	s.when(ledger.Correct{Fact: load("1", 6*t1), Reason: "x"}).refused(fault.Cancelled, flow.RuleCancelled)
	s.when(ledger.Move{Fact: load("1", 5*t1), To: february, Reason: "x"}).refused(fault.Cancelled, flow.RuleCancelled)
	s.replayed()
}

func TestChangesNeedAReasonAndAFact(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)})
	for _, c := range []ledger.Command{ledger.Correct{Fact: load("1", 6*t1)}, ledger.Cancel{Identity: load("1", 0).Identity},
		ledger.Replace{Fact: load("2", 6*t1), Replaces: load("1", 0).Identity}, ledger.Move{Fact: load("1", 5*t1), To: february}} {
		s.when(c).refused(fault.Invalid, flow.RuleReason)
	}
	s.when(ledger.Cancel{Identity: load("1", 0).Identity, Reason: "hr. Jensen asked"}).refused(fault.Invalid, flow.RulePersonalData)
	for _, c := range []ledger.Command{ledger.Correct{Fact: load("9", 6*t1), Reason: "x"}, ledger.Cancel{Identity: load("9", 0).Identity, Reason: "x"},
		ledger.Replace{Fact: load("2", 6*t1), Replaces: load("9", 0).Identity, Reason: "x"}, ledger.Move{Fact: load("9", 5*t1), To: february, Reason: "x"}} {
		s.when(c).refused(fault.NotFound, flow.RuleNotRecorded)
	}
}

func TestAKeylessFileThatChangesReplacesRows(t *testing.T) {
	a, b := load("1", 5*t1), load("2", 6*t1) // the identity of a row is its content
	s := given(t, march, ledger.Record{Fact: a})
	first := s.got
	s.when(ledger.Replace{Fact: b, Replaces: a.Identity, Reason: "new edition"}).
		then(ledger.StatusCorrected, event.Corrected{Revision: 1, Reason: "new edition", Was: a, Is: b})
	require.Equal(t, first.FactID, s.got.FactID, "it is the same fact")
	require.Equal(t, 1, s.state.Live())
	old, _ := s.state.Lookup(a.Identity)
	require.Equal(t, ledger.Replaced, old.Standing)

	s.when(ledger.Record{Fact: a}).refused(fault.Conflict, flow.RuleReplaced)
	s.when(ledger.Replace{Fact: b, Replaces: a.Identity, Reason: "sent again"}).then(ledger.StatusAlreadyRecorded)
	// The file changes back: the identity returns with its next revision.
	s.when(ledger.Replace{Fact: a, Replaces: b.Identity, Reason: "back"}).
		then(ledger.StatusCorrected, event.Corrected{Revision: 2, Reason: "back", Was: b, Is: a})
	s.when(ledger.Replace{Fact: b, Replaces: a.Identity, Reason: "and forth"}).
		then(ledger.StatusCorrected, event.Corrected{Revision: 2, Reason: "and forth", Was: a, Is: b})
	require.Equal(t, 1, s.state.Live())
	s.replayed()
}

func TestARowThatReturnsWithoutAPartnerIsRecordedAgain(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)}, ledger.Cancel{Identity: load("1", 0).Identity, Reason: "gone in edition 2"})
	s.when(ledger.Replace{Fact: load("1", 5*t1), Reason: "back in edition 3"}).
		then(ledger.StatusRecorded, event.Recorded{Revision: 3, Reason: "back in edition 3", Fact: load("1", 5*t1)})
	s.when(ledger.Replace{Fact: load("2", t1), Reason: "edition 3"}).then(ledger.StatusRecorded, event.Recorded{Revision: 1, Fact: load("2", t1)})
	require.Equal(t, 2, s.state.Live())
	s.when(ledger.Replace{Fact: load("2", 2*t1), Reason: "x"}).refused(fault.Conflict, flow.RuleConflict)
	s.replayed()
}

func TestAMoveTakesTheMassAndTheArrivalBringsTheFact(t *testing.T) {
	moved := load("1", 5*t1)
	moved.When.Occurred = time.Date(2024, 2, 29, 9, 0, 0, 0, time.UTC)
	move := ledger.Move{Fact: moved, To: february, Reason: "wrong month"}
	from := given(t, march, ledger.Record{Fact: load("1", 5*t1)})
	first := from.got
	from.when(move).then(ledger.StatusMoved, event.Moved{Revision: 2, Reason: "wrong month", Was: load("1", 5*t1), Is: moved, To: february.Stream()})
	require.Zero(t, from.state.Live())
	require.Empty(t, from.state.Stock())

	to := given(t, february)
	arrive := ledger.ArriveAfter(move, march, from.got)
	to.when(arrive).then(ledger.StatusMoved, event.Arrived{From: march.Stream(), Revision: 2, Fact: moved})
	e, ok := to.got.Events[0].(event.Arrived)
	require.True(t, ok)
	require.Equal(t, first.FactID, e.FactID)
	require.Equal(t, from.got.EventID, e.Moved)
	require.Equal(t, 1, to.state.Live())
	require.Equal(t, []event.StockLine{{Material: moved.Material, Net: 5 * t1}}, to.state.Stock())

	// A move killed between its two appends is taken up again: the source says
	// that it is decided, and the arrival follows from that.
	from.when(move).then(ledger.StatusAlreadyRecorded)
	require.Equal(t, arrive, ledger.ArriveAfter(move, march, from.got))
	to.when(arrive).then(ledger.StatusAlreadyRecorded)

	from.when(ledger.Record{Fact: load("1", 5*t1)}).refused(fault.Conflict, flow.RuleElsewhere)
	from.when(ledger.Replace{Fact: load("1", 9*t1), Reason: "x"}).refused(fault.Conflict, flow.RuleElsewhere)
	other := move
	other.Fact.Mass.Net++
	from.when(other).refused(fault.Conflict, flow.RuleElsewhere)

	// Corrections go on where the fact is now, with its id and the next revision.
	more := moved
	more.Mass.Net = 6 * t1
	to.when(ledger.Correct{Fact: more, Reason: "and heavier"}).then(ledger.StatusCorrected,
		event.Corrected{Revision: 3, Reason: "and heavier", Was: moved, Is: more})
	require.Equal(t, first.FactID, to.got.FactID)
	to.when(arrive).then(ledger.StatusAlreadyRecorded)

	// And it can come back.
	back := ledger.Move{Fact: load("1", 6*t1), To: march, Reason: "right after all"}
	to.when(back)
	from.when(ledger.ArriveAfter(back, february, to.got)).then(ledger.StatusMoved,
		event.Arrived{From: february.Stream(), Revision: 4, Fact: load("1", 6*t1)})
	from.replayed()
	to.replayed()
}

func TestAnArrivalOnAFactOfItsOwnIsRefused(t *testing.T) {
	move := ledger.Move{Fact: load("1", 5*t1), To: march, Reason: "x"}
	source := load("1", 5*t1)
	source.When.Occurred = time.Date(2024, 2, 29, 9, 0, 0, 0, time.UTC)
	from := given(t, february, ledger.Record{Fact: source}).when(move)
	to := given(t, march, ledger.Record{Fact: load("1", 9*t1)})
	to.when(ledger.ArriveAfter(move, february, from.got)).refused(fault.Conflict, flow.RuleConflict)
}

func TestFactsOfOthersAreRefused(t *testing.T) {
	other := load("1", t1)
	other.Facility = "dk-p-2"
	total := kind(load("1", t1), flow.PeriodReported)
	total.When, total.Measure = flow.When{Period: flow.Period{From: "2024-03-01", To: "2024-04-01"}}, flow.MeasureReceived
	s := given(t, march, ledger.Record{Fact: load("2", t1)})
	for _, f := range []flow.Fact{other, total} {
		for _, c := range []ledger.Command{ledger.Record{Fact: f}, ledger.Correct{Fact: f, Reason: "x"}, ledger.Arrive{Fact: f, Revision: 2},
			ledger.Replace{Fact: f, Replaces: load("2", 0).Identity, Reason: "x"}, ledger.Move{Fact: f, To: february, Reason: "x"}} {
			s.when(c).refused(fault.Invalid, flow.RuleWrongLedger)
		}
	}
	s.when(ledger.Move{Fact: load("2", t1), To: march, Reason: "x"}).refused(fault.Invalid, flow.RuleWrongLedger)
	given(t, totals, ledger.Record{Fact: total}).when(ledger.Record{Fact: load("2", t1)}).refused(fault.Invalid, flow.RuleWrongLedger)
}

func TestClosingAMonth(t *testing.T) {
	digest := strings.Repeat("a", 64)
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)}, ledger.Record{Fact: kind(load("2", 2*t1), flow.Dispatched)})
	s.now = time.Date(2024, 3, 31, 23, 59, 0, 0, time.UTC)
	s.when(ledger.Close{Digest: digest, Events: 2}).refused(fault.Invalid, flow.RuleClosedEarly)
	s.now = now
	s.when(ledger.Close{Digest: digest, Events: 1}).refused(fault.Conflict, flow.RuleClosedChanged)
	s.when(ledger.Close{Digest: digest, Events: 2}).then(ledger.StatusClosed, event.LedgerClosed{Facility: march.Facility, Month: "202403",
		Digest: digest, Events: 2, Stock: []event.StockLine{{Material: flow.Material{Waste: "200301"}, Net: 3 * t1}}})
	require.True(t, s.state.Closed())
	s.when(ledger.Close{Digest: digest, Events: 2}).then(ledger.StatusAlreadyRecorded)
	s.when(ledger.Close{Digest: strings.Repeat("b", 64), Events: 3}).refused(fault.Conflict, flow.RuleClosedTwice)

	// A late fact keeps its time and is booked in the open month; resent, it is the same.
	late := []fault.Violation{violation(flow.RuleLedgerClosed)}
	s.when(ledger.Record{Fact: load("3", t1)}).then(ledger.StatusRecorded,
		event.Recorded{Revision: 1, Fact: load("3", t1), BookedIn: "202404", Warnings: late})
	s.when(ledger.Record{Fact: load("3", t1)}).then(ledger.StatusAlreadyRecorded)
	s.now = time.Date(2024, 5, 1, 0, 0, 0, 0, time.FixedZone("CEST", 7200))
	s.when(ledger.Correct{Fact: load("1", 4*t1), Reason: "x"}).then(ledger.StatusCorrected,
		event.Corrected{Revision: 2, Reason: "x", Was: load("1", 5*t1), Is: load("1", 4*t1), BookedIn: "202405", Warnings: late})
	s.when(ledger.Cancel{Identity: load("3", 0).Identity, Reason: "x"}).then(ledger.StatusCancelled,
		event.Cancelled{Revision: 2, Reason: "x", Was: load("3", t1), BookedIn: "202405"})
	moved := load("1", 4*t1)
	moved.When.Occurred = moved.When.Occurred.AddDate(0, 1, 0)
	april := ledger.Key{Facility: march.Facility, Period: "202404"}
	s.when(ledger.Move{Fact: moved, To: april, Reason: "x"})
	e, ok := s.got.Events[0].(event.Moved)
	require.True(t, ok)
	require.Equal(t, "202405", e.BookedIn)
	s.replayed()
}

func TestAMoveIntoAClosedMonthIsBookedInTheOpenOne(t *testing.T) {
	moved := load("1", t1)
	moved.When.Occurred = time.Date(2024, 2, 29, 9, 0, 0, 0, time.UTC)
	given(t, march, ledger.Record{Fact: load("1", t1)}).
		when(ledger.Move{Fact: moved, To: february, ToClosed: true, Reason: "x"}).
		then(ledger.StatusMoved, event.Moved{Revision: 2, Reason: "x", Was: load("1", t1), Is: moved, To: february.Stream(),
			BookedIn: "202404", Warnings: []fault.Violation{violation(flow.RuleLedgerClosed)}})
}

func TestAnEmptyMonthCanBeClosed(t *testing.T) {
	var d ledger.Digester
	digest, events := d.Sum()
	given(t, march).when(ledger.Close{Digest: digest, Events: events}).then(ledger.StatusClosed,
		event.LedgerClosed{Facility: march.Facility, Month: "202403", Digest: digest})
	s := given(t, totals)
	s.when(ledger.Close{Digest: digest, Events: 0}).refused(fault.Invalid, flow.RuleClosedEarly)
	s.now = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	s.when(ledger.Close{Digest: digest, Events: 0})
	require.NoError(t, s.err)
}

func TestStockBelowZeroIsAWarning(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)}).when(ledger.Record{Fact: kind(load("2", 6*t1), flow.Dispatched)})
	require.Equal(t, flow.RuleStockNegative, s.got.Warnings[0].Rule)
	require.Contains(t, s.got.Warnings[0].Message, "-1.000000 t")
	require.Contains(t, s.got.Warnings[0].Message, "20 03 01")
	s.when(ledger.Record{Fact: load("3", t1/2)})
	require.Empty(t, s.got.Warnings, "bringing it up again is none, even when it stays below")
	s.when(ledger.Correct{Fact: load("1", t1), Reason: "x"})
	require.Len(t, s.got.Warnings, 1, "taking it back is")
}

func TestTreatmentsTurnOneMaterialIntoOthers(t *testing.T) {
	sorted := kind(load("2", 5*t1), flow.Sorted)
	sorted.Outputs = []flow.Output{{Role: flow.RoleOutput, Material: flow.Material{Waste: "191204", Form: "solid"}, Net: 3 * t1},
		{Role: flow.RoleResidue, Material: flow.Material{Waste: "191212"}, Net: t1}, {Role: flow.RoleLoss, Net: t1}}
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)}, ledger.Record{Fact: sorted})
	require.Empty(t, s.got.Warnings)
	require.Equal(t, []event.StockLine{{Material: flow.Material{Waste: "191204"}, Net: 3 * t1}, {Material: flow.Material{Waste: "191212"}, Net: t1}},
		s.state.Stock())
	s.replayed()
}

func TestACountAtTheStartOfTheMonthIsItsOpeningStock(t *testing.T) {
	opening := kind(load("1", 8*t1), flow.StockCounted)
	opening.When.Occurred = time.Date(2024, 2, 29, 23, 0, 0, 0, time.UTC) // midnight in Copenhagen
	later := kind(load("2", 100*t1), flow.StockCounted)
	s := given(t, march, ledger.Record{Fact: opening}, ledger.Record{Fact: later}, ledger.Record{Fact: kind(load("3", 7*t1), flow.Landfilled)})
	require.Empty(t, s.got.Warnings)
	require.Equal(t, []event.StockLine{{Material: opening.Material, Net: t1}}, s.state.Stock())
}

func TestApplyRefusesWhatDoesNotFollow(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)})
	recorded, ok := s.log[0].(event.Recorded)
	require.True(t, ok)
	corrected := event.Corrected{FactID: recorded.ID, Corrects: recorded.ID, Revision: 2, Reason: "x", Was: load("1", 5*t1), Is: load("1", 6*t1)}
	cancelled := event.Cancelled{FactID: recorded.ID, Cancels: recorded.ID, Revision: 2, Reason: "x", Was: load("1", 5*t1)}
	change := func(e event.Corrected, f func(*event.Corrected)) event.Event { f(&e); return e }
	foreign := load("2", t1)
	foreign.Facility = "dk-p-2"
	before := summary(s.state)
	for name, e := range map[string]event.Event{
		"twice":             recorded,
		"other facility":    event.Recorded{Revision: 1, Fact: foreign},
		"unknown fact":      change(corrected, func(e *event.Corrected) { e.Was = load("9", t1) }),
		"other version":     change(corrected, func(e *event.Corrected) { e.Was.Mass.Net++ }),
		"other holder":      change(corrected, func(e *event.Corrected) { e.Corrects[0]++ }),
		"other fact":        change(corrected, func(e *event.Corrected) { e.FactID[0]++ }),
		"same revision":     change(corrected, func(e *event.Corrected) { e.Revision = 1 }),
		"cancel of version": event.Cancelled{FactID: recorded.ID, Cancels: recorded.ID, Revision: 2, Reason: "x", Was: load("1", t1)},
		"cancel revision":   event.Cancelled{FactID: recorded.ID, Cancels: recorded.ID, Revision: 1, Reason: "x", Was: load("1", 5*t1)},
		"move of identity":  event.Moved{FactID: recorded.ID, Corrects: recorded.ID, Revision: 2, Was: load("1", 5*t1), Is: load("2", 5*t1)},
		"move of nothing":   event.Moved{FactID: recorded.ID, Corrects: recorded.ID, Revision: 2, Was: load("8", 5*t1), Is: load("8", 5*t1)},
		"close of another":  event.LedgerClosed{Facility: march.Facility, Month: "202402"},
		"an area":           event.AreaRegistered{},
		"a facility":        event.FacilityRegistered{},
		"stock overflows":   event.Recorded{Revision: 1, Fact: load("3", 1<<63-1)},
	} {
		err := s.state.Apply(e)
		var inconsistent *ledger.Inconsistent
		require.ErrorAs(t, err, &inconsistent, name)
		require.Equal(t, march.Stream(), inconsistent.Stream)
		require.Equal(t, uint64(1), inconsistent.Event)
		require.Equal(t, before, summary(s.state), name)
	}
	require.NoError(t, s.state.Apply(cancelled))
	require.Error(t, s.state.Apply(corrected), "it is cancelled")
	require.NoError(t, s.state.Apply(event.LedgerClosed{Facility: march.Facility, Month: "202403"}))
	require.Error(t, s.state.Apply(event.LedgerClosed{Facility: march.Facility, Month: "202403"}))
}

func TestSubjectOfACommand(t *testing.T) {
	id := load("1", 0).Identity
	for _, c := range []ledger.Command{ledger.Record{Fact: load("1", 1)}, ledger.Replace{Fact: load("1", 1)}, ledger.Correct{Fact: load("1", 1)},
		ledger.Cancel{Identity: id}, ledger.Move{Fact: load("1", 1)}, ledger.Arrive{Fact: load("1", 1)}} {
		require.Equal(t, id, ledger.Subject(c), "%T", c)
	}
	require.True(t, ledger.Subject(ledger.Close{}).IsZero())
	_, err := ledger.Decide(ledger.NewState(march), nil, now)
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

// A change can name the version it is about: one that does not stand any more
// is a conflict, a repeated change is recorded already.
func TestAChangeOfASupersededVersionIsAConflict(t *testing.T) {
	s := given(t, march, ledger.Record{Fact: load("1", 5*t1)})
	first := s.got.EventID
	s.when(ledger.Correct{Fact: load("1", 6*t1), Version: first, Reason: "read wrongly"})
	require.NoError(t, s.err)
	second := s.got.EventID
	s.when(ledger.Correct{Fact: load("1", 6*t1), Version: first, Reason: "read wrongly"})
	require.NoError(t, s.err)
	require.Equal(t, ledger.StatusAlreadyRecorded, s.got.Status)
	for _, c := range []ledger.Command{
		ledger.Correct{Fact: load("1", 7*t1), Version: first, Reason: "x"},
		ledger.Cancel{Identity: load("1", 0).Identity, Version: first, Reason: "x"},
		ledger.Move{Fact: load("1", 7*t1), To: february, Version: first, Reason: "x"},
	} {
		s.when(c)
		var f *fault.Fault
		require.ErrorAs(t, s.err, &f)
		require.Equal(t, fault.Conflict, f.Kind)
		require.Equal(t, flow.RuleSuperseded, f.Violations[0].Rule)
		require.Contains(t, f.Violations[0].Message, second.String())
	}
	s.when(ledger.Cancel{Identity: load("1", 0).Identity, Version: second, Reason: "x"})
	require.NoError(t, s.err)
	require.Equal(t, ledger.StatusCancelled, s.got.Status)
}

// TestEveryLedgerRuleIsRaised keeps the catalogue from rotting; package flow
// does the same for the other stages.
func TestEveryLedgerRuleIsRaised(t *testing.T) {
	one := ledger.Record{Fact: load("1", 5*t1)}
	id := one.Fact.Identity
	closed := ledger.Close{Digest: strings.Repeat("a", 64), Events: 1}
	foreign := load("2", t1)
	foreign.Facility = "dk-p-2"
	cases := map[string][]ledger.Command{ // the last command raises it
		flow.RuleConflict:      {one, ledger.Record{Fact: load("1", 6*t1)}},
		flow.RuleCancelled:     {one, ledger.Cancel{Identity: id, Reason: "x"}, one},
		flow.RuleReplaced:      {one, ledger.Replace{Fact: load("2", t1), Replaces: id, Reason: "x"}, one},
		flow.RuleElsewhere:     {one, ledger.Move{Fact: load("1", t1), To: february, Reason: "x"}, one},
		flow.RuleNotRecorded:   {ledger.Cancel{Identity: id, Reason: "x"}},
		flow.RuleSuperseded:    {one, ledger.Cancel{Identity: id, Reason: "x", Version: uuid.UUID{1}}},
		flow.RuleReason:        {one, ledger.Cancel{Identity: id}},
		flow.RuleWrongLedger:   {ledger.Record{Fact: foreign}},
		flow.RuleClosedTwice:   {one, closed, ledger.Close{Digest: strings.Repeat("b", 64), Events: 2}},
		flow.RuleClosedChanged: {one, ledger.Close{Digest: closed.Digest, Events: 2}},
		flow.RuleLedgerClosed:  {one, closed, ledger.Record{Fact: load("2", t1)}},
		flow.RuleStockNegative: {ledger.Record{Fact: kind(load("2", t1), flow.Landfilled)}},
		flow.RuleClosedEarly:   {closed},
	}
	for _, r := range flow.Catalogue() {
		if r.Stage != flow.StageLedger {
			continue
		}
		commands := cases[r.ID]
		require.NotEmpty(t, commands, "no case raises %s", r.ID)
		s := given(t, march, commands[:len(commands)-1]...)
		if r.ID == flow.RuleClosedEarly {
			s.now = time.Date(2024, 3, 31, 0, 0, 0, 0, time.UTC)
		}
		s.when(commands[len(commands)-1])
		found := s.got.Warnings
		var f *fault.Fault
		if errors.As(s.err, &f) {
			found = f.Violations
		}
		require.Len(t, found, 1, r.ID)
		require.Equal(t, r.ID, found[0].Rule)
		require.Equal(t, r.Severity, found[0].Severity)
	}
}
