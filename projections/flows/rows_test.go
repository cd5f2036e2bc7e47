package flows_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/projections/flows"
	"github.com/stofstrom/stofstrom/projections/sink"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	plant  = facility.ID("dk-p-1003412345")
	ledger = "ledger-dk-p-1003412345-202403"
)

var (
	factID = uuid.MustParse("5d6b1c52-3f0e-5a87-9f0a-7f2f7c0b9a11")
	before = uuid.MustParse("0b9f1a34-55cc-5b1e-8d0d-3a8f1be0c2d2")
	// current is the id of the event under test: what it is made of is not the projection's business.
	current = uuid.MustParse("61f77d6b-4a40-5bb4-85b6-e1a9e5743eba")
)

func fact(k flow.Kind) flow.Fact {
	yes := true
	f := flow.Fact{
		Kind: k, Facility: plant,
		Identity:     flow.Identity{Reporter: "Renovest I/S", Source: "vægt/nord", ExternalID: "bon-42"},
		When:         flow.When{Occurred: time.Date(2024, 3, 1, 9, 30, 0, 0, time.UTC)},
		Material:     flow.Material{Waste: "170503", Fraction: "food-waste", Hazardous: &yes, Form: "solid"},
		Mass:         flow.Mass{Net: 12_340_001, Method: flow.Weighed},
		SiteCategory: "Transfer",
		Tags:         map[string]string{"permit_type": "A11", "b": "2"},
	}
	if k == flow.StockCounted {
		return f
	}
	f.Operation, f.Fate, f.Consignment = "R12", "Recovery", "DK0000012345"
	f.Origin = flow.Place{Area: "dk-0101", Facility: "dk-p-1", Sector: "household"}
	switch k {
	case flow.Dispatched, flow.Exported:
		f.Target = flow.Place{Area: "se-0114", Facility: "se-9-x"}
	case flow.Rejected:
		f.Rejects = "bon-41"
	case flow.PeriodReported:
		f.Measure, f.Consignment = flow.MeasureReceived, ""
		f.When = flow.When{Period: flow.Period{From: "2024-01-01", To: "2025-01-01"}}
	case flow.Sorted, flow.Recycled:
		f.Outputs = []flow.Output{
			{Role: flow.RoleOutput, Material: flow.Material{Waste: "191204"}, Net: 7_000_000},
			{Role: flow.RoleResidue, Material: flow.Material{Waste: "191212"}, Net: 5_000_000},
			{Role: flow.RoleLoss, Net: 340_001},
		}
	case flow.Incinerated:
		f.EnergyKWh = 31_000
		f.Outputs = []flow.Output{
			{Role: flow.RoleBottomAsh, Material: flow.Material{Waste: "190112"}, Net: 2_000_000},
			{Role: flow.RoleFlyAsh, Material: flow.Material{Waste: "190113"}, Net: 200_000},
			{Role: flow.RoleMetals, Material: flow.Material{Waste: "190102"}, Net: 100_000},
		}
	case flow.Reused:
		f.Items, f.Displaces, f.Material = 17, "chairs", flow.Material{Product: "furniture"}
	case flow.Collected, flow.Received, flow.Landfilled, flow.StockCounted:
	}
	return f
}

type sample struct {
	name   string
	stream string
	event  event.Event
}

