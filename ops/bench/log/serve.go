//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore"
)

// control answers the parent's questions until its end of the pipe closes.
type control struct {
	in      io.Reader
	out     io.Writer
	compact func(context.Context) error // nil if there is nothing to compact
	profile *os.File
}

// serve is the whole life of a child process.
func serve(ctx context.Context, o *options, in io.Reader, out io.Writer) error {
	c := &control{in: in, out: out}
	switch o.serve {
	case "noop":
		return serveNoop(ctx, o, c)
	case "node":
		return serveNode(ctx, o, c)
	case "nats":
		return serveNATS(ctx, o, c)
	case "make":
		return serveMake(ctx, o, c)
	}
	return fmt.Errorf("-serve %q, want noop, node, nats or make", o.serve)
}

// loop announces the address and answers until the parent lets go.
func (c *control) loop(ctx context.Context, address string) error {
	if _, err := fmt.Fprintln(c.out, "serves", address); err != nil {
		return err
	}
	lines := bufio.NewScanner(c.in)
	for lines.Scan() {
		if err := c.handle(ctx, lines.Text()); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
	}
	return lines.Err()
}

func (c *control) handle(ctx context.Context, question string) error {
	word, rest, _ := strings.Cut(question, " ")
	switch word {
	case "usage":
		u, err := ownUsage()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.out, "usage", int64(u.CPU), u.RSS, u.Peak)
		return err
	case "compact":
		if c.compact == nil {
			return errors.New("there is nothing to compact")
		}
		if err := c.compact(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.out, "compacted")
		return err
	case "profile":
		f, err := os.Create(rest)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		c.profile = f
		_, err = fmt.Fprintln(c.out, "profiles")
		return err
	case "profile-end":
		if c.profile == nil {
			return errors.New("no profile was begun")
		}
		pprof.StopCPUProfile()
		if err := c.profile.Close(); err != nil {
			return err
		}
		c.profile = nil
		_, err := fmt.Fprintln(c.out, "profiled")
		return err
	}
	return errors.New("unknown question")
}

func serveNoop(ctx context.Context, o *options, c *control) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	streams.RegisterStreamsServer(server, newNoop(o.events))
	serverfeatures.RegisterServerFeaturesServer(server, noopFeatures{})
	var group errgroup.Group
	group.Go(func() error { return server.Serve(listener) })
	err = c.loop(ctx, "esdb://"+listener.Addr().String()+"?tls=false")
	server.Stop()
	return errors.Join(err, group.Wait())
}

func serveNode(ctx context.Context, o *options, c *control) error {
	node, err := eventstore.New(eventstore.Config{Dir: o.data, Logger: quiet()})
	if err != nil {
		return err
	}
	c.compact = node.Compact
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	select {
	case <-node.Ready():
	case err := <-ended:
		return fmt.Errorf("node ended before it served: %w", err)
	}
	err = c.loop(ctx, node.ConnectionString())
	stop()
	return errors.Join(err, <-ended)
}

// serveNATS serves JetStream as durable as the node is: every write is synced
// before it is acknowledged.
func serveNATS(ctx context.Context, o *options, c *control) error {
	server, err := natsserver.NewServer(&natsserver.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: o.data, SyncAlways: true,
	})
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	go server.Start()
	defer func() {
		server.Shutdown()
		server.WaitForShutdown()
	}()
	if !server.ReadyForConnections(30 * time.Second) {
		return errors.New("nats-server does not serve after 30 s")
	}
	return c.loop(ctx, server.ClientURL())
}

// quiet shows what went wrong and nothing else.
func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}
