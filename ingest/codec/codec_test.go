package codec

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

const load = `{"specversion":"1.0","id":"ticket-42","source":"weighbridge-1","type":"dk.stofstrom.flow.received.v1","time":"2026-03-31T14:06:00Z",` +
	`"data":{"facility":"dk-p-1003412345","occurred":"2026-03-31T16:05:00.5+02:00","material":{"waste_code":"20 01 01","fraction":"paper","hazardous":false,"form":"solid"},` +
	`"mass":{"value":"12.340","unit":"t","method":"weighed","gross":27.340,"tare":15},"operation":"R03.01","origin":{"area":"dk-0101","sector":"household"},` +
	`"site_category":"sorting","fate":"recycling","consignment":"C-1","tags":{"lorry_type":"hook"}}}`

func loadFact() flow.Fact {
	return flow.Fact{
		Kind:         flow.Received,
		Identity:     flow.Identity{Reporter: "dk-p-1003412345", Source: "weighbridge-1", ExternalID: "ticket-42"},
		Facility:     "dk-p-1003412345",
		When:         flow.When{Occurred: time.Date(2026, 3, 31, 14, 5, 0, 500_000_000, time.UTC)},
		Material:     flow.Material{Waste: "200101", Fraction: "paper", Hazardous: new(bool), Form: "solid"},
		Mass:         flow.Mass{Net: 12_340_000, Gross: 27_340_000, Tare: 15_000_000, Method: flow.Weighed},
		Operation:    "R3",
		Origin:       flow.Place{Area: "dk-0101", Sector: "household"},
		SiteCategory: "sorting", Fate: "recycling", Consignment: "C-1",
		Tags: map[string]string{"lorry_type": "hook"},
	}
}

func TestAStructuredEventIsAFact(t *testing.T) {
	d := NewDecoder(Limits{})
	for range 2 { // the second time from used buffers
		m, err := d.Structured([]byte(load))
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(Message{Fact: loadFact()}, m))
	}
}

func TestATreatmentWithOutputsAndACorrection(t *testing.T) {
	d := NewDecoder(Limits{})
	m, err := d.Structured([]byte(`{"specversion":"1.0","id":"s1","source":"mes","reporter":"vestforbraending","reason":"scale was off","type":"dk.stofstrom.flow.sorted.v1",
		"data":{"facility":"dk-p-1","occurred":"2026-01-01T00:00:00Z","material":{"waste_code":"150106"},"mass":{"value":1000,"unit":"kg","method":"weighed"},
		"outputs":[{"role":"output","material":{"product":"PET"},"mass":{"value":"600","unit":"kg"}},{"role":"loss","material":{},"mass":{"value":0.4,"unit":"t"}}]}}`))
	require.NoError(t, err)
	require.Equal(t, "scale was off", m.Reason)
	require.Equal(t, flow.Identity{Reporter: "vestforbraending", Source: "mes", ExternalID: "s1"}, m.Fact.Identity)
	require.Equal(t, []flow.Output{
		{Role: flow.RoleOutput, Material: flow.Material{Product: "PET"}, Net: 600_000},
		{Role: flow.RoleLoss, Net: 400_000},
	}, m.Fact.Outputs)
}

func TestEachKindHasAType(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, k := range flow.Kinds() {
		m, err := d.Structured([]byte(strings.Replace(load, "flow.received.v1", "flow."+string(k)+".v1", 1)))
		require.NoError(t, err)
		require.Equal(t, k, m.Fact.Kind)
	}
}

func TestACancellationIsAnIdentityAndAReason(t *testing.T) {
	d := NewDecoder(Limits{})
	m, err := d.Structured([]byte(`{"specversion":"1.0","id":"t","source":"s","type":"dk.stofstrom.flow.cancelled.v1","reason":"never came","data":{"facility":"dk-p-1"}}`))
	require.NoError(t, err)
	require.Equal(t, Message{Cancel: true, Reason: "never came", Fact: flow.Fact{Facility: "dk-p-1",
		Identity: flow.Identity{Reporter: "dk-p-1", Source: "s", ExternalID: "t"}}}, m)
}

