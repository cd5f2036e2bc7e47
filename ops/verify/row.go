package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stofstrom/stofstrom/domain/area"
)

// row is a row of a table as text, in the order of the table's columns. Text
// is what both sides can be brought to without loss: integers in decimal,
// masses in whole grams, floats as their bits, times in milliseconds UTC.
type row []string

// table says how a table is compared.
type table struct {
	name    string
	columns []string
	key     []int        // columns that name a row
	free    map[int]bool // columns that only the writer knows: any value is right
}

func (t *table) column(name string) int { return slices.Index(t.columns, name) }

func newTable(name string, key, free []string, columns ...string) *table {
	t := &table{name: name, columns: columns, free: map[int]bool{}}
	for _, k := range key {
		t.key = append(t.key, t.column(k))
	}
	for _, f := range free {
		t.free[t.column(f)] = true
	}
	return t
}

func (t *table) keyOf(r row) string {
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		parts[i] = r[k]
	}
	return list(parts) // length-prefixed: no value can look like two
}

// nameOf is the key of a row for people.
func (t *table) nameOf(r row) string {
	if len(t.key) == 0 {
		return "the one row"
	}
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		parts[i] = t.columns[k] + " " + r[k]
	}
	return strings.Join(parts, ", ")
}

// digest is a fingerprint of rows in any order: the sum of their hashes,
// modulo 2^64 in four lanes.
type digest [4]uint64

func (d *digest) add(t *table, r row) {
	h := sha256.New()
	var length [8]byte
	for i, text := range r {
		if t.free[i] {
			continue
		}
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write([]byte(text))
	}
	sum := h.Sum(nil)
	for i := range d {
		d[i] += binary.BigEndian.Uint64(sum[8*i:])
	}
}

func (d digest) String() string {
	var b [32]byte
	for i, lane := range d {
		binary.BigEndian.PutUint64(b[8*i:], lane)
	}
	return hex.EncodeToString(b[:])
}

func number[N ~int | ~int8 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](n N) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// degrees is a point as the bits of its two floats; nothing when it is not known.
func degrees(p area.Point) (lat, lon string) {
	if p.Lat == 0 && p.Lon == 0 {
		return "", ""
	}
	return number(math.Float64bits(p.Lat)), number(math.Float64bits(p.Lon))
}

func part(text string) string { return fmt.Sprintf("%d:%s", len(text), text) }

func list[S ~string](texts []S) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteString(part(string(text)))
	}
	return b.String()
}

func pairs(m map[string]string) string {
	all := make([]string, 0, len(m))
	for k, v := range m {
		all = append(all, part(k)+part(v))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}
