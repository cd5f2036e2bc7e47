//go:build linux

package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/guard"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// judge lets the guard decide about a researcher's statement. It returns the
// text to execute and notes the settings the statement makes.
func (s *Server) judge(ctx context.Context, st *statement) (string, *Exception) {
	params, problem := s.researchSettings(st)
	if problem != nil {
		return "", problem
	}
	if format := st.params.Get("default_format"); format != "" {
		if err := s.guard.Format(format); err != nil {
			return "", s.refusal(err, st)
		}
	}
	st.made = params
	verdict, err := s.guard.Judge(ctx, st.text, queryParams(st.params))
	if err != nil {
		return "", s.refusal(err, st)
	}
	for name, value := range verdict.Settings {
		if err := s.limited(name, value); err != nil {
			return "", s.refusal(err, st)
		}
		st.made[name] = value
	}
	return verdict.SQL, nil
}

// refusal turns what the guard answered into an exception.
func (s *Server) refusal(err error, st *statement) *Exception {
	if refusal := new(guard.Refusal); errors.As(err, &refusal) {
		return exceptionf(codeAccessDenied, "%s: Not enough privileges. The %v", s.cfg.ResearcherUser, refusal)
	}
	return s.exception(err, st)
}

// ignoredSettings are made by clients without asking; for this account they are
// fixed.
var ignoredSettings = []string{"readonly", "allow_ddl", "log_queries"}

// researchSettings checks the settings of the URL. Limits can be made stricter
// there; a wider one is brought down to the account's own.
func (s *Server) researchSettings(st *statement) (map[string]string, *Exception) {
	made := map[string]string{}
	for _, name := range settingNames(st) {
		if slices.Contains(ignoredSettings, name) {
			continue
		}
		value := st.params.Get(name)
		if err := s.guard.Setting(name, value); err != nil {
			return nil, s.refusal(err, st)
		}
		if slices.Contains(guard.Limited, name) && s.limited(name, value) != nil {
			continue
		}
		made[name] = value
	}
	return made, nil
}

// limited checks that a limit is at least as strict as the account's.
func (s *Server) limited(name, value string) error {
	limit, ok := s.researchLimits()[name]
	if !ok {
		return nil
	}
	asked, err := strconv.ParseFloat(value, 64)
	if err != nil || asked <= 0 || asked > limit {
		return &guard.Refusal{
			Rule: "setting", Part: name,
			Reason: fmt.Sprintf("want a number above 0 and at most %s, got %q", number(limit), value),
		}
	}
	return nil
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// researchLimits are the account's limits by the engine's names.
func (s *Server) researchLimits() map[string]float64 {
	l := s.cfg.Limits
	return map[string]float64{
		"max_execution_time": l.ResearcherQueryTime.Seconds(),
		"max_memory_usage":   float64(l.ResearcherMemoryBytes),
		"max_rows_to_read":   float64(l.ResearcherReadRows),
		"max_result_rows":    float64(l.ResearcherResultRows),
		"max_result_bytes":   float64(l.ResearcherResultBytes),
		"max_threads":        float64(l.ResearcherThreads),
	}
}

// researchPrelude sets a research session up: settings first, then the database,
// then the role that may only read, then readonly, after which nothing can be
// changed any more.
func (s *Server) researchPrelude(st *statement) ([]string, *Exception) {
	if !slices.Contains(s.cfg.ResearchDatabases, st.database) && !strings.EqualFold(st.database, "default") && st.database != "system" {
		return nil, s.refusal(&guard.Refusal{Rule: "database", Part: st.database, Reason: "this account reads " + strings.Join(s.cfg.ResearchDatabases, ", ")}, st)
	}
	database := st.database
	if !slices.Contains(s.cfg.ResearchDatabases, database) {
		database = s.cfg.ResearchDatabases[0]
	}
	return s.researchSession(database, st.made), nil
}

func (s *Server) researchSession(database string, made map[string]string) []string {
	set := []string{"allow_ddl = 0", "allow_introspection_functions = 0", "result_overflow_mode = 'throw'", "async_insert = 0"}
	for name, limit := range s.researchLimits() {
		if _, ok := made[name]; !ok {
			set = append(set, name+" = "+number(limit))
		}
	}
	for name, value := range made {
		set = append(set, name+" = "+quote(value))
	}
	slices.Sort(set)
	return []string{
		"SET " + strings.Join(set, ", "),
		"USE " + identifier(database),
		"SET ROLE " + researchRole,
		"SET readonly = 1",
	}
}

// parser lets the guard use the engine as its parser.
type parser struct{ s *Server }

// Format returns the engine's rendering of a statement.
func (p parser) Format(ctx context.Context, text string) (string, error) {
	rendered, err := p.ask(ctx, wire.Request{
		SQL: "SELECT formatQuerySingleLine({statement:String})", Format: "TSVRaw",
		Params: map[string]string{"statement": escapeParam(text)},
	}, nil)
	if refusal := new(wire.EngineError); errors.As(err, &refusal) {
		// The engine tells in whose scope it parsed; that is ours, not the researcher's.
		if message, _, cut := strings.Cut(refusal.Message, ": In scope SELECT formatQuerySingleLine"); cut {
			return "", &wire.EngineError{Message: strings.TrimRight(message, ": ") + ". (SYNTAX_ERROR)"}
		}
	}
	return strings.TrimSuffix(rendered, "\n"), err
}

// Tree returns the engine's syntax tree of a rendered statement.
func (p parser) Tree(ctx context.Context, rendered string, settings, params map[string]string) (string, error) {
	return p.ask(ctx, wire.Request{SQL: "EXPLAIN AST " + rendered, Format: "TabSeparated", Params: params}, settings)
}

func (p parser) ask(ctx context.Context, request wire.Request, settings map[string]string) (string, error) {
	request.Tag = uuid.NewString()
	for name, value := range settings {
		if err := p.s.limited(name, value); err != nil {
			return "", err
		}
	}
	request.Prelude = p.s.researchSession(p.s.cfg.ResearchDatabases[0], settings)
	var out strings.Builder
	var summary wire.Summary
	err := p.s.call(ctx, request, func(b []byte) error {
		if out.Len()+len(b) > 64<<20 {
			return exceptionf(codeBadArguments, "Statement: its syntax tree is longer than 64 MiB")
		}
		out.Write(b)
		return nil
	}, &summary)
	return out.String(), err
}

// escapeParam writes a query parameter's value in the escaped form the engine
// reads it in.
func escapeParam(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(s)
}
