package app

import (
	"context"
	"fmt"
	"time"

	reports "github.com/stofstrom/stofstrom/ingest/httpapi"

	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ingest/profile"

	log "github.com/stofstrom/stofstrom/ingest/eventstore"
)

// importing is the stage that takes files and works on them. Jobs that a stop
// or a kill interrupted go on from where they were.
func (f *foundation) importing(client **log.Log, w *writing, manager **imports.Manager) stage {
	return stage{name: "imports", start: func(context.Context) (running, error) {
		profiles, err := profile.BuiltIn()
		if err != nil {
			return running{}, fmt.Errorf("reading the built-in profiles: %w", err)
		}
		made := imports.New(imports.Config{
			Dir:          f.folder.sub("imports"),
			MaxFileBytes: int64(f.cfg.ImportMaxMiB) << 20,
		}, imports.Deps{
			Intake: w.intake, Register: w.register, Streams: *client, Profiles: profiles,
			Now: time.Now, Metrics: imports.NewMetrics(f.registry), Logger: f.deps.Logger.With("part", "imports"),
		})
		if err := made.Open(); err != nil {
			return running{}, surroundings{err}
		}
		*manager = made
		return running{run: made.Run}, nil
	}}
}

// reporting is the route of everything that is sent in.
func (f *foundation) reporting(p *program) route {
	handler := reports.New(reports.Config{
		MaxBodyBytes: int64(f.cfg.EventsMaxMiB) << 20,
		SingleUser:   true,
	}, reports.Deps{
		Intake: p.writing.intake, Imports: p.imports, Register: p.writing.register, Streams: p.client,
		Registry: f.registry, Logger: f.deps.Logger.With("part", "reports"),
	})
	return route{patterns: reports.Patterns(), handler: handler, contract: reports.OpenAPI()}
}