func samples() []sample {
	var all []sample
	for _, k := range flow.Kinds() {
		f, stream := fact(k), ledger
		if k == flow.PeriodReported {
			stream = "ledger-dk-p-1003412345-2024"
		}
		all = append(all, sample{"recorded-" + string(k), stream, event.Recorded{Revision: 1, Fact: f}})
	}
	late := fact(flow.Received)
	all = append(all, sample{"recorded-late", ledger, event.Recorded{
		Revision: 2, Reason: "back again", Fact: late, BookedIn: "202405",
		Warnings: []fault.Violation{{Rule: "late", Severity: fault.Warning}, {Rule: "hazard-disagrees", Severity: fault.Warning}},
	}})
	// 1 March in Copenhagen is still February in UTC: the ledger's month wins.
	night := fact(flow.Received)
	night.When.Occurred = time.Date(2024, 3, 1, 0, 30, 0, 0, time.FixedZone("", 3600)) // Copenhagen: the day before in UTC
	all = append(all, sample{"recorded-first-hour-of-the-month", ledger, event.Recorded{Revision: 1, Fact: night}})
	month := fact(flow.PeriodReported)
	month.When.Period = flow.Period{From: "2024-02-01", To: "2024-03-01"}
	all = append(all, sample{"recorded-total-of-a-month", "ledger-dk-p-1003412345-2024", event.Recorded{Revision: 1, Fact: month}})
	quarter := fact(flow.PeriodReported)
	quarter.Measure = flow.MeasureDispatched
	quarter.Target = flow.Place{Area: "se-0114"}
	quarter.When.Period = flow.Period{From: "2024-01-01", To: "2024-04-01"}
	all = append(all, sample{"recorded-total-of-a-quarter", "ledger-dk-p-1003412345-2024", event.Recorded{Revision: 1, Fact: quarter}})

	was, is := fact(flow.Sorted), fact(flow.Sorted)
	is.Mass.Net, is.Outputs = 12_000_000, is.Outputs[:2]
	all = append(all, sample{"corrected", ledger, event.Corrected{
		FactID: factID, Corrects: before, Revision: 2, Reason: "typed wrong", Was: was, Is: is,
		Warnings: []fault.Violation{{Rule: "late", Severity: fault.Warning}},
	}})
	moved := fact(flow.Received)
	moved.When.Occurred = time.Date(2024, 2, 28, 12, 0, 0, 0, time.UTC)
	all = append(all,
		sample{"moved", ledger, event.Moved{
			FactID: factID, Corrects: before, Revision: 2, Reason: "wrong month",
			Was: fact(flow.Received), Is: moved, To: "ledger-dk-p-1003412345-202402",
		}},
		sample{"arrived", "ledger-dk-p-1003412345-202402", event.Arrived{
			FactID: factID, Moved: before, From: ledger, Revision: 2, Fact: moved,
		}},
		sample{"cancelled", ledger, event.Cancelled{
			FactID: factID, Cancels: before, Revision: 2, Reason: "never came", Was: fact(flow.Received), BookedIn: "202405",
		}},
		sample{"ledger-closed", ledger, event.LedgerClosed{
			Facility: plant, Month: "202403", Digest: strings.Repeat("0123456789abcdef", 4), Events: 12,
		}},
		sample{"facility", "facility-gb-ea-jp3900bt", event.FacilityRegistered{Revision: 2, Source: "wdi", Facility: facility.Facility{
			ID: "gb-ea-jp3900bt", Name: "Stowmarket HWRC", Area: "gb-wpa-suffolk", Locality: "Mid Suffolk",
			Location: area.Point{Lat: 52.188761, Lon: 0.996}, TimeZone: "Europe/London", Permit: "JP3900BT", Operations: []string{"R3", "D15"},
		}}},
		sample{"facility-of-unknown-place", "facility-gb-ea-jp3900bt", event.FacilityRegistered{
			Revision: 1, Source: "wdi", Facility: facility.Facility{ID: "gb-ea-jp3900bt", TimeZone: "Europe/London"},
		}},
		sample{"area", "areas-dk", event.AreaRegistered{Revision: 1, Source: "built-in", Area: area.Area{
			ID: "dk-0101", Level: area.Municipality, Name: "København", Country: "DK", Code: "0101", Parent: "dk-1084", NUTS: "DK011",
			Centre: area.Point{Lat: 55.6568050384522, Lon: 12.6002769470215},
		}}},
	)
	return all
}

// record puts an event into a log of its own, at a position that differs from
// its prepare position.
func record(tb testing.TB, s sample) eventlog.Recorded {
	tb.Helper()
	p, err := event.Encode(event.WithID(s.event))
	require.NoError(tb, err)
	meta, err := event.EncodeMeta(event.Meta{Actor: "single-user", Import: "import-1", Line: 7})
	require.NoError(tb, err)
	return eventlog.Recorded{
		Stream: s.stream, Revision: 3, Position: eventlog.Position{Commit: 4711, Prepare: 4700},
		ID: current, Type: p.Type, Data: p.Data, Meta: meta, RecordedAt: time.Date(2024, 3, 2, 8, 0, 0, 250_000_000, time.UTC),
	}
}

