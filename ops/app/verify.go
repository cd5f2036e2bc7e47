package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/verify"
	tables "github.com/stofstrom/stofstrom/projections/clickhouse"
)

// Verify compares the log with every table and writes the report to deps.Out.
// It asks the stores of the program that uses the data folder when one runs,
// and opens the embedded ones otherwise. ok is false when there is a
// difference.
func Verify(ctx context.Context, cfg *config.Config, deps Deps) (ok bool, err error) {
	if cfg.EventStore == "" && cfg.ClickHouse == "" {
		if _, err := os.Stat(cfg.Data); err != nil {
			return false, surroundings{fmt.Errorf("there is nothing to verify: %w", err)}
		}
		running, found, err := FindRunning(cfg.Data)
		if err != nil {
			return false, surroundings{err}
		}
		if found {
			cfg.EventStore, cfg.ClickHouse = running.Log, running.Tables
			scratch, err := os.MkdirTemp("", "stofstrom-verify-")
			if err != nil {
				return false, surroundings{err}
			}
			defer os.RemoveAll(scratch)
			cfg.Data = scratch // the folder itself is the running program's
		}
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	err = run(ctx, cfg, deps, func(f *foundation, p *program) []stage {
		return append(f.embeddedStores(p), f.logClient(&p.stores, &p.client), stage{name: "verify", start: func(ctx context.Context) (running, error) {
			// The tables are opened as they are: a migration would change
			// what is to be compared.
			db, err := f.openTables(ctx, p.stores.tables)
			if err != nil {
				return running{}, err
			}
			return running{run: func(ctx context.Context) error {
				var err error
				ok, err = f.verify(ctx, p, db)
				done() // and be stopped as any part is
				<-ctx.Done()
				return errors.Join(err, db.Close())
			}}, nil
		}})
	})
	if err != nil {
		return false, err
	}
	return ok, nil
}

func (f *foundation) verify(ctx context.Context, p *program, db *tables.DB) (bool, error) {
	report, err := verify.Run(ctx, p.client, db.Conn())
	if err != nil {
		return false, err
	}
	return report.OK(), report.Write(f.deps.Out)
}
