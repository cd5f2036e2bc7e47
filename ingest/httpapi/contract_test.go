package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// openapi is the contract as far as the tests look at it.
type openapi struct {
	Paths map[string]map[string]any `yaml:"paths"`
}

func readContract(t *testing.T) (openapi, *jsonschema.Compiler) {
	t.Helper()
	var doc openapi
	require.NoError(t, yaml.Unmarshal(OpenAPI(), &doc))
	var raw any
	require.NoError(t, yaml.Unmarshal(OpenAPI(), &raw))
	text, err := json.Marshal(raw)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("openapi.json", value))
	return doc, c
}

var methods = []string{"get", "put", "post", "delete", "patch", "head", "options"}

func TestEveryRouteIsInTheContractAndEveryOperationIsARoute(t *testing.T) {
	doc, _ := readContract(t)
	var promised, served []string
	for path, item := range doc.Paths {
		for key := range item {
			if slices.Contains(methods, key) {
				promised = append(promised, strings.ToUpper(key)+" "+path)
			}
		}
	}
	for _, r := range New(Config{}, Deps{}).routes() {
		served = append(served, r.method+" "+r.path)
		require.True(t, slices.ContainsFunc(Patterns(), func(p string) bool {
			return r.path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(r.path, p)
		}), "no pattern lets %s through", r.path)
	}
	slices.Sort(promised)
	slices.Sort(served)
	require.Equal(t, promised, served)
}

// at walks a document by keys.
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// conforms checks an answer against what the contract says of its status and
// content type.
func conforms(t *testing.T, c *jsonschema.Compiler, item any, path, method string, status int, contentType, body string) {
	t.Helper()
	code := fmt.Sprint(status)
	media, _, _ := strings.Cut(contentType, ";")
	response := at(item, method, "responses", code)
	require.NotNil(t, response, "%s %s answers %s, which the contract lacks: %s", method, path, code, body)
	pointer := "openapi.json#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method + "/responses/" + code
	if ref, ok := at(response, "$ref").(string); ok {
		pointer = "openapi.json" + ref
	} else {
		require.NotNil(t, at(response, "content", media), "%s %s %s has no %s", method, path, code, media)
	}
	if media == "text/csv" {
		return
	}
	schema, err := c.Compile(pointer + "/content/" + strings.ReplaceAll(media, "/", "~1") + "/schema")
	require.NoError(t, err)
	texts := []string{body}
	if media == "application/x-ndjson" {
		texts = strings.Split(strings.TrimSpace(body), "\n")
	}
	for _, text := range texts {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(t, err, text)
		require.NoError(t, schema.Validate(value), text)
	}
}

