package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

func TestEncodeThenDecodeGivesTheSameEvent(t *testing.T) {
	for name, e := range samples() {
		t.Run(name, func(t *testing.T) {
			p, err := event.Encode(e)
			require.NoError(t, err)
			require.Equal(t, e.Type(), p.Type)
			require.Equal(t, e.EventID(), p.ID)
			require.Equal(t, uuid.Version(5), p.ID.Version())
			require.True(t, json.Valid(p.Data))
			back, err := event.Decode(p.Type, p.Data)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(e, back))
		})
	}
}

func TestDecodeRefusesOtherTypes(t *testing.T) {
	for _, typ := range []string{"", "dk.stofstrom.flow.received.v2", "dk.stofstrom.flow.received", "Received", "$metadata"} {
		_, err := event.Decode(typ, []byte(`{}`))
		var unknown *event.UnknownType
		require.ErrorAs(t, err, &unknown, typ)
		require.Equal(t, typ, unknown.Type)
	}
}

func TestDecodeRefusesWhatIsNotThePayload(t *testing.T) {
	const typ = "dk.stofstrom.flow.received.v1"
	p, err := event.Encode(samples()["received.v1.full"])
	require.NoError(t, err)
	good := string(p.Data)
	swap := func(old, with string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, with, 1)
	}
	for name, data := range map[string]string{
		"nothing":              "",
		"null":                 "null",
		"empty object":         "{}",
		"list":                 "[]",
		"half":                 good[:len(good)/2],
		"trailing text":        good + "x",
		"second value":         good + "{}",
		"unknown field":        swap(`{"identity"`, `{"colour":"red","identity"`),
		"unknown nested field": swap(`"mass":{`, `"mass":{"unit":"t",`),
		"field in capitals":    swap(`"facility"`, `"Facility"`),
		"field twice":          swap(`{"identity"`, `{"revision":3,"identity"`),
		"null field":           swap(`"revision":3`, `"revision":null`),
		"null nested":          swap(`"method":"weighed"`, `"method":null`),
		"number as text":       swap(`"net_g":12340001`, `"net_g":"12340001"`),
		"fraction of a gram":   swap(`"net_g":12340001`, `"net_g":12340001.5`),
		"exponent":             swap(`"net_g":12340001`, `"net_g":1e400`),
		"beyond int64":         swap(`"net_g":12340001`, `"net_g":9223372036854775808`),
		"text as number":       swap(`"facility":"dk-p-1003412345"`, `"facility":7`),
		"not UTF-8":            swap(`Recovery`, "Reco\xffvery"),
		"revision 0":           swap(`"revision":3`, `"revision":0`),
		"negative revision":    swap(`"revision":3`, `"revision":-1`),
		"no reporter":          swap(`"reporter":"Renovest I/S"`, `"reporter":""`),
		"no external id":       swap(`,"external_id":"bon-2024-000042"`, ``),
		"facility grammar":     swap(`dk-p-1003412345`, `DK_P`),
		"area grammar":         swap(`dk-0101`, `DK 0101`),
		"no clock":             swap(`2024-03-01T09:30:00.12Z`, `2024-03-01T10:30:00.12+14:01`),
		"impossible offset":    swap(`2024-03-01T09:30:00.12Z`, `2024-03-01T10:30:00.12+24:60`),
		"no offset":            swap(`2024-03-01T09:30:00.12Z`, `2024-03-01T10:30:00.12`),
		"zero spelt out":       swap(`2024-03-01T09:30:00.12Z`, `2024-03-01T09:30:00.12+00:00`),
		"other spelling":       swap(`2024-03-01T09:30:00.12Z`, `2024-03-01T09:30:00.120Z`),
		"no such day":          swap(`2024-03-01T09:30:00.12Z`, `2024-02-30T09:30:00Z`),
		"no time":              swap(`"occurred":"2024-03-01T09:30:00.12Z",`, ``),
		"waste code":           swap(`"waste":"170503"`, `"waste":"17 05 03"`),
		"method":               swap(`"method":"weighed"`, `"method":"guessed"`),
		"operation":            swap(`"operation":"R12"`, `"operation":"R012"`),
		"booked in":            swap(`"booked_in":"202405"`, `"booked_in":"202413"`),
		"warning without rule": swap(`{"rule":"late"}`, `{"rule":""}`),
		"field of other kinds": swap(`"fate":"Recovery"`, `"fate":"Recovery","outputs":[]`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := event.Decode(typ, []byte(data))
			var malformed *event.Malformed
			require.ErrorAs(t, err, &malformed)
			require.Equal(t, typ, malformed.Type)
			require.Error(t, errors.Unwrap(err))
		})
	}
}

