package flow

import (
	"fmt"
	"io"
	"strings"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// WriteMarkdown writes docs/rules.md: the catalogue for people.
func WriteMarkdown(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprint(b, "# Rules at intake\n\n"+
		"Generated from the catalogue in `domain/flow`; do not edit.\n\n"+
		"The same rules hold in every environment. An **error** refuses the line; a **warning** is recorded with the\n"+
		"event and becomes a finding. Both name the rule, the field and the value.\n")
	for _, stage := range []struct {
		stage       Stage
		title, text string
	}{
		{StageForm, "Form", "Messages, files and register entries, before anything in them is read."},
		{StageRead, "Reading", "Turning text into masses, codes and operations."},
		{StageCheck, "Checking", "The fact by itself, with what is known of the facility and the areas."},
		{StageLedger, "Deciding", "The fact against what the facility's ledger holds."},
	} {
		fmt.Fprintf(b, "\n## %s\n\n%s\n\n| rule | severity | field | English | dansk | source |\n|---|---|---|---|---|---|\n", stage.title, stage.text)
		for _, r := range Catalogue() {
			if r.Stage == stage.stage {
				fmt.Fprintf(b, "| `%s` | %s | `%s` | %s | %s | %s |\n", r.ID, severityWord(r.Severity), r.Field, r.Text, r.TextDA, r.Source)
			}
		}
	}
	fmt.Fprint(b, "\n## Fields by kind of event\n\n● required, ○ possible. Every kind has an identity, a facility, a material, a mass and its method,\n"+
		"and may have a site category and tags.\n\n"+
		"| kind | time | operation | origin | target | fate | consignment | rejects | outputs | items, displaces | energy |\n"+
		"|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, k := range Kinds() {
		s, _ := shapeOf(k) // every kind has a shape: the tests say so
		when, origin := "instant", mark(s.origin)
		if s.period == always {
			when = "period, measure"
		}
		if s.originArea {
			origin = "● area"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", k, when, mark(s.operation), origin, mark(s.target),
			mark(s.fate), mark(s.document), mark(s.rejects), mark(s.outputs), mark(s.items), mark(s.energy))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func severityWord(s fault.Severity) string {
	if s == fault.Warning {
		return "warning"
	}
	return "error"
}

func mark(n need) string {
	switch n {
	case always:
		return "●"
	case may:
		return "○"
	case never:
	}
	return ""
}
