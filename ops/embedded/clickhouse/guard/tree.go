package guard

import (
	"fmt"
	"strings"
)

// node is one line of EXPLAIN AST: a kind, what follows it, and what is
// indented below it.
type node struct {
	kind     string
	detail   string
	children []*node
}

// treeDepth and treeNodes bound what the guard takes apart.
const (
	treeDepth = 1000
	treeNodes = 100_000
)

// parseTree reads EXPLAIN AST in the TabSeparated format: one node a line, one
// blank of indentation a level; line breaks inside a node are escaped by the
// format.
func parseTree(text string) (*node, error) {
	var path []*node // from the root to the latest node
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > treeNodes {
		return nil, &Refusal{"statement", "of this size", fmt.Sprintf("it has %d parts, at most %d are allowed", len(lines), treeNodes)}
	}
	for i, line := range lines {
		rest := strings.TrimLeft(line, " ")
		depth := len(line) - len(rest)
		if rest == "" || depth > len(path) || (depth == 0) != (i == 0) || depth > treeDepth {
			return nil, &Refusal{"statement", "of this form", fmt.Sprintf("line %d of its syntax tree cannot be read: %q", i+1, line)}
		}
		n := parseNode(rest)
		path = append(path[:depth], n)
		if depth > 0 {
			parent := path[depth-1]
			parent.children = append(parent.children, n)
		}
	}
	return path[0], nil
}

// parseNode takes a line apart: "Function sum (alias s) (children 1)".
func parseNode(line string) *node {
	kind, rest, _ := strings.Cut(line, " ")
	for _, mark := range []string{" (children ", "(children "} {
		if i := strings.LastIndex(rest, mark); i >= 0 && strings.HasSuffix(rest, ")") && digits(rest[i+len(mark):len(rest)-1]) {
			rest = rest[:i]
			break
		}
	}
	detail := strings.TrimSpace(rest)
	if kind == "Identifier" || kind == "TableIdentifier" || kind == "Function" {
		detail, _, _ = strings.Cut(detail, " (alias ")
	}
	return &node{kind: kind, detail: detail}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
