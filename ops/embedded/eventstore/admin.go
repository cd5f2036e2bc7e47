package eventstore

import (
	"context"
	"log/slog"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// Report is what a full check of the log found in order.
type Report = store.Report

// Backup writes a consistent copy of the running node's log into dir, which
// must not exist. Readers and writers go on meanwhile.
func (n *Node) Backup(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return n.store.Backup(dir)
}

// Check reads the running node's whole log and fails at the first damage,
// naming it; see [store.Store.Check].
func (n *Node) Check(ctx context.Context) (Report, error) { return n.store.Check(ctx) }

// Restore copies a backup into dir, the data folder of a node that does not
// run, which must be missing or empty, and checks all of it.
func Restore(ctx context.Context, backup, dir string, log *slog.Logger) (Report, error) {
	return store.Restore(ctx, backup, dir, log)
}

// Compact rewrites the log's files into their smallest form now instead of
// little by little. It takes time and twice the disk space; readers and
// writers go on.
func (n *Node) Compact(ctx context.Context) error { return n.store.Compact(ctx) }
