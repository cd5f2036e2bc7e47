package store

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	metastreamPrefix     = "$$"
	typeMetadata         = "$metadata"
	typeTombstone        = "$streamDeleted"
	keyMaxAge            = "$maxAge"
	keyMaxCount          = "$maxCount"
	keyTruncateBefore    = "$tb"
	softDeletedTruncate  = int64(math.MaxInt64)
	metastreamsOwnCount  = 1
	ticksPerSecond       = int64(time.Second / Tick)
	longestAgeInSeconds  = math.MaxInt64 / ticksPerSecond
	maximumStreamNameLen = 1 << 16
)

// Tick is the unit of recorded time.
const Tick = 100 * time.Nanosecond

// isMetastream says whether the stream holds the metadata of another one.
func isMetastream(stream string) bool { return strings.HasPrefix(stream, metastreamPrefix) }

func metastreamOf(stream string) string { return metastreamPrefix + stream }

func originalOf(metastream string) string { return strings.TrimPrefix(metastream, metastreamPrefix) }

// streamMetadata is what a stream's metadata says about reading it. Zero
// values mean "not set".
type streamMetadata struct {
	maxAge         int64 // ticks
	maxCount       int64
	truncateBefore int64
}

func (m streamMetadata) softDeleted() bool { return m.truncateBefore == softDeletedTruncate }

// parseMetadata reads what it understands. Metadata that is no JSON object, or
// values of the wrong kind, count as not set, as with EventStoreDB: the data
// is the client's, and a stream must not become unreadable by it.
func parseMetadata(data []byte) streamMetadata {
	var fields map[string]jsontext.Value
	if err := json.Unmarshal(data, &fields); err != nil {
		return streamMetadata{}
	}
	var m streamMetadata
	if v, ok := wholeNumber(fields[keyMaxAge]); ok && v > 0 && v <= longestAgeInSeconds {
		m.maxAge = v * ticksPerSecond
	}
	if v, ok := wholeNumber(fields[keyMaxCount]); ok && v > 0 {
		m.maxCount = v
	}
	if v, ok := wholeNumber(fields[keyTruncateBefore]); ok && v >= 0 {
		m.truncateBefore = v
	}
	return m
}

func wholeNumber(v jsontext.Value) (int64, bool) {
	if len(v) == 0 {
		return 0, false
	}
	var n int64
	if err := json.Unmarshal(v, &n); err != nil {
		return 0, false
	}
	return n, true
}

// withTruncateBefore returns the metadata with $tb replaced and all else kept.
func withTruncateBefore(data []byte, revision int64) ([]byte, error) {
	var fields map[string]jsontext.Value
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		fields = make(map[string]jsontext.Value, 1)
	}
	fields[keyTruncateBefore] = jsontext.Value(fmt.Sprint(revision))
	out, err := json.Marshal(fields, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode stream metadata: %w", err)
	}
	return out, nil
}
