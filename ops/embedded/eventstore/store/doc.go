// Package store keeps the embedded node's event log on one machine's disk.
//
// What it is: an append-only, totally ordered log of events, each of which
// belongs to exactly one stream, kept in Pebble. One writer goroutine decides
// appends in order of arrival, many at a time, and one fsync makes a whole
// group durable.
//
// What it promises:
//   - An append that returned success was fsynced before it returned.
//   - An append is atomic: all of its events are in the log, next to each
//     other, or none is.
//   - Positions are the numbers 1, 2, 3, …, one per event and without a gap;
//     revisions of a stream are 0, 1, 2, … without a gap.
//   - Recorded time never goes backwards along the log.
//   - Nothing that is not yet durable is ever shown to a reader.
//   - Every record carries its own checksum over its position and content. A
//     record that fails it is reported as a [CorruptionError] and never served.
//   - Expected revisions and idempotent retries follow EventStoreDB's rules,
//     see [Store.Append].
//   - Nothing is scanned at open, apart from a bounded tail of the log that
//     refills the window of recently written event ids.
//
// What it leaves out: replication, scavenging (truncated events stay on disk
// and in the whole-log order; they are only hidden from reads of their
// stream), and access control.
package store
