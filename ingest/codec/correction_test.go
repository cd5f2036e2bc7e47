package codec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

func TestACorrectionKeepsTheIdentityOfItsFact(t *testing.T) {
	of := flow.Fact{Kind: flow.Received, Identity: flow.Identity{Reporter: "org-1", Source: "scale", ExternalID: "7"}}
	const data = `"facility":"dk-p-2","occurred":"2026-03-09T11:00:00+01:00","material":{"waste_code":"200301"},"mass":{"value":"9","unit":"t"}`
	event := func(more string) string {
		return `{"specversion":"1.0","id":"7","source":"scale","type":"dk.stofstrom.flow.received.v1","reason":"why",` + more + `"data":{` + data + `}}`
	}
	d := NewDecoder(Limits{})
	for _, read := range []func() (Message, error){
		func() (Message, error) { return d.CorrectionData([]byte(`{"reason":"why",`+data+`}`), of) },
		func() (Message, error) { return d.Correction([]byte(event("")), of) },
		func() (Message, error) { return d.Correction([]byte(event(`"reporter":"org-1",`)), of) },
	} {
		m, err := read()
		require.NoError(t, err)
		require.Equal(t, of.Identity, m.Fact.Identity)
		require.Equal(t, flow.Received, m.Fact.Kind)
		require.Equal(t, "why", m.Reason)
	}
	for field, text := range map[string]string{
		"id":       strings.Replace(event(""), `"id":"7"`, `"id":"8"`, 1),
		"source":   strings.Replace(event(""), `"scale"`, `"other"`, 1),
		"reporter": event(`"reporter":"org-2",`),
		"type":     `{"specversion":"1.0","id":"7","source":"scale","type":"dk.stofstrom.flow.cancelled.v1","reason":"why","data":{"facility":"dk-p-2"}}`,
	} {
		_, err := d.Correction([]byte(text), of)
		var f *fault.Fault
		require.ErrorAs(t, err, &f, field)
		require.Equal(t, RuleDiffers, f.Violations[0].Rule)
		require.Equal(t, field, f.Violations[0].Field)
	}
	// A reason stands among the data of a correction only.
	_, err := d.Structured([]byte(strings.Replace(event(""), `"data":{`, `"data":{"reason":"x",`, 1)))
	require.ErrorContains(t, err, RuleUnknownField)
}
