// Package app builds the program out of its parts and runs them in order:
//
//	data folder (1) → event log (2) → ClickHouse (3) → write path (4)
//	→ projector (5) → HTTP (6) → sample (7)
//
// It promises that a part starts when what it stands on is ready, that parts
// stop in the opposite order within a time limit, and that a part that ends
// unasked ends the program with its name. It leaves out what the parts do.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/telemetry"
)

// Version is set when the program is built.
var Version = "unknown"

// Names of the accounts of the embedded ClickHouse, and of the secret that
// the data folder keeps for the first.
const (
	adminUser      = "stofstrom"
	researcherUser = "researcher"
	adminSecret    = "clickhouse"
)

// Usual addresses of the embedded stores, taken when they are free.
const (
	usualLogAddress = "127.0.0.1:2113"
	usualSQLAddress = "127.0.0.1:8123"
)

// Deps is what a command is given.
type Deps struct {
	Logger *slog.Logger
	Out    io.Writer // what people read; never logs
}

// surroundings marks failures of what the program was given to run in: found
// at the start, nothing lost, and nothing to be done from inside.
type surroundings struct{ err error }

func (s surroundings) Error() string { return s.err.Error() }
func (s surroundings) Unwrap() error { return s.err }

// IsSurroundings tells whether the program could not start because of what
// surrounds it: a folder, a port, a disk, a connection string.
func IsSurroundings(err error) bool {
	var s surroundings
	return errors.As(err, &s) ||
		errors.Is(err, ErrFolderInUse) ||
		errors.Is(err, clickhouse.ErrNoLibrary) ||
		errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// foundation is what every command stands on.
type foundation struct {
	cfg      *config.Config
	deps     Deps
	folder   *folder
	registry *prometheus.Registry
}

func lay(cfg *config.Config, deps Deps) (*foundation, error) {
	f, err := openFolder(cfg.Data)
	if err != nil {
		return nil, surroundings{err}
	}
	registry, err := telemetry.NewRegistry(Version)
	if err != nil {
		f.close()
		return nil, err
	}
	return &foundation{cfg: cfg, deps: deps, folder: f, registry: registry}, nil
}

// listen binds an address, and explains a port that is taken.
func listen(ctx context.Context, option, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, surroundings{portTaken(option, address)}
	}
	if err != nil {
		return nil, surroundings{fmt.Errorf("%s: %w", option, err)}
	}
	return l, nil
}

// portTaken says which option to change when an address is in use.
func portTaken(option, address string) error {
	return fmt.Errorf("the address %s is taken; choose another with --%s", address, option)
}
