// Package archtest holds the import law of the repository and checks it by
// reading the files itself. A check that asks the go command could be
// answered from the test cache after a violation was planted; reading the
// files makes them inputs of the test.
//
// It promises that a violation anywhere in the tree, test files included, is
// named by file and import. It leaves out what a linter does better.
package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the module's path.
const Module = "github.com/stofstrom/stofstrom"

// topLevel is all that may stand at the top of the repository, dot files
// aside.
var topLevel = []string{
	"domain", "projections", "ingest", "analytics", "ops", "docs",
	"go.mod", "go.sum", "Makefile", "README.md",
	"LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "publiccode.yml",
}

// ignored is what git ignores at the top.
var ignored = []string{"bin", "data"}

// rule says what the Go files below a folder may import.
type rule struct {
	folder  string
	own     []string // parts of this module, besides the folder itself
	foreign func(importPath, file string) error
}

var rules = []rule{
	{folder: "domain", foreign: domainForeign},
	{folder: "ingest", own: []string{"domain"}, foreign: ingestForeign},
	{folder: "projections", own: []string{"domain"}, foreign: projectionsForeign},
	{folder: "analytics", own: []string{"domain"}, foreign: analyticsForeign},
	{folder: "ops", own: []string{"domain", "ingest", "projections", "analytics"}},
}

const (
	eventStoreClient = "github.com/EventStore/EventStore-Client-Go/"
	clickHouseDriver = "github.com/ClickHouse/clickhouse-go/"
	watermill        = "github.com/ThreeDotsLabs/watermill"
)

// pure are the libraries that do no I/O, which the domain may use.
var pure = []string{
	"github.com/google/uuid", "gonum.org/v1/gonum/", "github.com/go-json-experiment/json",
}

// impure are the parts of the standard library that the domain has no
// business with: the world outside, and the clock by way of the log.
var impure = []string{"os", "net", "log", "syscall", "os/", "net/", "log/", "database/"}

func under(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return p == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(p, strings.TrimSuffix(prefix, "/")+"/")
	})
}

func isStd(p string) bool { return !strings.Contains(strings.SplitN(p, "/", 2)[0], ".") }

func domainForeign(p, file string) error {
	if strings.HasSuffix(file, "_test.go") || strings.Contains(file, "test/") {
		return nil // test helpers may read files and compare
	}
	if isStd(p) {
		if slices.ContainsFunc(impure, func(i string) bool { return p == i || strings.HasSuffix(i, "/") && strings.HasPrefix(p, i) }) {
			return errors.New("the domain does no I/O and has no logger")
		}
		return nil
	}
	if !under(p, pure) {
		return errors.New("the domain uses the standard library and pure libraries only")
	}
	return nil
}

func ingestForeign(p, file string) error {
	if strings.HasPrefix(p, clickHouseDriver) {
		return errors.New("ingest does not know the tables")
	}
	if strings.HasPrefix(p, eventStoreClient) && !strings.HasPrefix(file, "ingest/eventstore/") {
		return errors.New("the EventStoreDB client is used in ingest/eventstore only")
	}
	return nil
}

func projectionsForeign(p, file string) error {
	if strings.HasPrefix(p, eventStoreClient) {
		return errors.New("projections follow the log through its port")
	}
	if strings.HasPrefix(p, clickHouseDriver) && !strings.HasPrefix(file, "projections/clickhouse/") {
		return errors.New("the ClickHouse driver is used in projections/clickhouse only")
	}
	if strings.HasPrefix(p, watermill) && p != watermill+"/message" {
		return errors.New("projections know Watermill's messages and nothing else of it")
	}
	return nil
}

func analyticsForeign(p, _ string) error {
	if strings.HasPrefix(p, eventStoreClient) || strings.HasPrefix(p, watermill) {
		return errors.New("analytics asks the tables, not the log")
	}
	return nil
}

// Check reads the tree and returns one sentence per violation, sorted as the
// files are.
func Check(tree fs.FS) ([]string, error) {
	violations, err := checkTop(tree)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" || slices.Contains(ignored, file)) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(file) != ".go" {
			return nil
		}
		found, err := checkFile(tree, file)
		violations = append(violations, found...)
		return err
	})
	return violations, err
}

func checkTop(tree fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	var violations []string
	for _, e := range entries {
		n := e.Name()
		if !strings.HasPrefix(n, ".") && !slices.Contains(topLevel, n) && !slices.Contains(ignored, n) {
			violations = append(violations, fmt.Sprintf("%s: has no place at the top level", n))
		}
	}
	return violations, nil
}

func checkFile(tree fs.FS, file string) ([]string, error) {
	src, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	var violations []string
	for _, spec := range parsed.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if err := judge(file, p); err != nil {
			violations = append(violations, fmt.Sprintf("%s imports %s: %v", file, p, err))
		}
	}
	if strings.HasSuffix(file, "_test.go") {
		violations = append(violations, silentSkips(file, parsed)...)
	}
	return violations, nil
}

func judge(file, p string) error {
	folder := strings.SplitN(file, "/", 2)[0]
	i := slices.IndexFunc(rules, func(r rule) bool { return r.folder == folder })
	if i < 0 {
		return errors.New("the code of this module lives below domain, ingest, projections, analytics and ops")
	}
	r := rules[i]
	if own, ok := strings.CutPrefix(p, Module+"/"); ok {
		other := strings.SplitN(own, "/", 2)[0]
		if other != folder && !slices.Contains(r.own, other) {
			return fmt.Errorf("%s may not lean on %s", folder, other)
		}
		return nil
	}
	if r.foreign != nil {
		return r.foreign(p, file)
	}
	return nil
}

// silentSkips finds tests that give up: t.Skip and its like may stand behind
// testing.Short only, where the long form runs elsewhere.
func silentSkips(file string, parsed *ast.File) []string {
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		if stmt, ok := n.(*ast.IfStmt); ok && isCallTo(stmt.Cond, "testing", "Short") {
			return false
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch sel.Sel.Name {
		case "Skip", "Skipf", "SkipNow":
			if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "t" || x.Name == "b" || x.Name == "tb" || x.Name == "f") {
				found = append(found, fmt.Sprintf("%s calls %s.%s: a skip hides a test; make the test able to run or fail", file, x.Name, sel.Sel.Name))
			}
		}
		return true
	})
	return found
}

func isCallTo(e ast.Expr, pkg, name string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}
