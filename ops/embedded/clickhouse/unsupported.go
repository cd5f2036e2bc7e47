//go:build !linux

package clickhouse

import (
	"context"
	"errors"
	"log/slog"
)

// ErrUnsupported says that the engine cannot be hosted on this platform.
var ErrUnsupported = errors.New("the embedded ClickHouse engine runs on Linux only; use a ClickHouse server")

// Server cannot be made on this platform.
type Server struct{}

// New returns ErrUnsupported.
func New(Config) (*Server, error) { return nil, ErrUnsupported }

// Run returns ErrUnsupported.
func (*Server) Run(context.Context) error { return ErrUnsupported }

// Ready returns a channel that is never closed.
func (*Server) Ready() <-chan struct{} { return nil }

// Addr returns nothing.
func (*Server) Addr() string { return "" }

// AdminUser returns nothing.
func (*Server) AdminUser() string { return "" }

// ResearcherUser returns nothing.
func (*Server) ResearcherUser() string { return "" }

// ConnectionString returns nothing.
func (*Server) ConnectionString(string, string) string { return "" }

// EnginePID returns false.
func (*Server) EnginePID() (int, bool) { return 0, false }

// Dir returns nothing.
func (*Server) Dir() string { return "" }

// BackupFolder returns nothing.
func (*Server) BackupFolder() string { return "" }

// IsEngine returns false.
func IsEngine() bool { return false }

// EngineMain returns ErrUnsupported.
func EngineMain(context.Context, *slog.Logger) error { return ErrUnsupported }
