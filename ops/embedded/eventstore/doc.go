// Package eventstore is a single-machine event log that speaks the
// EventStoreDB gRPC protocol, so that the official clients use it unchanged.
//
// What it is: the Streams, ServerFeatures and Gossip services of the protocol
// and gRPC's health service, over the log of package store, on one port.
//
// What it promises: appends are durable (fsynced) before they are answered and
// atomic; expected revisions, idempotent retries, soft deletion, tombstones and
// stream metadata behave as EventStoreDB's; the whole log has one order;
// events are shown only once they are durable; a slow reader costs one chunk
// of memory. Positions are 1, 2, 3, …, commit and prepare position are equal.
//
// What it leaves out: clustering (and it never will have it), persistent
// subscriptions, projections in JavaScript, access control lists and user
// management, scavenging. Calls to those answer Unimplemented with a sentence.
// docs/embedded-eventstore.md lists all of it.
package eventstore
