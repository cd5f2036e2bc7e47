package mass

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
)

// Unit is a unit of mass that amounts are reported in.
type Unit string

// The units that are understood.
const (
	Gram     Unit = "g"
	Kilogram Unit = "kg"
	Tonne    Unit = "t"         // 1,000 kg
	Pound    Unit = "lb"        // international avoirdupois pound, 453.59237 g exactly
	ShortTon Unit = "short_ton" // 2,000 lb
)

// Units lists the units that are understood, in the order of this package.
func Units() []Unit { return []Unit{Gram, Kilogram, Tonne, Pound, ShortTon} }

// Reasons why a text is no mass, matched with errors.Is.
var (
	// ErrUnitMissing: no unit was given.
	ErrUnitMissing = errors.New("unit missing")
	// ErrUnitUnknown: the unit is none of Units.
	ErrUnitUnknown = errors.New("unit unknown: use g, kg, t, lb or short_ton")
	// ErrSyntax: not a plain decimal number with a point, such as 12.340.
	ErrSyntax = errors.New("not a plain decimal number such as 12.340")
	// ErrTooFine: metric, and finer than a gram.
	ErrTooFine = errors.New("finer than a gram")
	// ErrRange: beyond 9.2 billion tonnes.
	ErrRange = errors.New("beyond 9.2 billion tonnes")
)

// ParseError tells which text is no mass in which unit, and why.
type ParseError struct {
	Value string // as given, cut to 200 bytes
	Unit  Unit
	Err   error // one of the reasons of this package
}

func (e *ParseError) Error() string { return fmt.Sprintf("mass %q %s: %v", e.Value, e.Unit, e.Err) }

// Unwrap gives the reason to errors.Is.
func (e *ParseError) Unwrap() error { return e.Err }

// maxText bounds the text of a mass, in bytes: 19 digits, a point, and room
// for zeros.
const maxText = 64

// Parse reads a plain decimal number (digits, optionally a minus in front and
// one point between digits) as an amount in a unit.
//
// For g, kg and t the amount must be a whole number of grams: zeros beyond
// are accepted, anything finer is ErrTooFine. Pounds and short tons are not
// whole grams by nature: they are multiplied exactly and rounded once, to the
// nearest gram, half a gram away from zero. Exponents, thousands separators,
// decimal commas, plus signs and blanks are ErrSyntax.
//
// Errors are *ParseError.
func Parse(value string, unit Unit) (Grams, error) {
	g, err := parse(value, unit)
	if err != nil {
		return 0, &ParseError{Value: value[:min(len(value), 200)], Unit: unit, Err: err}
	}
	return g, nil
}

func parse(value string, unit Unit) (Grams, error) {
	d, err := scan(value)
	if err != nil {
		return 0, err
	}
	switch unit {
	case Gram:
		return d.metric(0)
	case Kilogram:
		return d.metric(3)
	case Tonne:
		return d.metric(6)
	case Pound:
		return d.scaled(45_359_237, 5)
	case ShortTon:
		return d.scaled(90_718_474, 2)
	case "":
		return 0, ErrUnitMissing
	}
	return 0, ErrUnitUnknown
}

// decimal is a scanned number: ±whole.frac, digits only.
type decimal struct {
	negative    bool
	whole, frac string
}

func scan(s string) (decimal, error) {
	var d decimal
	if len(s) > maxText {
		return d, ErrSyntax
	}
	if len(s) > 0 && s[0] == '-' {
		d.negative, s = true, s[1:]
	}
	n := digits(s)
	d.whole = s[:n]
	if n == 0 {
		return d, ErrSyntax
	}
	if n == len(s) {
		return d, nil
	}
	if s[n] != '.' {
		return d, ErrSyntax
	}
	d.frac = s[n+1:]
	if d.frac == "" || digits(d.frac) != len(d.frac) {
		return d, ErrSyntax
	}
	return d, nil
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// metric reads the number in a unit of 10^places grams.
func (d decimal) metric(places int) (Grams, error) {
	var u uint64
	push := func(c byte) bool {
		hi, lo := bits.Mul64(u, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		u = sum
		return hi == 0 && carry == 0 && u <= maxGrams
	}
	for i := range len(d.whole) {
		if !push(d.whole[i]) {
			return 0, ErrRange
		}
	}
	for i := range max(places, len(d.frac)) {
		c := byte('0')
		if i < len(d.frac) {
			c = d.frac[i]
		}
		if i >= places {
			if c != '0' {
				return 0, ErrTooFine
			}
			continue
		}
		if !push(c) {
			return 0, ErrRange
		}
	}
	return d.sign(u), nil
}

// scaled reads the number in a unit of factor/10^places grams and rounds half
// a gram away from zero.
func (d decimal) scaled(factor int64, places int) (Grams, error) {
	n, ok := new(big.Int).SetString(d.whole+d.frac, 10)
	if !ok {
		return 0, ErrSyntax
	}
	n.Mul(n, big.NewInt(factor))
	div := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places+len(d.frac))), nil)
	half := new(big.Int).Rsh(div, 1)
	n.Add(n, half).Quo(n, div)
	if !n.IsUint64() || n.Uint64() > maxGrams {
		return 0, ErrRange
	}
	return d.sign(n.Uint64()), nil
}

func (d decimal) sign(u uint64) Grams {
	if d.negative {
		return -Grams(u)
	}
	return Grams(u)
}
