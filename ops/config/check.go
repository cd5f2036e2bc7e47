package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// logSchemes begin connection strings of an event log.
var logSchemes = []string{"esdb", "esdb+discover", "kurrentdb", "kurrentdb+discover"}

// check looks at all values together and returns everything wrong with them.
func (l *Loaded) check(c *Config, groups Group) Problems {
	var ps Problems
	has := func(g Group) bool { return groups&g != 0 }
	add := func(key, format string, args ...any) {
		value := ""
		if f := l.flags.Lookup(key); f != nil {
			value = Redact(f.Value.String())
		}
		ps = append(ps, Problem{Key: key, Source: l.sources[key], Value: value, Detail: fmt.Sprintf(format, args...)})
	}
	oneOf := func(key, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		add(key, "one of %s is wanted", strings.Join(allowed, ", "))
	}
	between := func(key string, value, low, high int) {
		if value < low || value > high {
			add(key, "a number from %d to %d is wanted", low, high)
		}
	}

	if has(Common) {
		if strings.TrimSpace(c.Data) == "" {
			add("data", "a folder is wanted")
		}
		if c.ShutdownTimeout <= 0 {
			add("shutdown-timeout", "a duration above zero is wanted")
		}
	}
	oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error")
	oneOf("log-format", c.LogFormat, "auto", "text", "json")
	if has(API) {
		if detail := addressProblem(c.Listen); detail != "" {
			add("listen", "%s", detail)
		} else if !isLoopback(c.Listen) {
			add("listen", "only a loopback address can be served without access keys, and this version has none; put a proxy with access control in front")
		}
		if c.StartTimeout <= 0 {
			add("start-timeout", "a duration above zero is wanted")
		}
	}
	for _, l := range []struct {
		group     Group
		key, conn string
	}{{CarryFrom, "from", c.CopyFrom}, {CarryTo, "to", c.CopyTo}} {
		if !has(l.group) {
			continue
		}
		if l.conn == "" {
			add(l.key, "the connection string of a log is wanted")
		} else if detail := schemeProblem(l.conn, logSchemes...); detail != "" {
			add(l.key, "%s", detail)
		}
	}
	if has(Stores) {
		if detail := schemeProblem(c.EventStore, logSchemes...); detail != "" {
			add("eventstore", "%s", detail)
		}
		if detail := schemeProblem(c.ClickHouse, "clickhouse", "http", "https"); detail != "" {
			add("clickhouse", "%s", detail)
		}
		if !isIdentifier(c.Database) {
			add("database", "a name of letters, digits and underscores is wanted")
		}
	}
	if has(LogNode) {
		if detail := autoAddressProblem(c.LogListen); detail != "" {
			add("log-listen", "%s", detail)
		} else if c.LogListen != Auto && !isLoopback(c.LogListen) && (c.TLSCert == "" || c.LogUser == "") {
			add("log-listen", "an address that is not loopback needs tls-cert, tls-key, log-user and log-password-file")
		}
		if (c.TLSCert == "") != (c.TLSKey == "") {
			add("tls-cert", "tls-cert and tls-key are given together or not at all")
		}
		if (c.LogUser == "") != (c.LogPasswordFile == "") {
			add("log-user", "log-user and log-password-file are given together or not at all")
		}
		for _, f := range []struct{ key, file string }{{"tls-cert", c.TLSCert}, {"tls-key", c.TLSKey}, {"log-password-file", c.LogPasswordFile}} {
			if detail := fileProblem(f.file); detail != "" {
				add(f.key, "%s", detail)
			}
		}
	}
	if has(Tables) {
		if detail := autoAddressProblem(c.SQLListen); detail != "" {
			add("sql-listen", "%s", detail)
		} else if c.SQLListen != Auto && !isLoopback(c.SQLListen) {
			add("sql-listen", "the embedded ClickHouse listens on loopback addresses only; use a ClickHouse server with --clickhouse for others")
		}
		if detail := fileProblem(c.ResearcherPasswordFile); detail != "" {
			add("researcher-password-file", "%s", detail)
		}
		between("query-max-seconds", c.QueryMaxSeconds, 1, 3600)
		between("query-max-memory", c.QueryMaxMemoryMiB, 64, 1<<20)
		between("query-max-rows", c.QueryMaxRows, 1, 1_000_000_000)
	}
	if has(Intake) {
		between("ledger-cache", c.LedgerCacheMiB, 16, 1<<20)
		between("import-max", c.ImportMaxMiB, 1, 1<<20)
		between("events-max", c.EventsMaxMiB, 1, 4096)
		between("appends-parallel", c.AppendsParallel, 1, 1024)
		between("answers-max", c.AnswersMaxMiB, 1, 1<<20)
		if c.AnswersKeep <= 0 {
			add("answers-keep", "a duration above zero is wanted")
		}
	}
	if has(Projector) {
		between("flush-rows", c.FlushRows, 1_000, 1_000_000)
		if c.FlushInterval <= 0 {
			add("flush-interval", "a duration above zero is wanted")
		}
	}
	if has(Demo) {
		oneOf("sample", c.Sample, "none", "wdi")
	}
	return ps
}

func addressProblem(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "an address host:port is wanted"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "a port from 0 to 65535 is wanted"
	}
	if host == "" {
		return "a host is wanted before the colon, for example 127.0.0.1"
	}
	return ""
}

func autoAddressProblem(address string) string {
	if address == Auto {
		return ""
	}
	return addressProblem(address)
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func schemeProblem(conn string, schemes ...string) string {
	if conn == "" {
		return ""
	}
	wanted := strings.Join(schemes, "://, ") + "://"
	scheme, rest, ok := strings.Cut(conn, "://")
	if !ok {
		return "a connection string is wanted that begins with one of " + wanted
	}
	known := false
	for _, s := range schemes {
		known = known || scheme == s
	}
	if !known {
		return "the scheme " + scheme + " is not one of " + wanted
	}
	// Several hosts, separated by commas, are no URL: the first speaks for all.
	authority, _, _ := strings.Cut(rest, "/")
	authority, _, _ = strings.Cut(authority, "?")
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		authority = authority[at+1:]
	}
	for _, host := range strings.Split(authority, ",") {
		u, err := url.Parse("x://" + host)
		if err != nil || u.Hostname() == "" {
			return "a host is wanted after " + scheme + "://"
		}
	}
	return ""
}

func isIdentifier(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func fileProblem(file string) string {
	if file == "" {
		return ""
	}
	f, err := os.Open(file)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	if err := f.Close(); err != nil {
		return "cannot be read: " + err.Error()
	}
	return ""
}

// Redact replaces the password in a connection string.
func Redact(conn string) string {
	scheme, rest, ok := strings.Cut(conn, "://")
	if !ok {
		return conn
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@")
	if at < 0 {
		return conn
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	if !hasPassword {
		return conn
	}
	return scheme + "://" + user + ":***" + rest[at:]
}

// The groups of options of each command.
const (
	Serve      = Common | API | Stores | Intake | Projector | LogNode | Tables | Demo
	Ingest     = Common | API | Stores | Intake
	Project    = Common | API | Stores | Projector
	EventStore = Common | LogNode
	ClickHouse = Common | Tables
	Verify     = Common | Stores | LogNode | Tables
	Backup     = Common
	LogCopy    = CarryFrom | CarryTo
	LogExport  = CarryFrom
	LogImport  = CarryTo
)
