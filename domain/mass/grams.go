// Package mass holds amounts of matter as exact integers of grams.
//
// It promises that a mass read from text is the mass that stands there, or an
// error: no float takes part, nothing overflows unseen, and a unit is always
// named by the caller, never guessed. It leaves out how a mass was found
// (package flow) and the number formats of countries: thousands separators
// and decimal commas are normalised by import profiles before they come here.
package mass

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Grams is a mass, exact, in whole grams. Negative only where a difference is
// meant. int64 holds 9.2 billion tonnes. In JSON it is an integer.
type Grams int64

// Common amounts.
const (
	OneKilogram Grams = 1_000
	OneTonne    Grams = 1_000_000
)

// ErrOverflow tells that a sum is beyond what int64 grams can hold.
var ErrOverflow = errors.New("mass out of range: beyond 9.2 billion tonnes")

// Add returns g + h, or ErrOverflow.
func (g Grams) Add(h Grams) (Grams, error) {
	s := g + h
	if (h > 0 && s < g) || (h < 0 && s > g) {
		return 0, fmt.Errorf("%d g + %d g: %w", g, h, ErrOverflow)
	}
	return s, nil
}

// Sub returns g − h, or ErrOverflow.
func (g Grams) Sub(h Grams) (Grams, error) {
	s := g - h
	if (h > 0 && s > g) || (h < 0 && s < g) {
		return 0, fmt.Errorf("%d g - %d g: %w", g, h, ErrOverflow)
	}
	return s, nil
}

// Tonnes writes the mass in tonnes with exactly six places, for example
// "2331864.132910". ParseTonnes reads it back as the same mass.
func (g Grams) Tonnes() string {
	return string(g.AppendTonnes(make([]byte, 0, 24)))
}

// AppendTonnes appends what Tonnes returns to b.
func (g Grams) AppendTonnes(b []byte) []byte {
	u := uint64(g)
	if g < 0 {
		b = append(b, '-')
		u = -u // two's complement: right for the smallest int64 as well
	}
	b = strconv.AppendUint(b, u/1_000_000, 10)
	frac := u % 1_000_000
	b = append(b, '.')
	for div := uint64(100_000); div > 0; div /= 10 {
		b = append(b, byte('0'+frac/div%10))
	}
	return b
}

// String writes the mass for people: tonnes, six places and the unit.
func (g Grams) String() string { return g.Tonnes() + " t" }

// ParseTonnes reads a decimal number of tonnes of at most six places.
// Errors as Parse.
func ParseTonnes(s string) (Grams, error) { return Parse(s, Tonne) }

const maxGrams = uint64(math.MaxInt64)
