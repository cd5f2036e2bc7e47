package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/logcopy"

	log "github.com/stofstrom/stofstrom/ingest/eventstore"
)

const (
	// carryPatience is how long a copy waits for a log that went away before
	// it gives up; started again, it goes on.
	carryPatience = time.Minute
	// carryConnect is how long it waits for a log that does not answer at the
	// start.
	carryConnect = 20 * time.Second
)

// CopyLog copies the log cfg.CopyFrom to cfg.CopyTo and writes what it did to
// deps.Out. With verify it then compares the two, event by event. progress
// makes what is told of the progress of a part of the work, and ends it.
func CopyLog(ctx context.Context, cfg *config.Config, deps Deps, verify bool, progress func(what string) (told func(logcopy.Progress), end func())) (err error) {
	from, closeFrom, err := openLog(ctx, "from", cfg.CopyFrom, deps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeFrom()) }()
	to, closeTo, err := openLog(ctx, "to", cfg.CopyTo, deps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTo()) }()

	told, end := progress("copying")
	done, err := logcopy.New(from, to, told).Copy(ctx)
	end()
	switch {
	case err != nil && done.Events > 0:
		return fmt.Errorf("%d events were copied, up to %s of the source; the same command goes on from there: %w", done.Events, done.At, err)
	case err != nil:
		return err
	}
	if !done.From.IsStart() {
		fmt.Fprintf(deps.Out, "went on after %s of %s\n", done.From, log.Redact(cfg.CopyFrom))
	}
	fmt.Fprintf(deps.Out, "copied %d events, up to %s of %s, to %s\n", done.Events, done.End, log.Redact(cfg.CopyFrom), log.Redact(cfg.CopyTo))
	if !verify {
		return nil
	}
	told, end = progress("comparing")
	sum, err := logcopy.New(from, to, told).Verify(ctx)
	end()
	if err != nil {
		return err
	}
	fmt.Fprintf(deps.Out, "verified %d events, no difference, sha256:%s\n", sum.Events, sum.Digest)
	return nil
}

// openLog connects to a log and waits until it answers.
func openLog(ctx context.Context, option, connection string, deps Deps) (*log.Log, func() error, error) {
	holder, err := log.NewHolder(log.Config{Connection: connection, Patience: carryPatience, Logger: deps.Logger.With("log", option)})
	if err != nil {
		return nil, nil, surroundings{fmt.Errorf("--%s: %w", option, err)}
	}
	connecting, cancel := context.WithTimeout(ctx, carryConnect)
	defer cancel()
	if err := holder.Connect(connecting); err != nil {
		return nil, nil, errors.Join(surroundings{fmt.Errorf("--%s: the event log %s does not answer: %w", option, log.Redact(connection), err)}, holder.Close())
	}
	l, err := log.NewLog(holder, log.LogConfig{MaxAppendBytes: log.MostAppendBytes})
	if err != nil {
		return nil, nil, errors.Join(err, holder.Close())
	}
	return l, holder.Close, nil
}
