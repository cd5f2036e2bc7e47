package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/stofstrom/stofstrom/ingest/publish"
	"github.com/stofstrom/stofstrom/ops/config"
	tables "github.com/stofstrom/stofstrom/projections/clickhouse"
	"github.com/stofstrom/stofstrom/projections/flows"
	"github.com/stofstrom/stofstrom/projections/runner"

	log "github.com/stofstrom/stofstrom/ingest/eventstore"
)

// tablesPause is how long the start waits between two attempts to reach
// ClickHouse.
const tablesPause = 200 * time.Millisecond

// authenticationFailed is ClickHouse's code for a wrong user or password.
const authenticationFailed = 516

// tablesClient is the stage that connects to ClickHouse and brings its schema
// up to date. It waits for a server that does not answer yet, and ends the
// start when one refuses.
func (f *foundation) tablesClient(s *stores, db **tables.DB) stage {
	return stage{name: "tables client", start: func(ctx context.Context) (running, error) {
		logger := f.deps.Logger.With("part", "tables client")
		opened, err := f.openTables(ctx, s.tables)
		if err != nil {
			return running{}, err
		}
		applied, err := opened.Migrate(ctx, logger)
		if err != nil {
			return running{}, errors.Join(fmt.Errorf("bringing the tables up to date: %w", err), opened.Close())
		}
		if len(applied) > 0 {
			logger.Info("tables are up to date", "migrations_applied", len(applied))
		}
		*db = opened
		return running{run: untilStopped, close: func() {
			if err := opened.Close(); err != nil {
				logger.Error("closing the tables client", "error", err)
			}
		}}, nil
	}}
}

// openTables waits until ClickHouse answers.
func (f *foundation) openTables(ctx context.Context, dsn string) (*tables.DB, error) {
	again := time.NewTicker(tablesPause)
	defer again.Stop()
	for {
		db, err := tables.Open(ctx, tables.Options{DSN: dsn, Database: f.cfg.Database})
		if err == nil {
			return db, nil
		}
		var refused *clickhouse.Exception
		if errors.As(err, &refused) {
			if refused.Code == authenticationFailed {
				return nil, surroundings{fmt.Errorf("clickhouse %s refuses the user or the password: %w", config.Redact(dsn), err)}
			}
			return nil, surroundings{fmt.Errorf("clickhouse %s cannot be used: %w", config.Redact(dsn), err)}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, surroundings{fmt.Errorf("clickhouse %s does not answer: %w", config.Redact(dsn), err)}
		}
	}
}

// projector is the stage that follows the log into the tables. It is ready
// when it has caught up with the log once.
func (f *foundation) projector(client **log.Log, db **tables.DB, run **runner.Runner) stage {
	return stage{name: "projector", start: func(context.Context) (running, error) {
		publisher := log.NewPublisher(*client, log.PublisherConfig{})
		metrics, err := runner.NewMetrics(f.registry, flows.Projection().Name)
		if err != nil {
			return running{}, errors.Join(err, publisher.Close())
		}
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		instance := fmt.Sprintf("%s, process %d", host, os.Getpid())
		made, err := runner.New(runner.Config{MaxRows: f.cfg.FlushRows, Interval: f.cfg.FlushInterval}, runner.Deps{
			Feed:       *client,
			Sink:       tables.NewSink(*db, tables.SinkConfig{}),
			Projection: flows.Projection(),
			Epochs:     runner.NewLogEpochs(publish.New(publisher), *client, flows.Projection().Name, instance),
			Logger:     f.deps.Logger.With("part", "projector"),
			Metrics:    metrics,
		})
		if err != nil {
			return running{}, errors.Join(err, publisher.Close())
		}
		*run = made
		return running{run: made.Run, ready: made.CaughtUp(), close: func() {
			if err := publisher.Close(); err != nil {
				f.deps.Logger.Error("closing the projector's publisher", "error", err)
			}
		}}, nil
	}}
}