// No float takes part: these masses have no exact float64.
func TestMassesAreReadFromTheirDigits(t *testing.T) {
	d := NewDecoder(Limits{})
	for given, want := range map[string]mass.Grams{
		`"9007199254.740993"`: 9_007_199_254_740_993,
		`9007199254.740993`:   9_007_199_254_740_993,
		`0.1`:                 100_000,
		`"0.000001"`:          1,
		`1.000000000`:         1_000_000,
	} {
		m, err := d.Structured([]byte(strings.Replace(load, `"12.340"`, given, 1)))
		require.NoError(t, err, given)
		require.Equal(t, want, m.Fact.Mass.Net, given)
	}
}

// violationsOf are the field, rule and value of every violation.
func violationsOf(t *testing.T, err error) []string {
	t.Helper()
	var f *fault.Fault
	require.ErrorAs(t, err, &f)
	var all []string
	for _, v := range f.Violations {
		require.NotEmpty(t, v.Message)
		all = append(all, fmt.Sprintf("%s %s %q", v.Field, v.Rule, v.Value))
	}
	return all
}

func TestErrStructured(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		kind     fault.Kind
		want     []string
	}{
		"unknown attribute":           {`"time"`, `"foo":{"a":[1,{}]},"time"`, fault.Invalid, []string{`foo field-unknown "{…}"`}},
		"unknown field":               {`"unit":"t"`, `"unti":"t","unit":"t"`, fault.Invalid, []string{`mass.unti field-unknown "\"t\""`}},
		"empty name":                  {`"unit":"t"`, `"":1,"unit":"t"`, fault.Invalid, []string{`mass."" field-unknown "1"`}},
		"name twice":                  {`"unit":"t"`, `"unit":"t","unit":"kg"`, fault.Malformed, []string{`mass.unit json-duplicate-name ""`}},
		"attribute twice":             {`"time"`, `"id":"x","time"`, fault.Malformed, []string{`id json-duplicate-name ""`}},
		"number for a string":         {`"unit":"t"`, `"unit":5`, fault.Malformed, []string{`mass.unit json-type "5"`, `mass.unit mass-unit-missing ""`}},
		"null":                        {`"fate":"recycling"`, `"fate":null`, fault.Malformed, []string{`fate json-type "null"`}},
		"data is no object":           {`"data":{`, `"data":"x","datax":{`, fault.Malformed, []string{`data json-type "\"x\""`, `datax field-unknown "{…}"`, `reporter attribute-missing ""`}},
		"base64":                      {`"time"`, `"data_base64":"AA==","time"`, fault.Malformed, []string{`data_base64 json-type "\"AA==\""`}},
		"no unit":                     {`"unit":"t",`, ``, fault.Invalid, []string{`mass.unit mass-unit-missing ""`}},
		"exponent":                    {`"12.340"`, `1e3`, fault.Invalid, []string{`mass.value mass-malformed "1e3"`}},
		"decimal comma":               {`"12.340"`, `"12,340"`, fault.Invalid, []string{`mass.value mass-malformed "12,340"`}},
		"finer than a gram":           {`"12.340"`, `"1.0000001"`, fault.Invalid, []string{`mass.value mass-finer-than-gram "1.0000001"`}},
		"too much":                    {`"12.340"`, `"99999999999999"`, fault.Invalid, []string{`mass.value mass-out-of-range "99999999999999"`}},
		"unknown waste code":          {`20 01 01`, `20 01 99 9`, fault.Invalid, []string{`material.waste_code waste-code-unknown "20 01 99 9"`}},
		"wrong star":                  {`20 01 01`, `20 01 01*`, fault.Invalid, []string{`material.waste_code waste-code-star-wrong "20 01 01*"`}},
		"unknown operation":           {`R03.01`, `R14`, fault.Invalid, []string{`operation operation-unknown "R14"`}},
		"time without zone":           {`16:05:00.5+02:00`, `16:05:00`, fault.Malformed, []string{`occurred time-malformed "2026-03-31T16:05:00"`}},
		"type":                        {`flow.received.v1`, `flow.eaten.v1`, fault.Invalid, []string{`type type-unknown "dk.stofstrom.flow.eaten.v1"`}},
		"specversion":                 {`"1.0"`, `"0.3"`, fault.Invalid, []string{`specversion specversion-unsupported "0.3"`}},
		"content type":                {`"time"`, `"datacontenttype":"text/xml","time"`, fault.Invalid, []string{`datacontenttype datacontenttype-unsupported "text/xml"`}},
		"empty reason":                {`"time"`, `"reason":"","time"`, fault.Invalid, []string{`reason attribute-malformed ""`}},
		"no id":                       {`"id":"ticket-42",`, ``, fault.Invalid, []string{`id attribute-missing ""`}},
		"too deep":                    {`"time"`, `"foo":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"time"`, fault.Malformed, []string{`foo.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 json-too-deep ""`}},
		"cut":                         {`"tags":{"lorry_type":"hook"}}}`, `"ta`, fault.Malformed, []string{`data json-syntax ""`}},
		"behind":                      {`"hook"}}}`, `"hook"}}} {}`, fault.Malformed, []string{`event json-syntax ""`}},
		"a whole number that is none": {`"fate":"recycling"`, `"items":1.5`, fault.Malformed, []string{`items json-type "1.5"`}},
		"several at once": {`"unit":"t","method":"weighed"`, `"unit":"stone","method":7`, fault.Malformed,
			[]string{`mass.method json-type "7"`, `mass.unit mass-unit-unknown "stone"`}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(load, c.old, c.new, 1)
			require.NotEqual(t, load, text)
			_, err := NewDecoder(Limits{}).Structured([]byte(text))
			require.Error(t, err)
			require.Equal(t, c.want, violationsOf(t, err))
			require.Equal(t, c.kind, fault.KindOf(err))
		})
	}
	t.Run("too long", func(t *testing.T) {
		_, err := NewDecoder(Limits{EventBytes: 10}).Structured([]byte(load))
		require.Equal(t, fault.TooLarge, fault.KindOf(err))
	})
	t.Run("output without mass", func(t *testing.T) {
		_, err := NewDecoder(Limits{}).Structured([]byte(strings.Replace(load, `"fate"`, `"outputs":[{"role":"loss"},7],"fate"`, 1)))
		require.Equal(t, []string{`outputs[0].mass field-required ""`, `outputs[1] json-type "7"`}, violationsOf(t, err))
	})
	t.Run("cancellation with content", func(t *testing.T) {
		_, err := NewDecoder(Limits{}).Structured([]byte(strings.Replace(load, "received.v1", "cancelled.v1", 1)))
		require.Equal(t, []string{`reason reason-missing ""`, `occurred field-not-for-kind ""`}, violationsOf(t, err))
	})
}

