package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/analyticstest"
	"github.com/stofstrom/stofstrom/analytics/httpapi"
)

type fixture struct {
	http.Handler
	twin     *analyticstest.Twin
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func newFixture(t *testing.T, change func(*analytics.Config)) *fixture {
	t.Helper()
	f := &fixture{twin: analyticstest.NewTwin(analyticstest.Seed()), registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	config := analytics.DefaultConfig()
	if change != nil {
		change(&config)
	}
	s, err := analytics.New(config, analytics.Deps{Conn: f.twin})
	require.NoError(t, err)
	f.Handler, err = httpapi.New(httpapi.DefaultConfig(), httpapi.Deps{
		Asker: s, Registry: f.registry, Logger: slog.New(slog.NewTextHandler(f.log, nil)),
	})
	require.NoError(t, err)
	return f
}

func (f *fixture) get(t *testing.T, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return f.do(t, http.MethodGet, target, headers...)
}

func (f *fixture) do(t *testing.T, method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

type contract struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name   string
			Schema struct {
				Enum  []string
				Items struct{ Enum []string }
			}
		}
		Responses map[string]struct {
			Content map[string]struct {
				Examples map[string]struct {
					Summary string
					Value   any
				}
			}
		}
	}
}

func readContract(t *testing.T) contract {
	t.Helper()
	var c contract
	require.NoError(t, yaml.Unmarshal(httpapi.OpenAPI(), &c))
	return c
}

func TestContractAndRoutesAreTheSame(t *testing.T) {
	c := readContract(t)
	var documented []string
	for path, methods := range c.Paths {
		for method := range methods {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(documented)
	require.Equal(t, httpapi.Routes(), documented)
	f := newFixture(t, nil)
	for _, route := range httpapi.Routes() {
		method, path, _ := strings.Cut(route, " ")
		require.Equal(t, http.StatusOK, f.do(t, method, path).Code, route)
	}
}

func TestContractNamesEveryParameter(t *testing.T) {
	c := readContract(t)
	var documented, dimensions, measures []string
	for _, p := range c.Paths["/v1/flows"]["get"].Parameters {
		documented = append(documented, p.Name)
		switch p.Name {
		case "group_by":
			dimensions = p.Schema.Items.Enum
		case "measure":
			measures = p.Schema.Enum
		}
	}
	want := []string{"measure", "from", "to", "group_by", "format"}
	var wantDimensions, wantMeasures []string
	for _, d := range analytics.Dimensions() {
		want = append(want, string(d))
		wantDimensions = append(wantDimensions, string(d))
	}
	for _, m := range analytics.Measures() {
		wantMeasures = append(wantMeasures, string(m))
	}
	require.ElementsMatch(t, want, documented)
	require.Equal(t, wantDimensions, dimensions)
	require.Equal(t, wantMeasures, measures)
}

func TestContractNamesEveryParameterOfBalances(t *testing.T) {
	var documented []string
	for _, p := range readContract(t).Paths["/v1/balances"]["get"].Parameters {
		documented = append(documented, p.Name)
	}
	f := newFixture(t, nil)
	w := f.get(t, "/v1/balances?nonsense=1")
	require.Equal(t, http.StatusBadRequest, w.Code)
	_, allowed, _ := strings.Cut(w.Body.String(), "allowed: ")
	allowed, _, _ = strings.Cut(allowed, `"`)
	require.ElementsMatch(t, strings.Split(allowed, ", "), documented)
	for _, name := range documented {
		value := map[string]string{"from": "2019", "to": "2020", "facility": "dk-p-1", "material": "200301", "uncertainty": "volume:5", "format": "json"}[name]
		require.Equal(t, http.StatusOK, f.get(t, "/v1/balances?"+name+"="+value).Code, name)
	}
}

// Every member of an answer is in the contract, and every member that the
// contract requires is in the answer.
func TestBalancesHaveTheShapeOfTheContract(t *testing.T) {
	var contract struct {
		Components struct {
			Schemas map[string]schema
		}
	}
	require.NoError(t, yaml.Unmarshal(httpapi.OpenAPI(), &contract))
	var answer any
	require.NoError(t, json.Unmarshal(newFixture(t, nil).get(t, "/v1/balances?from=2019&to=2020").Body.Bytes(), &answer))
	conforms(t, contract.Components.Schemas["BalanceAnswer"], answer, "answer")
}

type schema struct {
	Required   []string
	Properties map[string]schema
	Items      *schema
	Enum       []string
}

func conforms(t *testing.T, s schema, value any, at string) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		if s.Properties == nil {
			return
		}
		for name := range value {
			require.Contains(t, s.Properties, name, at)
			conforms(t, s.Properties[name], value[name], at+"."+name)
		}
		for _, name := range s.Required {
			require.Contains(t, value, name, at)
		}
	case []any:
		require.NotNil(t, s.Items, at)
		require.NotEmpty(t, value, "%s: the world shows one of each", at)
		for _, item := range value {
			conforms(t, *s.Items, item, at+"[]")
		}
	case string:
		if s.Enum != nil {
			require.Contains(t, s.Enum, value, at)
		}
	}
}

