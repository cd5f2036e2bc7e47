package clickhouse

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where the engine keeps its tables, who may use it and how much.
// The zero value of every field except Dir works.
type Config struct {
	// Dir is the folder that belongs to this engine alone: tables, spool, lock.
	// It is created when missing.
	Dir string
	// LibPath is the engine library; empty means FindLibrary decides.
	LibPath string
	// Listen is the address of the HTTP interface, default "127.0.0.1:0".
	// Loopback only: the interface has no TLS of its own, so anything else is
	// refused, and a reverse proxy is the way to offer it to other machines.
	Listen string
	// AllowedHosts are names, besides loopback's own, that the Host header of a
	// request may carry (a reverse proxy's public name). Others are refused,
	// so that no foreign web page reaches the interface by DNS rebinding.
	AllowedHosts []string

	// Executable is the command line that starts the engine child: a program
	// that calls EngineMain. Default: this program with the argument
	// "clickhouse-engine". Tests start themselves (package clickhousetest).
	Executable []string

	// AdminUser and AdminPassword open the account with full access, meant for
	// the projector and for analytics. Default user "stofstrom"; an empty
	// password makes New invent one, which ConnectionString tells.
	AdminUser, AdminPassword string
	// ResearcherUser and ResearcherPassword open the read-only account, default
	// user "researcher". An empty password is accepted, since the address is
	// loopback.
	ResearcherUser, ResearcherPassword string
	// ResearchDatabases are the databases the researcher may read, default
	// stofstrom and stofstrom_research. The first is the default database.
	ResearchDatabases []string

	Limits Limits

	// SandboxOff switches the operating system's sandbox of the child off
	// (Landlock, seccomp). For diagnosis only.
	SandboxOff bool

	Logger     *slog.Logger          // default: discard
	Registerer prometheus.Registerer // default: metrics are not registered
}

// Limits bounds what the two accounts may use. Zero means the default.
type Limits struct {
	AdminQueryTime        time.Duration // longest run of an admin statement, default 1 h
	Connections           int           // HTTP connections at once, default 1024; more wait to be accepted
	AdminConcurrency      int           // admin statements at once, default 32
	ResearcherQueryTime   time.Duration // longest run of a research query, default 60 s
	ResearcherMemoryBytes int64         // memory of one research query, default 2 GiB
	ResearcherReadRows    int64         // rows one research query may read, default 1e9
	ResearcherResultRows  int64         // rows of one research result, default 10 million
	ResearcherResultBytes int64         // size of one research result in the engine, default 1 GiB
	ResearcherConcurrency int           // research queries at once, default 2
	ResearcherThreads     int           // threads of one research query, default 2
	QueueTime             time.Duration // how long a request waits for its turn, default 10 s
	EngineMemoryBytes     int64         // memory of the whole engine, default 0: nine tenths of the machine's
	StatementBytes        int64         // longest statement text, default 1 MiB
	BodyBytes             int64         // longest INSERT body after decompression, default 4 GiB
	MaterializedBytes     int64         // largest result of SHOW, DESCRIBE, EXPLAIN and other statements that are not streamed, default 512 MiB
	StartTime             time.Duration // how long the engine may take to open its data, default 60 s
	LivenessInterval      time.Duration // pause between liveness queries, default 5 s
	LivenessTime          time.Duration // a liveness query longer than this means the engine hangs, default 30 s
	StopTime              time.Duration // how long running statements may take to end at shutdown, default 10 s
	RestartDelay          time.Duration // first pause before a restart, doubled each time, default 100 ms
	RestartDelayMax       time.Duration // longest pause before a restart, default 10 s
}

