package flows

import (
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// leg is one row of facts before it is spread over columns.
type leg struct {
	fact     *flow.Fact
	sign     int8
	measure  string
	material *flow.Material
	net      mass.Grams
	when     span
	main     bool // the fact itself rather than one of its outputs
}

// span is when a fact happened, in the columns' terms.
type span struct {
	on, until, at time.Time // midnights UTC; at is the instant
	year          uint16
	month         uint8
	period        string
}

// stockMeasure is the measure of stock counts, roles are those of outputs.
const stockMeasure = "stock"

// maxGrams is what Decimal(18, 6) holds in tonnes: 18 digits.
const maxGrams = 999_999_999_999_999_999

// The days that a column of type Date holds, months cut by it left out.
var (
	firstDay = time.Date(1970, time.January, 1, 0, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2149, time.June, 1, 0, 0, 0, 0, time.UTC)
)

// legsOf appends the legs of a fact that stands in the ledger of the given
// stream.
func (r *Rows) legsOf(f *flow.Fact, stream string, sign int8) error {
	key, err := ledger.ParseStream(stream)
	if err != nil {
		return err
	}
	if key.Facility != f.Facility {
		return fmt.Errorf("fact of facility %q stands in ledger %s", f.Facility, stream)
	}
	when, err := spanOf(f.When, key)
	if err != nil {
		return err
	}
	l := leg{fact: f, sign: sign, material: &f.Material, net: f.Mass.Net, when: when, main: true}
	if l.measure, err = measureOf(f); err != nil {
		return err
	}
	if err := fits(l.net); err != nil {
		return err
	}
	r.legs = append(r.legs, l)
	for i := range f.Outputs {
		out := &f.Outputs[i]
		role, err := outputMeasure(out.Role)
		if err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
		if err := fits(out.Net); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
		r.legs = append(r.legs, leg{fact: f, sign: sign, measure: role, material: &out.Material, net: out.Net, when: when})
	}
	return nil
}

func fits(g mass.Grams) error {
	if g > maxGrams || g < -maxGrams {
		return fmt.Errorf("mass of %d g is beyond the %d g that a table holds", g, int64(maxGrams))
	}
	return nil
}

func measureOf(f *flow.Fact) (string, error) {
	switch m := flow.MeasureOf(*f); m {
	case flow.MeasureCollected, flow.MeasureReceived, flow.MeasureDispatched, flow.MeasureRejected, flow.MeasureSorted,
		flow.MeasureReused, flow.MeasureRecycled, flow.MeasureIncinerated, flow.MeasureLandfilled, flow.MeasureExported:
		return string(m), nil
	default:
		if f.Kind == flow.StockCounted {
			return stockMeasure, nil
		}
		return "", fmt.Errorf("fact of kind %q has the unknown measure %q", f.Kind, m)
	}
}

func outputMeasure(r flow.OutputRole) (string, error) {
	switch r {
	case flow.RoleOutput, flow.RoleResidue, flow.RoleLoss, flow.RoleBottomAsh, flow.RoleFlyAsh, flow.RoleMetals:
		return string(r), nil
	}
	return "", fmt.Errorf("role %q is unknown", r)
}

// spanOf puts a time into columns. The day of a load is the facility's own:
// its time is told by the facility's clock, and lies in the ledger's month.
func spanOf(w flow.When, key ledger.Key) (span, error) {
	if w.IsPeriod() {
		return spanOfPeriod(w.Period)
	}
	if !key.IsMonth() {
		return span{}, fmt.Errorf("single fact stands in the ledger of a whole period, %s", key.Stream())
	}
	first, err := time.Parse("200601", key.Period)
	if err != nil {
		return span{}, fmt.Errorf("ledger %s: %w", key.Stream(), err)
	}
	at := w.Occurred
	day := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	if day.Before(first) || !day.Before(first.AddDate(0, 1, 0)) {
		return span{}, fmt.Errorf("fact of %s stands in ledger %s", at.Format(time.RFC3339), key.Stream())
	}
	return span{
		on: day, until: day.AddDate(0, 0, 1), at: at.UTC(),
		year: uint16(first.Year()), month: uint8(first.Month()), period: key.Period[:4] + "-" + key.Period[4:],
	}.checked()
}

func spanOfPeriod(p flow.Period) (span, error) {
	if _, ok := p.Days(); !ok {
		return span{}, fmt.Errorf("period from %q to %q is no span of days", p.From, p.To)
	}
	from, _ := p.From.Day()
	to, _ := p.To.Day()
	s := span{on: from, until: to, at: from, year: uint16(from.Year())}
	switch {
	case from.Day() == 1 && from.AddDate(0, 1, 0).Equal(to):
		s.month, s.period = uint8(from.Month()), from.Format("2006-01")
	case from.YearDay() == 1 && from.AddDate(1, 0, 0).Equal(to):
		s.period = from.Format("2006")
	default:
		s.period = string(p.From) + "/" + to.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	return s.checked()
}

func (s span) checked() (span, error) {
	if s.on.Before(firstDay) || s.until.After(lastDay) {
		return span{}, fmt.Errorf("days %s to %s are outside the %s to %s that a table holds",
			s.on.Format(time.DateOnly), s.until.Format(time.DateOnly), firstDay.Format(time.DateOnly), lastDay.Format(time.DateOnly))
	}
	return s, nil
}