func TestRowsOfEveryKindOfEvent(t *testing.T) {
	seen := map[string]bool{}
	archive := &txtar.Archive{Comment: []byte("The rows of each kind of event; columns that are empty or zero are left out.\nRewritten by: go test ./projections/flows -update\n")}
	for _, s := range samples() {
		rows := flows.NewRows()
		rec := record(t, s)
		require.NoError(t, rows.Add(rec), s.name)
		seen[rec.Type] = true
		var b strings.Builder
		for _, block := range append([]sink.Block{rows.Facts()}, rows.Registers()...) {
			require.NoError(t, block.Validate())
			write(&b, block)
		}
		archive.Files = append(archive.Files, txtar.File{Name: s.name, Data: []byte(b.String())})
	}
	for _, typ := range event.Types() {
		require.True(t, seen[typ], "no sample of event type %s", typ)
	}
	golden := filepath.Join("testdata", "rows.txtar")
	got := txtar.Format(archive)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, got, 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func write(b *strings.Builder, block sink.Block) {
	for i := range block.Rows {
		fmt.Fprintf(b, "%s row %d\n", block.Table, i)
		for _, c := range block.Columns {
			v := reflect.ValueOf(c.Values).Index(i)
			if v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 {
				continue
			}
			value := v.Interface()
			switch p := value.(type) {
			case *bool:
				value = *p
			case *float64:
				value = *p
			case time.Time:
				value = p.Format(time.RFC3339Nano)
			}
			fmt.Fprintf(b, "  %-18s %v\n", c.Name, value)
		}
	}
}

func TestAnEventIsTakenWholeOrNotAtAll(t *testing.T) {
	good := record(t, sample{"", ledger, event.Recorded{Revision: 1, Fact: fact(flow.Sorted)}})
	other := fact(flow.Received)
	other.Facility = "dk-p-2"
	old := fact(flow.PeriodReported)
	old.When.Period = flow.Period{From: "1969-01-01", To: "1970-01-01"}
	huge := fact(flow.Sorted)
	huge.Outputs[1].Net = 1_000_000_000_000_000_000
	for name, tc := range map[string]struct {
		rec  eventlog.Recorded
		want string
	}{
		"unknown type": {func() eventlog.Recorded { r := good; r.Type = "dk.stofstrom.flow.received.v9"; return r }(), "received.v9"},
		"not JSON":     {func() eventlog.Recorded { r := good; r.Data = []byte("{"); return r }(), ""},
		"bad metadata": {func() eventlog.Recorded { r := good; r.Meta = []byte("["); return r }(), ""},
		"no ledger":    {func() eventlog.Recorded { r := good; r.Stream = "ledger-x"; return r }(), `stream "ledger-x" is no ledger`},
		"wrong month": {
			func() eventlog.Recorded { r := good; r.Stream = "ledger-dk-p-1003412345-202405"; return r }(),
			"fact of 2024-03-01T09:30:00Z stands in ledger ledger-dk-p-1003412345-202405",
		},
		"wrong facility": {
			record(t, sample{"", ledger, event.Recorded{Revision: 1, Fact: other}}),
			`fact of facility "dk-p-2" stands in ledger ledger-dk-p-1003412345-202403`,
		},
		"before 1970": {
			record(t, sample{"", "ledger-dk-p-1003412345-1969", event.Recorded{Revision: 1, Fact: old}}),
			"days 1969-01-01 to 1970-01-01 are outside the 1970-01-01 to 2149-06-01 that a table holds",
		},
		"mass beyond the column": {
			record(t, sample{"", ledger, event.Recorded{Revision: 1, Fact: huge}}),
			"output 1: mass of 1000000000000000000 g is beyond the 999999999999999999 g that a table holds",
		},
		"facility elsewhere": {
			record(t, sample{"", "facility-b", event.FacilityRegistered{Revision: 1, Source: "s", Facility: facility.Facility{ID: "abc", TimeZone: "UTC"}}}),
			"facility abc stands in stream facility-b, want facility-abc",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rows := flows.NewRows()
			require.NoError(t, rows.Add(good))
			want := rows.Facts().Rows
			require.ErrorContains(t, rows.Add(tc.rec), tc.want)
			require.Equal(t, want, rows.Facts().Rows)
			require.Empty(t, rows.Registers())
			require.NoError(t, rows.Facts().Validate())
		})
	}
}

func TestResetKeepsNothingOfTheLastBatch(t *testing.T) {
	rows := flows.NewRows()
	for _, s := range samples() {
		require.NoError(t, rows.Add(record(t, s)))
	}
	rows.Reset()
	require.Empty(t, rows.Registers())
	require.Zero(t, rows.Facts().Rows)
	require.NoError(t, rows.Facts().Validate())
}

func BenchmarkRowsOfAReception(b *testing.B) {
	rec := record(b, sample{"", ledger, event.Recorded{Revision: 1, Fact: fact(flow.Received)}})
	rows := flows.NewRows()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%10_000 == 0 {
			rows.Reset()
		}
		if err := rows.Add(rec); err != nil {
			b.Fatal(err)
		}
	}
}

// Beside it, without decoding: what building rows itself costs.
func BenchmarkRowsOfADecodedReception(b *testing.B) {
	ev := event.WithID(event.Recorded{Revision: 1, Fact: fact(flow.Received)})
	rec := record(b, sample{"", ledger, ev})
	rows := flows.NewRows()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%10_000 == 0 {
			rows.Reset()
		}
		if err := rows.AddEvent(rec, ev, event.Meta{}); err != nil {
			b.Fatal(err)
		}
	}
}
