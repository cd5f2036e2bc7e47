// Command run prints what becomes of the official client's own server tests on
// the embedded node: passed, failed, skipped with the reason of each skip. It
// is started in the repository's root and fails if any test fails or if not as
// many pass as are expected to.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/stofstrom/stofstrom/ops/conformance/esdbclient"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	if esdbclient.AskedToServe() {
		return esdbclient.Serve(ctx, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "esdbclient")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	summary, err := esdbclient.Run(ctx, ".", dir, binary)
	if err != nil {
		return err
	}
	if err := summary.Print(os.Stdout); err != nil {
		return err
	}
	if failed, passed := summary.Count("fail"), summary.Count("pass"); failed > 0 || passed != esdbclient.ExpectedPasses {
		return fmt.Errorf("%d tests failed and %d passed; none and %d were expected", failed, passed, esdbclient.ExpectedPasses)
	}
	return nil
}
