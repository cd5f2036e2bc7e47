// Package esdbclient runs the server tests that the official EventStoreDB
// client ships, unedited, against the embedded node.
//
// It copies the client module's tests from the module cache into a temporary
// folder, replaces the one file that starts servers in Docker by one that
// starts the embedded node as a child process, and runs them twice: in the
// clear, and with TLS, a password and client certificates.
//
// Tests are left out by name, each for a reason that is printed, and for none
// but these: persistent subscriptions, projections in JavaScript, clusters,
// access control lists, the vendor's data set of 20 million events. Tests that
// need only some stream of that set get one (dataset20M-0, 6000 events).
package esdbclient
