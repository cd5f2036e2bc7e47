// Command gen writes the documents that are made from code: options, rules,
// events and tables, and the index of decisions. CI fails when what it writes is not what is committed.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ops/config"
	tables "github.com/stofstrom/stofstrom/projections/clickhouse"
)

func main() {
	if err := run("docs"); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	for _, doc := range []struct {
		file  string
		write func(io.Writer) error
	}{
		{"config.md", config.WriteMarkdown},
		{"rules.md", flow.WriteMarkdown},
		{"events.md", event.WriteMarkdown},
		{"sql.md", tables.WriteMarkdown},
		{"adr/README.md", writeDecisions(filepath.Join(dir, "adr"))},
	} {
		var out bytes.Buffer
		if err := doc.write(&out); err != nil {
			return fmt.Errorf("%s: %w", doc.file, err)
		}
		name := filepath.Join(dir, doc.file)
		// A file that is right is left alone, so that its time stays.
		if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, out.Bytes()) {
			continue
		}
		if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, "wrote", name)
	}
	return nil
}
