//go:build !race

package pubsub_test

// raceEnabled tells that the race detector watches.
const raceEnabled = false
