// Package analyticstest holds what every home of the tables must answer: a
// suite over worlds of facts, a fold of its own to compare with, and a twin of
// the tables in memory.
//
// It promises that the expected answers are made without the code under test.
// It leaves out how rows get into a real engine: the test that runs the suite
// brings that along.
package analyticstest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// Fact is a row of flow_facts, as far as questions read it.
type Fact struct {
	Position     uint64
	Leg          uint16
	Measure      string
	Kind         string
	From, Until  string // days, half-open: YYYY-MM-DD
	Period       string // as in flow_facts
	OriginArea   string
	Facility     string
	SiteCategory string
	WasteCode    string
	Operation    string
	Fate         string
	Grams        int64
	Events       int8
}

// Year is the year the fact begins in.
func (f Fact) Year() int { return day(f.From).Year() }

// Month is 1 to 12, or 0 for a total over anything but a calendar month.
func (f Fact) Month() int {
	if f.Kind == "period_reported" && (day(f.From).Day() != 1 || !day(f.From).AddDate(0, 1, 0).Equal(day(f.Until))) {
		return 0
	}
	return int(day(f.From).Month())
}

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(fmt.Sprintf("analyticstest: %v", err)) // a world is written by hand or made here
	}
	return t
}

// Area is a row of areas.
type Area struct {
	Position                uint64
	ID, Level, Name, Parent string
}

// Facility is a row of facilities.
type Facility struct {
	Position       uint64
	ID, Name, Area string
}

// Segment is a range of positions (From, To] that a rollup covers.
type Segment struct {
	From, To uint64
	Build    uuid.UUID
}

// World is everything that stands in the tables. What lies beyond Committed
// is a flush under way.
type World struct {
	Areas      []Area
	Facilities []Facility
	Facts      []Fact
	Reports    []Report // what balances are made of; a table has either these or Facts
	Committed  uint64
	RecordedAt time.Time
	Segments   []Segment // joined from 0 on
}

// Seed is a small world, made by hand, with every kind of row that questions
// must tell apart.
func Seed() World {
	return World{
		Areas: []Area{
			{1, "dk", "country", "Danmark", ""},
			{2, "dk-1085", "region", "Region Sjælland", "dk"},
			{3, "dk-0265", "municipality", "Roskilde", "dk-1085"},
			{4, "dk-0253", "municipality", "Greve", "dk-1085"},
			{5, "se", "country", "Sverige", ""},
			{6, "se-12", "region", "Skåne län", "se"},
			{7, "se-1280", "municipality", "Malmø", "se-12"},
			{20, "se-1280", "municipality", "Malmö", "se-12"}, // spelled right later
			{95, "dk-0253", "municipality", "not yet", "dk"},  // beyond the committed position
		},
		Facilities: []Facility{
			{8, "dk-p-1", "Genbrug", "dk-0265"},
			{9, "dk-p-2", "Genbrug", "dk-0253"}, // another of the same name
			{10, "se-f-1", "Spillepeng", "se-1280"},
			{11, "xx-f-1", "Nowhere", ""},
		},
		Facts: []Fact{
			{30, 0, "received", "received", "2019-01-31", "2019-02-01", "2019-01", "dk-0265", "dk-p-1", "Treatment", "200301", "R12", "Recovery", 12_340_000, 1},
			{31, 0, "received", "received", "2019-02-01", "2019-02-02", "2019-02", "dk-0253", "dk-p-1", "Treatment", "200101", "R3", "Recovery", 1, 1},
			{32, 0, "received", "received", "2019-02-01", "2019-02-02", "2019-02", "se-1280", "dk-p-2", "Transfer", "170503", "D15", "Transfer (D)", 7_000_001, 1},
			{33, 0, "received", "period_reported", "2019-01-01", "2020-01-01", "2019", "dk-0265", "se-f-1", "Landfill", "191212", "D1", "Landfill", 2_331_864_132_910, 1},
			{34, 0, "received", "period_reported", "2019-02-01", "2019-03-01", "2019-02", "dk-1085", "se-f-1", "Landfill", "191212", "NS", "Landfill", 500, 1},
			{35, 0, "received", "received", "2020-02-29", "2020-03-01", "2020-02", "", "xx-f-1", "", "200301", "OF", "", 999_999, 1},
			// The first is corrected from 12.34 t to 11.34 t, and another is cancelled.
			{40, 0, "received", "received", "2019-01-31", "2019-02-01", "2019-01", "dk-0265", "dk-p-1", "Treatment", "200301", "R12", "Recovery", -12_340_000, -1},
			{40, 1, "received", "received", "2019-01-31", "2019-02-01", "2019-01", "dk-0265", "dk-p-1", "Treatment", "200301", "R12", "Recovery", 11_340_000, 1},
			{41, 0, "received", "received", "2019-02-01", "2019-02-02", "2019-02", "se-1280", "dk-p-2", "Transfer", "170503", "D15", "Transfer (D)", -7_000_001, -1},
			// Other measures, one with an output leg that counts no event.
			{50, 0, "recycled", "recycled", "2019-03-01", "2019-03-02", "2019-03", "dk-0265", "dk-p-1", "Treatment", "200101", "R3", "Recovery", 4_000_000, 1},
			{50, 1, "output", "recycled", "2019-03-01", "2019-03-02", "2019-03", "dk-0265", "dk-p-1", "Treatment", "200101", "R3", "Recovery", 3_900_000, 0},
			{51, 0, "reused", "reused", "2019-03-01", "2019-03-02", "2019-03", "dk-0265", "dk-p-2", "Reuse", "", "", "Reuse", 40_000, 1},
			// A flush under way: not to be seen.
			{96, 0, "received", "received", "2019-01-31", "2019-02-01", "2019-01", "dk-0265", "dk-p-1", "Unseen", "200301", "R12", "Unseen", 1_000_000_000, 1},
		},
		Reports:    seedReports(),
		Committed:  60,
		RecordedAt: time.Date(2026, 3, 1, 10, 0, 0, 250_000_000, time.UTC),
		Segments: []Segment{
			{0, 31, uuid.MustParse("00000000-0000-4000-8000-000000000001")},
			{31, 40, uuid.MustParse("00000000-0000-4000-8000-000000000002")},
		},
	}
}

