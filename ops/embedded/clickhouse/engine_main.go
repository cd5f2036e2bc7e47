//go:build linux

package clickhouse

import (
	"context"
	"errors"
	"log/slog"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/engine"
)

// IsEngine says whether this process was started by a Server to be its engine.
// A program that hosts a Server calls EngineMain when it is, before anything
// else.
func IsEngine() bool {
	_, ok, _ := engine.FromEnvironment() // a broken description is EngineMain's to report
	return ok
}

// EngineMain is the whole life of the engine child: it loads the engine library,
// opens the data path and answers the parent until the parent goes away or ctx
// ends. What it must know comes from its environment and inherited files.
func EngineMain(ctx context.Context, log *slog.Logger) error {
	spec, ok, err := engine.FromEnvironment()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("clickhouse engine: this command is started by the server itself, not by hand")
	}
	return engine.Main(ctx, spec, log)
}
