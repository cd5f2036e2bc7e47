package export

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stofstrom/stofstrom/analytics"
)

// noValue is what a terminal shows for a value that is not stated.
const noValue = "–"

// WriteTable writes an answer as a table for a terminal: numbers to the right,
// thousands apart, a total below, and a line that says what was measured, and
// at which position. At most maxRows rows are shown, and a line says how many
// are not; 0 shows all. The total is always over all rows.
func WriteTable(w io.Writer, a analytics.FlowAnswer, maxRows int) error {
	a = withoutPlainIDs(a)
	shown := a.Rows
	if maxRows > 0 && len(shown) > maxRows {
		shown = shown[:maxRows]
	}
	t := table{heading: append([]string{}, a.Columns...), numbers: len(a.Columns)}
	t.heading = append(t.heading, "tonnes", "events")
	for _, row := range shown {
		line := make([]string, 0, len(t.heading))
		for _, v := range row.Values {
			line = append(line, cell(v))
		}
		t.lines = append(t.lines, append(line, amountCells(row.Amount)...))
	}
	t.foot = make([]string, len(a.Columns), len(t.heading))
	if len(t.foot) > 0 {
		t.foot[0] = "total"
	}
	t.foot = append(t.foot, amountCells(a.Total)...)
	text := t.String()
	if hidden := len(a.Rows) - len(shown); hidden > 0 {
		text += fmt.Sprintf("… and %s more rows, counted in the total\n", thousands(strconv.Itoa(hidden)))
	}
	text += fmt.Sprintf("measure %s%s, position %d\n", a.Measure, span(a), a.Position)
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write answer as a table: %w", err)
	}
	return nil
}

// withoutPlainIDs leaves out the columns of ids that tell no more than the
// names before them.
func withoutPlainIDs(a analytics.FlowAnswer) analytics.FlowAnswer {
	var kept []int
	for i, column := range a.Columns {
		name, isID := strings.CutSuffix(column, "_id")
		if !isID || i == 0 || a.Columns[i-1] != name || namesAreShared(a.Rows, i-1, i) {
			kept = append(kept, i)
		}
	}
	if len(kept) == len(a.Columns) {
		return a
	}
	columns, rows := a.Columns, a.Rows
	a.Columns, a.Rows = make([]string, len(kept)), make([]analytics.FlowRow, len(rows))
	for to, from := range kept {
		a.Columns[to] = columns[from]
	}
	for i, row := range rows {
		values := make([]analytics.Value, len(kept))
		for to, from := range kept {
			values[to] = row.Values[from]
		}
		a.Rows[i] = analytics.FlowRow{Values: values, Amount: row.Amount}
	}
	return a
}

// namesAreShared tells whether a name of one column stands beside several ids
// of the other.
func namesAreShared(rows []analytics.FlowRow, name, id int) bool {
	ids := map[analytics.Value]analytics.Value{}
	for _, row := range rows {
		known, ok := ids[row.Values[name]]
		if ok && known != row.Values[id] {
			return true
		}
		ids[row.Values[name]] = row.Values[id]
	}
	return false
}

// WriteNetflow writes the balances of areas as a table for a terminal, at most
// maxRows of them (0: all).
func WriteNetflow(w io.Writer, balances []analytics.AreaBalance, maxRows int) error {
	t := table{heading: []string{"area", "in t", "out t", "internal t", "net inflow t"}, numbers: 1}
	for i, b := range balances {
		if maxRows > 0 && i == maxRows {
			break
		}
		line := []string{cell(b.Area)}
		for _, a := range []analytics.Amount{b.In, b.Out, b.Internal, b.Net} {
			line = append(line, thousands(a.Mass.Tonnes()))
		}
		t.lines = append(t.lines, line)
	}
	text := t.String()
	if hidden := len(balances) - len(t.lines); hidden > 0 {
		text += fmt.Sprintf("… and %s more areas\n", thousands(strconv.Itoa(hidden)))
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write net flows as a table: %w", err)
	}
	return nil
}

func span(a analytics.FlowAnswer) string {
	var s string
	if a.From != "" {
		s += " from " + string(a.From)
	}
	if a.To != "" {
		s += " before " + string(a.To)
	}
	return s
}

// cell is a value made safe for a terminal: control characters, which could
// move the cursor or change colours, are shown as a replacement.
func cell(v analytics.Value) string {
	if !v.Stated {
		return noValue
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, v.Text)
}

func amountCells(a analytics.Amount) []string {
	return []string{thousands(a.Mass.Tonnes()), thousands(strconv.FormatInt(a.Events, 10))}
}

// thousands puts commas between groups of three digits before the point.
func thousands(number string) string {
	sign := ""
	if rest, negative := strings.CutPrefix(number, "-"); negative {
		sign, number = "-", rest
	}
	whole, fraction, decimal := strings.Cut(number, ".")
	var b strings.Builder
	b.WriteString(sign)
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	if decimal {
		b.WriteString("." + fraction)
	}
	return b.String()
}

// table lays out text in columns; those from numbers on stand to the right.
type table struct {
	heading []string
	lines   [][]string
	foot    []string // nil: none
	numbers int
}

func (t table) String() string {
	width := make([]int, len(t.heading))
	all := append([][]string{t.heading}, t.lines...)
	if t.foot != nil {
		all = append(all, t.foot)
	}
	for _, line := range all {
		for i, text := range line {
			width[i] = max(width[i], utf8.RuneCountInString(text))
		}
	}
	rule := make([]string, len(width))
	for i, n := range width {
		rule[i] = strings.Repeat("─", n)
	}
	var b strings.Builder
	t.line(&b, width, t.heading)
	t.line(&b, width, rule)
	for _, line := range t.lines {
		t.line(&b, width, line)
	}
	if t.foot != nil {
		t.line(&b, width, rule)
		t.line(&b, width, t.foot)
	}
	return b.String()
}

func (t table) line(b *strings.Builder, width []int, cells []string) {
	var line strings.Builder
	for i, text := range cells {
		if i > 0 {
			line.WriteString("  ")
		}
		pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(text))
		if i >= t.numbers {
			line.WriteString(pad + text)
		} else {
			line.WriteString(text + pad)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " "))
	b.WriteByte('\n')
}
