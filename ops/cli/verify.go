package cli

import (
	"github.com/spf13/cobra"

	"github.com/stofstrom/stofstrom/ops/app"
	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/telemetry"
)

func verifyCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare the log with every table, exactly; exit code 1 on any difference",
		Long: "Folds the log with code of its own and compares the result with every table, row by row.\n" +
			"Works beside a running server of the same data folder, or on its own.",
		Args: noArguments,
	}
	read := configured(cmd, config.Verify)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, _, err := read()
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("log-level") {
			c.LogLevel = "warn" // what people read here is the report
		}
		logger, err := telemetry.NewLogger(s.err, c.LogLevel, c.LogFormat)
		if err != nil {
			return configError{err}
		}
		ok, err := app.Verify(cmd.Context(), c, app.Deps{Logger: logger, Out: s.out})
		if err != nil {
			return err
		}
		if !ok {
			return exitError{exitFailed}
		}
		return nil
	}
	return cmd
}
