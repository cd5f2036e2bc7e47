// Package queries holds the SQL of every question, one file each, with a
// header that says what it asks, what it takes and what it gives.
//
// It promises that a statement is sent as it stands in its file, without its
// header, and that exactly the parameters its header declares are bound. No
// SQL is put together here or anywhere else. It leaves out who asks.
package queries

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

//go:embed *.sql
var files embed.FS

// Query is one question in SQL.
type Query struct {
	Name       string // file name without its ending
	Question   string
	Parameters []Field // bound as {name:Type}
	Columns    []Field // of the result, in order
	Units      string
	Freshness  string
	SQL        string // without the header
}

// Field is a parameter or column: its name, ClickHouse type and meaning.
type Field struct {
	Name, Type, Meaning string
}

// ErrHeader marks a file whose header and statement do not agree.
var ErrHeader = errors.New("header and statement do not agree")

// Load reads one query by name. Errors: a file that does not exist, or
// ErrHeader.
func Load(name string) (Query, error) { return load(files, name) }

// Names lists the queries.
func Names() []string {
	found, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil // only a malformed pattern fails
	}
	for i, name := range found {
		found[i] = strings.TrimSuffix(name, ".sql")
	}
	return found
}

// Bind turns values into arguments for clickhouse-go. Every declared
// parameter must be given, and nothing else.
func (q Query) Bind(values map[string]any) ([]any, error) {
	args := make([]any, 0, len(q.Parameters))
	for _, p := range q.Parameters {
		value, ok := values[p.Name]
		if !ok {
			return nil, fmt.Errorf("query %s: parameter %s is not bound", q.Name, p.Name)
		}
		args = append(args, clickhouse.Named(p.Name, value))
	}
	if len(values) > len(args) {
		return nil, fmt.Errorf("query %s: bound %v, takes %d parameters", q.Name, slices.Sorted(maps.Keys(values)), len(args))
	}
	return args, nil
}

var used = regexp.MustCompile(`\{(\w+):([^}]+)\}`)

func load(from fs.FS, name string) (Query, error) {
	text, err := fs.ReadFile(from, name+".sql")
	if err != nil {
		return Query{}, fmt.Errorf("read query: %w", err)
	}
	q := Query{Name: name}
	var section string
	lines := strings.Split(string(text), "\n")
	for len(lines) > 0 && strings.HasPrefix(lines[0], "--") {
		line := strings.TrimPrefix(lines[0], "--")
		lines = lines[1:]
		if field, isField := strings.CutPrefix(line, "   "); isField {
			if err := q.field(section, field); err != nil {
				return Query{}, err
			}
			continue
		}
		var rest string
		section, rest, _ = strings.Cut(strings.TrimSpace(line), ":")
		rest = strings.TrimSpace(rest)
		switch section {
		case "question":
			q.Question = rest
		case "units":
			q.Units = rest
		case "freshness":
			q.Freshness = rest
		case "parameters", "columns":
		default:
			return Query{}, fmt.Errorf("query %s: unknown section %q: %w", name, section, ErrHeader)
		}
	}
	q.SQL = strings.TrimSpace(strings.Join(lines, "\n"))
	return q, q.check()
}

func (q *Query) field(section, line string) error {
	head, meaning, ok := strings.Cut(line, ": ")
	name, typ, typed := strings.Cut(head, " ")
	if !ok || !typed {
		return fmt.Errorf("query %s: %q is not name, type and meaning: %w", q.Name, line, ErrHeader)
	}
	f := Field{Name: name, Type: typ, Meaning: meaning}
	switch section {
	case "parameters":
		q.Parameters = append(q.Parameters, f)
	case "columns":
		q.Columns = append(q.Columns, f)
	default:
		return fmt.Errorf("query %s: %q stands in no list: %w", q.Name, line, ErrHeader)
	}
	return nil
}

// check holds the header against the statement.
func (q *Query) check() error {
	if q.Question == "" || q.Units == "" || q.Freshness == "" || len(q.Columns) == 0 || q.SQL == "" {
		return fmt.Errorf("query %s: question, columns, units, freshness or statement missing: %w", q.Name, ErrHeader)
	}
	if strings.Contains(q.SQL, "--") {
		return fmt.Errorf("query %s: comment below the header is sent with every statement: %w", q.Name, ErrHeader)
	}
	takes := map[string]string{}
	for _, match := range used.FindAllStringSubmatch(q.SQL, -1) {
		if before, ok := takes[match[1]]; ok && before != match[2] {
			return fmt.Errorf("query %s: parameter %s is %s and %s: %w", q.Name, match[1], before, match[2], ErrHeader)
		}
		takes[match[1]] = match[2]
	}
	for _, p := range q.Parameters {
		if takes[p.Name] != p.Type {
			return fmt.Errorf("query %s: parameter %s %s is used as %q: %w", q.Name, p.Name, p.Type, takes[p.Name], ErrHeader)
		}
		delete(takes, p.Name)
	}
	if len(takes) > 0 {
		return fmt.Errorf("query %s: parameters %v are not declared: %w", q.Name, slices.Sorted(maps.Keys(takes)), ErrHeader)
	}
	return nil
}
