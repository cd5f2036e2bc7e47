package analytics

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/stofstrom/stofstrom/analytics/queries"
	"github.com/stofstrom/stofstrom/domain/fault"
)

// Conn is the part of clickhouse-go's connection that questions need. It must
// be safe for concurrent use.
type Conn interface {
	// Query runs a statement with parameters made by clickhouse.Named.
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// each runs a query and calls row for every row of the result.
func each(ctx context.Context, conn Conn, q queries.Query, values map[string]any, row func(scan func(...any) error) error) (err error) {
	args, err := q.Bind(values)
	if err != nil {
		return err
	}
	rows, err := conn.Query(ctx, q.SQL, args...)
	if err != nil {
		return explain(ctx, q.Name, err)
	}
	defer func() {
		if closeErr := rows.Close(); closeErr != nil && err == nil {
			err = explain(ctx, q.Name, closeErr)
		}
	}()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return fmt.Errorf("query %s: %w", q.Name, err) // a fault, or our own: a row that is not as declared
		}
	}
	if err := rows.Err(); err != nil {
		return explain(ctx, q.Name, err)
	}
	return nil
}

// Codes of ClickHouse exceptions that the asker can do something about.
const (
	codeTimeout     = 159
	codeMemory      = 241
	codeTooManyRows = 158
	codeReadTooMuch = 307
)

// Codes of exceptions that pass: the engine is being started, is busy, or was
// cut off while it answered.
const (
	codeTooBusy       = 202 // TOO_MANY_SIMULTANEOUS_QUERIES
	codeSocketTimeout = 209 // SOCKET_TIMEOUT
	codeNetwork       = 210 // NETWORK_ERROR: also what a proxy answers for an engine that is away
	codeAborted       = 236 // ABORTED
	codeAllTried      = 279 // ALL_CONNECTION_TRIES_FAILED
	codeCancelled     = 394 // QUERY_WAS_CANCELLED
)

// explain turns an error of a statement into a fault: the tables are away, the
// question is too heavy, or it is our own.
func explain(ctx context.Context, name string, err error) error {
	var known *fault.Fault
	if errors.As(err, &known) {
		return err
	}
	if ctx.Err() != nil {
		return fault.Wrap(fault.Unavailable, errors.Join(ctx.Err(), err), "the answer took longer than it may; narrow the question or try again")
	}
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("query %s: %w", name, err), "the tables cannot be reached; try again")
	}
	switch exception.Code {
	case codeTimeout, codeMemory, codeTooManyRows, codeReadTooMuch:
		return fault.Wrap(fault.TooLarge, fmt.Errorf("query %s: %w", name, err), "the question needs more time or memory than one may take; narrow it")
	case codeTooBusy, codeSocketTimeout, codeNetwork, codeAborted, codeAllTried, codeCancelled:
		return fault.Wrap(fault.Unavailable, fmt.Errorf("query %s: %w", name, err), "the tables cannot be reached for the moment; try again")
	}
	return fault.Wrap(fault.Internal, fmt.Errorf("query %s: %w", name, err), "the tables did not take the question")
}
