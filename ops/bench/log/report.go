//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// report is the Markdown that a run prints.
type report struct {
	out    io.Writer
	err    error // of the first write that failed
	goals  int
	missed []string
}

func (r *report) printf(format string, args ...any) {
	if r.err == nil {
		_, r.err = fmt.Fprintf(r.out, format, args...)
	}
}

func (r *report) head(title string, columns ...string) {
	r.printf("\n### %s\n\n| %s |\n|---|%s\n", title, strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)-1))
}

func (r *report) row(cells ...string) { r.printf("| %s |\n", strings.Join(cells, " | ")) }

// goal notes whether a goal is met and returns its cell.
func (r *report) goal(name, want string, met bool) string {
	r.goals++
	if met {
		return want + " ✓"
	}
	r.missed = append(r.missed, name)
	return want + " ✗"
}

const noGoal = "–"

// compared prints a comparison; least is the goal, 0 for none.
func (r *report) compared(name string, c comparison, least float64, unit string) {
	goal := noGoal
	if least > 0 {
		goal = r.goal(name, "≥ "+ratioText(least, unit), c.ratio >= least)
	}
	r.row(name,
		thousands(c.reference.rate), thousands(c.ours.rate),
		fmt.Sprintf("%s (%s–%s)", ratioText(c.ratio, unit), ratioText(c.lowest, unit), ratioText(c.highest, unit)), goal,
		ratioText(c.cpuRatio(), unit),
		fmt.Sprintf("%.1f / %.1f", c.reference.client, c.ours.client),
		fmt.Sprintf("%.1f / %.1f", c.reference.server, c.ours.server))
}

// ratioText prints in per cent, or as a multiple.
func ratioText(ratio float64, unit string) string {
	if unit == "×" {
		return fmt.Sprintf("%.1f×", ratio)
	}
	return fmt.Sprintf("%.0f %%", 100*ratio)
}

// thousands prints 1234567 as 1,234,567.
func thousands(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

var errGoalMissed = errors.New("goals missed")

// end prints the sum. With strict a missed goal is an error.
func (r *report) end(strict bool) error {
	load, err := loadAverage()
	if err != nil {
		return err
	}
	r.printf("\n%d of %d goals met; load %s at the end\n", r.goals-len(r.missed), r.goals, load)
	if r.err != nil {
		return fmt.Errorf("print: %w", r.err)
	}
	if strict && len(r.missed) > 0 {
		return fmt.Errorf("%w: %s", errGoalMissed, strings.Join(r.missed, "; "))
	}
	return nil
}
