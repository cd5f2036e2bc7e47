// Package guard decides whether a statement of the researcher's account may run.
//
// It promises that what it lets through is one read-only statement whose parts
// are all on lists of what is known to be harmless: kinds of statement, nodes of
// the syntax tree, functions, table functions, databases, system tables, output
// formats and settings. Whatever is not on a list is refused. The statement is
// parsed by the engine itself, so there is no second grammar to disagree with it,
// and what is returned for execution is the engine's own rendering of what was
// judged: comments, heredocs and odd quoting are gone from it.
//
// It is one of four walls. Behind it the engine refuses by its own access rights
// (the session holds a role with SELECT on the research databases), by readonly =
// 1, and the operating system refuses the engine's process files and sockets. It
// leaves out limits on time, memory and rows, which the caller sets.
package guard

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Engine parses statements for the guard. Neither method may run them.
type Engine interface {
	// Format returns the engine's rendering of text on one line, or its syntax
	// error. It fails for anything but exactly one statement.
	Format(ctx context.Context, text string) (string, error)
	// Tree returns what EXPLAIN AST says of a rendered statement, in the
	// TabSeparated format, with params bound and settings made.
	Tree(ctx context.Context, rendered string, settings, params map[string]string) (string, error)
}

// Refusal says why a statement may not run.
type Refusal struct {
	Rule   string // kind of part: statement, function, table function, table, setting, format
	Part   string // the part that is not on the list
	Reason string
}

// Error returns the refusal as a sentence for the researcher.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s %s is not available to this account: %s", r.Rule, r.Part, r.Reason)
}

// Guard judges statements by its lists.
type Guard struct {
	engine    Engine
	databases []string
	lists     *lists
}

// New returns a guard for an account that may read databases.
func New(engine Engine, databases []string) *Guard {
	return &Guard{engine: engine, databases: databases, lists: newLists()}
}

// Verdict is a statement that may run.
type Verdict struct {
	SQL      string            // the engine's rendering; this and nothing else is to be executed
	Settings map[string]string // of its SETTINGS clauses; to be made before the session is made read-only
}

// Judge returns the statement to execute, a *Refusal, or the engine's error.
func (g *Guard) Judge(ctx context.Context, text string, params map[string]string) (Verdict, error) {
	rendered, err := g.engine.Format(ctx, text)
	if err != nil {
		return Verdict{}, err
	}
	verdict := Verdict{SQL: rendered, Settings: map[string]string{}}
	// The words come first: the engine acts on INTO OUTFILE and SETTINGS even
	// while it only explains a statement.
	if err := g.judgeWords(rendered, verdict.Settings); err != nil {
		return Verdict{}, err
	}
	text, err = g.engine.Tree(ctx, rendered, maps.Clone(verdict.Settings), params)
	if err != nil {
		return Verdict{}, err
	}
	root, err := parseTree(text)
	if err != nil {
		return Verdict{}, err
	}
	return verdict, g.judgeTree(root)
}

// Setting checks one setting made outside the statement (a URL parameter).
func (g *Guard) Setting(name, value string) error {
	if !g.lists.setting(name) {
		return &Refusal{"setting", name, "it is not on the list of settings a research query may make"}
	}
	if len(value) > 200 {
		return &Refusal{"setting", name, "its value is longer than 200 bytes"}
	}
	return nil
}

// Format checks an output format named outside the statement.
func (g *Guard) Format(name string) error {
	if !slices.Contains(outputFormats, name) {
		return &Refusal{"format", name, "it is not on the list of output formats"}
	}
	return nil
}

// judgeTree judges a whole statement.
func (g *Guard) judgeTree(root *node) error {
	switch {
	case slices.Contains(statements, root.kind):
	case root.kind == "Explain" && slices.Contains(explains, root.detail):
		if len(root.children) == 0 {
			return &Refusal{"statement", "EXPLAIN", "it explains nothing"}
		}
		last := root.children[len(root.children)-1]
		for _, child := range root.children {
			if child.kind != "Set" && child != last && child.kind != "Identifier" {
				return &Refusal{"statement", "EXPLAIN of " + child.kind, "only SELECT can be explained"}
			}
		}
		if !slices.ContainsFunc(root.children, func(n *node) bool { return n.kind == "SelectWithUnionQuery" }) {
			return &Refusal{"statement", "EXPLAIN of " + last.kind, "only SELECT can be explained"}
		}
	default:
		return &Refusal{"statement", strings.TrimSpace(root.kind + " " + root.detail), "this account reads only: SELECT, WITH, EXPLAIN, SHOW, DESCRIBE and EXISTS"}
	}
	for _, child := range root.children {
		if err := g.judgeNode(child, root); err != nil {
			return err
		}
	}
	return g.judgeShow(root)
}

// judgeShow checks the databases that SHOW, DESCRIBE and EXISTS name; the engine
// itself lists only what the account may see.
func (g *Guard) judgeShow(root *node) error {
	if !strings.HasPrefix(root.kind, "ShowCreate") && !strings.HasPrefix(root.kind, "Exists") {
		return nil
	}
	if len(root.children) < 2 {
		return nil // an unqualified table, or a database: access rights decide
	}
	return g.judgeTable(root.children[0].detail + "." + root.children[1].detail)
}

// judgeNode judges a node and all below it.
func (g *Guard) judgeNode(n, parent *node) error {
	switch n.kind {
	case "Function":
		if err := g.judgeCall(n, parent); err != nil {
			return err
		}
	case "TableIdentifier":
		if err := g.judgeTable(n.detail); err != nil {
			return err
		}
	case "Identifier":
		// The engine takes a bare name that is a function for that function:
		// arrayMap(file, …) calls file.
		if g.lists.refused(n.detail) {
			return &Refusal{"function", n.detail, "it is a refused function's name; a column of that name must be written with its table"}
		}
	default:
		if !slices.Contains(nodes, n.kind) {
			return &Refusal{"syntax", n.kind, "it is not on the list of parts a research query may have"}
		}
	}
	for _, child := range n.children {
		if err := g.judgeNode(child, n); err != nil {
			return err
		}
	}
	return nil
}

// judgeCall judges the name of a function or table function, and the table a
// membership test may name.
func (g *Guard) judgeCall(n, parent *node) error {
	if parent.kind == "TableExpression" {
		if !slices.Contains(tableFunctions, n.detail) {
			return &Refusal{"table function", n.detail, "it is not on the list of table functions"}
		}
		return nil
	}
	if !g.lists.function(n.detail) {
		return &Refusal{"function", n.detail, "it is not on the list of functions"}
	}
	if !slices.Contains(membership, n.detail) || len(n.children) == 0 || len(n.children[0].children) < 2 {
		return nil
	}
	if set := n.children[0].children[1]; set.kind == "Identifier" && strings.Contains(set.detail, ".") {
		return g.judgeTable(set.detail)
	}
	return nil
}

// judgeTable judges a table's name. Unqualified names are tables of the session's
// database, which the caller has set to a research database, or names of the
// statement's own WITH clause.
func (g *Guard) judgeTable(name string) error {
	database, table, qualified := strings.Cut(name, ".")
	switch {
	case !qualified, slices.Contains(g.databases, database):
		return nil
	case database == "system" && slices.Contains(systemTables, table):
		return nil
	case strings.EqualFold(database, "information_schema"):
		return nil
	default:
		return &Refusal{"table", name, "this account reads " + strings.Join(g.databases, ", ") + " and a few system tables"}
	}
}
