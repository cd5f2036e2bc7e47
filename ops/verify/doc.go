// Package verify folds the log a second time, with code of its own, and
// compares the result with every table: row by row, column by column, exactly.
//
// It promises that it shares nothing with the projections but the log, the
// codec of package event and the rules of docs/legs.md; that every difference
// is counted, and the first ones are named with their key, column and both
// values; and that memory is bounded by the register, the groups of the
// rollup's segments, and one chunk of events. It compares up to the committed
// position, and what stands beyond it must be right as well, though it need
// not be complete. It leaves out what only the writer knows: epochs, levels
// and clock times of flushes and builds.
package verify
