package e2e

import (
	"encoding/json"
	"math/big"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The whole of the sample, as published.
const (
	wholeTonnes = "33087651.241897"
	wholeEvents = 29626
)

// flowAnswer is what GET /v1/flows answers, as an outsider reads it.
type flowAnswer struct {
	Measure  string           `json:"measure"`
	Rows     []map[string]any `json:"rows"`
	Total    amount           `json:"total"`
	Position json.Number      `json:"position"`
	Rules    []string         `json:"rules"`
}

type amount struct {
	Tonnes string `json:"mass_t"`
	Events int    `json:"events"`
}

// flows asks the flow question.
func (s *server) flows(query string) flowAnswer {
	s.t.Helper()
	code, body := s.get("/v1/flows?" + query)
	require.Equal(s.t, 200, code, string(body))
	var a flowAnswer
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	require.NoError(s.t, decoder.Decode(&a), string(body))
	return a
}

// by gives the tonnes of each row under the values of its dimensions.
func (a flowAnswer) by(t testing.TB, dimension string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, row := range a.Rows {
		key, _ := row[dimension].(string)
		require.NotContains(t, m, key, "two rows of one group")
		tonnes, ok := row["mass_t"].(string)
		require.True(t, ok, "mass_t is a string")
		m[key] = tonnes
	}
	return m
}

// sameTonnes compares decimal strings by value, exactly.
func sameTonnes(t testing.TB, want, got string, what string) {
	t.Helper()
	require.Zero(t, rat(t, want).Cmp(rat(t, got)), "%s: want %s t, got %s t", what, want, got)
}

func rat(t testing.TB, number string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(number)
	require.True(t, ok, "%q is no number", number)
	return r
}

func requireWhole(t testing.TB, s *server) {
	t.Helper()
	a := s.flows("")
	require.Equal(t, "received", a.Measure)
	require.Equal(t, wholeTonnes, a.Total.Tonnes)
	require.Equal(t, wholeEvents, a.Total.Events)
}

// knownTable is one published table of the county's report.
type knownTable struct {
	Computed map[string]string `json:"computed_exact"`
	Total    string            `json:"computed_total_exact"`
	Rest     string            `json:"computed_all_other_exact"`
	Rows     int               `json:"rows"`
}

func knownAnswers(t testing.TB) (tables map[string]knownTable, byFate, bySite map[string]string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/suffolk_2019.json")
	require.NoError(t, err)
	var k struct {
		Whole struct {
			Fate json.RawMessage `json:"by_fate"`
			Site json.RawMessage `json:"by_site_category"`
		} `json:"whole_file"`
		Tables map[string]json.RawMessage `json:"tables"`
	}
	require.NoError(t, json.Unmarshal(raw, &k))
	require.NoError(t, json.Unmarshal(k.Whole.Fate, &byFate))
	require.NoError(t, json.Unmarshal(k.Whole.Site, &bySite))
	tables = map[string]knownTable{}
	for _, name := range []string{"T4.1_by_site_category_facility_Suffolk", "T5.1_received_in_Suffolk_by_Origin_WPA"} {
		var table knownTable
		require.NoError(t, json.Unmarshal(k.Tables[name], &table))
		require.NotEmpty(t, table.Computed)
		tables[name[:4]] = table
	}
	return tables, byFate, bySite
}

func q(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}
