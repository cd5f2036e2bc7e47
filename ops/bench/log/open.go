//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// Goals of opening a store of ten million events.
const (
	openGoal     = 2 * time.Second
	openGoalRSS  = 300 << 20 // bytes
	makeWriters  = 4
	makeBatch    = 500 // events an append
	openStreams  = 20_000
	openReads    = 2_000   // streams looked into after opening
	openReadAll  = 100_000 // events read after opening
	openAppended = 20_000  // events appended before the kill
	mebibyte     = 1 << 20
)

// serveMake fills a store without any protocol in between and ends.
func serveMake(ctx context.Context, o *options, c *control) error {
	s, err := store.New(store.Config{Dir: o.data, Logger: quiet()})
	if err != nil {
		return err
	}
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(runCtx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		return fmt.Errorf("store ended before it served: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for writer := range makeWriters {
		group.Go(func() error {
			for first := writer * makeBatch; first < o.events; first += makeWriters * makeBatch {
				if err := fillOnce(groupCtx, s, first, min(makeBatch, o.events-first)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		stop()
		return errors.Join(err, <-ended)
	}
	err = c.loop(ctx, "nothing") // the parent learns that it is done
	stop()
	return errors.Join(err, <-ended)
}

func fillOnce(ctx context.Context, s *store.Store, first, n int) error {
	events := make([]store.Proposed, n)
	for i := range events {
		events[i] = store.Proposed{ID: uuid.New(), JSON: true, Type: []byte(eventType), Data: payload(first+i, readBytes)}
	}
	_, err := s.Append(ctx, openStream(first/makeBatch), store.Expected{Kind: store.ExpectAny}, events)
	return err
}

func openStream(n int) string { return fmt.Sprintf("ledger-facility-%05d-202601", n%openStreams) }

// measureOpen makes a store and opens it: after an orderly end, after reads
// and appends, and after a kill.
func measureOpen(ctx context.Context, o *options, work string, r *report) error {
	dir := filepath.Join(work, "node")
	if err := makeStore(ctx, o, dir); err != nil {
		return fmt.Errorf("make the store: %w", err)
	}
	size, err := sizeOf(dir, notBallast)
	if err != nil {
		return err
	}
	r.head(fmt.Sprintf("Opening a store of %s events, %d bytes each on disk of %d", thousands(float64(o.open)), size/int64(o.open), readBytes),
		"", "process start to serving", "goal", "resident at that time", "goal", "resident at most, after use")
	if err := dropCaches(dir); err != nil {
		return err
	}
	node, err := openRow(ctx, r, "after an orderly end, files not in memory", dir, o.open)
	if err != nil {
		return err
	}
	if err := node.stop(); err != nil {
		return err
	}
	if node, err = openRow(ctx, r, "after an orderly end", dir, o.open); err != nil {
		return err
	}
	if err := node.kill(); err != nil {
		return err
	}
	if node, err = openRow(ctx, r, fmt.Sprintf("after a kill behind %s appended events", thousands(openAppended)), dir, o.open); err != nil {
		return err
	}
	return node.stop()
}

func makeStore(ctx context.Context, o *options, dir string) error {
	// The first answer comes when all is written.
	maker, err := startChildWithin(ctx, time.Hour, "make", dir, o.open)
	if err != nil {
		return err
	}
	return maker.stop()
}

// openRow opens the store, prints what that took, and uses it.
func openRow(ctx context.Context, r *report, name, dir string, made int) (*child, error) {
	node, err := startChild(ctx, "node", dir, 0)
	if err != nil {
		return nil, err
	}
	at, err := node.usage()
	if err != nil {
		return nil, errors.Join(err, node.kill())
	}
	if err := useNode(ctx, node.address, made); err != nil {
		return nil, errors.Join(fmt.Errorf("use after opening: %w", err), node.kill())
	}
	after, err := node.usage()
	if err != nil {
		return nil, errors.Join(err, node.kill())
	}
	r.row(name,
		fmt.Sprintf("%.2f s", node.started.Seconds()), r.goal(name+", time", "< 2 s", node.started < openGoal),
		fmt.Sprintf("%d MiB", at.RSS/mebibyte), r.goal(name+", memory", "< 300 MiB", at.RSS < openGoalRSS),
		fmt.Sprintf("%d MiB", after.Peak/mebibyte))
	return node, nil
}

// useNode reads from the start and here and there, and appends.
func useNode(ctx context.Context, address string, made int) error {
	client, err := connect(address)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // what it did was checked call by call
	want := min(openReadAll, made)
	all, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Start{}}, uint64(want))
	n, err := drain(all, err)
	if err != nil {
		return fmt.Errorf("read $all: %w", err)
	}
	if n != want {
		return fmt.Errorf("read $all: %d events, want %d", n, want)
	}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // test data
	streams := min(openStreams, (made+makeBatch-1)/makeBatch)
	for range openReads {
		name := openStream(rng.IntN(streams))
		if err := readLast(ctx, client, name); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	for first := 0; first < openAppended; first += makeBatch {
		if err := appendOnce(ctx, client, openStream(first/makeBatch), first, makeBatch); err != nil {
			return err
		}
	}
	return nil
}

func readLast(ctx context.Context, client *esdb.Client, stream string) error {
	events, err := client.ReadStream(ctx, stream, esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
	if err != nil {
		return err
	}
	defer events.Close()
	if _, err := events.Recv(); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("stream has no event")
		}
		return err
	}
	return nil
}

// dropCaches makes the kernel forget the contents of the files, so that
// opening reads them from the disk.
func dropCaches(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := forget(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("drop %s from memory: %w", e.Name(), err)
		}
	}
	return nil
}
