// Package clickhouse hosts the ClickHouse engine inside a Stofstrøm process tree
// and answers ClickHouse's HTTP interface, so that the official Go driver (over
// its HTTP protocol), curl and clients of other languages reach it as they would
// reach a server.
//
// Two processes take part. The parent, this package's Server, listens on
// loopback, knows the accounts, keeps the limits, judges the statements of the
// researcher's account (package guard) and supervises. Its child is the same
// binary, started again as an engine (EngineMain): it alone loads libchdb.so,
// opens the data path, and is restarted with back-off when it dies or hangs.
// Between them is a private unix socket.
//
// Promises. A statement that was answered without an exception has been carried
// out by the engine; an INSERT whose body breaks off inserts nothing. The engine
// can be killed at any instant: tables come back intact, and requests meanwhile
// get HTTP 503 with a ClickHouse exception. The child never outlives its parent.
// Every statement has a time limit. The researcher's account reads the databases
// it was given and cannot write, create, read files or reach the network.
//
// Left out: the native TCP protocol, HTTP sessions (session_id), users managed
// by SQL, clusters, and progress headers. MergeTree does not fsync by default:
// an answered INSERT survives the death of the process, and a power cut only in
// tables with fsync_after_insert = 1, which is passed through like any setting.
package clickhouse