func TestBalancesCarryTheirHeaders(t *testing.T) {
	f := newFixture(t, nil)
	w := f.get(t, "/v1/balances?facility=dk-p-1&from=2019&to=2020&format=csv")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	for name, value := range map[string]string{
		"Stofstrom-Position": "60", "Stofstrom-Gross-Error": "false", "Stofstrom-Left-Out": "1", "Content-Disposition": `attachment; filename="balances.csv"`,
	} {
		require.Equal(t, value, w.Header().Get(name), name)
	}
	require.Contains(t, w.Header().Get("Stofstrom-Rules"), "uncertainty/v1")
	flows := f.get(t, "/v1/flows").Header().Get("ETag")
	require.NotEqual(t, flows, f.get(t, "/v1/balances").Header().Get("ETag"), "another question, another tag")
	require.Equal(t, http.StatusNotModified, f.get(t, "/v1/balances", "If-None-Match", f.get(t, "/v1/balances").Header().Get("ETag")).Code)
	require.Equal(t, "true", f.get(t, "/v1/balances?from=2019&to=2020&uncertainty=weighed:0.01").Header().Get("Stofstrom-Gross-Error"))
}

func TestExamplesOfTheContractAreTrue(t *testing.T) {
	executed := 0
	for path, methods := range readContract(t).Paths {
		for _, operation := range methods {
			for status, response := range operation.Responses {
				for media, content := range response.Content {
					for name, example := range content.Examples {
						t.Run(path+" "+name, func(t *testing.T) {
							method, target, ok := strings.Cut(example.Summary, " ")
							require.True(t, ok)
							w := newFixture(t, nil).do(t, method, target)
							require.Equal(t, status, fmt.Sprint(w.Code), w.Body.String())
							require.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), media))
							if text, isText := example.Value.(string); isText {
								require.Equal(t, text, w.Body.String())
								return
							}
							want, err := json.Marshal(example.Value)
							require.NoError(t, err)
							require.JSONEq(t, string(want), w.Body.String())
						})
						executed++
					}
				}
			}
		}
	}
	require.GreaterOrEqual(t, executed, 4)
}

func TestAcceptAndFormatChooseTheForm(t *testing.T) {
	f := newFixture(t, nil)
	for _, c := range []struct {
		target, accept string
		status         int
		media          string
	}{
		{"/v1/flows", "", 200, "application/json"},
		{"/v1/flows", "*/*", 200, "application/json"},
		{"/v1/flows", "text/csv", 200, "text/csv; charset=utf-8; header=present"},
		{"/v1/flows", "application/json;q=0.5, text/csv", 200, "text/csv; charset=utf-8; header=present"},
		{"/v1/flows", "text/*;q=0.1, application/json;q=0", 200, "text/csv; charset=utf-8; header=present"},
		{"/v1/flows?format=json", "text/csv", 200, "application/json"},
		{"/v1/flows?format=csv", "application/json", 200, "text/csv; charset=utf-8; header=present"},
		{"/v1/flows", "image/png", 406, "application/problem+json"},
		{"/v1/flows?format=png", "", 400, "application/problem+json"},
		{"/v1/flows?format=json&format=csv", "", 400, "application/problem+json"},
	} {
		var headers []string
		if c.accept != "" {
			headers = []string{"Accept", c.accept}
		}
		w := f.get(t, c.target, headers...)
		require.Equal(t, c.status, w.Code, "%+v", c)
		require.Equal(t, c.media, w.Header().Get("Content-Type"), "%+v", c)
	}
}

func TestRefusalsAreProblems(t *testing.T) {
	f := newFixture(t, func(c *analytics.Config) { c.MaxRows = 2 })
	for name, c := range map[string]struct {
		method, target string
		status         int
		says           string
	}{
		"unknown dimension": {"GET", "/v1/flows?group_by=colour", 400, "allowed: kind, month"},
		"two measures":      {"GET", "/v1/flows?measure=received&measure=recycled", 400, "question-one-measure"},
		"broken escape":     {"GET", "/v1/flows?a=%zz", 400, "cannot be read"},
		"not UTF-8":         {"GET", "/v1/flows?facility_area=%ff%fe", 400, ""},
		"too many rows":     {"GET", "/v1/flows?group_by=facility,waste_code", 422, "larger than 2 rows; narrow it"},
		"too long":          {"GET", "/v1/flows?fate=" + strings.Repeat("a", 70_000), 422, "longer than 65536 bytes"},
		"another method":    {"POST", "/v1/flows", 405, "asked with GET"},
		"balance by method": {"DELETE", "/v1/balances", 405, "asked with GET"},
		"no uncertainty":    {"GET", "/v1/balances?uncertainty=much", 400, "question-uncertainty"},
		"unknown material":  {"GET", "/v1/balances?material=bricks", 400, "neither a waste code"},
		"too much balance":  {"GET", "/v1/balances", 422, "larger than 2 rows"},
		"exact nonsense":    {"GET", "/v1/balances?uncertainty=weighed:0&uncertainty=volume:0&uncertainty=estimated:0&uncertainty=declared:0&from=2019&to=2020", 400, "exact-values-contradict"},
		"another path":      {"GET", "/v1/flow", 404, "no such question"},
	} {
		t.Run(name, func(t *testing.T) {
			w := f.do(t, c.method, c.target)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.Empty(t, w.Header().Get("ETag"))
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p, json.MatchCaseInsensitiveNames(true)))
			require.Equal(t, c.status, p.Status)
			require.Equal(t, http.StatusText(c.status), p.Title)
			require.NotEmpty(t, p.Detail)
			require.Contains(t, w.Body.String(), c.says)
		})
	}
	require.Empty(t, f.log.String(), "what the asker did wrong is no line in the operator's log")
}

