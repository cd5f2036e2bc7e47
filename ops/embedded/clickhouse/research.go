//go:build linux

package clickhouse

import "context"

// judge lets the guard decide about a researcher's statement.
func (s *Server) judge(ctx context.Context, st *statement) (string, *Exception) {
	return "", exceptionf(codeAccessDenied, "%s: Not enough privileges", s.cfg.ResearcherUser)
}

func (s *Server) researchPrelude(st *statement) ([]string, *Exception) { return nil, nil }
