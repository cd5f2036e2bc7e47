// Package answers holds the questions of package analytics to their promises
// on the real engine, with the schema that the projections migrate. It has
// tests only; the suite itself is analytics/analyticstest.
package answers
