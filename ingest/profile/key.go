package profile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/stofstrom/stofstrom/domain/flow"
)

// Key is what makes a row of a keyless file itself. Rows of one Group are
// equal in every meaningful column but the measure; rows of one Group and
// Measure are equal in all, and only an ordinal tells them apart.
type Key struct {
	Group   [16]byte // over the meaningful columns without the measure
	Measure [8]byte  // over mass, items and energy, by value: 28 and 28.00 are equal
}

// Compare orders keys.
func (k Key) Compare(o Key) int {
	if c := bytes.Compare(k.Group[:], o.Group[:]); c != 0 {
		return c
	}
	return bytes.Compare(k.Measure[:], o.Measure[:])
}

// ExternalID is the row's name in identities: group, measure and ordinal
// (1, 2, … among equal rows), joined with dashes.
func (k Key) ExternalID(ordinal uint32) string {
	b := make([]byte, 0, 60)
	b = hex.AppendEncode(b, k.Group[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, k.Measure[:])
	b = append(b, '-')
	return string(strconv.AppendUint(b, uint64(ordinal), 10))
}

// ParseExternalID reads what ExternalID wrote; ok is false for anything else.
func ParseExternalID(s string) (k Key, ordinal uint32, ok bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 || len(parts[0]) != 32 || len(parts[1]) != 16 {
		return Key{}, 0, false
	}
	if _, err := hex.Decode(k.Group[:], []byte(parts[0])); err != nil {
		return Key{}, 0, false
	}
	if _, err := hex.Decode(k.Measure[:], []byte(parts[1])); err != nil {
		return Key{}, 0, false
	}
	n, err := strconv.ParseUint(parts[2], 10, 32)
	if err != nil || n == 0 || k.ExternalID(uint32(n)) != s {
		return Key{}, 0, false
	}
	return k, uint32(n), true
}

// key hashes a row: SHA-256, cut, over length-prefixed columns in the order of
// their names, so that the order of columns in the file does not matter.
func (d *Decoder) key(r *row, f *flow.Fact) Key {
	var k Key
	sum := sha256.Sum256(d.rawKey(r, d.plan.key))
	copy(k.Group[:], sum[:])
	b := d.scratch[:0]
	for _, n := range [...]int64{int64(f.Mass.Net), int64(f.Mass.Gross), int64(f.Mass.Tare), f.Items, f.EnergyKWh} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	sum = sha256.Sum256(b)
	copy(k.Measure[:], sum[:])
	return k
}

// externalID joins the columns of the key; with more than one, each is
// prefixed with its length, so that ("a-b", "c") and ("a", "b-c") differ.
//
// Where ids begin anew each year, month or day, the local one stands in front,
// as in 2026/42; its shape is fixed, so that it cannot be confused either.
func (d *Decoder) externalID(r *row, occurred time.Time) string {
	var b []byte
	if d.plan.restart != "" {
		b = append(occurred.In(d.plan.fact.zone).AppendFormat(b, d.plan.restart), '/')
	}
	for _, c := range d.plan.key {
		raw := r.raw(c)
		if len(raw) == 0 {
			r.violate(*violation(RuleValueMissing, c, "", "It is part of the row's own id."))
		}
		if len(d.plan.key) > 1 {
			b = strconv.AppendInt(b, int64(len(raw)), 10)
			b = append(b, ':')
		}
		b = append(b, raw...)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
