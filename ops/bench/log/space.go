//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// spaceGoal is in bytes per event, indexes and compression included.
const spaceGoal = 250

const (
	spaceWriters = 8
	spaceStreams = 200
)

// measureSpace writes events of their own random content and ids into some
// hundred streams and looks at the files.
func measureSpace(ctx context.Context, o *options, dir string, r *report) error {
	data := filepath.Join(dir, "node")
	node, err := startChild(ctx, "node", data, 0)
	if err != nil {
		return err
	}
	if err := fillForSpace(ctx, node.address, o.stored); err != nil {
		return errors.Join(err, node.stop())
	}
	tables, err := sizeOf(data, isTable)
	if err != nil {
		return errors.Join(err, node.stop())
	}
	all, err := sizeOf(data, notBallast)
	if err != nil {
		return errors.Join(err, node.stop())
	}
	if err := node.compact(); err != nil {
		return errors.Join(err, node.stop())
	}
	if err := node.stop(); err != nil {
		return err
	}
	compacted, err := sizeOf(data, isTable)
	if err != nil {
		return err
	}
	rest, err := sizeOf(data, func(name string) bool { return notBallast(name) && !isTable(name) })
	if err != nil {
		return err
	}
	r.head(fmt.Sprintf("Bytes on disk per event of %d bytes, %s events in %d streams", readBytes, thousands(float64(o.stored)), spaceStreams), "", "bytes/event", "goal")
	perEvent := func(size int64) float64 { return float64(size) / float64(o.stored) }
	for _, row := range []struct {
		name string
		size int64
		goal bool
	}{
		{"before compaction, tables", tables, false},
		{"before compaction, all files of the running node", all, false},
		{"after compaction, tables", compacted, true},
	} {
		goal := noGoal
		if row.goal {
			goal = r.goal(row.name, fmt.Sprintf("≤ %d", spaceGoal), perEvent(row.size) <= spaceGoal)
		}
		r.row(row.name, fmt.Sprintf("%.0f", perEvent(row.size)), goal)
	}
	r.printf("\nWrite-ahead logs and the other files of the stopped node: %d MiB, which do not grow with the log.\n", rest/mebibyte)
	return nil
}

func isTable(name string) bool    { return strings.HasSuffix(name, ".sst") }
func notBallast(name string) bool { return !strings.Contains(strings.ToLower(name), "ballast") }

func fillForSpace(ctx context.Context, address string, count int) error {
	client, err := connect(address)
	if err != nil {
		return err
	}
	const size = 100
	group, groupCtx := errgroup.WithContext(ctx)
	for writer := range spaceWriters {
		group.Go(func() error {
			for first := writer * size; first < count; first += spaceWriters * size {
				stream := fmt.Sprintf("ledger-facility-%03d-202601", first/size%spaceStreams)
				if err := appendOnce(groupCtx, client, stream, first, min(size, count-first)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return errors.Join(group.Wait(), client.Close())
}
