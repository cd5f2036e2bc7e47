package clickhouse

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Table is a table or view as the migrations describe it.
type Table struct {
	Name    string
	View    bool
	Comment string
	Columns []TableColumn
}

// TableColumn is a column as the migrations describe it.
type TableColumn struct {
	Name, Type, Comment string
	Alias               string // expression it stands for; "" for a stored column
}

var (
	createRE = regexp.MustCompile(`(?is)^CREATE (TABLE|VIEW) IF NOT EXISTS (\w+)\s*\(\n(.*?)\n\)`)
	columnRE = regexp.MustCompile("(?m)^    `?(\\w+)`?\\s+(.+?)\\s+(?:ALIAS (.+?) )?COMMENT '((?:[^']|'')*)'")
	tableRE  = regexp.MustCompile(`(?s)\nCOMMENT '((?:[^']|'')*)'$`)
	addRE    = regexp.MustCompile("(?is)^ALTER TABLE (\\w+) ADD COLUMN IF NOT EXISTS `?(\\w+)`?\\s+(.+?)\\s+COMMENT '((?:[^']|'')*)'")
	commentR = strings.NewReplacer("''", "'", `\'`, "'")
)

// Tables reads the tables out of migrations. Every table, view and column has
// a comment; it is an error if one has not.
func Tables(migrations []Migration) ([]Table, error) {
	var all []Table
	for _, m := range migrations {
		for _, s := range m.Statements {
			if add := addRE.FindStringSubmatch(s); add != nil {
				for i := range all {
					if all[i].Name == add[1] {
						all[i].Columns = append(all[i].Columns, TableColumn{Name: add[2], Type: add[3], Comment: commentR.Replace(add[4])})
					}
				}
				continue
			}
			create := createRE.FindStringSubmatch(s)
			if create == nil {
				continue
			}
			t := Table{Name: create[2], View: strings.EqualFold(create[1], "view")}
			if c := tableRE.FindStringSubmatch(s); c != nil {
				t.Comment = commentR.Replace(c[1])
			}
			for _, c := range columnRE.FindAllStringSubmatch(create[3], -1) {
				t.Columns = append(t.Columns, TableColumn{Name: c[1], Type: c[2], Alias: c[3], Comment: commentR.Replace(c[4])})
			}
			if lines := strings.Count(create[3], "\n") + 1; t.Comment == "" || len(t.Columns) != lines {
				return nil, fmt.Errorf("migration %s: table %s: %d of %d columns have a comment, its own is %q",
					m, t.Name, len(t.Columns), lines, t.Comment)
			}
			all = append(all, t)
		}
	}
	return all, nil
}

// WriteMarkdown writes the reference of all tables, from the comments in the
// migrations.
func WriteMarkdown(w io.Writer) error {
	migrations, err := Migrations()
	if err != nil {
		return err
	}
	tables, err := Tables(migrations)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(markdownHead)
	for _, t := range tables {
		kind := "Table"
		if t.View {
			kind = "View"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s. %s\n\n| column | type | meaning |\n|---|---|---|\n", t.Name, kind, cell(t.Comment))
		for _, c := range t.Columns {
			meaning := cell(c.Comment)
			if c.Alias != "" {
				meaning += " (computed: name it, `SELECT *` leaves it out)"
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", c.Name, c.Type, meaning)
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func cell(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "|", "\\|"), "\n", " ") }

const markdownHead = `# Tables

Generated from the comments in projections/clickhouse/migrations; change them there.

How to read them so that every event counts once and no answer shows half a flush:

1. Fetch the one row of ` + "`flow_snapshot`" + `, by a query of its own.
2. Bind its values: ` + "`flow_rollup WHERE build IN builds`" + `, and beside it
   ` + "`flow_facts FINAL WHERE position > watermark AND position <= committed`" + `.
   Or, slower and with every column, ` + "`flow_facts FINAL WHERE position <= committed`" + ` alone.
3. Sum ` + "`mass_t`" + ` (tonnes, exact) and ` + "`events`" + `, and name one ` + "`measure`" + `: a tonne received and later
   sorted stands in both.
`
