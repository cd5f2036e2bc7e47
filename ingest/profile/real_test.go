package profile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
)

// realFile is the bundled file of ops/sample; as a file, since ingest must not
// import ops.
func realFile(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../../ops/sample/wdi/wdi_2019_east_of_england_waste_received.csv.gz")
	require.NoError(t, err)
	return b
}

func wdi(t testing.TB, parameters map[string]string) *Bound {
	t.Helper()
	all, err := BuiltIn()
	require.NoError(t, err)
	bound, err := all["wdi"].Bind(parameters)
	require.NoError(t, err)
	return bound
}

func eachRow(t testing.TB, b *Bound, file []byte, do func(Row)) {
	t.Helper()
	d, err := b.Open(bytes.NewReader(file), Limits{})
	require.NoError(t, err)
	for {
		row, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		do(row)
	}
	require.NoError(t, d.Close())
}

func TestTheRealFileIsReadToTheGram(t *testing.T) {
	var rows, duplicates, formBlank int
	var total mass.Grams
	facilities := map[facility.ID]facility.Facility{}
	areas := map[area.ID]area.Area{}
	keys := map[Key]int{}
	operations := map[operation.Code]int{}
	eachRow(t, wdi(t, nil), realFile(t), func(row Row) {
		require.Empty(t, row.Rejected)
		rows++
		require.Equal(t, rows+1, row.Line)
		var err error
		total, err = total.Add(row.Fact.Mass.Net)
		require.NoError(t, err)
		for _, a := range row.Areas {
			require.NotContains(t, areas, a.ID+"@")
			if a.Parent != "" {
				require.Contains(t, areas, a.Parent, "a parent is named before its children")
			}
			areas[a.ID] = a
		}
		if row.Facility != nil {
			require.NotContains(t, facilities, row.Facility.ID)
			facilities[row.Facility.ID] = *row.Facility
		}
		require.Contains(t, facilities, row.Fact.Facility, "a facility is named before its facts")
		require.Contains(t, areas, row.Fact.Origin.Area)
		if keys[row.Key]++; keys[row.Key] > 1 {
			duplicates++
		}
		if row.Fact.Material.Form == "" {
			formBlank++
		}
		operations[row.Fact.Operation]++
		require.NotContains(t, row.Fact.Tags, "operator")
	})
	require.Equal(t, 29_626, rows)
	require.Equal(t, "33087651.241897", total.Tonnes())
	require.Len(t, facilities, 847)
	require.Equal(t, 12, duplicates)
	require.Equal(t, 923, formBlank)
	require.NotZero(t, operations[operation.NotStated])
	require.NotZero(t, operations[operation.OtherFate])
	require.Len(t, areas, 1+14+191+1, "country, regions, planning areas, and Multiple Districts, which is no origin")

	eye := facilities["gb-ea-bp3635la"]
	require.Equal(t, facility.Facility{
		ID: "gb-ea-bp3635la", Name: "Eye Power Station EPR/BP3635LA", Area: "gb-wpa-suffolk", Locality: "Mid Suffolk",
		Permit: "BP3635LA", TimeZone: "Europe/London", Location: eye.Location,
	}, eye)
	require.InDelta(t, 52.335, eye.Location.Lat, 0.005)
	require.InDelta(t, 1.132, eye.Location.Lon, 0.005)
	require.Equal(t, area.Area{ID: "gb-wpa-york-city-of", Level: area.Municipality, Name: "York, City of", Country: "GB", Parent: "gb-region-yorks-humber"}, areas["gb-wpa-york-city-of"])
}

func TestARowBecomesAPeriodTotal(t *testing.T) {
	var got Row
	eachRow(t, wdi(t, nil), realFile(t), func(row Row) {
		if row.Line == 3 {
			got = row
		}
	})
	require.Equal(t, flow.Fact{
		Kind:         flow.PeriodReported,
		Measure:      flow.MeasureReceived,
		Identity:     flow.Identity{Reporter: "environment-agency", Source: "wdi/east-of-england/2019"},
		Facility:     "gb-ea-bp3635la",
		When:         flow.When{Period: flow.Period{From: "2019-01-01", To: "2020-01-01"}},
		Material:     flow.Material{Waste: "191207", Form: "solid", Hazardous: new(bool)},
		Mass:         flow.Mass{Net: 14_700_000, Method: flow.Declared},
		Operation:    "D10",
		Origin:       flow.Place{Area: "gb-wpa-suffolk"},
		SiteCategory: "Incineration",
		Fate:         "Incineration",
		Tags: map[string]string{"recorded_origin": "Suffolk", "facility_type": "Animal By-Products Incinerator",
			"permit_type": "B04a : Animal By-Products Incinerator", "basic_waste_cat": "Hhold/Ind/Com"},
	}, got.Fact)
}

func BenchmarkDecodeRealFile(b *testing.B) {
	file, bound := realFile(b), wdi(b, nil)
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		eachRow(b, bound, file, func(Row) { rows++ })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
}
