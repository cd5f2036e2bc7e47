// Package balance keeps the books of matter: what came in must have gone out,
// lie in stock, be stated as lost, or be missing.
//
// It does so twice, and keeps the two apart. A Book adds up what was reported,
// in exact grams, and names the gap that is left (in = out + change of stock +
// stated loss + gap). Reconcile asks what the flows most likely were, given
// how well each was measured: weighted least squares over a network of nodes
// and streams, with flows that nobody measured, a test for gross errors that
// points at the culprit, and the uncertainty that is left. Its values are
// estimates in floating point, never masses: nothing that is reconciled goes
// back into a book.
//
// It promises that a book does not depend on the order of what is added, that
// what it leaves out (totals beside loads) is named with its mass, and that a
// reconciliation satisfies every balance or is refused. It leaves out where
// facts come from, units other than grams, and concentrations: balances are
// linear in mass.
package balance