// Random is a world of n facts in which groups are small, values are missing,
// names repeat, periods overlap months and corrections reach far back.
func Random(seed uint64, n int) World {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a repeatable world, no secret
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	w := World{RecordedAt: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	next := uint64(0)
	position := func() uint64 { next += 1 + r.Uint64N(9); return next }
	w.Areas = append(w.Areas, Area{position(), "aa", "country", "Aa", ""})
	for i := range 4 {
		region := fmt.Sprintf("aa-r%d", i)
		w.Areas = append(w.Areas, Area{position(), region, "region", fmt.Sprintf("Region %c, æøå", 'A'+i), "aa"})
		for j := range 3 {
			w.Areas = append(w.Areas, Area{position(), fmt.Sprintf("%s-m%d", region, j), "municipality", fmt.Sprintf("Town %d", r.IntN(8)), region})
		}
	}
	area := func() string { return w.Areas[r.IntN(len(w.Areas))].ID }
	for i := range 15 {
		in := area()
		if r.IntN(8) == 0 {
			in = ""
		}
		w.Facilities = append(w.Facilities, Facility{position(), fmt.Sprintf("aa-f-%d", i), pick("", "Genbrug", "Værk 'A'", `Back\slash`, fmt.Sprint("Plant ", i)), in})
	}
	start := day("2018-11-15")
	for range n {
		from := start.AddDate(0, 0, r.IntN(500))
		f := Fact{
			Position: position(), Measure: pick("received", "received", "received", "recycled", "reused"), OriginArea: pick("", area(), area(), area()),
			Facility: w.Facilities[r.IntN(len(w.Facilities))].ID, SiteCategory: pick("", "Landfill", "Treatment", "On/In Land"),
			WasteCode: pick("", "200301", "200101", "170503", "191212"), Operation: pick("", "NS", "OF", "R1", "R3", "R12", "D1", "D15"),
			Fate: pick("", "Recovery", "Transfer (D)"), Grams: 1 + r.Int64N(9_000_000_000_000), Events: 1,
		}
		f.Kind, f.Period = f.Measure, from.Format("2006-01")
		until := from.AddDate(0, 0, 1)
		switch r.IntN(6) {
		case 0: // a year
			from = time.Date(from.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
			f.Kind, f.Period, until = "period_reported", from.Format("2006"), from.AddDate(1, 0, 0)
		case 1: // a month
			from = time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
			f.Kind, f.Period, until = "period_reported", from.Format("2006-01"), from.AddDate(0, 1, 0)
		case 2: // anything
			until = from.AddDate(0, 0, 1+r.IntN(80))
			f.Kind, f.Period = "period_reported", from.Format(time.DateOnly)+"/"+until.AddDate(0, 0, -1).Format(time.DateOnly)
		}
		f.From, f.Until = from.Format(time.DateOnly), until.Format(time.DateOnly)
		w.Facts = append(w.Facts, f)
		if r.IntN(5) == 0 { // taken back, or put otherwise, some time later
			back := w.Facts[r.IntN(len(w.Facts))]
			if back.Events > 0 {
				at := position()
				is := back
				back.Position, back.Leg, back.Grams, back.Events = at, 0, -back.Grams, -1
				is.Position, is.Leg, is.Grams = at, 1, 1+r.Int64N(1000)
				w.Facts = append(w.Facts, back)
				if r.IntN(2) == 0 {
					w.Facts = append(w.Facts, is)
				}
			}
		}
	}
	w.Committed = next * 9 / 10
	cut := uint64(0)
	for i := range r.IntN(4) {
		to := cut + 1 + r.Uint64N(w.Committed/4)
		w.Segments = append(w.Segments, Segment{cut, to, uuid.NewSHA1(uuid.Nil, fmt.Append(nil, seed, i))})
		cut = to
	}
	return w
}