func TestTroubleOfTheTablesIsOursToLog(t *testing.T) {
	f := newFixture(t, nil)
	f.twin.Fail(errors.New("dial tcp 10.1.2.3: refused"))
	w := f.get(t, "/v1/flows")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "10.1.2.3", "the cause is the operator's")
	require.Contains(t, f.log.String(), "10.1.2.3")
}

func TestAnAnswerIsNotSentTwice(t *testing.T) {
	f := newFixture(t, nil)
	first := f.get(t, "/v1/flows?group_by=year&kind=received")
	tag := first.Header().Get("ETag")
	require.NotEmpty(t, tag)
	require.Equal(t, "60", first.Header().Get("Stofstrom-Position"))
	f.twin.Asked()
	again := f.get(t, "/v1/flows?kind=received&group_by=year", "If-None-Match", `"other", W/`+tag)
	require.Equal(t, http.StatusNotModified, again.Code)
	require.Empty(t, again.Body.String())
	require.Equal(t, []string{"snapshot"}, f.twin.Asked(), "no fact was read")
	require.Equal(t, http.StatusOK, f.get(t, "/v1/flows?group_by=year", "If-None-Match", tag).Code, "another question")
	w := analyticstest.Seed()
	w.Committed++
	f.twin.Set(w)
	require.Equal(t, http.StatusOK, f.get(t, "/v1/flows?group_by=year&kind=received", "If-None-Match", tag).Code, "another position")
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	server := httptest.NewServer(newFixture(t, nil))
	defer server.Close()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/v1/flows?format=csv", nil)
		require.NoError(t, err)
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache", "Vary": "Accept",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Content-Disposition": `attachment; filename="flows.csv"`,
			"Stofstrom-Measure": "received", "Stofstrom-Rules": "measures/v1",
		} {
			require.Equal(t, value, resp.Header.Get(name), "%s %s", method, name)
		}
	}
}

func TestMetricsMove(t *testing.T) {
	f := newFixture(t, nil)
	f.get(t, "/v1/flows")
	f.get(t, "/v1/flows?measure=none")
	f.get(t, "/v1/balances")
	f.twin.Fail(context.DeadlineExceeded)
	f.get(t, "/v1/flows")
	w := httptest.NewRecorder()
	promhttp.HandlerFor(f.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`stofstrom_questions_total{outcome="answered",question="flows"} 1`,
		`stofstrom_questions_total{outcome="invalid",question="flows"} 1`,
		`stofstrom_questions_total{outcome="unavailable",question="flows"} 1`,
		`stofstrom_question_duration_seconds_count{question="flows"} 3`,
		`stofstrom_answer_rows_count{question="flows"} 1`,
		`stofstrom_questions_total{outcome="answered",question="balances"} 1`,
		`stofstrom_answer_rows_count{question="balances"} 1`,
	} {
		require.Contains(t, w.Body.String(), line+"\n")
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := httpapi.New(httpapi.Config{}, httpapi.Deps{})
	require.ErrorContains(t, err, "limits must be positive")
	_, err = httpapi.New(httpapi.DefaultConfig(), httpapi.Deps{})
	require.ErrorContains(t, err, "missing")
}

func FuzzQuestion(f *testing.F) {
	for _, seed := range []string{"", "group_by=year", "from=2019&to=2020-01", "facility_area=%ff", "month=2019-13&year=0", "measure=received,reused", "uncertainty=volume:1e3&from=2019&to=2020", "material=not_stated&facility=dk-p-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if _, err := url.Parse("/v1/flows?" + query); err != nil || strings.ContainsAny(query, " \r\n\x00\x7f#") {
			return // no URL
		}
		for _, path := range []string{"/v1/flows", "/v1/balances"} {
			r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}}
			w := httptest.NewRecorder()
			newFixture(t, nil).ServeHTTP(w, r.WithContext(t.Context()))
			switch w.Code {
			case http.StatusOK, http.StatusBadRequest:
			default:
				t.Fatalf("%s?%q is answered with %d: %s", path, query, w.Code, w.Body)
			}
		}
	})
}