// The examples of the contract are sent, in the order of the conversation that
// they tell, and both they and the answers keep to it.
func TestTheContractsExamplesWork(t *testing.T) {
	doc, c := readContract(t)
	w := newWorld(t, Config{}, nil)
	sent, fact := 0, ""
	send := func(path, method, media string) {
		t.Helper()
		content := at(doc.Paths[path], method, "requestBody", "content", media)
		examples, ok := at(content, "examples").(map[string]any)
		require.True(t, ok, "%s %s has no examples", method, path)
		order := []string{"received", "corrected", "total", "cancelled", "two", "one", "amager", "norway", "data", "event", "moved", "over"}
		for _, name := range order {
			example, ok := examples[name]
			if !ok {
				continue
			}
			value := at(example, "value")
			text, isText := value.(string)
			if !isText {
				raw, err := json.Marshal(value)
				require.NoError(t, err)
				text = string(raw)
				pointer := "openapi.json#/paths/" + strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method +
					"/requestBody/content/" + strings.ReplaceAll(media, "/", "~1") + "/schema"
				schema, err := c.Compile(pointer)
				require.NoError(t, err)
				parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				require.NoError(t, err)
				require.NoError(t, schema.Validate(parsed), name)
			}
			status, head, body := w.do(strings.ToUpper(method), strings.NewReplacer("{id}/corrections", fact+"/corrections", "{id}", "dk-p-1003412345", "{facility}", "dk-p-1003412345", "{period}", "202602").Replace(path),
				map[string]string{"Content-Type": media}, strings.NewReader(text))
			require.Contains(t, []int{http.StatusOK, http.StatusCreated}, status, "%s: %s", name, body)
			require.NotContains(t, body, "problem", name)
			conforms(t, c, doc.Paths[path], path, method, status, head.Get("Content-Type"), body)
			sent++
		}
		require.Equal(t, len(examples), len(intersect(order, examples)), "an example of %s %s is never sent", method, path)
	}
	send("/v1/facilities/{id}", "put", "application/json")
	send("/v1/areas", "post", "application/json")
	send("/v1/events", "post", "application/cloudevents+json")
	send("/v1/events", "post", "application/cloudevents-batch+json")
	send("/v1/events", "post", "application/x-ndjson")
	status, head, body := w.do(http.MethodPost, "/v1/events", map[string]string{"Content-Type": "application/cloudevents+json"},
		strings.NewReader(load("2026-000071", "7.21")))
	require.Equal(t, http.StatusCreated, status, body)
	fact = strings.TrimPrefix(head.Get("Location"), "/v1/events/")
	send("/v1/events/{id}/corrections", "post", "application/cloudevents+json")
	send("/v1/events/{id}/corrections", "post", "application/json")
	send("/v1/ledgers/{facility}/{period}/close", "post", "application/json")
	require.Equal(t, 12, sent)
}

func intersect(names []string, m map[string]any) []string {
	var both []string
	for _, n := range names {
		if _, ok := m[n]; ok {
			both = append(both, n)
		}
	}
	return both
}

