package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/stofstrom/stofstrom/analytics"
)

// WriteCSV writes an answer as CSV (RFC 4180, UTF-8, LF): a heading of the
// columns, mass_t and events, then one line for each row. What is not stated
// is an empty field. Total, position and rules are left to the carrier, so that
// every line is a row.
func WriteCSV(w io.Writer, a analytics.FlowAnswer) error {
	c := csv.NewWriter(w)
	record := append(append([]string{}, a.Columns...), columnMass, columnEvents)
	if err := c.Write(record); err != nil {
		return fmt.Errorf("write answer as CSV: %w", err)
	}
	for _, row := range a.Rows {
		record = record[:0]
		for _, v := range row.Values {
			record = append(record, v.Text)
		}
		record = append(record, row.Mass.Tonnes(), strconv.FormatInt(row.Events, 10))
		if err := c.Write(record); err != nil {
			return fmt.Errorf("write answer as CSV: %w", err)
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("write answer as CSV: %w", err)
	}
	return nil
}
