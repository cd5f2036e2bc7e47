//go:build linux

package clickhouse_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
)

// envHost makes the test binary run a server on the folder it names, as the
// program would, so that a test can kill a parent.
const envHost = "STOFSTROM_TEST_CLICKHOUSE_HOST"

func TestMain(m *testing.M) {
	if clickhouse.IsEngine() {
		os.Exit(clickhousetest.Engine())
	}
	if dir := os.Getenv(envHost); dir != "" {
		os.Exit(host(dir))
	}
	code := clickhousetest.Run(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// host runs a server and prints its connection string and its engine's process
// id once it is ready.
func host(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	server, err := clickhouse.New(clickhouse.Config{
		Dir: dir, Executable: []string{program}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		panic(err)
	}
	go func() {
		<-server.Ready()
		pid, _ := server.EnginePID()
		fmt.Fprintln(os.Stdout, server.ConnectionString(server.AdminUser(), ""), pid)
	}()
	if err := server.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
