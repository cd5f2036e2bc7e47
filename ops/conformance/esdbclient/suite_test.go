package esdbclient

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if AskedToServe() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err := Serve(ctx, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestOfficialClientsOwnTests is what "make conformance" prints.
func TestOfficialClientsOwnTests(t *testing.T) {
	summary, err := Run(t.Context(), "../../..", t.TempDir(), os.Args[0])
	require.NoError(t, err)
	require.NoError(t, summary.Print(os.Stdout))
	require.Zero(t, summary.Count("fail"))
	require.Equal(t, ExpectedPasses, summary.Count("pass"))
}
