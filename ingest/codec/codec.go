// Package codec reads what senders say: CloudEvents 1.0 in structured, binary
// and batch mode and as lines (NDJSON), each carrying one material-flow fact.
//
// It promises to be strict: a field it does not know, a name given twice, a
// wrong type, a number that is no exact mass are refused, every such refusal
// is a *fault.Fault whose violations name the field's path, the rule and the
// value, and all that is wrong with one event is said at once, as far as it
// can be read. Masses are read from the digits as they were sent; no float
// takes part. Memory is bounded by Limits.
//
// It leaves out the rules of facts (domain/flow) and what is recorded already
// (ingest/intake). Paths are those of the rule catalogue: the members of data
// without a prefix (mass.value), the attributes of the event by their names
// (id, source, type).
package codec

import (
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Limits bounds what is read. Zero values take the defaults.
type Limits struct {
	EventBytes  int // bytes of one event in any mode; 1 MiB
	BatchEvents int // events of one JSON batch; 10,000
	Depth       int // nesting of JSON; 16
}

func (l Limits) orDefaults() Limits {
	if l.EventBytes <= 0 {
		l.EventBytes = 1 << 20
	}
	if l.BatchEvents <= 0 {
		l.BatchEvents = 10_000
	}
	if l.Depth <= 0 {
		l.Depth = 16
	}
	return l
}

// Message is what one CloudEvent says.
type Message struct {
	Fact flow.Fact
	// Reason, when given, asks for a correction: the identity is recorded and
	// its content is to be this.
	Reason string
	// Cancel asks for the fact of the identity to be cancelled, for Reason.
	// Then nothing of Fact is set but Identity and, when given, Facility.
	Cancel bool
}

// Types of CloudEvents: TypePrefix + kind + TypeSuffix for facts, TypeCancelled
// to cancel one.
const (
	TypePrefix    = "dk.stofstrom.flow."
	TypeSuffix    = ".v1"
	TypeCancelled = "dk.stofstrom.flow.cancelled.v1"
)

// Rules of reading events. Those of masses, codes and fields stand in the
// catalogue of domain/flow.
const (
	RuleSyntax        = "json-syntax"
	RuleDuplicate     = "json-duplicate-name"
	RuleDepth         = "json-too-deep"
	RuleType          = "json-type"
	RuleUnknownField  = "field-unknown"
	RuleTooLong       = "event-too-long"
	RuleTooMany       = "batch-too-many"
	RuleTime          = "time-malformed"
	RuleSpecVersion   = "specversion-unsupported"
	RuleEventType     = "type-unknown"
	RuleAttribute     = "attribute-missing"
	RuleAttributeForm = "attribute-malformed"
	RuleContentType   = "datacontenttype-unsupported"
	RuleDiffers       = "id-differs"
)
