package mass_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/mass"
)

func TestParseReadsExactly(t *testing.T) {
	for _, c := range []struct {
		value string
		unit  mass.Unit
		want  mass.Grams
	}{
		{"0", mass.Gram, 0},
		{"1", mass.Gram, 1},
		{"1.000", mass.Gram, 1},
		{"12.340", mass.Tonne, 12_340_000},
		{"12.34", mass.Kilogram, 12_340},
		{"0.000001", mass.Tonne, 1},
		{"0.0000010", mass.Tonne, 1},
		{"007.5", mass.Kilogram, 7_500},
		{"-7.5", mass.Kilogram, -7_500},
		{"1546611.515", mass.Tonne, 1_546_611_515_000},
		{"33087651.241897", mass.Tonne, 33_087_651_241_897},
		{"9223372036854.775807", mass.Tonne, math.MaxInt64},
		{"9223372036854775807", mass.Gram, math.MaxInt64},
		{"1", mass.Pound, 454},              // 453.59237
		{"0.5", mass.Pound, 227},            // 226.796185
		{"100000", mass.Pound, 45_359_237},  // exactly
		{"-1", mass.Pound, -454},            //
		{"1", mass.ShortTon, 907_185},       // 907184.74
		{"50", mass.ShortTon, 45_359_237},   // exactly
		{"0.0000000000001", mass.Pound, 0},  // far below a gram
		{"4900", mass.Pound, 2_222_603},     // 2222602.613
		{"28.5", mass.ShortTon, 25_854_765}, // 25854765.09
	} {
		got, err := mass.Parse(c.value, c.unit)
		require.NoError(t, err, "%s %s", c.value, c.unit)
		require.Equal(t, c.want, got, "%s %s", c.value, c.unit)
	}
}

func TestParseRoundsHalfAGramAwayFromZero(t *testing.T) {
	// 50000 lb are 22,679,618.5 g.
	got, err := mass.Parse("50000", mass.Pound)
	require.NoError(t, err)
	require.Equal(t, mass.Grams(22_679_619), got)
	got, err = mass.Parse("-50000", mass.Pound)
	require.NoError(t, err)
	require.Equal(t, mass.Grams(-22_679_619), got)
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		value string
		unit  mass.Unit
		want  error
	}{
		{"", mass.Tonne, mass.ErrSyntax},
		{" 1", mass.Tonne, mass.ErrSyntax},
		{"1 ", mass.Tonne, mass.ErrSyntax},
		{"+1", mass.Tonne, mass.ErrSyntax},
		{"--1", mass.Tonne, mass.ErrSyntax},
		{"-", mass.Tonne, mass.ErrSyntax},
		{".5", mass.Tonne, mass.ErrSyntax},
		{"5.", mass.Tonne, mass.ErrSyntax},
		{"1.2.3", mass.Tonne, mass.ErrSyntax},
		{"1,5", mass.Tonne, mass.ErrSyntax},
		{"1,546,611.515", mass.Tonne, mass.ErrSyntax},
		{"1e3", mass.Tonne, mass.ErrSyntax},
		{"1E3", mass.Pound, mass.ErrSyntax},
		{"0x10", mass.Tonne, mass.ErrSyntax},
		{"NaN", mass.Tonne, mass.ErrSyntax},
		{"Inf", mass.Pound, mass.ErrSyntax},
		{"１", mass.Tonne, mass.ErrSyntax},
		{"1_000", mass.Kilogram, mass.ErrSyntax},
		{strings.Repeat("0", 65), mass.Gram, mass.ErrSyntax},
		{"0.5", mass.Gram, mass.ErrTooFine},
		{"0.0001", mass.Kilogram, mass.ErrTooFine},
		{"0.0000001", mass.Tonne, mass.ErrTooFine},
		{"1.00000010000", mass.Tonne, mass.ErrTooFine},
		{"9223372036854.775808", mass.Tonne, mass.ErrRange},
		{"9223372036854775808", mass.Gram, mass.ErrRange},
		{"99999999999999999999999999", mass.Gram, mass.ErrRange},
		{"99999999999999999999999999", mass.Pound, mass.ErrRange},
		{"1", "", mass.ErrUnitMissing},
		{"1", "T", mass.ErrUnitUnknown},
		{"1", "tonnes", mass.ErrUnitUnknown},
	} {
		_, err := mass.Parse(c.value, c.unit)
		require.ErrorIs(t, err, c.want, "%q %s", c.value, c.unit)
		var pe *mass.ParseError
		require.ErrorAs(t, err, &pe)
		require.Equal(t, c.unit, pe.Unit)
		require.Equal(t, c.value, pe.Value)
	}
}

