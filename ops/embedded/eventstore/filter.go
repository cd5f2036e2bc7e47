package eventstore

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// filter decides on the server which events of the whole log a reader gets.
type filter struct {
	byType   bool // the event type decides, else the stream name
	prefixes [][]byte
	regex    *regexp.Regexp

	// checkpointEvery is after how many looked-at events a subscriber is told
	// the position, even if none of them was for it.
	checkpointEvery int
}

// defaultSearchWindow stands in when the client sets no window.
const defaultSearchWindow = 500

func newFilter(o *streams.ReadReq_Options_FilterOptions) (*filter, error) {
	f := &filter{}
	var expr *streams.ReadReq_Options_FilterOptions_Expression
	switch v := o.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_EventType:
		f.byType, expr = true, v.EventType
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		expr = v.StreamIdentifier
	default:
		return nil, fmt.Errorf("%w: the filter says neither stream name nor event type", errInvalidRequest)
	}
	switch {
	case expr.GetRegex() != "" && len(expr.GetPrefix()) > 0:
		return nil, fmt.Errorf("%w: the filter holds a regular expression and prefixes; one of them is allowed", errInvalidRequest)
	case expr.GetRegex() != "":
		re, err := regexp.Compile(expr.GetRegex())
		if err != nil {
			return nil, fmt.Errorf("%w: filter: %w (the syntax is RE2: no look-around, no back-references)", errInvalidRequest, err)
		}
		f.regex = re
	case len(expr.GetPrefix()) > 0:
		for _, p := range expr.GetPrefix() {
			f.prefixes = append(f.prefixes, []byte(p))
		}
	default:
		return nil, fmt.Errorf("%w: the filter holds neither a regular expression nor a prefix", errInvalidRequest)
	}
	window := defaultSearchWindow
	if v, ok := o.GetWindow().(*streams.ReadReq_Options_FilterOptions_Max); ok {
		if v.Max == 0 {
			return nil, fmt.Errorf("%w: the filter's max search window is 0, at least 1 is needed", errInvalidRequest)
		}
		window = int(v.Max)
	}
	if o.GetCheckpointIntervalMultiplier() == 0 {
		return nil, fmt.Errorf("%w: the filter's checkpoint interval multiplier is 0, at least 1 is needed", errInvalidRequest)
	}
	f.checkpointEvery = int(o.GetCheckpointIntervalMultiplier()) * window
	return f, nil
}

func (f *filter) matches(r *store.Record) bool {
	if f == nil {
		return true
	}
	text := r.Stream
	if f.byType {
		text = r.Type
	}
	if f.regex != nil {
		return f.regex.Match(text)
	}
	for _, p := range f.prefixes {
		if bytes.HasPrefix(text, p) {
			return true
		}
	}
	return false
}
