package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestTheTreeObeysTheImportLaw(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	violations, err := Check(os.DirFS(root))
	require.NoError(t, err)
	require.Empty(t, violations, strings.Join(violations, "\n"))
}

func TestPlantedViolationsAreNamed(t *testing.T) {
	for _, c := range []struct{ name, file, source, want string }{
		{"domain leans on ingest", "domain/mass/x.go", `package mass; import _ "github.com/stofstrom/stofstrom/ingest/codec"`, "domain may not lean on ingest"},
		{"domain does I/O", "domain/mass/x.go", `package mass; import _ "net/http"`, "does no I/O"},
		{"domain logs", "domain/mass/x.go", `package mass; import _ "log/slog"`, "does no I/O"},
		{"domain uses a driver", "domain/mass/x.go", `package mass; import _ "github.com/ClickHouse/clickhouse-go/v2"`, "pure libraries"},
		{"ingest leans on projections", "ingest/codec/x.go", `package codec; import _ "github.com/stofstrom/stofstrom/projections/flows"`, "ingest may not lean on projections"},
		{"ingest leans on ops in a test", "ingest/codec/x_test.go", `package codec; import _ "github.com/stofstrom/stofstrom/ops/app"`, "ingest may not lean on ops"},
		{"the client outside its package", "ingest/intake/x.go", `package intake; import _ "github.com/EventStore/EventStore-Client-Go/v4/esdb"`, "ingest/eventstore only"},
		{"ingest writes tables", "ingest/intake/x.go", `package intake; import _ "github.com/ClickHouse/clickhouse-go/v2"`, "does not know the tables"},
		{"projections lean on analytics", "projections/flows/x.go", `package flows; import _ "github.com/stofstrom/stofstrom/analytics"`, "projections may not lean on analytics"},
		{"the driver outside its package", "projections/flows/x.go", `package flows; import _ "github.com/ClickHouse/clickhouse-go/v2"`, "projections/clickhouse only"},
		{"projections route messages", "projections/runner/x.go", `package runner; import _ "github.com/ThreeDotsLabs/watermill/message/router/middleware"`, "messages and nothing else"},
		{"analytics reads the log", "analytics/x.go", `package analytics; import _ "github.com/EventStore/EventStore-Client-Go/v4/esdb"`, "not the log"},
		{"a drawer at the top", "pkg/x.go", `package pkg; import _ "fmt"`, "no place at the top level"},
		{"a silent skip", "ingest/codec/x_test.go", `package codec; import "testing"; func TestX(t *testing.T) { t.Skip("no server") }`, "a skip hides a test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			violations, err := Check(fstest.MapFS{c.file: {Data: []byte(c.source)}})
			require.NoError(t, err)
			require.Contains(t, strings.Join(violations, "\n"), c.want)
		})
	}
}

func TestAllowedImportsAreNotReported(t *testing.T) {
	violations, err := Check(fstest.MapFS{
		"domain/mass/x.go":             {Data: []byte(`package mass; import _ "github.com/google/uuid"; import _ "strings"`)},
		"ingest/eventstore/x.go":       {Data: []byte(`package eventstore; import _ "github.com/EventStore/EventStore-Client-Go/v4/esdb"`)},
		"projections/clickhouse/x.go":  {Data: []byte(`package clickhouse; import _ "github.com/ClickHouse/clickhouse-go/v2"`)},
		"projections/runner/x.go":      {Data: []byte(`package runner; import _ "github.com/ThreeDotsLabs/watermill/message"`)},
		"analytics/x.go":               {Data: []byte(`package analytics; import _ "github.com/ClickHouse/clickhouse-go/v2"`)},
		"ops/app/x.go":                 {Data: []byte(`package app; import _ "github.com/stofstrom/stofstrom/ingest/codec"`)},
		"ops/app/x_test.go":            {Data: []byte(`package app; import "testing"; func TestX(t *testing.T) { if testing.Short() { t.Skip("long") } }`)},
		"ops/app/testdata/broken.go":   {Data: []byte(`this is no Go`)},
		"ops/e2e/node_modules/some.go": {Data: []byte(`this is no Go`)},
	})
	require.NoError(t, err)
	require.Empty(t, violations)
}
