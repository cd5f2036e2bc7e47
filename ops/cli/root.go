// Package cli is the command line: it reads the configuration, builds the
// parts in ops/app and reports failures in words and exit codes.
//
// It promises an exit code of 0 when what was asked is done, 78 when the
// configuration or the surroundings are wrong and nothing was started, 2 when
// the command line is wrong, and 1 for everything else. It leaves out what
// the parts do: a command that talks to a server says only what it answered.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stofstrom/stofstrom/ops/app"
	"github.com/stofstrom/stofstrom/ops/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78 // EX_CONFIG of sysexits.h
)

// streams are the standard streams of the process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// configError is a mistake in the configuration or the surroundings, found
// before anything was started.
type configError struct{ err error }

func (e configError) Error() string { return e.err.Error() }
func (e configError) Unwrap() error { return e.err }

// exitError ends the program with a code after its message was written.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// Main runs the command line and returns the exit code. The first interrupt
// or termination signal asks for a graceful stop; a second one ends the
// process at once.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // the next signal has its default effect
	}()
	return Run(ctx, args, in, out, errOut)
}

// Run runs the command line under a context.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot(streams{in: in, out: out, err: errOut})
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	fmt.Fprintf(errOut, "stofstrom: %v\n", err)
	var usage usageError
	var conf configError
	var problems config.Problems
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "see stofstrom --help\n")
		return exitUsage
	case errors.As(err, &conf), errors.As(err, &problems), app.IsSurroundings(err):
		return exitConfig
	}
	return exitFailed
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "stofstrom",
		Short:         "Event-sourced materials-flow tracking",
		Version:       app.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		serverCommand(s, "serve", "Run everything in one process tree; embedded stores unless told otherwise", config.Serve, app.Serve),
		serverCommand(s, "ingest", "Run the writing half: HTTP intake into the log", config.Ingest, app.Ingest),
		serverCommand(s, "project", "Run the reading half: the log into ClickHouse, and answers", config.Project, app.Project),
		eventStoreCommand(s),
		serverCommand(s, "clickhouse", "Run the embedded ClickHouse alone", config.ClickHouse, app.ClickHouse),
		engineCommand(),
		importCommand(s),
		flowsCommand(s),
		balanceCommand(s),
		verifyCommand(s),
		logCommand(s),
		checkConfigCommand(s),
	)
	return root
}
