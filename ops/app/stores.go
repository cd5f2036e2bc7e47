package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"syscall"
	"time"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse"
	"github.com/stofstrom/stofstrom/ops/embedded/eventstore"

	log "github.com/stofstrom/stofstrom/ingest/eventstore"
)

// stores are the connection strings of log and tables, and the parts that
// serve them when they are embedded.
type stores struct {
	log    string // esdb://…
	tables string // http://… or clickhouse://…, with the account that writes
	sql    string // address that researchers use; "" when it is not ours

	node    *eventstore.Node // the embedded log; nil when it is somebody else's
	control string           // socket for other commands; "" without one
}

// embeddedLog is the stage that serves the event log from this process.
func (f *foundation) embeddedLog(s *stores) stage {
	return stage{name: "event log", start: func(ctx context.Context) (running, error) {
		address, err := f.folder.address(ctx, "log", f.cfg.LogListen, usualLogAddress)
		if err != nil {
			return running{}, surroundings{err}
		}
		password, err := readSecretFile(f.cfg.LogPasswordFile)
		if err != nil {
			return running{}, surroundings{err}
		}
		node, err := eventstore.New(eventstore.Config{
			Dir:         f.folder.sub("log"),
			Listen:      address,
			Username:    f.cfg.LogUser,
			Password:    password,
			TLSCertFile: f.cfg.TLSCert,
			TLSKeyFile:  f.cfg.TLSKey,
			Logger:      f.deps.Logger.With("part", "event log"),
			Registerer:  f.registry,
		})
		if err != nil {
			return running{}, surroundings{err}
		}
		s.node = node
		s.log = logConnection(address, f.cfg.LogUser, password, f.cfg.TLSCert)
		return running{run: explainPort("log-listen", address, node.Run), ready: node.Ready()}, nil
	}}
}

// logConnection is the connection string of the embedded log for this process
// and for verify.
func logConnection(address, user, password, cert string) string {
	u := url.URL{Scheme: "esdb", Host: address}
	query := url.Values{"tls": {"false"}}
	if cert != "" {
		query = url.Values{"tls": {"true"}, "tlsCaFile": {cert}}
	}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// embeddedTables is the stage that serves ClickHouse from a child process.
func (f *foundation) embeddedTables(s *stores) stage {
	return stage{name: "clickhouse", start: func(ctx context.Context) (running, error) {
		address, err := f.folder.address(ctx, "sql", f.cfg.SQLListen, usualSQLAddress)
		if err != nil {
			return running{}, surroundings{err}
		}
		admin, err := f.folder.secret(adminSecret)
		if err != nil {
			return running{}, surroundings{err}
		}
		researcher, err := readSecretFile(f.cfg.ResearcherPasswordFile)
		if err != nil {
			return running{}, surroundings{err}
		}
		database := f.database()
		server, err := clickhouse.New(clickhouse.Config{
			Dir:                f.folder.sub("clickhouse"),
			Listen:             address,
			AdminUser:          adminUser,
			AdminPassword:      admin,
			ResearcherUser:     researcherUser,
			ResearcherPassword: researcher,
			ResearchDatabases:  []string{database, database + "_research"},
			Limits: clickhouse.Limits{
				ResearcherQueryTime:   time.Duration(f.cfg.QueryMaxSeconds) * time.Second,
				ResearcherMemoryBytes: int64(f.cfg.QueryMaxMemoryMiB) << 20,
				ResearcherResultRows:  int64(f.cfg.QueryMaxRows),
			},
			Logger:     f.deps.Logger.With("part", "clickhouse"),
			Registerer: f.registry,
		})
		if err != nil {
			return running{}, surroundings{err}
		}
		s.tables = tablesConnection(address, admin, database)
		s.sql = "http://" + address
		return running{run: explainPort("sql-listen", address, server.Run), ready: server.Ready()}, nil
	}}
}

func tablesConnection(address, password, database string) string {
	u := url.URL{Scheme: "http", Host: address, Path: "/" + database, User: url.UserPassword(adminUser, password)}
	return u.String()
}

// explainPort says which option to change when the address is taken.
func explainPort(option, address string, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := run(ctx)
		if errors.Is(err, syscall.EADDRINUSE) {
			return surroundings{portTaken(option, address)}
		}
		return err
	}
}

// logClient is the stage that connects to the log, embedded or not, and waits
// until it answers.
func (f *foundation) logClient(s *stores, client **log.Log) stage {
	return stage{name: "log client", start: func(ctx context.Context) (running, error) {
		logger := f.deps.Logger.With("part", "log client")
		holder, err := log.NewHolder(log.Config{
			Connection: s.log,
			Logger:     logger,
			Metrics:    log.NewMetrics(f.registry),
		})
		if err != nil {
			return running{}, surroundings{err}
		}
		if err := holder.Connect(ctx); err != nil {
			return running{}, errors.Join(surroundings{fmt.Errorf("the event log %s does not answer: %w", log.Redact(s.log), err)}, holder.Close())
		}
		*client, err = log.NewLog(holder, log.LogConfig{})
		if err != nil {
			return running{}, errors.Join(err, holder.Close())
		}
		return running{run: untilStopped, close: func() {
			if err := holder.Close(); err != nil {
				logger.Error("closing the log client", "error", err)
			}
		}}, nil
	}}
}

// untilStopped is the run of parts that work only when they are called.
func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
