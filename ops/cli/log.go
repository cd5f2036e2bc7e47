package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/stofstrom/stofstrom/ops/app"
	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/logcopy"
	"github.com/stofstrom/stofstrom/ops/telemetry"
)

const (
	// barPause is how often a progress bar is drawn at most.
	barPause = 200 * time.Millisecond
	// linePause is how often a line is logged where there is no terminal.
	linePause = 10 * time.Second
)

func logCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Carry an event log elsewhere",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command log %q", args[0])}
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	cmd.AddCommand(logCopyCommand(s), logExportCommand(s), logImportCommand(s))
	return cmd
}

func logCopyCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Copy a whole event log to another server; order, ids and contents kept",
		Long: "Copies the log --from to the empty log --to. Run it again after a kill or a lost connection: it goes on\n" +
			"where the target ends, and also copies what was recorded meanwhile. Positions are the target's own.",
		Example: `  stofstrom log copy --from 'esdb://127.0.0.1:2113?tls=false' --to 'esdb://admin:…@log.example:2113' --verify`,
		Args:    noArguments,
	}
	verify := verifyFlag(cmd)
	carrying(s, cmd, config.LogCopy, func(ctx context.Context, c *config.Config, deps app.Deps, _ []string, progress app.ShowProgress) error {
		return app.CopyLog(ctx, c, deps, *verify, progress)
	})
	return cmd
}

func logExportCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export FILE",
		Short:   "Write a whole event log to a new file: JSON lines, packed with zstd, with checksum",
		Example: `  stofstrom log export --from 'esdb://127.0.0.1:2113?tls=false' log.ndjson.zst`,
		Args:    oneFile,
	}
	carrying(s, cmd, config.LogExport, func(ctx context.Context, c *config.Config, deps app.Deps, files []string, progress app.ShowProgress) error {
		return app.ExportLog(ctx, c, deps, files[0], progress)
	})
	return cmd
}

func logImportCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Copy a log file to an empty event log; goes on where a cut-off import ended",
		Long: "Checks the whole file, then copies it to the empty log --to, as log copy does. Run it again after a kill or a\n" +
			"lost connection: it goes on where the target ends.",
		Example: `  stofstrom log import --to 'esdb://127.0.0.1:2113?tls=false' log.ndjson.zst --verify`,
		Args:    oneFile,
	}
	verify := verifyFlag(cmd)
	carrying(s, cmd, config.LogImport, func(ctx context.Context, c *config.Config, deps app.Deps, files []string, progress app.ShowProgress) error {
		return app.ImportLog(ctx, c, deps, files[0], *verify, progress)
	})
	return cmd
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s takes one file, got %d", cmd.Name(), len(args))}
	}
	return nil
}

func verifyFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("verify", false, "compare source and target afterwards, event by event")
}

// carrying makes a command that carries a log and shows how far it is.
func carrying(s streams, cmd *cobra.Command, groups config.Group, do func(context.Context, *config.Config, app.Deps, []string, app.ShowProgress) error) {
	read := configured(cmd, groups)
	bar := cmd.Flags().Bool("progress", isTerminal(s.err), "show a progress bar instead of log lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, _, err := read()
		if err != nil {
			return err
		}
		logger, err := telemetry.NewLogger(s.err, c.LogLevel, c.LogFormat)
		if err != nil {
			return configError{err}
		}
		return do(cmd.Context(), c, app.Deps{Logger: logger, Out: s.out}, args, func(what string) (func(logcopy.Progress), func()) {
			if *bar {
				return progressBar(s.err, what)
			}
			return progressLines(logger, what)
		})
	}
}

// pace is how fast a copy is and how long it still takes. Positions are what
// is known of the whole; what they count is the server's affair.
type pace struct{ begun time.Time }

func (p pace) of(now time.Time, at logcopy.Progress) (perSecond, part float64, left time.Duration) {
	seconds := max(now.Sub(p.begun).Seconds(), 1e-3)
	perSecond = float64(at.Events) / seconds
	whole := float64(at.End.Commit - min(at.From.Commit, at.End.Commit))
	done := float64(at.At.Commit - min(at.From.Commit, at.At.Commit))
	if whole == 0 {
		return perSecond, 1, 0
	}
	part = min(done/whole, 1)
	if part > 0 {
		left = time.Duration(seconds * (1 - part) / part * float64(time.Second))
	}
	return perSecond, part, left
}

// barSteps is how fine a bar is.
const barSteps = 10_000

// progressBar draws a bar with rate and time left.
func progressBar(w io.Writer, what string) (func(logcopy.Progress), func()) {
	bar := progressbar.NewOptions(barSteps, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(barPause), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
	p := pace{begun: time.Now()}
	var drawn time.Time
	return func(at logcopy.Progress) {
		now := time.Now()
		if now.Sub(drawn) < barPause {
			return
		}
		drawn = now
		perSecond, part, left := p.of(now, at)
		bar.Describe(fmt.Sprintf("%s %d events, %.0f/s, %s left", what, at.Events, perSecond, left.Round(time.Second)))
		// A terminal that cannot be drawn on is no reason to stop copying.
		_ = bar.Set(int(part * barSteps))
	}, func() { _ = bar.Finish() }
}

// progressLines logs a line now and then.
func progressLines(logger *slog.Logger, what string) (func(logcopy.Progress), func()) {
	p := pace{begun: time.Now()}
	var logged time.Time
	return func(at logcopy.Progress) {
		now := time.Now()
		if now.Sub(logged) < linePause {
			return
		}
		logged = now
		perSecond, part, left := p.of(now, at)
		logger.Info("progress", "of", what, "events", at.Events, "percent", fmt.Sprintf("%.1f", 100*part), "events_per_second", int(perSecond),
			"left", left.Round(time.Second).String(), "after", at.At.String(), "end", at.End.String())
	}, func() {}
}
