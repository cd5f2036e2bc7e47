package config

import (
	"time"

	"github.com/spf13/pflag"
)

// Config is the effective configuration of a command.
type Config struct {
	Data string // folder of everything kept; created when missing

	Listen    string // API, metrics and health
	LogListen string // embedded event log: address, or auto
	SQLListen string // embedded ClickHouse: address, or auto

	EventStore string // esdb:// connection string; empty for the embedded log
	ClickHouse string // clickhouse:// or http:// connection string; empty for the embedded engine
	Database   string

	Sample string // none or wdi

	LogLevel  string
	LogFormat string

	ShutdownTimeout time.Duration
	StartTimeout    time.Duration

	FlushRows     int
	FlushInterval time.Duration

	LedgerCacheMiB  int
	ImportMaxMiB    int
	EventsMaxMiB    int
	AppendsParallel int
	AnswersKeep     time.Duration
	AnswersMaxMiB   int

	ResearcherPasswordFile string
	QueryMaxSeconds        int
	QueryMaxMemoryMiB      int
	QueryMaxRows           int

	LogUser         string
	LogPasswordFile string
	TLSCert         string
	TLSKey          string

	CopyFrom string // esdb:// connection string
	CopyTo   string // likewise
}

// Group is a set of options that a command has.
type Group uint16

// The groups of options.
const (
	Common    Group = 1 << iota // every command that has a data folder
	API                         // serve, ingest, project: something listens for HTTP
	Stores                      // serve, ingest, project: where log and tables are
	Intake                      // serve, ingest
	Projector                   // serve, project
	LogNode                     // serve, eventstore
	Tables                      // serve, clickhouse
	Demo                        // serve
	CarryFrom                   // log copy, log export
	CarryTo                     // log copy, log import
)

// Auto asks for a listening address that is chosen at the first start and
// kept for the data folder.
const Auto = "auto"

// Flags registers the options of the groups, with their defaults, on a flag
// set that fills the returned Config.
func Flags(fs *pflag.FlagSet, groups Group) *Config {
	c := &Config{}
	has := func(g Group) bool { return groups&g != 0 }

	if has(Common) {
		fs.StringVar(&c.Data, "data", "./data", "`folder` for everything that is kept; made when missing")
		fs.DurationVar(&c.ShutdownTimeout, "shutdown-timeout", 20*time.Second, "`time` a stop may take before what is left is cut off")
	}
	fs.StringVar(&c.LogLevel, "log-level", "info", "least `level` logged: debug, info, warn, error")
	fs.StringVar(&c.LogFormat, "log-format", "auto", "`format` of the log: text, json, or auto (text on a terminal, json elsewhere)")
	if has(API) {
		fs.StringVar(&c.Listen, "listen", "127.0.0.1:8080", "`address` of API, metrics and health")
		fs.DurationVar(&c.StartTimeout, "start-timeout", 2*time.Minute, "`time` to wait for the stores at the start")
	}
	if has(Stores) {
		fs.StringVar(&c.EventStore, "eventstore", "", "connection `string` of the event log (esdb://… or esdb+discover://…); empty for the embedded one")
		fs.StringVar(&c.ClickHouse, "clickhouse", "", "connection `string` of ClickHouse (clickhouse://…, http://… or https://…); empty for the embedded one")
		fs.StringVar(&c.Database, "database", "stofstrom", "`name` of the ClickHouse database")
	}
	if has(LogNode) {
		fs.StringVar(&c.LogListen, "log-listen", Auto, "`address` of the embedded event log; auto takes 127.0.0.1:2113 or a free port and keeps it for the data folder")
		fs.StringVar(&c.LogUser, "log-user", "", "`user` that the embedded event log asks for; empty for none (loopback only)")
		fs.StringVar(&c.LogPasswordFile, "log-password-file", "", "`file` that holds the password of log-user")
		fs.StringVar(&c.TLSCert, "tls-cert", "", "`file` with the certificate of the embedded event log (PEM)")
		fs.StringVar(&c.TLSKey, "tls-key", "", "`file` with the key of tls-cert (PEM)")
	}
	if has(Tables) {
		fs.StringVar(&c.SQLListen, "sql-listen", Auto, "`address` of the embedded ClickHouse (HTTP); auto takes 127.0.0.1:8123 or a free port and keeps it for the data folder")
		fs.StringVar(&c.ResearcherPasswordFile, "researcher-password-file", "", "`file` that holds the password of the read-only account researcher; empty for no password (loopback only)")
		fs.IntVar(&c.QueryMaxSeconds, "query-max-seconds", 60, "`seconds` a researcher's query may run")
		fs.IntVar(&c.QueryMaxMemoryMiB, "query-max-memory", 2048, "`MiB` of memory a researcher's query may use")
		fs.IntVar(&c.QueryMaxRows, "query-max-rows", 1_000_000, "`rows` a researcher's query may return")
	}
	if has(Intake) {
		fs.IntVar(&c.LedgerCacheMiB, "ledger-cache", 256, "`MiB` of folded ledgers kept in memory")
		fs.IntVar(&c.ImportMaxMiB, "import-max", 2048, "`MiB` an imported file may have, unpacked")
		fs.IntVar(&c.EventsMaxMiB, "events-max", 64, "`MiB` a request with events may have, unpacked; streams of lines have no such limit")
		fs.DurationVar(&c.AnswersKeep, "answers-keep", 24*time.Hour, "`time` for which the same answer is given to a request with the same Idempotency-Key")
		fs.IntVar(&c.AnswersMaxMiB, "answers-max", 256, "`MiB` of answers kept for requests with an Idempotency-Key; the oldest go first")
		fs.IntVar(&c.AppendsParallel, "appends-parallel", 64, "`ledgers` that are appended to at the same time")
	}
	if has(Projector) {
		fs.IntVar(&c.FlushRows, "flush-rows", 50_000, "`rows` after which the projector writes")
		fs.DurationVar(&c.FlushInterval, "flush-interval", 500*time.Millisecond, "`time` after which the projector writes what it has")
	}
	if has(CarryFrom) {
		fs.StringVar(&c.CopyFrom, "from", "", "connection `string` of the log that is copied (esdb://… or esdb+discover://…)")
	}
	if has(CarryTo) {
		fs.StringVar(&c.CopyTo, "to", "", "connection `string` of the empty log, or the begun copy, that it is copied to")
	}
	if has(Demo) {
		fs.StringVar(&c.Sample, "sample", "none", "`data` imported at the start: none, or wdi (East of England 2019)")
	}
	return c
}
