//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"golang.org/x/sync/errgroup"
)

// connect gives the official client of a server.
func connect(address string) (*esdb.Client, error) {
	settings, err := esdb.ParseConnectionString(address)
	if err != nil {
		return nil, fmt.Errorf("connection string %s: %w", address, err)
	}
	settings.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(settings)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", address, err)
	}
	return client, nil
}

// pair is the no-op server and the node, each with its client.
type pair struct {
	servers [2]*child
	clients [2]*esdb.Client
}

func startPair(ctx context.Context, dir string, events int) (*pair, error) {
	p := &pair{}
	for i, kind := range []string{"noop", "node"} {
		server, err := startChild(ctx, kind, filepath.Join(dir, kind), events)
		if err != nil {
			return nil, errors.Join(err, p.stop())
		}
		p.servers[i] = server
		if p.clients[i], err = connect(server.address); err != nil {
			return nil, errors.Join(err, p.stop())
		}
	}
	return p, nil
}

func (p *pair) stop() error {
	var errs []error
	for i, server := range p.servers {
		if p.clients[i] != nil {
			errs = append(errs, p.clients[i].Close())
		}
		if server != nil {
			errs = append(errs, server.stop())
		}
	}
	return errors.Join(errs...)
}

// measureAppends compares appends of the node with the no-op server's.
func measureAppends(ctx context.Context, o *options, dir string, r *report) (err error) {
	p, err := startPair(ctx, dir, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	r.head(fmt.Sprintf("Appends of %d-byte events, events/s, fsync before each answer", readBytes), comparedColumns("no-op")...)
	ids := newIdentity()
	for _, size := range []int{1, 100, 500} {
		for _, callers := range []int{1, 16, 64} {
			name := fmt.Sprintf("%d a call, %d callers", size, callers)
			if callers == 1 {
				name = fmt.Sprintf("%d a call, 1 caller", size)
			}
			if !o.match.MatchString(name) {
				continue
			}
			work := make([][]esdb.EventData, callers)
			for c := range work {
				work[c] = proposed(c*size, size, readBytes)
			}
			sides := [2]*side{}
			for i := range sides {
				sides[i] = &side{server: p.servers[i], run: func(ctx context.Context, limit time.Duration) (int, error) {
					return appendFor(ctx, limit, p.clients[i], ids, work)
				}}
			}
			c, err := compare(ctx, o, fmt.Sprintf("append-%d-%d", size, callers), sides[0], sides[1])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			r.compared(name, c, appendGoal(size, callers), "%")
		}
	}
	return nil
}

func comparedColumns(reference string) []string {
	return []string{"", reference, "ours", "ratio (lowest–highest pair)", "goal",
		"ratio by CPU", "client CPU-µs/event, " + reference + " / ours", "server CPU-µs/event, " + reference + " / ours"}
}

// appendGoal is the least ratio. Few callers with one event a call wait for the
// disk, which the no-op server does not do: they have no goal.
func appendGoal(size, callers int) float64 {
	switch {
	case size > 1:
		return 0.70
	case callers == 64:
		return 0.60
	}
	return 0
}

// appendFor lets every caller append to a stream of its own until the time is
// over.
func appendFor(ctx context.Context, limit time.Duration, client *esdb.Client, ids *identity, work [][]esdb.EventData) (int, error) {
	var appended atomic.Int64
	until := time.Now().Add(limit)
	group, ctx := errgroup.WithContext(ctx)
	for caller, events := range work {
		group.Go(func() error {
			stream := fmt.Sprintf("ledger-facility-%02d-202601", caller)
			for time.Now().Before(until) {
				for i := range events {
					events[i].EventID = ids.new()
				}
				if _, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events...); err != nil {
					return fmt.Errorf("append to %s: %w", stream, err)
				}
				appended.Add(int64(len(events)))
			}
			return nil
		})
	}
	err := group.Wait()
	return int(appended.Load()), err
}
