package httpapi

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// Whatever refuses an event or a row counts it, by the rule, once.
func TestEveryRefusalIsCountedByItsRule(t *testing.T) {
	var counting *intake.Service
	w := newWorld(t, Config{}, func(d *Deps) {
		var ok bool
		counting, ok = d.Intake.(*intake.Service)
		require.True(t, ok)
	})
	w.plant()
	unit := strings.Replace(load("1", "5"), `"unit":"t"`, `"unit":"st"`, 1)
	waste := strings.Replace(load("2", "5"), "200301", "999999", 1)
	post := func(path, media, body string) {
		w.do(http.MethodPost, path, map[string]string{"Content-Type": media}, strings.NewReader(body))
	}
	post("/v1/events", single, unit)
	post("/v1/events", lines, unit+"\n"+waste+"\n")
	post("/v1/events", "application/cloudevents-batch+json", "["+waste+","+load("3", "five")+"]")
	post("/v1/events?mode=atomic", lines, waste+"\n"+load("4", "5")+"\n")
	post("/v1/events", single, load("5", "-5")) // by intake

	exchange, err := os.ReadFile("testdata/imports.txt")
	require.NoError(t, err)
	_, file, _ := strings.Cut(string(exchange), "\n\nFacility RPA")
	file, _, _ = strings.Cut("Facility RPA"+file, "<<<")
	job, err := w.imports.Create(strings.NewReader(file), imports.Request{Profile: "wdi", Actor: "test"})
	require.NoError(t, err)
	_, err = w.imports.Wait(t.Context(), job.ID)
	require.NoError(t, err)
	trial, err := w.imports.Create(strings.NewReader(file), imports.Request{Profile: "wdi", Actor: "test", DryRun: true})
	require.NoError(t, err)
	_, err = w.imports.Wait(t.Context(), trial.ID)
	require.NoError(t, err)

	// No sender makes labels, and a rule that is broken twice is one refusal.
	counting.Refused(&fault.Fault{Kind: fault.Invalid, Violations: []fault.Violation{{Rule: "my own"}, {Rule: "another"}}})

	require.NoError(t, testutil.GatherAndCompare(w.registry, strings.NewReader(`
# HELP stofstrom_intake_rejects_total Events and rows that were refused, by the rule they break, each rule once a refusal; those refused without a rule count by the kind of refusal.
# TYPE stofstrom_intake_rejects_total counter
stofstrom_intake_rejects_total{rule="mass-malformed"} 2
stofstrom_intake_rejects_total{rule="mass-not-positive"} 1
stofstrom_intake_rejects_total{rule="mass-unit-unknown"} 2
stofstrom_intake_rejects_total{rule="operation-unknown"} 1
stofstrom_intake_rejects_total{rule="uncatalogued"} 1
stofstrom_intake_rejects_total{rule="waste-code-unknown"} 3
`), "stofstrom_intake_rejects_total"))
}

// Half a location is none, and never zero degrees.
func TestAHalfGivenLocationIsRefused(t *testing.T) {
	w := newWorld(t, Config{}, nil)
	media := map[string]string{"Content-Type": "application/json"}
	for given, want := range map[string][2]string{
		`{"lat":55.6}`:         {"location-incomplete", "lon"},
		`{"lon":12.5}`:         {"location-incomplete", "lat"},
		`{}`:                   {"location-incomplete", "lat"},
		`{"lat":null,"lon":1}`: {"location-incomplete", "lat"},
		`{"lat":0,"lon":0}`:    {"location-zero", ""},
	} {
		for path, c := range map[string][3]string{
			"/v1/facilities/dk-p-1": {http.MethodPut, `{"name":"A","area":"dk-0101","time_zone":"Europe/Copenhagen","location":` + given + `}`, "location"},
			"/v1/areas":             {http.MethodPost, `{"areas":[{"id":"dk-9999","level":"country","name":"A","country":"DK","centre":` + given + `}]}`, "areas[0].centre"},
		} {
			status, _, body := w.do(c[0], path, media, strings.NewReader(c[1]))
			require.Equal(t, http.StatusUnprocessableEntity, status, body)
			field := strings.TrimSuffix(c[2]+"."+want[1], ".")
			require.Contains(t, body, `"rule":"`+want[0]+`","field":"`+field+`"`)
		}
	}
	// Zero degrees one way is a place.
	for _, given := range []string{`{"lat":51.5,"lon":0}`, `{"lat":0,"lon":12.5}`} {
		status, _, body := w.do(http.MethodPut, "/v1/facilities/dk-p-1", media,
			strings.NewReader(`{"name":"A","area":"dk-0101","time_zone":"Europe/Copenhagen","location":`+given+`}`))
		require.Less(t, status, 300, body)
		require.Contains(t, body, `"location":`+given)
	}
}
