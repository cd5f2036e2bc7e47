package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/flow"
)

// ruleID is how the id of a rule is written.
var ruleID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// Every rule that intake names must stand in the catalogue, with its sentences,
// and every rule of the catalogue must be named somewhere.
func TestTheCatalogueHasEveryRuleThatIsNamed(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	named := namedRules(t, os.DirFS(root), "ingest", "domain/area", "domain/facility", "domain/flow", "domain/ledger")
	for id, where := range named {
		_, ok := flow.RuleOf(id)
		require.True(t, ok, "%s names rule %q, which is not in the catalogue of domain/flow", where, id)
	}
	for _, r := range flow.Catalogue() {
		require.Contains(t, named, r.ID, "a rule of the catalogue that nothing names")
	}
}

func TestNamedRulesAreFound(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.go"), []byte(`package x

const (
	RuleA = "rule-a"
	other = "not-a-rule"
)

var v = fault.Violation{Rule: "rule-b", Field: "not-a-rule"}

func f() {
	flow.Violates("rule-c", "not-a-rule", "", "")
	d.violate("rule-d", "not-a-rule")
	fail("rule-e", "not-a-rule")
	g("not-a-rule")
}
`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x_test.go"), []byte("package x\n\nconst RuleT = \"rule-t\"\n"), 0o600))
	got := namedRules(t, os.DirFS(dir), ".")
	var ids []string
	for _, id := range []string{"rule-a", "rule-b", "rule-c", "rule-d", "rule-e"} {
		require.Contains(t, got, id)
		ids = append(ids, id)
	}
	require.Len(t, got, len(ids))
}

// namedRules finds the ids of rules in the sources of some folders, tests
// left out: constants that begin with Rule, the member Rule of a literal, and
// the first argument of what says that a rule is broken. The catalogue itself
// does not count.
func namedRules(t *testing.T, tree fs.FS, folders ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range folders {
		require.NoError(t, fs.WalkDir(tree, folder, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			src, err := fs.ReadFile(tree, file)
			if err != nil {
				return err
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, src, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			note := func(e ast.Expr) {
				lit, ok := e.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return
				}
				if id, err := strconv.Unquote(lit.Value); err == nil && ruleID.MatchString(id) {
					found[id] = set.Position(lit.Pos()).String()
				}
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, name := range n.Names {
						if strings.HasPrefix(name.Name, "Rule") && i < len(n.Values) {
							note(n.Values[i])
						}
					}
				case *ast.KeyValueExpr:
					if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Rule" {
						note(n.Value)
					}
				case *ast.CallExpr:
					if len(n.Args) > 0 && breaking[called(n.Fun)] {
						note(n.Args[0])
					}
				}
				return true
			})
			return nil
		}))
	}
	return found
}

// breaking are the functions whose first argument is the rule that is broken.
var breaking = map[string]bool{"Violates": true, "violation": true, "violate": true, "breaks": true, "fail": true}

func called(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
