//go:build linux

package verify_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/clickhousetest"
	"github.com/stofstrom/stofstrom/projections/clickhouse"
	"github.com/stofstrom/stofstrom/projections/flows"
	"github.com/stofstrom/stofstrom/projections/sink"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

const plant = "dk-p-1"

// world is a log and the tables that the projections made of it.
type world struct {
	log       *memory.Log
	conn      driver.Conn
	positions []eventlog.Position // of the followed events, in order
	committed eventlog.Position
}

// history is every kind of event, single facts and period totals, corrections
// across places and months, evenings that are another day in UTC, an event that
// cannot be read, and events of streams that nobody follows.
func history(t *testing.T) *memory.Log {
	t.Helper()
	log := memory.New(memory.Config{})
	put := func(stream string, e event.Event) event.Event {
		e = event.WithID(e)
		p, err := event.Encode(e)
		require.NoError(t, err)
		p.Meta, err = event.EncodeMeta(event.Meta{CorrelationID: "c", Actor: "single-user", Import: "import-1", Line: 3})
		require.NoError(t, err)
		_, err = log.Append(t.Context(), stream, eventlog.Any(), []eventlog.Proposed{p})
		require.NoError(t, err)
		return e
	}
	for _, a := range []area.Area{
		{ID: "dk", Level: area.Country, Name: "Danmark", Country: "DK"},
		{ID: "dk-1085", Level: area.Region, Name: "Region Sjælland", Country: "DK", Parent: "dk", NUTS: "DK02"},
		{ID: "dk-0265", Level: area.Municipality, Name: "Roskilde", Country: "DK", Code: "0265", Parent: "dk-1085", Centre: area.Point{Lat: 55.6415, Lon: 12.0803}},
	} {
		put("areas-dk", event.AreaRegistered{Revision: 1, Source: "built-in", Area: a})
	}
	for i, name := range []string{"Genbrug", "Genbrugsplads"} {
		put("facility-"+plant, event.FacilityRegistered{Revision: uint32(i + 1), Source: "test", Facility: facility.Facility{ //nolint:gosec // small
			ID: plant, Name: name, Area: "dk-0265", Locality: "Roskilde", Location: area.Point{Lat: 55.64 + float64(i)/3, Lon: 0.000001}, TimeZone: "Europe/Copenhagen", Operations: []string{"R3", "R12"},
		}})
	}
	yes := true
	n := 0
	fact := func(k flow.Kind) flow.Fact {
		n++
		f := flow.Fact{
			Kind: k, Facility: plant, Identity: flow.Identity{Reporter: "r", Source: "weighbridge", ExternalID: fmt.Sprint(n)},
			When:     flow.When{Occurred: time.Date(2024, 2, 28, 22, 30, 0, 123_000_000, time.UTC).AddDate(0, 0, n%2)},
			Material: flow.Material{Waste: "170503", Fraction: "x", Hazardous: &yes, Form: "solid"}, Mass: flow.Mass{Net: 12_340_001, Gross: 24_340_001, Tare: 12_000_000, Method: flow.Weighed},
			SiteCategory: "Transfer", Tags: map[string]string{"b": "2", "a": "1:x"},
		}
		if k == flow.StockCounted {
			return f
		}
		f.Operation, f.Fate, f.Origin = "R12", "Recovery", flow.Place{Area: "dk-0265", Sector: "household"}
		switch k {
		case flow.Dispatched, flow.Rejected, flow.Reused, flow.Exported, flow.PeriodReported:
			f.Target = flow.Place{Area: "dk-1085", Facility: "dk-p-2"}
		default:
		}
		switch k {
		case flow.Sorted, flow.Reused, flow.Recycled, flow.Incinerated:
			f.Outputs = []flow.Output{{Role: flow.RoleOutput, Material: flow.Material{Waste: "191204"}, Net: 7}, {Role: flow.RoleLoss, Net: 3}}
		default:
		}
		switch k {
		case flow.Rejected:
			f.Rejects, f.Target = "41", flow.Place{}
		case flow.Reused:
			f.Items, f.Displaces = 17, "chairs"
		case flow.Incinerated:
			f.EnergyKWh = 9_007_199_254_740_993
		case flow.PeriodReported:
			f.Measure, f.When = flow.MeasureReceived, flow.When{Period: flow.Period{From: "2024-01-01", To: "2025-01-01"}}
		default:
			f.Consignment = "DK1"
		}
		return f
	}
	const month = "ledger-" + plant + "-202402"
	warned := []fault.Violation{{Rule: "late", Severity: fault.Warning}, {Rule: "hazard-disagrees", Severity: fault.Warning}}
	for range 2 {
		for _, k := range flow.Kinds() {
			stream := month
			if k == flow.PeriodReported {
				stream = "ledger-" + plant + "-2024"
			}
			put(stream, event.Recorded{Revision: 1, Fact: fact(k), Warnings: warned})
		}
	}
	for _, p := range []flow.Period{{From: "2024-02-01", To: "2024-03-01"}, {From: "2024-01-01", To: "2024-04-01"}, {From: "2024-01-15", To: "2026-01-01"}} {
		f := fact(flow.PeriodReported)
		f.When.Period = p
		put("ledger-"+plant+"-2024", event.Recorded{Revision: 1, Fact: f, BookedIn: "202405"})
	}
	east, west := time.FixedZone("", 3600), time.FixedZone("", -3*3600)
	for _, at := range []time.Time{time.Date(2024, 2, 1, 0, 30, 0, 0, east), time.Date(2024, 2, 29, 21, 10, 0, 0, west), time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.UTC)} {
		f := fact(flow.Received)
		f.When.Occurred, f.Material.Hazardous, f.Tags = at, nil, nil
		put(month, event.Recorded{Revision: 2, Reason: "came back", Fact: f})
	}
	was := put(month, event.Recorded{Revision: 1, Fact: fact(flow.Sorted)}).(event.Recorded) //nolint:forcetypeassert // what was put
	is := was.Fact
	is.Mass.Net = 11_340_001
	corrected := put(month, event.Corrected{FactID: was.ID, Corrects: was.ID, Revision: 2, Reason: "typed wrong", Was: was.Fact, Is: is, BookedIn: "202403", Warnings: warned})
	moved := is
	moved.When.Occurred = time.Date(2024, 3, 5, 8, 0, 0, 0, time.UTC)
	m := put(month, event.Moved{FactID: was.ID, Corrects: corrected.EventID(), Revision: 3, Reason: "wrong day", Was: is, Is: moved, To: "ledger-" + plant + "-202403"})
	put("ledger-"+plant+"-202403", event.Arrived{FactID: was.ID, Moved: m.EventID(), From: month, Revision: 3, Fact: moved})
	put("ledger-"+plant+"-202403", event.Cancelled{FactID: was.ID, Cancels: m.EventID(), Revision: 4, Reason: "never came", Was: moved})
	put(month, event.LedgerClosed{Facility: plant, Month: "202402", Digest: fmt.Sprintf("%064d", 1), Events: 1})
	broken := eventlog.Proposed{ID: uuid.New(), Type: "dk.stofstrom.flow.received.v1", Data: []byte(`{"mass":"much"}`)}
	unknown := eventlog.Proposed{ID: uuid.New(), Type: "dk.stofstrom.flow.dreamt.v9", Data: []byte(`{}`), Meta: []byte(`{}`)}
	_, err := log.Append(t.Context(), month, eventlog.Any(), []eventlog.Proposed{broken, unknown})
	require.NoError(t, err)
	_, err = log.Append(t.Context(), "projector-flows", eventlog.Any(), []eventlog.Proposed{{ID: uuid.New(), Type: "epoch", Data: []byte(`{}`)}})
	require.NoError(t, err)
	for range 6 {
		put(month, event.Recorded{Revision: 1, Fact: fact(flow.Recycled)})
	}
	return log
}

