// Package analytics answers questions about material flow from the tables that
// the projections keep.
//
// It promises that an answer is exact (whole grams from the table to the
// text), that it is read at one position of the log (named in the answer,
// together with the rules that made it), that positions never go back while
// the process lives, and that a tonne is counted once: every question names
// one measure, and totals across measures are refused.
//
// Each question is one SQL file (package queries) with bound parameters. What
// the engine does well, summing rows by the ids they hold, stays there; names,
// regions, chapters, stages and hierarchy levels are looked up here, in a
// snapshot of the register at the same position, so that the statements stay
// small and an answer never mixes the names of one moment with the masses of
// another.
//
// It leaves out how an answer is written (package export), how it is asked for
// over HTTP (package httpapi), and everything that writes to a table.
package analytics
