package app

import (
	"context"
	"fmt"
	"time"

	reports "github.com/stofstrom/stofstrom/ingest/httpapi"

	"github.com/stofstrom/stofstrom/ingest/answers"
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

// keeping is the stage that keeps the answers to requests with a key.
func (f *foundation) keeping(kept **answers.Store) stage {
	return stage{name: "answers", start: func(context.Context) (running, error) {
		logger := f.deps.Logger.With("part", "answers")
		opened, err := answers.Open(answers.Config{
			Dir: f.folder.sub("answers"), KeepFor: f.cfg.AnswersKeep, MaxBytes: int64(f.cfg.AnswersMaxMiB) << 20, Now: time.Now, Logger: logger,
		})
		if err != nil {
			return running{}, surroundings{err}
		}
		*kept = opened
		return running{run: untilStopped, close: func() {
			if err := opened.Close(); err != nil {
				logger.Error("closing the store of answers", "error", err)
			}
		}}, nil
	}}
}

// reporting is the route of everything that is sent in.
func (f *foundation) reporting(p *program) route {
	handler := reports.New(reports.Config{
		MaxBodyBytes: int64(f.cfg.EventsMaxMiB) << 20,
		SingleUser:   true,
	}, reports.Deps{
		Intake: p.writing.intake, Imports: p.imports, Register: p.writing.register, Streams: p.client, Answers: p.answers,
		Registry: f.registry, Logger: f.deps.Logger.With("part", "reports"),
	})
	return route{patterns: reports.Patterns(), handler: handler, contract: reports.OpenAPI()}
}
