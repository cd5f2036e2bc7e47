// Package eventstore reaches EventStoreDB (or KurrentDB, or the node in this
// project's own binary) through its official Go client, and makes that client
// safe to run for years.
//
// It has four parts, each usable alone:
//
//   - [Holder] keeps one live client: it dials by connection string, replaces
//     a client whose connection is lost, lets every caller honour its context,
//     and closes only what nobody uses any more.
//   - [Log] implements the port domain/eventlog over a Holder: atomic appends
//     on an explicit expectation, reads, and batch subscriptions that resume by
//     themselves.
//   - [Publisher] is a Watermill publisher: topic = stream, one Publish = one
//     atomic append, expected revision in the message's metadata.
//   - [Subscriber] is a Watermill subscriber: catch-up from a revision or
//     position, of one stream or of the whole log with filters, alone or as a
//     named group whose position is kept in a [PositionStore].
//
// It promises: an append is reported as done only when the server says it is
// durable; an append whose outcome is unknown is resolved by repeating it with
// the same ids and the same expectation; a subscription delivers every event
// after its start, in order, however often the connection breaks; a cut
// connection never looks like the end of a stream; a password never reaches a
// log line or an error.
//
// It leaves out: persistent subscriptions (they promise no order, and the
// client's acknowledgements are not safe for concurrent use), server-side
// projections, and routing to a cluster's leader beyond what the client does
// (the client finds the leader by gossip and follows a "not leader" answer,
// but never sends the header that would make a follower forward).
package eventstore
