// Package clickhouse keeps the tables of projections in ClickHouse, embedded
// or a server: it opens the connection, migrates the schema, and implements
// sink.Sink. It is the only package of projections that knows the driver.
//
// It promises that an insert has returned only when the rows are on disk
// (fsync_after_insert), that any insert may be repeated, and that a database
// which another version of the program migrated further is left alone. It
// leaves out questions (package analytics) and when to write (package runner).
package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// DefaultDatabase is the database where the connection string names none.
const DefaultDatabase = "stofstrom"

// Options say how ClickHouse is reached.
type Options struct {
	// DSN is the driver's connection string: clickhouse:// (native protocol),
	// http:// or https://, with user, password and database in their usual
	// places.
	DSN         string
	Database    string        // where the DSN names none; default DefaultDatabase
	DialTimeout time.Duration // default 5 s
	ReadTimeout time.Duration // longest silence of the server while it answers; default 5 min
}

// DB is an open connection to one database, which exists.
type DB struct {
	conn     driver.Conn
	database string
}

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// Open connects, creates the database if it is missing, and returns once the
// server has answered. Errors never hold the password.
func Open(ctx context.Context, o Options) (*DB, error) {
	opt, err := o.driver()
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	database := opt.Auth.Database
	if err := create(ctx, *opt, database); err != nil {
		return nil, fmt.Errorf("clickhouse: database %s: %w", database, err)
	}
	conn, err := clickhouse.Open(opt)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	if err := conn.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("clickhouse: %w", err), conn.Close())
	}
	return &DB{conn: conn, database: database}, nil
}

// driver turns the options into the driver's.
func (o Options) driver() (*clickhouse.Options, error) {
	scheme, _, _ := strings.Cut(o.DSN, "://")
	switch scheme {
	case "clickhouse", "http", "https":
	default:
		return nil, errors.New("connection string: want one that begins with clickhouse://, http:// or https://")
	}
	dsn := o.DSN
	if u, err := url.Parse(dsn); err == nil && u.Scheme == "https" && !u.Query().Has("secure") {
		q := u.Query()
		q.Set("secure", "true") // the driver takes https only together with it
		u.RawQuery = q.Encode()
		dsn = u.String()
	}
	opt, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("connection string: %w", err)
	}
	if opt.Auth.Database == "" {
		opt.Auth.Database = o.Database
	}
	if opt.Auth.Database == "" {
		opt.Auth.Database = DefaultDatabase
	}
	if !databaseName.MatchString(opt.Auth.Database) {
		return nil, fmt.Errorf("database name %q: want letters, digits and _, at most 63, no digit first", opt.Auth.Database)
	}
	if opt.Compression == nil {
		opt.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	opt.DialTimeout = orDefault(o.DialTimeout, 5*time.Second)
	opt.ReadTimeout = orDefault(o.ReadTimeout, 5*time.Minute)
	if opt.Settings == nil {
		opt.Settings = clickhouse.Settings{}
	}
	// The server's default since 26.3 is to collect inserts and answer for
	// all of them: what is answered must be on disk, and one insert one part.
	opt.Settings["async_insert"] = 0
	return opt, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// create makes the database, over a connection that needs none. A user who
// may not create databases can still use one that is there.
func create(ctx context.Context, opt clickhouse.Options, database string) (err error) {
	opt.Auth.Database = "default"
	conn, err := clickhouse.Open(&opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var found uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = ?", database).Scan(&found); err != nil {
		return err
	}
	if found > 0 {
		return nil
	}
	return conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+quote(database))
}

// quote writes a name, checked before, as an identifier.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "") + "`" }

// Conn is the driver's connection, for readers. It is safe for concurrent use.
func (db *DB) Conn() driver.Conn { return db.conn }

// Database is the name of the database.
func (db *DB) Database() string { return db.database }

// Close ends the connection.
func (db *DB) Close() error { return db.conn.Close() }