func TestTonnesHasSixPlacesAndReadsBack(t *testing.T) {
	require.Equal(t, "2331864.132910", mass.Grams(2_331_864_132_910).Tonnes())
	require.Equal(t, "0.000000", mass.Grams(0).Tonnes())
	require.Equal(t, "-0.000001", mass.Grams(-1).Tonnes())
	require.Equal(t, "-9223372036854.775808", mass.Grams(math.MinInt64).Tonnes())
	require.Equal(t, "1.500000 t", mass.Grams(1_500_000).String())

	readsBack := func(n int64) bool {
		if n == math.MinInt64 {
			return true // beyond what Parse accepts, on purpose
		}
		g, err := mass.ParseTonnes(mass.Grams(n).Tonnes())
		return err == nil && g == mass.Grams(n)
	}
	require.NoError(t, quick.Check(readsBack, &quick.Config{MaxCount: 20_000}))
}

func TestParseAgreesWithRationalArithmetic(t *testing.T) {
	grams := map[mass.Unit]*big.Rat{
		mass.Gram: big.NewRat(1, 1), mass.Kilogram: big.NewRat(1000, 1), mass.Tonne: big.NewRat(1_000_000, 1),
		mass.Pound: big.NewRat(45_359_237, 100_000), mass.ShortTon: big.NewRat(90_718_474, 100),
	}
	agrees := func(whole uint32, frac uint16, places uint8, pick uint8) bool {
		unit := mass.Units()[int(pick)%len(mass.Units())]
		value := fmt.Sprintf("%d.%0*d", whole, int(places%8)+5, frac)
		exact, ok := new(big.Rat).SetString(value)
		if !ok {
			return false
		}
		exact.Mul(exact, grams[unit])
		g, err := mass.Parse(value, unit)
		if metric := unit != mass.Pound && unit != mass.ShortTon; metric && !exact.IsInt() {
			return errors.Is(err, mass.ErrTooFine)
		}
		if err != nil {
			return false
		}
		off := new(big.Rat).Sub(exact, new(big.Rat).SetInt64(int64(g)))
		return off.Abs(off).Cmp(big.NewRat(1, 2)) <= 0
	}
	require.NoError(t, quick.Check(agrees, &quick.Config{MaxCount: 20_000}))
}

func TestSumsNeverOverflowUnseen(t *testing.T) {
	agrees := func(a, b int64) bool {
		exact := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		sum, err := mass.Grams(a).Add(mass.Grams(b))
		diff, errSub := mass.Grams(a).Sub(mass.Grams(b))
		exactDiff := new(big.Int).Sub(big.NewInt(a), big.NewInt(b))
		return (err == nil) == exact.IsInt64() && (err != nil || int64(sum) == exact.Int64()) &&
			(errSub == nil) == exactDiff.IsInt64() && (errSub != nil || int64(diff) == exactDiff.Int64())
	}
	require.NoError(t, quick.Check(agrees, &quick.Config{MaxCount: 20_000}))
	_, err := mass.Grams(math.MaxInt64).Add(1)
	require.ErrorIs(t, err, mass.ErrOverflow)
	_, err = mass.Grams(math.MinInt64).Sub(1)
	require.ErrorIs(t, err, mass.ErrOverflow)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"12.340", "0", "-1.5", "1e5", "1,5", "", ".", "9223372036854.775807", "00000.0000000"} {
		for _, u := range mass.Units() {
			f.Add(s, string(u))
		}
	}
	f.Fuzz(func(t *testing.T, s, unit string) {
		g, err := mass.Parse(s, mass.Unit(unit))
		if err != nil {
			var pe *mass.ParseError
			require.ErrorAs(t, err, &pe)
			return
		}
		back, err := mass.ParseTonnes(g.Tonnes())
		require.NoError(t, err)
		require.Equal(t, g, back)
	})
}

func BenchmarkParseTonnes(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mass.Parse("1546611.515", mass.Tonne); err != nil {
			b.Fatal(err)
		}
	}
}
