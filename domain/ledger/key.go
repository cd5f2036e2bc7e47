package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// StreamPrefix begins the name of every ledger stream.
const StreamPrefix = "ledger-"

// Key names a ledger: a facility and a month (yyyymm), or a facility and a
// year (yyyy) for period totals.
type Key struct {
	Facility facility.ID
	Period   string // yyyymm or yyyy
}

// Stream is the name of the ledger's stream: ledger-<facility>-<period>.
func (k Key) Stream() string { return StreamPrefix + string(k.Facility) + "-" + k.Period }

// IsMonth tells whether the ledger holds the single facts of a month, rather
// than the period totals of a year.
func (k Key) IsMonth() bool { return len(k.Period) == len("yyyymm") }

// ParseStream reads the name of a ledger stream. The facility's id may hold
// dashes: the name is cut after its prefix and at its last dash.
func ParseStream(name string) (Key, error) {
	rest, ok := strings.CutPrefix(name, StreamPrefix)
	cut := strings.LastIndexByte(rest, '-')
	if !ok || cut < 1 {
		return Key{}, fmt.Errorf("stream %q is no ledger: want %s<facility>-<yyyymm or yyyy>", name, StreamPrefix)
	}
	k := Key{Facility: facility.ID(rest[:cut]), Period: rest[cut+1:]}
	if !k.Facility.Valid() {
		return Key{}, fmt.Errorf("stream %q: facility id %q is not valid", name, k.Facility)
	}
	if !validPeriod(k.Period) {
		return Key{}, fmt.Errorf("stream %q: period %q is neither a month yyyymm nor a year yyyy", name, k.Period)
	}
	return k, nil
}

func validPeriod(p string) bool {
	for i := range len(p) {
		if p[i] < '0' || p[i] > '9' {
			return false
		}
	}
	switch len(p) {
	case len("yyyy"):
		return true
	case len("yyyymm"):
		return p[4:] >= "01" && p[4:] <= "12"
	}
	return false
}

// KeyOf tells the ledger that a fact belongs to: its facility, and the month
// it occurred in, in the facility's time zone; for a period total the year of
// the period's first day. Period is "" when the fact has no readable time.
func KeyOf(f flow.Fact, loc *time.Location) Key {
	month := flow.Month(f.When, loc)
	if f.When.IsPeriod() && month != "" {
		return Key{Facility: f.Facility, Period: month[:len("yyyy")]}
	}
	return Key{Facility: f.Facility, Period: month}
}

// start is the first moment of the ledger's period on a calendar in UTC, end
// the first moment after it.
func (k Key) start() time.Time {
	layout := "2006"
	if k.IsMonth() {
		layout = "200601"
	}
	t, err := time.Parse(layout, k.Period)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (k Key) end() time.Time {
	if k.IsMonth() {
		return k.start().AddDate(0, 1, 0)
	}
	return k.start().AddDate(1, 0, 0)
}
