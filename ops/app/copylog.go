package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// ShowProgress makes what is told of the progress of a part of the work, and
// what ends it.
type ShowProgress func(what string) (told func(logcopy.Progress), end func())

// CopyLog copies the log cfg.CopyFrom to cfg.CopyTo and writes what it did to
// deps.Out. With verify it then compares the two, event by event.
func CopyLog(ctx context.Context, cfg *config.Config, deps Deps, verify bool, progress ShowProgress) (err error) {
	from, closeFrom, err := openLog(ctx, "from", cfg.CopyFrom, deps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeFrom()) }()
	return copyFrom(ctx, cfg, deps, from, log.Redact(cfg.CopyFrom), verify, progress)
}

// ImportLog copies the log file to cfg.CopyTo, as CopyLog does. The whole file
// is checked first.
func ImportLog(ctx context.Context, cfg *config.Config, deps Deps, file string, verify bool, progress ShowProgress) error {
	source, err := logcopy.OpenFile(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return surroundings{err}
	}
	if err != nil {
		return err
	}
	return copyFrom(ctx, cfg, deps, source, file, verify, progress)
}

func copyFrom(ctx context.Context, cfg *config.Config, deps Deps, from logcopy.Source, name string, verify bool, progress ShowProgress) (err error) {
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
		fmt.Fprintf(deps.Out, "went on after %s of %s\n", done.From, name)
	}
	fmt.Fprintf(deps.Out, "copied %d events, up to %s of %s, to %s\n", done.Events, done.End, name, log.Redact(cfg.CopyTo))
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

// ExportLog writes the log cfg.CopyFrom to a file that must not exist.
func ExportLog(ctx context.Context, cfg *config.Config, deps Deps, file string, progress ShowProgress) (err error) {
	from, closeFrom, err := openLog(ctx, "from", cfg.CopyFrom, deps)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeFrom()) }()
	told, end := progress("exporting")
	sum, err := logcopy.Export(ctx, from, file, Version, told)
	end()
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return surroundings{err}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(deps.Out, "exported %d events of %s to %s, sha256:%s\n", sum.Events, log.Redact(cfg.CopyFrom), file, sum.Digest)
	return err
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