func TestDecodeRefusesValuesOfOtherTypes(t *testing.T) {
	for _, c := range []struct{ sample, old, with string }{
		{"corrected.v1.full", `"fact_id":"5d6b`, `"fact_id":"5D6B`},
		{"corrected.v1.full", `"fact_id":"5d6b1c52-3f0e-5a87-9f0a-7f2f7c0b9a11"`, `"fact_id":"00000000-0000-0000-0000-000000000000"`},
		{"corrected.v1.full", `"reason":"typed wrong"`, `"reason":""`},
		{"corrected.v1.full", `"kind":"incinerated"`, `"kind":"burnt"`},
		{"corrected.v1.total", `"measure":"received"`, `"measure":"loss"`},
		{"corrected.v1.total", `"to":"2025-01-01"`, `"to":"2024-01-01"`},
		{"corrected.v1.total", `"measure":"received"`, `"measure":"received","occurred":"2024-03-01T09:30:00Z"`},
		{"corrected.v1.minimal", `"kind":"received"`, `"kind":"received","measure":"received"`},
		{"sorted.v1.full", `"role":"loss"`, `"role":"gain"`},
		{"rejected.v1.minimal", `"rejects":"41"`, `"rejects":""`},
		{"period_reported.v1.full", `"measure":"received"`, `"measure":""`},
		{"moved.v1.full", `"to":"ledger-dk-p-1003412345-202402"`, `"to":""`},
		{"arrived.v1.full", `"from":"ledger-dk-p-1003412345-202403"`, `"from":""`},
		{"ledger.closed.v1.full", `"digest":"0123`, `"digest":"012`},
		{"ledger.closed.v1.full", `"digest":"0123`, `"digest":"012G`},
		{"ledger.closed.v1.full", `"month":"202403"`, `"month":""`},
		{"register.facility.v1.full", `"lat":52.188761`, `"lat":152.188761`},
		{"register.facility.v1.full", `"time_zone":"Europe/London"`, `"time_zone":""`},
		{"register.area.v1.full", `"level":"municipality"`, `"level":"parish"`},
		{"register.area.v1.full", `"id":"dk-0101"`, `"id":""`},
	} {
		e := samples()[c.sample]
		p, err := event.Encode(e)
		require.NoError(t, err)
		require.Contains(t, string(p.Data), c.old)
		_, err = event.Decode(p.Type, []byte(strings.Replace(string(p.Data), c.old, c.with, 1)))
		var malformed *event.Malformed
		require.ErrorAs(t, err, &malformed, "%s with %s", c.sample, c.with)
	}
}

func TestDecodeSaysWhereItWentWrong(t *testing.T) {
	p, err := event.Encode(samples()["corrected.v1.full"])
	require.NoError(t, err)
	_, err = event.Decode(p.Type, []byte(strings.Replace(string(p.Data), `"waste":"170503"`, `"waste":"x"`, 1)))
	require.ErrorContains(t, err, `was.material.waste: "x" is not a code of six digits`)
}

