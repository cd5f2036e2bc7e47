package analytics

import (
	"time"

	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// FlowQuery asks how much of one measure flowed.
type FlowQuery struct {
	Measure flow.Measure
	// From and To bound the time half-open, as local days at the facility;
	// "" is open. A period total counts when its whole period lies within.
	From, To flow.Date
	GroupBy  []Dimension // in the order the columns shall have; empty: one row, the total
	// Filters keeps what has one of the values, for every dimension named.
	// Areas, regions and facilities by id or by name, names without regard to
	// case; not_stated keeps what has no value.
	Filters map[Dimension][]string
}

// FlowAnswer is the answer to a FlowQuery.
type FlowAnswer struct {
	Measure  flow.Measure
	From, To flow.Date
	// Columns names the values of each row: the dimensions asked for, each
	// followed by what stands beside it (the id of a named area or region, the
	// period of a period total beside its missing month).
	Columns  []string
	Rows     []FlowRow // largest mass first, then by values
	Total    Amount    // over all rows
	Position uint64    // commit position of the log at which everything was read
	AsOf     time.Time // when the event at Position was recorded; zero before the first
	Rules    []string  // ids of the rule sets and registers that made the answer, sorted
}

// FlowRow is one group of flows.
type FlowRow struct {
	Values []Value // one for each of FlowAnswer.Columns
	Amount
}

// Amount is a mass and the events behind it.
type Amount struct {
	Mass   mass.Grams
	Events int64 // facts that count, cancelled ones taken out
}

// Value is a value of a dimension. The zero Value is none: not stated, or not
// applicable.
type Value struct {
	Text   string
	Stated bool
}

func stated(text string) Value { return Value{Text: text, Stated: text != ""} }
