// Package operation knows the recovery and disposal operations of annexes I
// and II of the Waste Framework Directive (2008/98/EC): their codes, whether
// they end the treatment or only prepare it, and where they stand in the
// waste hierarchy.
//
// It promises one spelling per operation. It leaves out the national
// sublevels (R 3.1, D10.01): they are read and cut to the directive's code.
package operation

import (
	"fmt"
	"strings"
)

// Code is a recovery or disposal operation: R1…R13, D1…D15, NS (not stated)
// or OF (other fate). The zero value is "no operation".
type Code string

// Codes that are no operation of the directive, yet are recorded.
const (
	NotStated Code = "NS" // the reporter states none
	OtherFate Code = "OF" // some other fate
)

// Stage tells whether matter is treated for good.
type Stage string

// The stages.
const (
	Interim        Stage = "interim"    // R12, R13, D9, D13, D14, D15: somebody treats it later
	Final          Stage = "final"      // every other operation
	StageNotStated Stage = "not_stated" // NS, OF or no operation
)

// Level is a level of the waste hierarchy (article 4 of the directive).
// Reuse has no operation code: it is a kind of fact (package flow).
type Level string

// The levels that an operation can have.
const (
	Recycling       Level = "recycling"
	EnergyRecovery  Level = "energy_recovery"
	OtherRecovery   Level = "other_recovery"
	Disposal        Level = "disposal"
	InterimLevel    Level = "interim" // not at a level yet
	LevelNotStated  Level = "not_stated"
	maxRecoveryCode       = 13
	maxDisposalCode       = 15
)

// UnknownCode refuses a text that is no operation.
type UnknownCode struct {
	Value string // as given, cut to 200 bytes
}

func (e *UnknownCode) Error() string {
	return fmt.Sprintf("operation %q unknown: use R1 to R13, D1 to D15, NS (not stated) or OF (other fate)", e.Value)
}

// Parse reads an operation as sources write it: R3, r3, R03, "R 3", "R03.01.03"
// (national sublevels are cut), NS, OF. It never returns the zero Code
// without an error; errors are *UnknownCode.
func Parse(s string) (Code, error) {
	unknown := &UnknownCode{Value: s[:min(len(s), 200)]}
	t := strings.ToUpper(strings.TrimSpace(s))
	if t == string(NotStated) || t == string(OtherFate) {
		return Code(t), nil
	}
	if len(t) < 2 || len(t) > 16 || (t[0] != 'R' && t[0] != 'D') {
		return "", unknown
	}
	head, sub, hasSub := strings.Cut(strings.TrimPrefix(t[1:], " "), ".")
	if hasSub && !isSublevel(sub) {
		return "", unknown
	}
	n, ok := number(head)
	limit := maxRecoveryCode
	if t[0] == 'D' {
		limit = maxDisposalCode
	}
	if !ok || n < 1 || n > limit {
		return "", unknown
	}
	return table[t[0]][n], nil
}

// isSublevel tells whether s is one or more dotted numbers of at most two
// digits: 01, 1, 01.03.
func isSublevel(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if _, ok := number(part); !ok {
			return false
		}
	}
	return true
}

func number(s string) (int, bool) {
	if len(s) < 1 || len(s) > 2 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// table interns the codes, so that reading one allocates nothing.
var table = map[byte][]Code{
	'R': {"", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "R13"},
	'D': {"", "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10", "D11", "D12", "D13", "D14", "D15"},
}

// All lists the operations of the directive, R1 to R13 and D1 to D15, then NS
// and OF.
func All() []Code {
	all := append([]Code{}, table['R'][1:]...)
	all = append(all, table['D'][1:]...)
	return append(all, NotStated, OtherFate)
}

// Number is the number of an operation of the directive within its annex;
// recovery is false for disposal. ok is false for NS, OF and unknown codes.
func (c Code) Number() (n int, recovery, ok bool) {
	if len(c) < 2 {
		return 0, false, false
	}
	for i, known := range table[c[0]] {
		if i > 0 && known == c {
			return i, c[0] == 'R', true
		}
	}
	return 0, false, false
}

// Valid tells whether c is one of All, in the directive's spelling.
func (c Code) Valid() bool {
	_, _, ok := c.Number()
	return ok || c == NotStated || c == OtherFate
}

// Stage tells whether the operation is interim or final; not_stated for NS,
// OF and no operation. D9 is interim: by its own words its products are
// discarded by another operation of the annex, and practice groups it with
// D13 to D15.
func (c Code) Stage() Stage {
	switch c {
	case "R12", "R13", "D9", "D13", "D14", "D15":
		return Interim
	default:
		if _, _, ok := c.Number(); ok {
			return Final
		}
		return StageNotStated
	}
}

// Hierarchy tells the level of the waste hierarchy that the operation
// reaches. R2 to R6 and R8 to R10 count as recycling (article 3(17):
// reprocessed into products, materials or substances; R10 feeds the soil),
// R7 and R11 as other recovery, R1 as energy recovery. Where a rule set wants
// R10 otherwise, it says so in its own version; this is the default.
func (c Code) Hierarchy() Level {
	if c.Stage() == Interim {
		return InterimLevel
	}
	n, recovery, ok := c.Number()
	switch {
	case !ok:
		return LevelNotStated
	case !recovery:
		return Disposal
	case n == 1:
		return EnergyRecovery
	case n == 7 || n == 11:
		return OtherRecovery
	}
	return Recycling
}
