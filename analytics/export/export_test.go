package export

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/analytics"
)

func answer() analytics.FlowAnswer {
	v := func(s string) analytics.Value { return analytics.Value{Text: s, Stated: true} }
	return analytics.FlowAnswer{
		Measure: "received", From: "2019-01-01", To: "2020-01-01",
		Columns: []string{"month", "period", "facility_area", "facility_area_id"},
		Rows: []analytics.FlowRow{
			{Values: []analytics.Value{{}, v("2019"), v(`Åre, "north"`), v("se-2321")}, Amount: analytics.Amount{Mass: 2331864132910, Events: 1234}},
			{Values: []analytics.Value{v("2019-03"), {}, {}, {}}, Amount: analytics.Amount{Mass: -1, Events: -1}},
		},
		Total:    analytics.Amount{Mass: 2331864132909, Events: 1233},
		Position: 77, AsOf: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Rules: []string{"a/v1", "b/v2"},
	}
}

func TestJSONHasTheShapeTheIssueNames(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteJSON(&b, answer()))
	require.Equal(t, `{"measure":"received","from":"2019-01-01","to":"2020-01-01","rows":[`+
		`{"month":null,"period":"2019","facility_area":"Åre, \"north\"","facility_area_id":"se-2321","mass_t":"2331864.132910","events":1234},`+
		`{"month":"2019-03","period":null,"facility_area":null,"facility_area_id":null,"mass_t":"-0.000001","events":-1}],`+
		`"total":{"mass_t":"2331864.132909","events":1233},"position":77,"as_of":"2026-01-02T03:04:05.006Z","rules":["a/v1","b/v2"],`+
		`"units":{"mass_t":"tonne (1000 kg), exact to the gram","events":"facts that count, cancelled ones taken out"}}`+"\n", b.String())
}

func TestJSONReadsBackTheSame(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteJSON(&b, answer()))
	back, err := ReadJSON(&b)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(answer(), back))

	empty := analytics.FlowAnswer{Measure: "reused", Rows: []analytics.FlowRow{}, Rules: []string{}}
	b.Reset()
	require.NoError(t, WriteJSON(&b, empty))
	require.Contains(t, b.String(), `"rows":[],"total":{"mass_t":"0.000000","events":0},"position":0,"as_of":null`)
	back, err = ReadJSON(&b)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(empty, back))
}

func TestReadJSONRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"another object":         `{"title":"Bad Request"}`,
		"a row that is none":     `{"measure":"received","rows":[1],"total":{"mass_t":"1.000000","events":1},"position":1}`,
		"rows of other columns":  `{"measure":"received","rows":[{"year":"1","mass_t":"1.000000","events":1},{"kind":"1","mass_t":"1.000000","events":1}],"total":{"mass_t":"1.000000","events":1},"position":1}`,
		"a mass that is a float": `{"measure":"received","rows":[],"total":{"mass_t":1.5,"events":1},"position":1}`,
		"a mass finer than gram": `{"measure":"received","rows":[],"total":{"mass_t":"1.0000001","events":1},"position":1}`,
		"half an object":         `{"measure":"received","rows":[`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadJSON(strings.NewReader(text))
			require.Error(t, err)
		})
	}
}

func TestCSVIsOneLineARow(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteCSV(&b, answer()))
	records, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"month", "period", "facility_area", "facility_area_id", "mass_t", "events"},
		{"", "2019", `Åre, "north"`, "se-2321", "2331864.132910", "1234"},
		{"2019-03", "", "", "", "-0.000001", "-1"},
	}, records)
}

func TestTableShowsATotalOverAllRows(t *testing.T) {
	a := answer()
	a.Columns = a.Columns[2:3]
	for i := range a.Rows {
		a.Rows[i].Values = a.Rows[i].Values[2:3]
	}
	a.Rows[0].Values[0].Text = "Å\x1b[31mre"
	var b bytes.Buffer
	require.NoError(t, WriteTable(&b, a, 1))
	require.Equal(t, `facility_area            tonnes  events
─────────────  ────────────────  ──────
Å�[31mre       2,331,864.132910   1,234
─────────────  ────────────────  ──────
total          2,331,864.132909   1,233
… and 1 more rows, counted in the total
measure received from 2019-01-01 before 2020-01-01, position 77
`, b.String())
}

func TestTableShowsIdsOnlyWhereNamesAreShared(t *testing.T) {
	v := func(text string) analytics.Value { return analytics.Value{Text: text, Stated: true} }
	a := analytics.FlowAnswer{Columns: []string{"origin_area", "origin_area_id"}, Rows: []analytics.FlowRow{
		{Values: []analytics.Value{v("Vejle"), v("dk-0630")}}, {Values: []analytics.Value{v("Ribe"), v("dk-0561")}},
	}}
	var b bytes.Buffer
	require.NoError(t, WriteTable(&b, a, 0))
	require.NotContains(t, b.String(), "dk-0630")
	require.Contains(t, b.String(), "Ribe")

	a.Rows[1].Values[0] = v("Vejle")
	b.Reset()
	require.NoError(t, WriteTable(&b, a, 0))
	require.Contains(t, b.String(), "dk-0630")
	require.Contains(t, b.String(), "dk-0561")
}

func TestNetflowTable(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteNetflow(&b, []analytics.AreaBalance{
		{Area: analytics.Value{Text: "Essex", Stated: true}, In: analytics.Amount{Mass: 1_500_000}, Net: analytics.Amount{Mass: 1_500_000}},
		{Out: analytics.Amount{Mass: 1_500_000}, Net: analytics.Amount{Mass: -1_500_000}},
		{},
	}, 2))
	require.Equal(t, `area       in t     out t  internal t  net inflow t
─────  ────────  ────────  ──────────  ────────────
Essex  1.500000  0.000000    0.000000      1.500000
–      0.000000  1.500000    0.000000     -1.500000
… and 1 more areas
`, b.String())
}
