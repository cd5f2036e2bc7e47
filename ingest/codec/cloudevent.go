package codec

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// envelope holds the context attributes of a CloudEvent.
type envelope struct {
	specversion, id, source, typ string
	reporter, reason             string
	contentType                  string
	hasData                      bool
}

const attributesKnown = "specversion, id, source, type, time, subject, datacontenttype, dataschema, data, reporter, reason, traceparent and tracestate"

// readEnvelope reads a structured CloudEvent. Attributes of the standard that
// say nothing about a fact (time is when the message was made, the fact's own
// time is data.occurred) are checked for their type and passed over.
func (d *Decoder) readEnvelope() {
	if !d.open("") {
		return
	}
	for {
		name := d.next()
		switch {
		case name == nil:
			return
		case d.attribute(name):
		case string(name) == "data":
			d.env.hasData = true
			d.readData("data")
		case string(name) == "data_base64":
			d.mismatch("data_base64", "given as JSON under data")
		default:
			d.unknown(name, attributesKnown)
		}
	}
}

// attribute reads a context attribute; false when it is none.
func (d *Decoder) attribute(name []byte) bool {
	switch string(name) {
	case "specversion":
		d.env.specversion = d.word("specversion")
	case "id":
		d.env.id = d.text("id")
	case "source":
		d.env.source = d.word("source")
	case "type":
		d.env.typ = d.word("type")
	case "reporter":
		d.env.reporter = d.word("reporter")
	case "reason":
		d.env.reason = d.text("reason")
		if d.env.reason == "" && d.halt == nil {
			d.violate(RuleAttributeForm, "reason", "", "A reason that is given must say something.")
		}
	case "datacontenttype":
		d.env.contentType = d.word("datacontenttype")
	case "time":
		d.instant("time")
	case "subject", "dataschema", "traceparent", "tracestate":
		d.bytes(string(name))
	default:
		return false
	}
	return true
}

// message checks the attributes and makes the message, or the fault.
func (d *Decoder) message() (Message, error) {
	if d.halt != nil {
		return Message{}, d.halt
	}
	d.path = d.path[:0]
	e := &d.env
	if e.specversion != "1.0" {
		d.violate(RuleSpecVersion, "specversion", e.specversion, "")
	}
	for _, a := range [...][2]string{{"id", e.id}, {"source", e.source}, {"type", e.typ}} {
		if a[1] == "" {
			d.violate(RuleAttribute, a[0], "", "")
		} else if len(a[1]) > flow.MaxTextBytes {
			d.violate(flow.RuleTextTooLong, a[0], a[1], fmt.Sprintf("It may have at most %d bytes.", flow.MaxTextBytes))
		}
	}
	if e.contentType != "" && !isJSON(e.contentType) {
		d.violate(RuleContentType, "datacontenttype", e.contentType, "The type must be application/json.")
	}
	m := Message{Reason: e.reason, Cancel: e.typ == TypeCancelled}
	if m.Cancel {
		d.cancellation(&m)
	} else {
		d.factOf(&m)
	}
	if len(d.bad) > 0 {
		return Message{}, d.refusal()
	}
	return m, nil
}

// refusal is Malformed when something had the wrong type, Invalid otherwise.
func (d *Decoder) refusal() error {
	f := &fault.Fault{Kind: fault.Invalid, Detail: "the event is not accepted", Violations: d.bad}
	for _, v := range d.bad {
		if v.Rule == RuleType || v.Rule == RuleTime {
			f.Kind = fault.Malformed
		}
	}
	return f
}

// cancellation: an identity and a reason, nothing else.
func (d *Decoder) cancellation(m *Message) {
	e := &d.env
	m.Fact = flow.Fact{Facility: facility.ID(d.data.facility)}
	if e.reason == "" {
		d.breaks(flow.RuleReason, "reason", "", "")
	}
	if d.data.given != "" {
		d.violate(flow.RuleFieldForbidden, d.data.given, "", "A cancellation has only facility in its data.")
	}
	m.Fact.Identity = d.identity()
}

// identity is who says it, from where, under which id. The reporter is the
// facility itself unless somebody else is named.
func (d *Decoder) identity() flow.Identity {
	reporter := d.env.reporter
	if reporter == "" {
		reporter = d.data.facility
	}
	if reporter == "" {
		d.violate(RuleAttribute, "reporter", "", "It is required where data names no facility.")
	}
	return flow.Identity{Reporter: reporter, Source: d.env.source, ExternalID: d.env.id}
}

// kinds finds the kind of a CloudEvents type.
var kinds = func() map[string]flow.Kind {
	m := make(map[string]flow.Kind)
	for _, k := range flow.Kinds() {
		m[TypePrefix+string(k)+TypeSuffix] = k
	}
	return m
}()

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
