package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stofstrom/stofstrom/ops/app"
	"github.com/stofstrom/stofstrom/ops/config"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/telemetry"
)

// configured adds the options of the groups to a command. The returned
// function reads them once the command line is parsed.
func configured(cmd *cobra.Command, groups config.Group) func() (*config.Config, *config.Loaded, error) {
	fs := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	c := config.Flags(fs, groups)
	cmd.Flags().AddFlagSet(fs)
	file := cmd.Flags().String("config", "", "`file` with options as YAML (also STOFSTROM_CONFIG)")
	return func() (*config.Config, *config.Loaded, error) {
		if *file == "" {
			*file = os.Getenv(config.EnvPrefix + "CONFIG")
		}
		l, err := config.Load(fs, c, groups, os.Environ(), *file)
		if err != nil {
			return nil, nil, configError{err}
		}
		return c, l, nil
	}
}

type runner func(ctx context.Context, c *config.Config, deps app.Deps) error

func serverCommand(s streams, name, short string, groups config.Group, run runner) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: noArguments}
	read := configured(cmd, groups)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, _, err := read()
		if err != nil {
			return err
		}
		logger, err := telemetry.NewLogger(s.err, c.LogLevel, c.LogFormat)
		if err != nil {
			return configError{err}
		}
		return run(cmd.Context(), c, app.Deps{Logger: logger, Out: s.out})
	}
	return cmd
}

// engineName is the command that the embedded ClickHouse starts this program
// with, by default.
const engineName = "clickhouse-engine"

// engineCommand is what the supervisor of the embedded ClickHouse starts.
func engineCommand() *cobra.Command {
	return &cobra.Command{
		Use:                engineName,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return clickhouse.EngineMain(cmd.Context(), slog.New(slog.NewJSONHandler(os.Stderr, nil)))
		},
	}
}

func checkConfigCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check-config",
		Short: "Print the effective configuration of serve, or all its errors at once",
		Args:  noArguments,
	}
	read := configured(cmd, config.Serve)
	cmd.RunE = func(*cobra.Command, []string) error {
		_, loaded, err := read()
		if err != nil {
			return err
		}
		return loaded.Print(s.out)
	}
	return cmd
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", cmd.Name(), args[0])}
	}
	return nil
}
