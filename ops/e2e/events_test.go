package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/flow"
)

// keyed sends a request with an Idempotency-Key.
func (s *server) keyed(key, path, contentType, body string) (int, http.Header, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.api+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, resp.Header, string(answer)
}

func TestTheSameAnswerUnderAKeyAfterARestart(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	s.plant()
	code, _, first := s.keyed("retry-1", "/v1/events", oneEvent, loadEvent("1", "2024-01-10", "5"))
	require.Equal(t, 201, code, first)
	code, _, job := s.keyed("retry-2", "/v1/imports?profile=wdi", "text/csv", string(toCSV(t, sampleTable(t)[:3])))
	require.Equal(t, 202, code, job)
	s.kill()

	s = serve(t, data)
	code, head, again := s.keyed("retry-1", "/v1/events", oneEvent, loadEvent("1", "2024-01-10", "5"))
	require.Equal(t, 201, code)
	require.Equal(t, first, again)
	require.Equal(t, "true", head.Get("Idempotency-Replayed"))
	code, _, jobAgain := s.keyed("retry-2", "/v1/imports?profile=wdi", "text/csv", string(toCSV(t, sampleTable(t)[:3])))
	require.Equal(t, 202, code)
	require.Equal(t, job, jobAgain)
	code, _, answer := s.keyed("retry-1", "/v1/events", oneEvent, loadEvent("1", "2024-01-10", "6"))
	require.Equal(t, 422, code)
	require.Contains(t, answer, "idempotency-key-reused")
	code, _, answer = s.keyed("retry-1", "/v1/events?mode=atomic", oneEvent, loadEvent("1", "2024-01-10", "5"))
	require.Equal(t, 422, code)
	require.Contains(t, answer, "idempotency-key-reused")
}

func TestTogetherOrNotAtAll(t *testing.T) {
	s := serve(t, t.TempDir())
	s.plant()
	a, b := loadEvent("1", "2024-01-10", "5"), loadEvent("2", "2024-01-11", "3")
	code, body := s.do(http.MethodPost, "/v1/events?mode=atomic", manyLine, []byte(a+"\n"+loadEvent("3", "2024-02-11", "3")+"\n"))
	require.Equal(t, 422, code, string(body))
	require.Contains(t, string(body), "ledger-"+plantID+"-202401, ledger-"+plantID+"-202402")
	code, body = s.do(http.MethodPost, "/v1/events?mode=atomic", manyLine, []byte(a+"\n"+loadEvent("2", "2024-01-11", "0")+"\n"))
	require.Equal(t, 422, code, string(body))
	require.Contains(t, string(body), `"line":2`)
	code, body = s.do(http.MethodPost, "/v1/events?mode=atomic", manyLine, []byte(a+"\n"+b+"\n"))
	require.Equal(t, 200, code, string(body))
	var results []eventResult
	require.NoError(t, json.Unmarshal(body, &results))
	require.Len(t, results, 2)
	for _, r := range results {
		require.Equal(t, "recorded", r.Status, "nothing of the refused requests was recorded")
	}
	s.settles("2024-01", "8", 2)
}