func TestAnswersKeepToTheContract(t *testing.T) {
	doc, c := readContract(t)
	w := newWorld(t, Config{MaxBodyBytes: 100_000}, nil)
	w.plant()
	ce := map[string]string{"Content-Type": "application/cloudevents+json"}
	check := func(path, real, method string, header map[string]string, body string) (string, http.Header) {
		t.Helper()
		status, head, answer := w.do(strings.ToUpper(method), real, header, strings.NewReader(body))
		conforms(t, c, doc.Paths[path], path, method, status, head.Get("Content-Type"), answer)
		return answer, head
	}
	_, head := check("/v1/events", "/v1/events", "post", ce, load("1", "7000"))
	event := head.Get("Location")
	require.NotEmpty(t, event)
	check("/v1/events", "/v1/events", "post", ce, load("1", "7000"))
	check("/v1/events", "/v1/events", "post", ce, load("1", "7001"))
	check("/v1/events", "/v1/events", "post", ce, load("2", "0"))
	check("/v1/events", "/v1/events", "post", ce, "{")
	check("/v1/events", "/v1/events", "post", ce, `{"a":"`+strings.Repeat("x", 200_000)+`"}`)
	check("/v1/events", "/v1/events", "post", map[string]string{"Content-Type": "text/html"}, "{")
	check("/v1/events", "/v1/events", "post", map[string]string{"Content-Type": "application/cloudevents-batch+json"}, "["+load("1", "7000")+",{}]")
	check("/v1/events", "/v1/events", "post", map[string]string{"Content-Type": "application/x-ndjson"}, load("1", "7000")+"\n{}\n")
	check("/v1/events/{id}", event, "get", nil, "")
	check("/v1/events/{id}", "/v1/events/nope", "get", nil, "")
	data := map[string]string{"Content-Type": "application/json"}
	const fact = `"facility":"dk-p-1003412345","occurred":"2026-02-09T11:00:00+01:00","material":{"waste_code":"200301"},"mass":{"value":"7","unit":"t"},"operation":"R13","origin":{"area":"dk-0101"}}`
	check("/v1/events/{id}/corrections", event+"/corrections", "post", data, `{"reason":"wrong month",`+fact)
	check("/v1/events/{id}/corrections", event+"/corrections", "post", data, `{"reason":"wrong month",`+fact)
	check("/v1/events/{id}/corrections", event+"/corrections", "post", data, `{`+fact)
	check("/v1/events/{id}/corrections", event+"/corrections", "post", data, `{`)
	check("/v1/events/{id}/corrections", event+"/corrections", "post", nil, `{`)
	check("/v1/events/{id}/corrections", "/v1/events/nope/corrections", "post", data, `{`)
	check("/v1/ledgers/{facility}/{period}/close", "/v1/ledgers/dk-p-1003412345/202602/close", "post", data, `{"reason":"over"}`)
	check("/v1/ledgers/{facility}/{period}/close", "/v1/ledgers/dk-p-1003412345/202602/close", "post", nil, ``)
	check("/v1/ledgers/{facility}/{period}/close", "/v1/ledgers/dk-p-1003412345/202603/close", "post", nil, ``)
	check("/v1/ledgers/{facility}/{period}/close", "/v1/ledgers/nope/202603/close", "post", nil, ``)
	check("/v1/events/{id}", event+"?reason=late", "delete", nil, "")
	check("/v1/events/{id}", event, "delete", nil, "")
	check("/v1/events/{id}/corrections", event+"/corrections", "post", data, `{"reason":"x",`+strings.Replace(fact, `"7"`, `"8"`, 1))
	check("/v1/events/{id}", event, "get", nil, "")
	w.followed()
	for _, view := range []string{"", "?view=occurred&limit=1", "?view=booked", "?view=x"} {
		check("/v1/ledgers/{facility}/{period}", "/v1/ledgers/dk-p-1003412345/202602"+view, "get", nil, "")
		check("/v1/ledgers/{facility}/{period}", "/v1/ledgers/dk-p-1003412345/202603"+view, "get", nil, "")
	}
	check("/v1/ledgers/{facility}/{period}", "/v1/ledgers/dk-p-1003412345/2026031", "get", nil, "")
	check("/v1/facilities/{id}/events", "/v1/facilities/dk-p-1003412345/events", "get", nil, "")
	check("/v1/facilities/{id}/events", "/v1/facilities/dk-p-1003412345/events?after=x", "get", nil, "")
	check("/v1/facilities/{id}/events", "/v1/facilities/nope/events", "get", nil, "")
	check("/v1/events", "/v1/events?mode=atomic", "post", map[string]string{"Content-Type": "application/x-ndjson"}, load("5", "7")+"\n"+load("6", "7"))
	check("/v1/events", "/v1/events?mode=atomic", "post", map[string]string{"Content-Type": "application/x-ndjson"}, load("7", "7")+"\n{}\n")
	check("/v1/facilities", "/v1/facilities", "get", nil, "")
	check("/v1/facilities/{id}", "/v1/facilities/dk-p-1003412345", "get", nil, "")
	check("/v1/facilities/{id}", "/v1/facilities/nope", "get", nil, "")
	check("/v1/facilities/{id}", "/v1/facilities/dk-p-1003412345", "put", nil, `{"name":1}`)
	check("/v1/facilities/{id}", "/v1/facilities/dk-p-1003412345", "put", nil, `{"name":"x","area":"nope"}`)
	check("/v1/areas", "/v1/areas", "get", nil, "")
	check("/v1/areas", "/v1/areas?level=x", "get", nil, "")
	check("/v1/areas", "/v1/areas", "post", nil, `{"areas":[{"id":"zz","level":"country","name":"","country":"ZZ"}]}`)

	file := "Facility RPA\nx\n"
	check("/v1/imports", "/v1/imports?profile=wdi", "post", nil, file)
	check("/v1/imports", "/v1/imports?profile=nope", "post", nil, file)
	check("/v1/imports", "/v1/imports", "post", nil, file)
	check("/v1/imports", "/v1/imports?profile=wdi", "post", nil, "")
	_, head = check("/v1/imports", "/v1/imports?profile=wdi", "post", nil, wdiFile)
	job := head.Get("Location")
	_, err := w.imports.Wait(t.Context(), strings.TrimPrefix(job, "/v1/imports/"))
	require.NoError(t, err)
	check("/v1/imports", "/v1/imports", "get", nil, "")
	check("/v1/imports/{id}", job, "get", nil, "")
	check("/v1/imports/{id}", "/v1/imports/nope", "get", nil, "")
	check("/v1/imports/{id}/report", job+"/report", "get", nil, "")
	check("/v1/imports/{id}/report", job+"/report", "get", map[string]string{"Accept": "text/csv"}, "")
	check("/v1/imports/{id}/report", job+"/report?format=x", "get", nil, "")
	defer func() {
		check("/v1/imports/{id}", job, "delete", nil, "")
		check("/v1/imports/{id}", "/v1/imports/nope?reason=x", "delete", nil, "")
		check("/v1/imports/{id}/cancellation", job+"/cancellation", "get", nil, "")
		check("/v1/imports/{id}", job+"?reason=wrong", "delete", nil, "")
		_, err := w.imports.Wait(t.Context(), strings.TrimPrefix(job, "/v1/imports/"))
		require.NoError(t, err)
		check("/v1/imports/{id}", job+"?reason=wrong", "delete", nil, "")
		check("/v1/imports/{id}", job, "get", nil, "")
		report, _ := check("/v1/imports/{id}/cancellation", job+"/cancellation", "get", nil, "")
		require.Contains(t, report, `"status":"cancelled"`)
		check("/v1/imports/{id}/cancellation", job+"/cancellation?format=csv", "get", nil, "")
		check("/v1/imports/{id}/cancellation", job+"/cancellation?format=x", "get", nil, "")
	}()
	check("/v1/imports/{id}/report", job+"/report?format=file&lang=xx", "get", nil, "")
	returned, head := check("/v1/imports/{id}/report", job+"/report?format=file", "get", map[string]string{"Accept-Language": "sv;q=0.1, da-DK, en;q=0.5"}, "")
	require.Contains(t, returned, "stofstrom: resultat")
	require.Equal(t, "da", head.Get("Content-Language"))
	returned, _ = check("/v1/imports/{id}/report", job+"/report?format=file&lang=en", "get", map[string]string{"Accept-Language": "da"}, "")
	require.Contains(t, returned, "stofstrom: result")
	check("/v1/imports", "/v1/imports?profile=wdi&dry_run=perhaps", "post", nil, wdiFile)
	_, head = check("/v1/imports", "/v1/imports?profile=wdi&dry_run=true", "post", nil, wdiFile)
	dry, err := w.imports.Wait(t.Context(), strings.TrimPrefix(head.Get("Location"), "/v1/imports/"))
	require.NoError(t, err)
	require.True(t, dry.DryRun)
	require.Equal(t, map[string]int64{"already_recorded": 1, "rejected": 1}, dry.Counts)
	check("/v1/imports/{id}", head.Get("Location"), "get", nil, "")
}

const wdiFile = `Facility RPA,Facility Sub Region,Facility WPA,Facility District,Permit,Site Name,Facility Address,Post Code,Easting ,Northing,Operator,Permit Type,Form,Basic Waste Cat,Waste Code,EWC Chapter,EWC Sub Chapter,EWC Waste Desc,SOC Category,SOC Sub Category,Site Category,Facility Type,Recorded Origin,Origin WPA,Origin Region,Fate,R and D code,Tonnes Received
East of England,Suffolk,Suffolk,Mid Suffolk,BP3635LA,Eye Power Station,,,613250,275450,,B04a,Solid,Hhold/Ind/Com,19 12 07,19,x,wood,07,Wood wastes,Incineration,Incinerator,Suffolk,Suffolk,East of England,Incineration,D10.01,14.7
broken
`
