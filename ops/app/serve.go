package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/stofstrom/stofstrom/ingest/answers"
	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/telemetry"
	tables "github.com/stofstrom/stofstrom/projections/clickhouse"
	"github.com/stofstrom/stofstrom/projections/runner"

	log "github.com/stofstrom/stofstrom/ingest/eventstore"
)

// program is everything that runs, filled by the stages as they start.
type program struct {
	stores  stores
	api     string
	gate    gate
	client  *log.Log
	db      *tables.DB
	writing writing
	imports *imports.Manager
	answers *answers.Store
	runner  *runner.Runner
}

// Serve runs everything in one process tree. Stores without a connection
// string are embedded.
func Serve(ctx context.Context, cfg *config.Config, deps Deps) error {
	return run(ctx, cfg, deps, func(f *foundation, p *program) []stage {
		var readiness []telemetry.Readiness
		stages := []stage{f.listening(&p.api, &p.gate, func() []telemetry.Readiness { return readiness })}
		stages = append(stages, f.embeddedStores(p)...)
		if cfg.EventStore == "" {
			stages = append(stages, f.control(&p.stores))
		}
		readiness = []telemetry.Readiness{p.opened()}
		return append(stages,
			f.logClient(&p.stores, &p.client),
			f.writePath(&p.client, &p.writing),
			f.tablesClient(&p.stores, &p.db),
			f.projector(&p.client, &p.db, &p.runner),
			f.importing(&p.client, &p.writing, &p.imports),
			f.keeping(&p.answers),
			f.openGate(&p.gate, func() ([]route, error) {
				out, err := f.questions(p.db)
				return []route{f.reporting(p), out}, err
			}),
			f.announce(p, true),
		)
	})
}

// Ingest runs the writing half: HTTP intake into the log.
func Ingest(ctx context.Context, cfg *config.Config, deps Deps) error {
	return run(ctx, cfg, deps, func(f *foundation, p *program) []stage {
		if cfg.EventStore == "" {
			return failing(errors.New("ingest needs --eventstore: the log is shared with the other half"))
		}
		p.stores.log = cfg.EventStore
		return []stage{
			f.listening(&p.api, &p.gate, func() []telemetry.Readiness { return []telemetry.Readiness{p.opened()} }),
			f.logClient(&p.stores, &p.client),
			f.writePath(&p.client, &p.writing),
			f.importing(&p.client, &p.writing, &p.imports),
			f.keeping(&p.answers),
			f.openGate(&p.gate, func() ([]route, error) {
				return []route{f.reporting(p)}, nil
			}),
			f.announce(p, false),
		}
	})
}

// Project runs the reading half: the log into ClickHouse, and answers.
func Project(ctx context.Context, cfg *config.Config, deps Deps) error {
	return run(ctx, cfg, deps, func(f *foundation, p *program) []stage {
		if cfg.EventStore == "" || cfg.ClickHouse == "" {
			return failing(errors.New("project needs --eventstore and --clickhouse: both are shared with others"))
		}
		p.stores.log, p.stores.tables = cfg.EventStore, cfg.ClickHouse
		return []stage{
			f.listening(&p.api, &p.gate, func() []telemetry.Readiness { return []telemetry.Readiness{p.opened()} }),
			f.logClient(&p.stores, &p.client),
			f.tablesClient(&p.stores, &p.db),
			f.projector(&p.client, &p.db, &p.runner),
			f.openGate(&p.gate, func() ([]route, error) {
				out, err := f.questions(p.db)
				return []route{out}, err
			}),
			f.announce(p, false),
		}
	})
}

// EventStore runs the embedded event log alone.
func EventStore(ctx context.Context, cfg *config.Config, deps Deps) error {
	return run(ctx, cfg, deps, func(f *foundation, p *program) []stage {
		return []stage{f.embeddedLog(&p.stores), f.control(&p.stores), f.announce(p, false)}
	})
}

// ClickHouse runs the embedded ClickHouse alone.
func ClickHouse(ctx context.Context, cfg *config.Config, deps Deps) error {
	return run(ctx, cfg, deps, func(f *foundation, p *program) []stage {
		return []stage{f.embeddedTables(&p.stores), f.announce(p, false)}
	})
}

// run lays the foundation, and runs the stages until ctx ends.
func run(ctx context.Context, cfg *config.Config, deps Deps, stages func(*foundation, *program) []stage) error {
	f, err := lay(cfg, deps)
	if err != nil {
		return err
	}
	defer f.folder.close()
	start := cfg.StartTimeout
	if start == 0 {
		start = defaultStartTimeout
	}
	return runStages(ctx, deps.Logger, start, cfg.ShutdownTimeout, stages(f, &program{}))
}

// embeddedStores are the stages of the embedded stores; those with a connection
// string are somebody else's.
func (f *foundation) embeddedStores(p *program) []stage {
	var stages []stage
	if p.stores.log = f.cfg.EventStore; p.stores.log == "" {
		stages = append(stages, f.embeddedLog(&p.stores))
	}
	if p.stores.tables = f.cfg.ClickHouse; p.stores.tables == "" {
		stages = append(stages, f.embeddedTables(&p.stores))
	}
	return stages
}

// opened tells whether the gate has been opened: everything before it is
// ready then, and the projector has caught up once.
func (p *program) opened() telemetry.Readiness {
	return telemetry.Readiness{Name: "start", Check: func() error {
		if p.gate.isOpen() {
			return nil
		}
		return errors.New("not everything has caught up yet")
	}}
}

// failing is a program that cannot start.
func failing(err error) []stage {
	return []stage{{name: "start", start: func(context.Context) (running, error) { return running{}, surroundings{err} }}}
}

// announce is the last stage: it tells people where everything is, and that
// it is ready. Before that, serve imports its sample, however long it takes.
func (f *foundation) announce(p *program, sample bool) stage {
	return stage{name: "sample", start: func(context.Context) (running, error) {
		ready := make(chan struct{})
		return running{patient: true, ready: ready, close: f.folder.forget, run: func(ctx context.Context) error {
			if sample && f.cfg.Sample != "none" {
				if err := f.importSample(ctx, p); err != nil {
					if ctx.Err() != nil {
						return nil //nolint:nilerr // stopped meanwhile; the job goes on at the next start
					}
					return err
				}
			}
			if err := f.folder.note(p); err != nil {
				return err
			}
			f.printAddresses(p)
			close(ready)
			return untilStopped(ctx)
		}}, nil
	}}
}

func (f *foundation) printAddresses(p *program) {
	metrics := ""
	if p.api != "" {
		metrics = p.api + "/metrics"
	}
	fmt.Fprintln(f.deps.Out)
	for _, r := range []struct{ name, address string }{
		{"API", p.api}, {"metrics", metrics}, {"SQL", p.stores.sql}, {"log", log.Redact(p.stores.log)},
	} {
		if r.address != "" {
			fmt.Fprintf(f.deps.Out, "%-8s %s\n", r.name, r.address)
		}
	}
	if p.stores.sql != "" {
		fmt.Fprintf(f.deps.Out, "%-8s user %s, read only, database %s\n", "", researcherUser, f.database())
	}
	if p.api != "" {
		fmt.Fprintln(f.deps.Out, "single-user mode: no access keys, loopback only")
	}
	fmt.Fprintln(f.deps.Out, "ready; ctrl-C stops")
}