// brokenEvents are events that break one rule each, under its id: every rule
// of the catalogue that an event by itself can break and that is an error.
func brokenEvents() map[string]struct{ event, field, value string } {
	good := func(id string) string { return loadEvent("broken-"+id, "2024-01-10", "5") }
	with := func(id string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(good(id)) }
	add := func(id, member string) string { return with(id, `"operation":"R13"`, `"operation":"R13",`+member) }
	outputs := func(id, list string) string {
		return with(id, "received.v1", "recycled.v1", `"R13"`, `"R3","outputs":[`+list+`]`)
	}
	const out = `{"role":"%s","material":{"product":"paper"},"mass":{"value":"%s","unit":"t"}}`
	period := func(id, from, to, measure string) string {
		return with(id, "received.v1", "period_reported.v1", `"occurred":"2024-01-10T11:00:00+01:00"`,
			`"period":{"from":"`+from+`","to":"`+to+`"},"measure":"`+measure+`"`)
	}
	var tags []string
	for i := range 17 {
		tags = append(tags, fmt.Sprintf(`"t%d":"x"`, i))
	}
	long := strings.Repeat("x", 201)
	return map[string]struct{ event, field, value string }{
		"json-syntax":                 {`{"specversion":`, "", ""},
		"json-duplicate-name":         {with("dup", `"id":`, `"id":"x","id":`), "id", ""},
		"json-too-deep":               {with("deep", `"tonnes"`, "", `"operation":"R13"`, `"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)), "", ""},
		"json-type":                   {with("type", `"R13"`, `13`), "operation", "13"},
		"field-unknown":               {add("field", `"colour":"red"`), "colour", `"red"`},
		"event-too-long":              {add("long", `"fate":"`+strings.Repeat("x", 1<<20)+`"`), "event", ""},
		"time-malformed":              {with("time", "2024-01-10T11:00:00+01:00", "10-01-2024"), "occurred", "10-01-2024"},
		"specversion-unsupported":     {with("spec", `"1.0"`, `"0.3"`), "specversion", "0.3"},
		"type-unknown":                {with("kind", "received.v1", "eaten.v1"), "type", "dk.stofstrom.flow.eaten.v1"},
		"attribute-missing":           {with("attr", `"source":"weighbridge-1",`, ""), "source", ""},
		"attribute-malformed":         {with("reason", `"source"`, `"reason":"","source"`), "reason", ""},
		"datacontenttype-unsupported": {with("ct", `"source"`, `"datacontenttype":"text/xml","source"`), "datacontenttype", "text/xml"},

		"mass-unit-missing":     {with("unit", `"unit":"t",`, ""), "mass.unit", ""},
		"mass-unit-unknown":     {with("stone", `"unit":"t"`, `"unit":"stone"`), "mass.unit", "stone"},
		"mass-malformed":        {with("many", `"value":"5"`, `"value":"five"`), "mass.value", "five"},
		"mass-finer-than-gram":  {with("fine", `"value":"5"`, `"value":"5.0000001"`), "mass.value", "5.0000001"},
		"mass-out-of-range":     {with("huge", `"value":"5"`, `"value":"99999999999999999"`), "mass.value", "99999999999999999"},
		"waste-code-unknown":    {with("code", "200301", "999999"), "material.waste_code", "999999"},
		"waste-code-star-wrong": {with("star", "200301", "200301*"), "material.waste_code", "200301*"},
		"operation-unknown":     {with("op", "R13", "R99"), "operation", "R99"},

		"field-required":           {with("req", `"occurred":"2024-01-10T11:00:00+01:00",`, ""), "occurred", ""},
		"field-not-for-kind":       {add("forb", `"energy_kwh":5`), "energy_kwh", "5"},
		"text-too-long":            {add("text", `"fate":"`+long+`"`), "fate", long[:200]},
		"text-not-clean":           {add("clean", `"fate":"a\u0007b"`), "fate", "a\u0007b"},
		"personal-data":            {add("person", `"fate":"ask anna@example.org"`), "fate", "ask anna@example.org"},
		"facility-unknown":         {with("fac", plantID, "dk-p-9999999999"), "facility", "dk-p-9999999999"},
		"area-unknown":             {with("area", "dk-0101", "dk-9999"), "origin.area", "dk-9999"},
		"material-missing":         {with("mat", `{"waste_code":"200301"}`, `{}`), "material", ""},
		"fraction-malformed":       {with("frac", `"200301"`, `"200301","fraction":"food waste"`), "material.fraction", "food waste"},
		"form-unknown":             {with("form", `"200301"`, `"200301","form":"plasma"`), "material.form", "plasma"},
		"sector-malformed":         {with("sector", `"area":"dk-0101"`, `"area":"dk-0101","sector":"Some One"`), "origin.sector", "Some One"},
		"mass-not-positive":        {with("zero", `"value":"5"`, `"value":"0"`), "mass.value", "0.000000 t"},
		"mass-above-load-limit":    {with("load", `"value":"5"`, `"value":"10001"`), "mass.value", "10001.000000 t"},
		"mass-above-total-limit":   {with("total", "received.v1", "period_reported.v1", `"occurred":"2024-01-10T11:00:00+01:00"`, `"period":{"from":"2023-01-01","to":"2024-01-01"},"measure":"received"`, `"value":"5"`, `"value":"1000000001"`), "mass.value", "1000000001.000000 t"},
		"mass-net-differs":         {with("net", `"value":"5"`, `"value":"5","gross":"12","tare":"8"`), "mass.value", "5.000000 t"},
		"mass-method-unknown":      {with("method", `"weighed"`, `"guessed"`), "mass.method", "guessed"},
		"time-in-future":           {with("future", "2024-01-10", "2124-01-10"), "occurred", "2124-01-10T10:00:00Z"},
		"time-out-of-range":        {with("past", "2024-01-10", "1024-01-10"), "occurred", "1024-01-10T10:00:00Z"},
		"period-malformed":         {period("p1", "2024-01-10", "2024-01-10", "received"), "period", "2024-01-10 to 2024-01-10"},
		"period-too-long":          {period("p2", "2022-01-01", "2024-01-01", "received"), "period", "2022-01-01 to 2024-01-01"},
		"measure-unknown":          {period("p3", "2023-01-01", "2024-01-01", "eaten"), "measure", "eaten"},
		"operation-not-for-kind":   {with("opk", "received.v1", "landfilled.v1"), "operation", "R13"},
		"output-role-not-for-kind": {outputs("role", fmt.Sprintf(out, "fly_ash", "1")), "outputs[0].role", "fly_ash"},
		"output-mass-not-positive": {outputs("outm", fmt.Sprintf(out, "output", "0")), "outputs[0].mass.value", "0.000000 t"},
		"outputs-exceed-input":     {outputs("exceed", fmt.Sprintf(out, "output", "6")), "outputs", ""},
		"outputs-too-many":         {outputs("outn", strings.TrimSuffix(strings.Repeat(fmt.Sprintf(out, "output", "0.01")+",", 101), ",")), "outputs", ""},
		"amount-negative":          {with("neg", "received.v1", "reused.v1", `"operation":"R13"`, `"items":-1`), "items", "-1"},
		"items-above-limit":        {with("items", "received.v1", "reused.v1", `"operation":"R13"`, `"items":1000000001`), "items", "1000000001"},
		"energy-above-limit":       {with("energy", "received.v1", "incinerated.v1", `"operation":"R13"`, `"operation":"R1","energy_kwh":1000000000001`), "energy_kwh", "1000000000001"},
		"tags-too-many":            {add("tags", `"tags":{`+strings.Join(tags, ",")+`}`), "tags", "17"},
		"tag-key-malformed":        {add("tag", `"tags":{"Not This":"x"}`), "tags", "Not This"},
	}
}

// notByAnEvent are rules of errors that no event by itself can break, and why.
var notByAnEvent = map[string]string{
	"kind-unknown":            "the type of the CloudEvent is refused before",
	"operation-not-permitted": "the facility of this test says nothing of operations",
	"batch-too-many":          "a rule of batches",
}

// A stream with one broken line per rule that an event can break: each is
// rejected with line, field, rule and value, and all others are recorded.
func TestOneBrokenLinePerRule(t *testing.T) {
	s := serve(t, t.TempDir())
	s.plant()
	broken := brokenEvents()
	var rules []string
	for rule := range broken {
		rules = append(rules, rule)
	}
	slices.Sort(rules)
	var body bytes.Buffer
	for i, rule := range rules {
		body.WriteString(loadEvent(fmt.Sprintf("good-%d", i), "2024-01-10", "1") + "\n" + broken[rule].event + "\n")
	}
	code, answer := s.do(http.MethodPost, "/v1/events", manyLine, body.Bytes())
	require.Equal(t, 200, code)
	decoder := json.NewDecoder(bytes.NewReader(answer))
	for i, rule := range rules {
		var good, bad eventResult
		require.NoError(t, decoder.Decode(&good))
		require.Equal(t, "recorded", good.Status)
		require.Equal(t, 2*i+1, good.Line)
		require.NoError(t, decoder.Decode(&bad))
		require.Equal(t, "rejected", bad.Status, "%s: %+v", rule, bad)
		require.Equal(t, 2*i+2, bad.Line)
		at := slices.IndexFunc(bad.Problem.Violations, func(v violation) bool { return v.Rule == rule })
		if !assertRule(t, at >= 0, "%s: %+v", rule, bad.Problem.Violations) {
			continue
		}
		v := bad.Problem.Violations[at]
		require.Equal(t, 2*i+2, v.Line)
		require.NotEmpty(t, v.Message)
		if want := broken[rule]; want.field != "" {
			assertRule(t, want.field == v.Field, "%s: field %q, want %q", rule, v.Field, want.field)
			assertRule(t, want.value == "" || want.value == v.Value, "%s: value %q, want %q", rule, v.Value, want.value)
		}
	}
	s.settles("2024-01", fmt.Sprint(len(rules)), len(rules))

	for _, r := range flow.Catalogue() {
		if r.Stage != flow.StageRead && r.Stage != flow.StageCheck || r.Severity != 0 || notByAnEvent[r.ID] != "" {
			continue
		}
		require.Contains(t, broken, r.ID, "a rule that no line of this test breaks")
	}
}

func assertRule(t *testing.T, holds bool, format string, args ...any) bool {
	t.Helper()
	if !holds {
		t.Errorf(format, args...)
	}
	return holds
}
