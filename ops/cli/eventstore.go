package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stofstrom/stofstrom/ops/app"
	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/telemetry"
)

// eventStoreCommand serves the embedded log, and has commands that work on it.
func eventStoreCommand(s streams) *cobra.Command {
	cmd := serverCommand(s, "eventstore", "Run the embedded event log alone; back it up and restore it", config.EventStore, app.EventStore)
	cmd.AddCommand(
		folderCommand(s, &cobra.Command{
			Use:   "backup DIR",
			Short: "Write a backup of the embedded event log to a new folder, also while it is in use",
			Long: "Writes a consistent copy of the event log of --data to DIR, which must be missing or empty, with a\n" +
				"checksum of every file. A program that uses the data folder goes on meanwhile; run this as its user.",
			Example: `  stofstrom eventstore backup --data ./data /backups/2026-11-25`,
		}, app.BackupLog),
		folderCommand(s, &cobra.Command{
			Use:   "restore DIR",
			Short: "Restore a backup of the embedded event log into an empty data folder",
			Long: "Checks the backup in DIR, copies its event log into --data, which must be missing or empty, and reads\n" +
				"back every event. Tables and indexes are made again from the log at the next start.",
			Example: `  stofstrom eventstore restore --data ./data-new /backups/2026-11-25`,
		}, app.RestoreLog),
	)
	return cmd
}

// folderCommand is a command about the data folder and one other folder.
func folderCommand(s streams, cmd *cobra.Command, do func(context.Context, *config.Config, app.Deps, string) error) *cobra.Command {
	read := configured(cmd, config.Backup)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s takes one folder, got %d", cmd.Name(), len(args))}
		}
		c, _, err := read()
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("log-level") {
			c.LogLevel = "warn" // what people read here is the result
		}
		logger, err := telemetry.NewLogger(s.err, c.LogLevel, c.LogFormat)
		if err != nil {
			return configError{err}
		}
		return do(cmd.Context(), c, app.Deps{Logger: logger, Out: s.out}, args[0])
	}
	return cmd
}