func TestEncodeRefusesWhatItCouldNotReadBack(t *testing.T) {
	good, ok := samples()["received.v1.full"].(event.Recorded)
	require.True(t, ok)
	for name, spoil := range map[string]func(*event.Recorded){
		"no id":               func(e *event.Recorded) { e.ID = uuid.Nil },
		"random id":           func(e *event.Recorded) { e.ID = uuid.New() },
		"id of other content": func(e *event.Recorded) { e.Revision = 2 },
		"kind":                func(e *event.Recorded) { e.Fact.Kind = "burnt" },
		"field of other kind": func(e *event.Recorded) { e.Fact.Outputs = fullFact(flow.Sorted).Outputs },
		"target":              func(e *event.Recorded) { e.Fact.Target.Area = "de" },
		"not UTF-8":           func(e *event.Recorded) { e.Fact.Fate = "a\xff" },
		"year 10000":          func(e *event.Recorded) { e.Fact.When.Occurred = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"period of a load":    func(e *event.Recorded) { e.Fact.When.Period.From = "2024-01-01" },
		"error as warning":    func(e *event.Recorded) { e.Warnings = []fault.Violation{{Rule: "x", Severity: fault.Error}} },
		"operation":           func(e *event.Recorded) { e.Fact.Operation = "R03" },
	} {
		t.Run(name, func(t *testing.T) {
			e := good
			spoil(&e)
			if name == "kind" || name == "operation" || name == "not UTF-8" {
				e.ID = event.IDOf(e)
			}
			_, err := event.Encode(e)
			var malformed *event.Malformed
			require.ErrorAs(t, err, &malformed)
		})
	}
	inf := event.WithID(event.FacilityRegistered{Revision: 1, Source: "x", Facility: facility.Facility{ID: "abc", TimeZone: "Europe/London",
		Location: area.Point{Lat: 1, Lon: math.NaN()}}})
	_, err := event.Encode(inf)
	require.Error(t, err)
}

// TestCheckAndCodecAgree: what flow.Check lets a kind have, its payload has a
// place for, and the other way round.
func TestCheckAndCodecAgree(t *testing.T) {
	fields := map[string]func(*flow.Fact){
		"operation":   func(f *flow.Fact) { f.Operation = "NS" },
		"origin":      func(f *flow.Fact) { f.Origin.Area = "dk-0101" },
		"target":      func(f *flow.Fact) { f.Target.Area = "dk-0101" },
		"fate":        func(f *flow.Fact) { f.Fate = "x" },
		"consignment": func(f *flow.Fact) { f.Consignment = "x" },
		"rejects":     func(f *flow.Fact) { f.Rejects = "x" },
		"outputs":     func(f *flow.Fact) { f.Outputs = []flow.Output{{Role: flow.RoleLoss, Net: 1}} },
		"items":       func(f *flow.Fact) { f.Items = 1 },
		"displaces":   func(f *flow.Fact) { f.Displaces = "x" },
		"energy_kwh":  func(f *flow.Fact) { f.EnergyKWh = 1 },
		"period":      func(f *flow.Fact) { f.When.Period = flow.Period{From: "2024-01-01", To: "2024-02-01"} },
		"measure":     func(f *flow.Fact) { f.Measure = flow.MeasureReceived },
		"occurred":    func(f *flow.Fact) { f.When.Occurred = time.Date(2024, 3, 1, 9, 0, 0, 0, time.UTC) },
	}
	fac := facility.Facility{ID: "dk-p-1003412345"}
	ctx := flow.Context{Now: time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), Facility: &fac, KnownArea: func(area.ID) bool { return true }}
	allowed := 0
	for _, k := range flow.Kinds() {
		for field, set := range fields {
			f := minimalFact(k)
			set(&f)
			forbidden := false
			for _, v := range flow.Check(f, ctx) {
				forbidden = forbidden || v.Rule == flow.RuleFieldForbidden && v.Field == field
			}
			_, err := event.Encode(event.WithID(event.Recorded{Revision: 1, Fact: f}))
			require.Equal(t, forbidden, err != nil, "%s of %s: %v", field, k, err)
			if !forbidden {
				allowed++
			}
		}
	}
	require.Greater(t, allowed, 50)
}

func TestIDsAreNeverSharedNorChanged(t *testing.T) {
	seen := map[uuid.UUID]string{}
	for name, e := range samples() {
		id := event.IDOf(e)
		if other, ok := seen[id]; ok {
			// The full and minimal samples of some types are of one subject and revision.
			require.Equal(t, strings.Split(other, ".v1")[0], strings.Split(name, ".v1")[0])
		}
		seen[id] = name
	}
	e := event.Recorded{Revision: 1, Fact: minimalFact(flow.Received)}
	first := event.IDOf(e)
	require.Equal(t, "d1b79afa-74d1-54c4-a23e-ed72e4bbb275", first.String(), "ids are for ever")
	e.Fact.Mass.Net = 2
	require.NotEqual(t, first, event.IDOf(e), "the log must not take one content for a repetition of another")
	e.Fact.Mass.Net = 1
	e.Warnings = []fault.Violation{{Rule: "r"}}
	e.BookedIn = "202403"
	require.Equal(t, first, event.IDOf(e), "the same report has the same id, whatever was noted beside it")
	e.Revision = 2
	require.NotEqual(t, first, event.IDOf(e))
	e.Revision, e.Fact.Kind = 1, flow.Dispatched
	require.NotEqual(t, first, event.IDOf(e))
	e = event.Recorded{Revision: 1, Fact: minimalFact(flow.Received)}
	e.Fact.Identity.ExternalID = "43"
	require.NotEqual(t, first, event.IDOf(e))

	plant := event.FacilityRegistered{Revision: 1, Facility: facility.Facility{ID: "dk-p-1", Name: "A", Operations: []string{"R1"}}}
	ids := map[uuid.UUID]bool{event.IDOf(plant): true}
	for _, change := range []func(*event.FacilityRegistered){
		func(e *event.FacilityRegistered) { e.Facility.Name = "B" },
		func(e *event.FacilityRegistered) { e.Facility.Name, e.Facility.Locality = "", "B" },
		func(e *event.FacilityRegistered) { e.Facility.Location.Lat = 0.1 },
		func(e *event.FacilityRegistered) { e.Facility.Location.Lon = 0.1 },
		func(e *event.FacilityRegistered) { e.Facility.Operations = []string{"R1", "R2"} },
		func(e *event.FacilityRegistered) { e.Facility.Operations = []string{"R2", "R1"} },
		func(e *event.FacilityRegistered) { e.Source = "api:x" },
	} {
		changed := plant
		change(&changed)
		require.False(t, ids[event.IDOf(changed)])
		ids[event.IDOf(changed)] = true
	}
}

