package flow

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Hash is the identity in 16 bytes: SHA-256, cut, over its fields, each
// prefixed with its length, so that ("a-b", "c") and ("a", "b-c") differ. It
// is part of event ids and so never changes.
func (id Identity) Hash() [16]byte {
	b := make([]byte, 0, 128)
	b = appendText(b, id.Reporter)
	b = appendText(b, id.Source)
	b = appendText(b, id.ExternalID)
	return short(b)
}

// IsZero tells whether no part of the identity is given.
func (id Identity) IsZero() bool { return id == Identity{} }

// String writes the identity for people and logs; it is not a key.
func (id Identity) String() string {
	return fmt.Sprintf("%q of %q by %q", id.ExternalID, id.Source, id.Reporter)
}

// ContentHash is everything a fact says, its identity left out, in 16 bytes:
// two facts of one identity with the same content hash are the same report.
// It is part of event ids and so never changes for a fact that exists: it is
// taken over numbered fields, of which the empty ones are left out, so that a
// field added later, under a number of its own, changes no hash of a fact
// that does not have it.
func (f Fact) ContentHash() [16]byte {
	h := hasher{b: make([]byte, 0, 512)}
	h.text(1, string(f.Kind))
	h.text(2, string(f.Facility))
	if !f.When.Occurred.IsZero() {
		h.number(3, f.When.Occurred.Unix())
		h.number(4, int64(f.When.Occurred.Nanosecond()))
	}
	h.text(5, string(f.When.Period.From))
	h.text(6, string(f.When.Period.To))
	h.text(7, string(f.Measure))
	h.material(10, f.Material)
	h.number(20, int64(f.Mass.Net))
	h.number(21, int64(f.Mass.Gross))
	h.number(22, int64(f.Mass.Tare))
	h.text(23, string(f.Mass.Method))
	h.text(24, string(f.Operation))
	h.place(30, f.Origin)
	h.place(40, f.Target)
	h.text(50, f.SiteCategory)
	h.text(51, f.Fate)
	h.text(52, f.Consignment)
	h.text(53, f.Rejects)
	h.number(54, f.Items)
	h.text(55, f.Displaces)
	h.number(56, f.EnergyKWh)
	for _, o := range f.Outputs {
		h.text(60, string(o.Role))
		h.material(61, o.Material)
		h.number(71, int64(o.Net))
		h.mark(72) // ends an output, so that fields cannot slip into the next
	}
	keys := make([]string, 0, len(f.Tags))
	for k := range f.Tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		h.mark(80)
		h.b = appendText(h.b, k)
		h.b = appendText(h.b, f.Tags[k])
	}
	return short(h.b)
}

// hasher collects numbered fields.
type hasher struct{ b []byte }

func (h *hasher) mark(field byte) { h.b = append(h.b, field) }

func (h *hasher) text(field byte, s string) {
	if s != "" {
		h.mark(field)
		h.b = appendText(h.b, s)
	}
}

func (h *hasher) number(field byte, n int64) {
	if n != 0 {
		h.mark(field)
		h.b = binary.BigEndian.AppendUint64(h.b, uint64(n))
	}
}

// material takes the five numbers from field on.
func (h *hasher) material(field byte, m Material) {
	h.text(field, string(m.Waste))
	h.text(field+1, m.Fraction)
	h.text(field+2, m.Product)
	if m.Hazardous != nil {
		h.mark(field + 3)
		if *m.Hazardous {
			h.b = append(h.b, 1)
		} else {
			h.b = append(h.b, 0)
		}
	}
	h.text(field+4, m.Form)
}

// place takes the three numbers from field on.
func (h *hasher) place(field byte, p Place) {
	h.text(field, string(p.Area))
	h.text(field+1, string(p.Facility))
	h.text(field+2, p.Sector)
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func short(b []byte) [16]byte {
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// LocalTime tells an instant by the clock of a place, as an offset from UTC in
// whole minutes: what is written down keeps the day and hour that people there
// saw, whatever becomes of the rules of their time zone.
func LocalTime(t time.Time, loc *time.Location) time.Time {
	_, offset := t.In(loc).Zone()
	if offset -= offset % 60; offset == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", offset))
}

// Month is the month of a fact as yyyymm: of an instant in the given time
// zone, of a period its first day's. It is "" when neither is set or readable.
func Month(w When, loc *time.Location) string {
	if !w.Occurred.IsZero() {
		t := LocalTime(w.Occurred, loc)
		return fmt.Sprintf("%04d%02d", t.Year(), int(t.Month()))
	}
	if day, ok := w.Period.From.Day(); ok {
		return fmt.Sprintf("%04d%02d", day.Year(), int(day.Month()))
	}
	return ""
}

// IsPeriod tells whether w is a period rather than an instant.
func (w When) IsPeriod() bool { return w.Period != Period{} }

// Day is midnight UTC of the calendar day; ok is false when d is no day
// written YYYY-MM-DD.
func (d Date) Day() (t time.Time, ok bool) {
	if len(d) != len(time.DateOnly) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.DateOnly, string(d))
	return t, err == nil
}

// DateOf is the calendar day of an instant in a time zone.
func DateOf(t time.Time, loc *time.Location) Date { return Date(t.In(loc).Format(time.DateOnly)) }

// Days is the number of days of the period; ok is false when its ends are not
// days or not in order.
func (p Period) Days() (days int, ok bool) {
	from, okFrom := p.From.Day()
	to, okTo := p.To.Day()
	if !okFrom || !okTo || !from.Before(to) {
		return 0, false
	}
	return int(to.Sub(from) / (24 * time.Hour)), true
}
