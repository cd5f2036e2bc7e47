package clickhouse

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migration is one numbered file of SQL. A file is frozen once released: what
// changes is a new file. Each statement can be run again, so that a start that
// died half-way, or two at once, do no harm.
type Migration struct {
	Version    uint32
	Name       string // without number and ending
	Checksum   string // SHA-256 of the file, hex
	Statements []string
}

// String is the file's name without its ending.
func (m Migration) String() string { return fmt.Sprintf("%04d_%s", m.Version, m.Name) }

// Migrations are the migrations of this program, in order.
func Migrations() ([]Migration, error) {
	dir, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	return ReadMigrations(dir)
}

var fileName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

// ReadMigrations reads a folder of migrations: numbered from 0001 without a
// gap, at least one statement each.
func ReadMigrations(dir fs.FS) ([]Migration, error) {
	files, err := fs.Glob(dir, "*.sql") // sorted by name
	if err != nil {
		return nil, err
	}
	all := make([]Migration, 0, len(files))
	for i, file := range files {
		parts := fileName.FindStringSubmatch(file)
		if parts == nil {
			return nil, fmt.Errorf("migration %s: want a name like 0001_what_it_does.sql", file)
		}
		number, err := strconv.ParseUint(parts[1], 10, 32)
		if err != nil || number != uint64(i+1) {
			return nil, fmt.Errorf("migration %s: want number %04d", file, i+1)
		}
		text, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		m := Migration{Version: uint32(number), Name: parts[2], Checksum: hex.EncodeToString(sum[:]), Statements: statements(string(text))}
		if len(m.Statements) == 0 {
			return nil, fmt.Errorf("migration %s holds no statement", file)
		}
		all = append(all, m)
	}
	return all, nil
}

// statements cuts a file at the semicolons that stand outside quotes and
// comments. Comments are left out.
func statements(text string) []string {
	var (
		all    []string
		b      strings.Builder
		quoted byte // the quote we are inside of, or 0
	)
	end := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			all = append(all, s)
		}
		b.Reset()
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted != 0:
			if c == '\\' && i+1 < len(text) {
				b.WriteByte(c)
				i++
				c = text[i]
			} else if c == quoted {
				quoted = 0
			}
		case c == '\'' || c == '`' || c == '"':
			quoted = c
		case c == '-' && strings.HasPrefix(text[i:], "--"):
			newline := strings.IndexByte(text[i:], '\n')
			if newline < 0 {
				newline = len(text) - i
			}
			i += newline - 1
			continue
		case c == ';':
			end()
			continue
		}
		b.WriteByte(c)
	}
	end()
	return all
}

// Migrate brings the database to the schema of this program and returns what
// it applied: nothing on the second run. It refuses, by name, a migration
// that changed after it was applied, and a database that a newer program has
// migrated.
func (db *DB) Migrate(ctx context.Context, log *slog.Logger) ([]Migration, error) {
	all, err := Migrations()
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return db.MigrateTo(ctx, all, log)
}

// MigrateTo is Migrate with migrations of the caller's own. The first of them
// makes the table schema_migrations.
func (db *DB) MigrateTo(ctx context.Context, all []Migration, log *slog.Logger) ([]Migration, error) {
	if len(all) == 0 {
		return nil, nil
	}
	// The book must be there before it can be read.
	for _, s := range all[0].Statements {
		if err := db.conn.Exec(ctx, s); err != nil {
			return nil, fmt.Errorf("migration %s: %w", all[0], err)
		}
	}
	applied, err := db.applied(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: read schema_migrations: %w", err)
	}
	for _, a := range applied {
		if int(a.Version) > len(all) {
			return nil, fmt.Errorf("migration %s was applied by a newer version of this program: use that one", a)
		}
		if known := all[a.Version-1]; known.Checksum != a.Checksum {
			return nil, fmt.Errorf("migration %s was changed after it was applied as %s: checksum %s, applied %s",
				known, a, known.Checksum, a.Checksum)
		}
	}
	var done []Migration
	for _, m := range all {
		if _, ok := applied[m.Version]; ok {
			continue
		}
		if err := db.apply(ctx, m); err != nil {
			return done, err
		}
		log.InfoContext(ctx, "migration applied", slog.String("migration", m.String()), slog.String("database", db.database))
		done = append(done, m)
	}
	return done, nil
}

func (db *DB) applied(ctx context.Context) (applied map[uint32]Migration, err error) {
	rows, err := db.conn.Query(ctx, "SELECT version, name, checksum FROM schema_migrations FINAL ORDER BY version")
	if err != nil {
		return nil, err
	}
	defer closeRows(rows, &err)
	applied = map[uint32]Migration{}
	for rows.Next() {
		var m Migration
		if err := rows.Scan(&m.Version, &m.Name, &m.Checksum); err != nil {
			return nil, err
		}
		if m.Version == 0 {
			return nil, fmt.Errorf("migration number 0 (%s) cannot be", m.Name)
		}
		applied[m.Version] = m
	}
	return applied, rows.Err()
}

func (db *DB) apply(ctx context.Context, m Migration) error {
	for i, s := range m.Statements {
		if err := db.conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("migration %s, statement %d: %w", m, i+1, err)
		}
	}
	if err := db.conn.Exec(ctx, "INSERT INTO schema_migrations (version, name, checksum, statements, applied_at) VALUES (?, ?, ?, ?, ?)",
		m.Version, m.Name, m.Checksum, uint16(len(m.Statements)), time.Now().UTC()); err != nil { //nolint:gosec // a file holds few
		return fmt.Errorf("migration %s: record it: %w", m, err)
	}
	return nil
}