func TestTypesNameTheirKind(t *testing.T) {
	for _, k := range flow.Kinds() {
		require.Equal(t, fmt.Sprintf("dk.stofstrom.flow.%s.v1", k), event.FactType(k))
		require.Contains(t, event.Types(), event.FactType(k))
	}
}

func TestMetadataReadsBackAndLeavesOthersAlone(t *testing.T) {
	m := event.Meta{CorrelationID: "req-1", CausationID: "job-2", Actor: "single-user", Import: "imp-3", Line: 4, Reason: "month is over"}
	data, err := event.EncodeMeta(m)
	require.NoError(t, err)
	require.JSONEq(t, `{"$correlationId":"req-1","$causationId":"job-2","actor":"single-user","import":"imp-3","line":4,"reason":"month is over"}`, string(data))
	back, err := event.DecodeMeta(data)
	require.NoError(t, err)
	require.Equal(t, m, back)
	back, err = event.DecodeMeta([]byte(`{"traceparent":"00-1","actor":"a"}`))
	require.NoError(t, err)
	require.Equal(t, event.Meta{Actor: "a"}, back)
	back, err = event.DecodeMeta(nil)
	require.NoError(t, err)
	require.Zero(t, back)
	for _, bad := range []string{"x", `{"line":"4"}`, `{"actor":"a","actor":"b"}`, "{} {}"} {
		_, err = event.DecodeMeta([]byte(bad))
		var malformed *event.Malformed
		require.ErrorAs(t, err, &malformed, bad)
	}
	_, err = event.EncodeMeta(event.Meta{Actor: "\xff"})
	require.Error(t, err)
}

func TestMarkdownNamesEveryTypeAndField(t *testing.T) {
	var b strings.Builder
	require.NoError(t, event.WriteMarkdown(&b))
	for _, typ := range event.Types() {
		require.Equal(t, 1, strings.Count(b.String(), "\n## "+typ+"\n"), typ)
		for _, field := range event.FieldsOf(typ) {
			require.Contains(t, b.String(), "| `"+field+"` |")
		}
	}
	for _, piece := range []any{event.FactV1{}, event.MassV1{}, event.WarningV1{}, event.PointV1{}} {
		require.Contains(t, b.String(), "### "+reflect.TypeOf(piece).Name())
	}
	require.NotContains(t, b.String(), "|  |  |", "a field without a meaning")
}

func FuzzDecodeIsStable(f *testing.F) {
	for _, e := range samples() {
		p, err := event.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Type, p.Data)
	}
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		e, err := event.Decode(typ, data)
		if err != nil {
			return
		}
		p, err := event.Encode(e)
		require.NoError(t, err)
		require.Equal(t, typ, p.Type)
		again, err := event.Decode(p.Type, p.Data)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(e, again))
		p2, err := event.Encode(again)
		require.NoError(t, err)
		require.Equal(t, string(p.Data), string(p2.Data))
	})
}

func BenchmarkEncode(b *testing.B) {
	e := samples()["received.v1.full"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Encode(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	p, err := event.Encode(samples()["received.v1.full"])
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(p.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Decode(p.Type, p.Data); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAFactKeepsTheClockOfItsFacility(t *testing.T) {
	copenhagen, err := time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	f := fullFact(flow.Received)
	f.When.Occurred = flow.LocalTime(time.Date(2024, 2, 29, 23, 30, 0, 0, time.UTC), copenhagen)
	e := event.Recorded{Revision: 1, Fact: f}
	p, err := event.Encode(event.WithID(e))
	require.NoError(t, err)
	require.Contains(t, string(p.Data), `"2024-03-01T00:30:00+01:00"`)
	back, err := event.Decode(p.Type, p.Data)
	require.NoError(t, err)
	recorded, ok := back.(event.Recorded)
	require.True(t, ok)
	require.Equal(t, "2024-03-01", recorded.Fact.When.Occurred.Format(time.DateOnly), "the day is the facility's")
	require.True(t, f.When.Occurred.Equal(recorded.Fact.When.Occurred))
}