// tables gives each test a database of its own on one engine.
type tables struct {
	dsn  string
	next atomic.Int64
}

func (e *tables) database(t testing.TB) *clickhouse.DB {
	t.Helper()
	dsn, err := url.Parse(e.dsn)
	require.NoError(t, err)
	dsn.Path = fmt.Sprintf("/verify_%d", e.next.Add(1))
	db, err := clickhouse.Open(t.Context(), clickhouse.Options{DSN: dsn.String()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Migrate(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return db
}

// project puts the log into tables, a few events a flush, as the projector
// does; the last keep events are left for later.
func (e *tables) project(t testing.TB, log *memory.Log, keep int) *world {
	t.Helper()
	return e.projectBy(t, log, keep, 18, clickhouse.SinkConfig{SegmentEvents: 9, FanIn: 2})
}

func (e *tables) projectBy(t testing.TB, log *memory.Log, keep, events int, c clickhouse.SinkConfig) *world {
	t.Helper()
	db := e.database(t)
	w := &world{log: log, conn: db.Conn()}
	var all []eventlog.Recorded
	for rec, err := range log.ReadAll(t.Context(), eventlog.Position{}, flows.Filter()) {
		require.NoError(t, err)
		all = append(all, rec)
		w.positions = append(w.positions, rec.Position)
	}
	s := clickhouse.NewSink(db, c)
	var at sink.Position
	for rest := all[:len(all)-keep]; len(rest) > 0; {
		flush := rest[:min(len(rest), events)]
		rest = rest[len(flush):]
		rows := flows.NewRows()
		var wrong []sink.Quarantined
		for _, rec := range flush {
			if err := rows.Add(rec); err != nil {
				wrong = append(wrong, sink.Quarantined{Event: rec, Err: err.Error(), At: time.Now()})
			}
		}
		for _, block := range append(rows.Registers(), rows.Facts(), sink.QuarantineBlock(flows.Name, wrong)) {
			if block.Rows > 0 {
				require.NoError(t, s.Insert(t.Context(), block))
			}
		}
		_, err := s.Rollup(t.Context(), at.Log.Commit)
		require.NoError(t, err)
		last := flush[len(flush)-1]
		at = sink.Position{
			Log: last.Position, RecordedAt: last.RecordedAt, Events: at.Events + uint64(len(flush)),
			Facts: at.Facts + uint64(rows.Facts().Rows), Epoch: 1, FlushedAt: time.Now(), //nolint:gosec // a count
		}
		require.NoError(t, s.Move(t.Context(), flows.Name, at))
	}
	w.committed = at.Log
	return w
}

func (w *world) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	require.NoError(t, w.conn.Exec(t.Context(), fmt.Sprintf(statement, args...)), statement)
}
