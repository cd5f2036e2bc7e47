package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
)

func TestKindsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for k := fault.Internal; k <= fault.NoRoom; k++ {
		require.NotContains(t, k.String(), "kind", "kind %d has no name", uint8(k))
		require.False(t, seen[k.String()])
		seen[k.String()] = true
	}
	require.Equal(t, "kind 200", fault.Kind(200).String())
}

func TestAFaultSaysEverythingAndKeepsItsCause(t *testing.T) {
	f := fault.Wrap(fault.Unavailable, io.ErrUnexpectedEOF, "the log is %s", "away")
	f.Violations = []fault.Violation{{Rule: "r-1", Field: "mass.value", Value: "-1", Message: "The mass is zero or less.", Line: 7},
		{Rule: "r-2", Field: "id", Value: "x", Message: "Odd."}}
	require.Equal(t, `the log is away: line 7: mass.value: The mass is zero or less. (rule r-1, value "-1"); `+
		`id: Odd. (rule r-2, value "x"): unexpected EOF`, f.Error())
	require.ErrorIs(t, f, io.ErrUnexpectedEOF)
	require.Equal(t, fault.Unavailable, fault.KindOf(fmt.Errorf("submitting: %w", f)))
	require.Equal(t, fault.Internal, fault.KindOf(errors.New("other")))
	require.Equal(t, "no such thing", fault.New(fault.NotFound, "no such thing").Error())
}

func TestClipKeepsWholeCharacters(t *testing.T) {
	require.Equal(t, "kort", fault.Clip("kort"))
	require.Equal(t, strings.Repeat("x", 200), fault.Clip(strings.Repeat("x", 201)))
	require.Equal(t, strings.Repeat("å", 100), fault.Clip(strings.Repeat("å", 101)))
	require.Equal(t, "x"+strings.Repeat("å", 99), fault.Clip("x"+strings.Repeat("å", 100)))
	require.Equal(t, "a\uFFFDb", fault.Clip("a\xffb"))
	for _, s := range []string{strings.Repeat("\x80", 300), strings.Repeat("日", 80), strings.Repeat("x", 198) + "日本"} {
		require.True(t, utf8.ValidString(fault.Clip(s)))
		require.LessOrEqual(t, len(fault.Clip(s)), 3*fault.MaxValueBytes)
	}
}
