package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Columns of flow_facts that are looked into.
var (
	columnMass    = factsTable.column("mass_t")
	columnEvents  = factsTable.column("events")
	columnMeasure = factsTable.column("measure")
)

func sortedRows(rows map[string]row) []row {
	sorted := make([]row, 0, len(rows))
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		sorted = append(sorted, rows[key])
	}
	return sorted
}

// read runs the statement of a table.
func (v *verification) read(ctx context.Context, t *table, args []any, each func(row) error) error {
	if rows, ok := v.held[t]; ok {
		for _, r := range rows {
			if err := each(r); err != nil {
				return err
			}
		}
		return nil
	}
	return v.query(ctx, t.name, args, func(columns []string) (int, error) {
		if !slices.Equal(columns, t.columns) {
			return 0, fmt.Errorf("statement gives %v, want %v", columns, t.columns)
		}
		return len(columns), nil
	}, each)
}

// query runs a statement all of whose columns are text. The rows it hands over
// are the caller's to keep.
func (v *verification) query(ctx context.Context, name string, args []any, columns func([]string) (int, error), each func(row) error) (err error) {
	statement, err := statements.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return fmt.Errorf("statement %s: %w", name, err)
	}
	rows, err := v.conn.Query(ctx, string(statement), args...)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer func() {
		if closeErr := rows.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("read %s: %w", name, closeErr))
		}
	}()
	n := -1
	for rows.Next() {
		if n < 0 {
			if n, err = columns(rows.Columns()); err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
		}
		r := make(row, n)
		into := make([]any, n)
		for i := range r {
			into[i] = &r[i]
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := each(r); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// schema compares which tables and columns there are with those compared here:
// a column that nobody compares would be a promise that nobody keeps.
func (v *verification) schema(ctx context.Context) error {
	found := map[string]map[string]bool{} // table → column → whether it is computed when read
	err := v.query(ctx, "schema", nil, func(c []string) (int, error) { return len(c), nil }, func(r row) error {
		name, engine, column, computed := r[0], r[1], r[2], r[3]
		if engine == "View" && name != snapshotTable.name || name == migrationsTable {
			return nil
		}
		if found[name] == nil {
			found[name] = map[string]bool{}
		}
		found[name][column] = computed == "1"
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range tables() {
		columns, ok := found[t.name]
		delete(found, t.name)
		if !ok {
			v.differ(t, Difference{Kind: Missing, Row: "the table"})
			continue
		}
		v.here[t.name] = true
		for _, column := range t.columns {
			if _, ok := columns[column]; !ok {
				v.differ(t, Difference{Kind: Missing, Row: "column " + column})
				v.here[t.name] = false
			}
			delete(columns, column)
		}
		for _, column := range slices.Sorted(maps.Keys(columns)) {
			if columns[column] {
				continue // follows from columns that are compared
			}
			v.differ(t, Difference{Kind: Extra, Row: "column " + column + ", which verify does not compare"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		unknown := &table{name: name}
		v.seen[unknown] = &tally{}
		v.differ(unknown, Difference{Kind: Extra, Row: "the table, which verify does not compare"})
	}
	return nil
}

// holdAttempts bounds how often a moment is looked for in which nothing moves.
const holdAttempts = 50

// hold reads what says how far the tables are (positions, segments, and the
// view that readers ask) as of one moment of a running system: it reads until
// nothing has moved meanwhile. Everything else is compared up to that moment.
func (v *verification) hold(ctx context.Context) error {
	read := func(t *table) (rows []row, err error) {
		if !v.here[t.name] {
			return nil, nil
		}
		err = v.read(ctx, t, nil, func(r row) error {
			rows = append(rows, r)
			return nil
		})
		return rows, err
	}
	for range holdAttempts {
		held := map[*table][]row{}
		for _, t := range []*table{positionsTable, segmentsTable, snapshotTable} {
			rows, err := read(t)
			if err != nil {
				return err
			}
			held[t] = rows
		}
		moved := false
		for _, t := range []*table{positionsTable, segmentsTable} {
			again, err := read(t)
			if err != nil {
				return err
			}
			moved = moved || !slices.EqualFunc(held[t], again, slices.Equal[row])
		}
		if !moved {
			v.held = held
			return nil
		}
	}
	return fmt.Errorf("the tables moved on during each of %d looks at how far they are; try again", holdAttempts)
}