func TestBinaryModeIsTheSameEvent(t *testing.T) {
	body := load[strings.Index(load, `"data":`)+7 : len(load)-1]
	h := http.Header{"Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {"ticket%2D42"},
		"Ce-Source": {"weighbridge-1"}, "Ce-Type": {"dk.stofstrom.flow.received.v1"}, "Ce-Time": {"2026-03-31T14:06:00Z"}}
	require.True(t, IsBinary(h))
	m, err := NewDecoder(Limits{}).Binary(h, []byte(body))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(Message{Fact: loadFact()}, m))

	h["Ce-Colour"] = []string{"red"}
	h["Ce-Id"] = []string{"a", "b"}
	_, err = NewDecoder(Limits{}).Binary(h, []byte(body))
	require.Equal(t, []string{`colour field-unknown "red"`, `id json-duplicate-name "a, b"`, `id attribute-missing ""`}, violationsOf(t, err))
	delete(h, "Ce-Colour")
	h["Ce-Id"] = []string{"%zz"}
	_, err = NewDecoder(Limits{}).Binary(h, nil)
	require.Equal(t, []string{`id attribute-malformed "%zz"`, `id attribute-missing ""`, `data attribute-missing ""`}, violationsOf(t, err))
	_, err = NewDecoder(Limits{EventBytes: 5}).Binary(h, []byte(body))
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
}

