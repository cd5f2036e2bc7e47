package app

import (
	"context"
	"errors"
	"time"

	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/publish"
	"github.com/stofstrom/stofstrom/ingest/register"

	log "github.com/stofstrom/stofstrom/ingest/eventstore"
)

// writing is the write path as the parts after it see it.
type writing struct {
	intake   *intake.Service
	register *register.Register
}

// writePath is the stage that takes what is submitted. It is ready when
// identity index and register have caught up with the log.
func (f *foundation) writePath(client **log.Log, w *writing) stage {
	return stage{name: "intake", start: func(context.Context) (running, error) {
		publisher := log.NewPublisher(*client, log.PublisherConfig{})
		appender := publish.New(publisher)
		logger := f.deps.Logger.With("part", "intake")
		ix, err := index.Open(index.Config{Dir: f.folder.sub("index"), Logger: logger})
		if err != nil {
			return running{}, errors.Join(surroundings{err}, publisher.Close())
		}
		w.register = register.New(register.Config{}, register.Deps{Log: *client, Append: appender, Logger: logger})
		w.intake = intake.New(intake.Config{
			Writers:    f.cfg.AppendsParallel,
			CacheBytes: int64(f.cfg.LedgerCacheMiB) << 20,
		}, intake.Deps{
			Log: *client, Append: appender, Register: w.register, Index: ix,
			Now: time.Now, Logger: logger, Metrics: intake.NewMetrics(f.registry),
		})
		closeAll := func() {
			if err := errors.Join(ix.Close(), publisher.Close()); err != nil {
				logger.Error("closing the write path", "error", err)
			}
		}
		return running{run: w.intake.Run, ready: w.intake.Ready(), close: closeAll}, nil
	}}
}
