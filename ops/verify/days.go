package verify

import (
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/flow"
)

// span is when a fact happened, as text of the columns.
type span struct {
	year, month           int
	period, on, until, at string
}

// days puts the time of a fact that stands in the ledger of a stream into
// columns, by docs/legs.md.
func days(f flow.Fact, stream string) (span, error) {
	facility, ledger, err := ledgerOf(stream)
	if err != nil {
		return span{}, err
	}
	if facility != string(f.Facility) {
		return span{}, fmt.Errorf("fact of facility %q in ledger %s", f.Facility, stream)
	}
	if f.When.Period != (flow.Period{}) {
		if len(ledger) != len("2006") && len(ledger) != len("200601") {
			return span{}, fmt.Errorf("ledger %s has no period", stream)
		}
		return daysOfPeriod(f.When.Period)
	}
	first, err := time.Parse("200601", ledger)
	if err != nil {
		return span{}, fmt.Errorf("single fact in ledger %s: %w", stream, err)
	}
	// The fact's time is told by the facility's clock: its day is the day there.
	y, m, d := f.When.Occurred.Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if y != first.Year() || m != first.Month() {
		return span{}, fmt.Errorf("fact of %s in ledger %s", f.When.Occurred, stream)
	}
	s := span{year: first.Year(), month: int(first.Month()), period: first.Format("2006-01"), at: instant(f.When.Occurred)}
	return s.bounded(day, day.AddDate(0, 0, 1))
}

func daysOfPeriod(p flow.Period) (span, error) {
	from, errFrom := time.Parse(time.DateOnly, string(p.From))
	until, errUntil := time.Parse(time.DateOnly, string(p.To))
	if errFrom != nil || errUntil != nil || !from.Before(until) {
		return span{}, fmt.Errorf("period from %q to %q", p.From, p.To)
	}
	s := span{year: from.Year(), at: instant(from)}
	last := until.AddDate(0, 0, -1)
	switch {
	case from.Day() == 1 && until.Day() == 1 && last.Month() == from.Month() && last.Year() == from.Year():
		s.month, s.period = int(from.Month()), from.Format("2006-01")
	case from.Format("01-02") == "01-01" && last.Format("01-02") == "12-31" && last.Year() == from.Year():
		s.period = from.Format("2006")
	default:
		s.period = string(p.From) + "/" + last.Format(time.DateOnly)
	}
	return s.bounded(from, until)
}

// bounded takes the days that a column of type Date holds.
func (s span) bounded(on, until time.Time) (span, error) {
	if on.Before(time.Unix(0, 0)) || until.After(time.Date(2149, 6, 6, 0, 0, 0, 0, time.UTC)) {
		return span{}, fmt.Errorf("days %s to %s do not fit", on.Format(time.DateOnly), until.Format(time.DateOnly))
	}
	s.on, s.until = on.Format(time.DateOnly), until.Format(time.DateOnly)
	return s, nil
}