func TestBatch(t *testing.T) {
	d := NewDecoder(Limits{BatchEvents: 3})
	bad := strings.Replace(load, `"unit":"t"`, `"unit":"t","unit":"t"`, 1)
	items, err := d.Batch(iotest.OneByteReader(strings.NewReader("[" + load + "," + bad + " , " + load + "]\n")))
	require.NoError(t, err)
	require.Len(t, items, 3)
	require.Empty(t, cmp.Diff(loadFact(), items[0].Message.Fact))
	require.Empty(t, cmp.Diff(loadFact(), items[2].Message.Fact))
	require.Equal(t, []string{`mass.unit json-duplicate-name ""`}, violationsOf(t, items[1].Err))
	var f *fault.Fault
	require.ErrorAs(t, items[1].Err, &f)
	require.Equal(t, 2, f.Violations[0].Line)

	items, err = d.Batch(strings.NewReader(" [ ] "))
	require.NoError(t, err)
	require.Empty(t, items)

	for name, c := range map[string]struct {
		in   string
		kind fault.Kind
	}{
		"too many":       {"[" + strings.Repeat("{},", 3) + "{}]", fault.TooLarge},
		"an object":      {load, fault.Malformed},
		"cut":            {"[" + load + ",", fault.Malformed},
		"no comma":       {"[" + load + load + "]", fault.Malformed},
		"behind":         {"[] []", fault.Malformed},
		"empty":          {"", fault.Malformed},
		"no JSON at all": {"<xml>", fault.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.Batch(strings.NewReader(c.in))
			var f *fault.Fault
			require.ErrorAs(t, err, &f)
			require.Equal(t, c.kind, f.Kind, f.Error())
			require.NotEmpty(t, f.Violations)
		})
	}
	_, err = d.Batch(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("[" + load))))
	require.ErrorIs(t, err, iotest.ErrTimeout, "a source that fails is not a malformed batch")
}

func TestLinesGoOnBehindABrokenOne(t *testing.T) {
	d := NewDecoder(Limits{EventBytes: 2000})
	in := "\xef\xbb\xbf" + load + "\r\n\n" + strings.Repeat("x", 9000) + "\n{}\n" + load
	lines := d.Lines(strings.NewReader(in))
	var got []string
	for {
		item, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		got = append(got, fmt.Sprint(item.Line, " ", fault.KindOf(item.Err)))
		var f *fault.Fault
		if errors.As(item.Err, &f) {
			require.Equal(t, item.Line, f.Violations[0].Line)
		} else {
			require.Empty(t, cmp.Diff(loadFact(), item.Message.Fact))
		}
	}
	require.Equal(t, []string{"1 internal", "3 too large", "4 invalid", "5 internal"}, got)
	require.True(t, lines.Waiting())

	lines = d.Lines(iotest.ErrReader(io.ErrClosedPipe))
	_, err := lines.Next()
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestWaitingTellsWhetherAWholeLineIsThere(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		_, err := w.Write([]byte(load + "\n" + load + "\n{"))
		w.CloseWithError(err)
	}()
	lines := NewDecoder(Limits{}).Lines(r)
	_, err := lines.Next()
	require.NoError(t, err)
	require.False(t, lines.Waiting())
	_, err = lines.Next()
	require.NoError(t, err)
	require.True(t, lines.Waiting())
}

// What is accepted is whole: exact, of the list, and read the same again.
func FuzzStructured(f *testing.F) {
	f.Add([]byte(load))
	f.Add([]byte(`{"specversion":"1.0","id":"t","source":"s","type":"dk.stofstrom.flow.cancelled.v1","reason":"r","data":{"facility":"dk-p-1"}}`))
	f.Add([]byte(`{"data":{"outputs":[{"mass":{"value":1e9}}],"tags":{"a":"b"},"period":{"from":1}}}`))
	f.Add([]byte(`[[[[[[`))
	f.Fuzz(func(t *testing.T, in []byte) {
		d := NewDecoder(Limits{EventBytes: 1 << 16})
		m, err := d.Structured(in)
		again, errAgain := d.Structured(in)
		require.Equal(t, err == nil, errAgain == nil)
		if err != nil {
			var fl *fault.Fault
			require.ErrorAs(t, err, &fl)
			require.NotEmpty(t, fl.Violations)
			return
		}
		require.Empty(t, cmp.Diff(m, again))
		require.NotEmpty(t, m.Fact.Identity.ExternalID)
		require.NotEmpty(t, m.Fact.Identity.Reporter)
		if !m.Cancel {
			require.True(t, m.Fact.Kind.Valid())
			require.True(t, m.Fact.Material.Waste == "" || m.Fact.Material.Waste.Valid())
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("[" + load + "]"))
	f.Add([]byte("[{},[],1]"))
	f.Fuzz(func(t *testing.T, in []byte) {
		items, err := NewDecoder(Limits{EventBytes: 1 << 16, BatchEvents: 50}).Batch(strings.NewReader(string(in)))
		if err != nil {
			require.Empty(t, items)
			return
		}
		for i, item := range items {
			require.Equal(t, i+1, item.Line)
		}
	})
}

func BenchmarkStructured(b *testing.B) {
	d := NewDecoder(Limits{})
	text := []byte(load)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Structured(text); err != nil {
			b.Fatal(err)
		}
	}
}
