package codec

import (
	"fmt"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Correction reads the whole of a fact as it is to be from now on, in place of
// one that is recorded: a CloudEvent in structured mode, whose id, source and
// reporter (when given) must be those of the fact. Errors as Structured.
func (d *Decoder) Correction(text []byte, of flow.Fact) (Message, error) {
	if len(text) > d.limits.EventBytes {
		return Message{}, d.tooLong(len(text))
	}
	d.reset(text)
	d.readEnvelope()
	d.end()
	if d.env.reporter == "" {
		d.env.reporter = of.Identity.Reporter
	}
	return d.corrected(of)
}

// CorrectionData reads the same from the data of a CloudEvent alone, which may
// hold the reason beside its members. Kind and identity are those of the fact.
func (d *Decoder) CorrectionData(text []byte, of flow.Fact) (Message, error) {
	if len(text) > d.limits.EventBytes {
		return Message{}, d.tooLong(len(text))
	}
	d.reset(text)
	d.reasonInData = true
	d.env.specversion, d.env.typ, d.env.hasData = "1.0", TypePrefix+string(of.Kind)+TypeSuffix, true
	d.env.id, d.env.source, d.env.reporter = of.Identity.ExternalID, of.Identity.Source, of.Identity.Reporter
	d.readData("data")
	d.end()
	return d.corrected(of)
}

func (d *Decoder) corrected(of flow.Fact) (Message, error) {
	m, err := d.message()
	if err != nil {
		return m, err
	}
	if m.Cancel {
		return Message{}, differs("type", TypeCancelled, "A correction says what the fact is; it is cancelled with DELETE.")
	}
	got, want := m.Fact.Identity, of.Identity
	for _, a := range [...][3]string{{"id", got.ExternalID, want.ExternalID}, {"source", got.Source, want.Source}, {"reporter", got.Reporter, want.Reporter}} {
		if a[1] != a[2] {
			return Message{}, differs(a[0], a[1], fmt.Sprintf("The fact has %q.", fault.Clip(a[2])))
		}
	}
	return m, nil
}

func differs(field, value, detail string) error {
	return &fault.Fault{Kind: fault.Invalid, Detail: "the body is about another fact than the address",
		Violations: []fault.Violation{flow.Violates(RuleDiffers, field, value, detail)}}
}