// withDefaults returns c completed, or every error at once.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("clickhouse: Dir: is empty"))
	} else if abs, err := filepath.Abs(c.Dir); err != nil {
		errs = append(errs, fmt.Errorf("clickhouse: Dir %q: %w", c.Dir, err))
	} else {
		c.Dir = abs
	}
	setDefault(&c.Listen, "127.0.0.1:0")
	if err := checkLoopback(c.Listen); err != nil {
		errs = append(errs, err)
	}
	setDefault(&c.AdminUser, "stofstrom")
	setDefault(&c.ResearcherUser, "researcher")
	if c.AdminUser == c.ResearcherUser {
		errs = append(errs, fmt.Errorf("clickhouse: ResearcherUser %q: is also AdminUser", c.ResearcherUser))
	}
	if len(c.ResearchDatabases) == 0 {
		c.ResearchDatabases = []string{"stofstrom", "stofstrom_research"}
	}
	for _, name := range c.ResearchDatabases {
		if !plainName(name) || strings.EqualFold(name, "system") || strings.EqualFold(name, "information_schema") {
			errs = append(errs, fmt.Errorf("clickhouse: ResearchDatabases %q: want letters, digits and underscore, and no system database", name))
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	limits, err := c.Limits.withDefaults()
	if err != nil {
		errs = append(errs, err)
	}
	c.Limits = limits
	return c, errors.Join(errs...)
}

func (l Limits) withDefaults() (Limits, error) {
	var errs []error
	durations := []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"AdminQueryTime", &l.AdminQueryTime, time.Hour},
		{"ResearcherQueryTime", &l.ResearcherQueryTime, time.Minute},
		{"QueueTime", &l.QueueTime, 10 * time.Second},
		{"StartTime", &l.StartTime, time.Minute},
		{"LivenessInterval", &l.LivenessInterval, 5 * time.Second},
		{"LivenessTime", &l.LivenessTime, 30 * time.Second},
		{"StopTime", &l.StopTime, 10 * time.Second},
		{"RestartDelay", &l.RestartDelay, 100 * time.Millisecond},
		{"RestartDelayMax", &l.RestartDelayMax, 10 * time.Second},
	}
	for _, d := range durations {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("clickhouse: Limits.%s %v: is negative", d.name, *d.value))
		}
		setDefault(d.value, d.def)
	}
	counts := []struct {
		name  string
		value *int64
		def   int64
	}{
		{"ResearcherMemoryBytes", &l.ResearcherMemoryBytes, 2 << 30},
		{"ResearcherReadRows", &l.ResearcherReadRows, 1e9},
		{"ResearcherResultRows", &l.ResearcherResultRows, 10e6},
		{"ResearcherResultBytes", &l.ResearcherResultBytes, 1 << 30},
		{"StatementBytes", &l.StatementBytes, 1 << 20},
		{"BodyBytes", &l.BodyBytes, 4 << 30},
		{"MaterializedBytes", &l.MaterializedBytes, 512 << 20},
		{"EngineMemoryBytes", &l.EngineMemoryBytes, 0},
	}
	for _, n := range counts {
		if *n.value < 0 {
			errs = append(errs, fmt.Errorf("clickhouse: Limits.%s %d: is negative", n.name, *n.value))
		}
		setDefault(n.value, n.def)
	}
	for name, n := range map[string]*int{
		"Connections": &l.Connections, "AdminConcurrency": &l.AdminConcurrency, "ResearcherConcurrency": &l.ResearcherConcurrency, "ResearcherThreads": &l.ResearcherThreads,
	} {
		if *n < 0 {
			errs = append(errs, fmt.Errorf("clickhouse: Limits.%s %d: is negative", name, *n))
		}
	}
	setDefault(&l.Connections, 1024)
	setDefault(&l.AdminConcurrency, 32)
	setDefault(&l.ResearcherConcurrency, 2)
	setDefault(&l.ResearcherThreads, 2)
	return l, errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// checkLoopback refuses an address that other machines can reach.
func checkLoopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("clickhouse: Listen %q: %w", listen, err)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("clickhouse: Listen %q: want a loopback address; this interface has no TLS, put a proxy with TLS in front to offer it to other machines", listen)
	}
	return nil
}

// plainName says whether name can stand in SQL without quotes.
func plainName(name string) bool {
	return name != "" && (name[0] < '0' || name[0] > '9') && !slices.ContainsFunc([]byte(name), func(c byte) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	})
}
