package register_test

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/eventlog/memory"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/register"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	person = register.Source{Kind: register.Curated, Name: "key-1"}
	file   = register.Source{Kind: register.File, Name: "wdi/2019"}
	other  = register.Source{Kind: register.File, Name: "wdi/2020"}
	actor  = event.Meta{Actor: "test"}
)

// slow delays every append, as a disk does, and counts them.
type slow struct {
	*memory.Log
	delay   time.Duration
	appends atomic.Int64
	now     atomic.Int64 // appends under way
	peak    atomic.Int64 // the most of them
	before  func(stream string) error
}

func (s *slow) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if s.before != nil {
		if err := s.before(stream); err != nil {
			return eventlog.Appended{}, err
		}
	}
	now := s.now.Add(1)
	defer s.now.Add(-1)
	for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); peak = s.peak.Load() {
	}
	if s.delay > 0 {
		<-time.After(s.delay)
	}
	s.appends.Add(1)
	return s.Log.Append(ctx, stream, expected, events)
}

func newRegister(t testing.TB) (*register.Register, *slow) {
	t.Helper()
	log := &slow{Log: memory.New(memory.Config{})}
	r := register.New(register.Config{}, register.Deps{Log: log, Append: log})
	require.NoError(t, r.RegisterBuiltIn(t.Context(), []area.Area{
		{ID: "gb", Level: area.Country, Name: "United Kingdom", Country: "GB"},
		{ID: "gb-region-east", Level: area.Region, Name: "East of England", Country: "GB", Parent: "gb"},
		{ID: "gb-wpa-suffolk", Level: area.Municipality, Name: "Suffolk", Country: "GB", Parent: "gb-region-east"},
	}))
	log.appends.Store(0)
	return r, log
}

func plant(n int) facility.Facility {
	return facility.Facility{ID: facility.ID(fmt.Sprintf("gb-ea-jp%04dbt", n)), Name: "Plant", Area: "gb-wpa-suffolk", TimeZone: "Europe/London"}
}

func put(t *testing.T, r *register.Register, f facility.Facility, s register.Source) register.Status {
	t.Helper()
	o := r.PutFacility(t.Context(), f, s, actor)
	require.NoError(t, o.Err)
	return o.Status
}

func TestSameEntryRecordsNothing(t *testing.T) {
	r, log := newRegister(t)
	require.Equal(t, register.Registered, put(t, r, plant(1), person))
	require.Equal(t, register.Unchanged, put(t, r, plant(1), person))
	require.Equal(t, register.Unchanged, put(t, r, plant(1), file))
	require.EqualValues(t, 1, log.appends.Load())

	changed := plant(1)
	changed.Operations = []string{"R3", "R12"}
	require.Equal(t, register.Changed, put(t, r, changed, person))
	e, ok := r.Facility(changed.ID)
	require.True(t, ok)
	require.Equal(t, changed, e.Facility)
	require.EqualValues(t, 2, e.Revision)
	require.Equal(t, "Europe/London", e.Location.String())
}

func TestFilesFillGapsAndNeverOverwrite(t *testing.T) {
	r, _ := newRegister(t)
	fromFile := plant(1)
	require.Equal(t, register.Registered, put(t, r, fromFile, file))

	second := fromFile
	second.Name, second.Permit = "Another name", "JP0001BT"
	require.Equal(t, register.Changed, put(t, r, second, other))
	e, _ := r.Facility(fromFile.ID)
	require.Equal(t, "Plant", e.Facility.Name, "what a file said stays")
	require.Equal(t, "JP0001BT", e.Facility.Permit, "what no file said is filled")
	require.Equal(t, register.Kept, put(t, r, second, other), "again: nothing left to fill")

	curated := second
	curated.Name, curated.Permit = "The right name", ""
	require.Equal(t, register.Changed, put(t, r, curated, person))
	require.Equal(t, register.Kept, put(t, r, second, file))
	e, _ = r.Facility(fromFile.ID)
	require.Equal(t, curated, e.Facility, "a curated entry is not even filled")
	require.Equal(t, person, e.Source)
}

func TestSourcesReadBack(t *testing.T) {
	for _, s := range []register.Source{person, file, {Kind: register.BuiltIn}, {Kind: register.Curated}} {
		require.Equal(t, s, register.ParseSource(s.String()))
	}
	require.Equal(t, register.Curated, register.ParseSource("from a later program").Kind, "nothing overwrites what is not known")
}

func TestErrViolationsAreNamed(t *testing.T) {
	r, log := newRegister(t)
	o := r.PutFacility(t.Context(), facility.Facility{ID: "Bad Id", Name: "x\n", Area: "gb-wpa-nowhere", TimeZone: "Local",
		Location: area.Point{Lat: 91}, Operations: []string{"R99"}}, person, actor)
	var f *fault.Fault
	require.ErrorAs(t, o.Err, &f)
	require.Equal(t, fault.Invalid, f.Kind)
	fields := map[string]string{}
	for _, v := range f.Violations {
		fields[v.Field] = v.Rule
	}
	require.Equal(t, map[string]string{"id": "facility-id", "name": "facility-name", "area": "facility-area",
		"location": "facility-location", "time_zone": "facility-time-zone", "operations": "facility-operations"}, fields)

	a := r.PutAreas(t.Context(), []area.Area{{ID: "x-1", Level: area.Region, Name: "X", Country: "GB", Parent: "gb-wpa-suffolk"}}, person, actor)[0]
	require.ErrorAs(t, a.Err, &f)
	require.Len(t, f.Violations, 2)
	require.Equal(t, "area-id", f.Violations[0].Rule)
	require.Equal(t, "area-parent", f.Violations[1].Rule, "a municipality is not above a region")
	require.Zero(t, log.appends.Load())
}

func TestErrNamesThatLookPersonalAreNotRegistered(t *testing.T) {
	r, log := newRegister(t)
	sound := facility.Facility{ID: "dk-p-1003412345", Name: "Nordværk", Area: "gb-wpa-suffolk", TimeZone: "Europe/Copenhagen"}
	for text, field := range map[string]string{"AB 12 345": "name", "mette@example.dk": "name", "tlf. 12345678": "locality", "hos 010190-1234": "locality"} {
		bad := sound
		if field == "name" {
			bad.Name = text
		} else {
			bad.Locality = text
		}
		var f *fault.Fault
		require.ErrorAs(t, r.PutFacility(t.Context(), bad, file, actor).Err, &f, text)
		require.Len(t, f.Violations, 1)
		require.Equal(t, flow.RulePersonalData, f.Violations[0].Rule)
		require.Equal(t, field, f.Violations[0].Field)
	}
	var f *fault.Fault
	require.ErrorAs(t, r.PutAreas(t.Context(), []area.Area{{ID: "no", Level: area.Country, Name: "ring 12 34 56 78", Country: "NO"}}, person, actor)[0].Err, &f)
	require.Equal(t, flow.RulePersonalData, f.Violations[0].Rule)
	require.Zero(t, log.appends.Load())
}

// What a publisher calls its sites and districts must pass: every name of the
// bundled file is registered.
func TestNamesOfRealSitesAreRegistered(t *testing.T) {
	packed, err := os.Open("../../ops/sample/wdi/wdi_2019_east_of_england_waste_received.csv.gz")
	require.NoError(t, err)
	defer func() { require.NoError(t, packed.Close()) }()
	plain, err := gzip.NewReader(packed)
	require.NoError(t, err)
	rows, err := csv.NewReader(plain).ReadAll()
	require.NoError(t, err)
	permit, name, district := slices.Index(rows[0], "Permit"), slices.Index(rows[0], "Site Name"), slices.Index(rows[0], "Facility District")

	r, _ := newRegister(t)
	byID := map[facility.ID]facility.Facility{}
	for _, row := range rows[1:] {
		id := facility.ID("gb-ea-" + strings.ToLower(row[permit]))
		byID[id] = facility.Facility{ID: id, Name: row[name], Locality: row[district], Area: "gb-wpa-suffolk", TimeZone: "Europe/London"}
	}
	require.Len(t, byID, 847)
	for _, o := range r.PutFacilities(t.Context(), slices.Collect(maps.Values(byID)), file, actor) {
		require.NoError(t, o.Err)
		require.Equal(t, register.Registered, o.Status)
	}
}

func TestAreasOfOneCallShareAnAppend(t *testing.T) {
	r, log := newRegister(t)
	areas := []area.Area{
		{ID: "no-0301", Level: area.Municipality, Name: "Oslo", Country: "NO", Code: "0301", Parent: "no-03"}, // before its parents
		{ID: "no-03", Level: area.Region, Name: "Oslo", Country: "NO", Parent: "no"},
		{ID: "no", Level: area.Country, Name: "Norge", Country: "NO"},
		{ID: "fi", Level: area.Country, Name: "Suomi", Country: "FI"},
		{ID: "no-lost", Level: area.Region, Name: "Lost", Country: "NO", Parent: "no-bad"},
		{ID: "no-bad", Level: "village", Name: "Bad", Country: "NO", Parent: "no"},
	}
	outcomes := r.PutAreas(t.Context(), areas, file, actor)
	for i := range 4 {
		require.NoError(t, outcomes[i].Err)
		require.Equal(t, register.Registered, outcomes[i].Status)
	}
	require.Equal(t, fault.Invalid, fault.KindOf(outcomes[4].Err), "its parent is refused")
	require.Equal(t, fault.Invalid, fault.KindOf(outcomes[5].Err))
	require.EqualValues(t, 2, log.appends.Load(), "one a country")
	for _, o := range r.PutAreas(t.Context(), areas[:4], file, actor) {
		require.Equal(t, register.Unchanged, o.Status)
	}
	require.EqualValues(t, 2, log.appends.Load())
	require.True(t, r.KnownArea("no-0301"))
	require.False(t, r.KnownArea("no-lost"))
}

func TestBuiltInAreasAreRegisteredOnce(t *testing.T) {
	log := &slow{Log: memory.New(memory.Config{})}
	for start := range 3 {
		r := register.New(register.Config{}, register.Deps{Log: log, Append: log})
		replay(t, r, log)
		require.NoError(t, r.RegisterBuiltIn(t.Context(), area.BuiltIn()))
		require.Len(t, r.Areas(), len(area.BuiltIn()), "start %d", start)
		appends := log.appends.Swap(0)
		require.Equal(t, start == 0, appends > 0, "start %d: %d appends", start, appends)
	}
	// A file may not rename what is built in; a person may.
	r := register.New(register.Config{}, register.Deps{Log: log, Append: log})
	replay(t, r, log)
	a, ok := r.Area("dk-0101")
	require.True(t, ok)
	renamed := a.Area
	renamed.Name = "Copenhagen"
	require.Equal(t, register.Kept, r.PutAreas(t.Context(), []area.Area{renamed}, file, actor)[0].Status)
	require.Equal(t, register.Changed, r.PutAreas(t.Context(), []area.Area{renamed}, person, actor)[0].Status)
	require.NoError(t, r.RegisterBuiltIn(t.Context(), area.BuiltIn()))
	a, _ = r.Area("dk-0101")
	require.Equal(t, "Copenhagen", a.Area.Name, "the next start leaves it alone")
}

// replay folds the whole log, as following it does.
func replay(t testing.TB, r *register.Register, log eventlog.Reader) {
	t.Helper()
	for rec, err := range log.ReadAll(context.Background(), eventlog.Position{}, eventlog.Filter{}) {
		require.NoError(t, err)
		ev, err := event.Decode(rec.Type, rec.Data)
		require.NoError(t, err)
		r.Apply(rec, ev)
	}
}

func TestAFoldOfTheLogIsTheSameRegister(t *testing.T) {
	r, log := newRegister(t)
	put(t, r, plant(1), person)
	second := plant(1)
	second.Name = "Renamed"
	put(t, r, second, person)
	put(t, r, plant(2), file)
	again := register.New(register.Config{}, register.Deps{Log: log, Append: log})
	replay(t, again, log)
	replay(t, again, log) // following twice changes nothing
	require.Len(t, again.Facilities(), 2)
	for i, e := range again.Facilities() {
		was := r.Facilities()[i]
		require.Equal(t, was.Facility, e.Facility)
		require.Equal(t, was.Source, e.Source)
		require.Equal(t, was.Revision, e.Revision)
		require.Equal(t, was.EventID, e.EventID)
		require.False(t, e.RecordedAt.IsZero())
	}
	require.Len(t, again.Areas(), 3)
	require.Equal(t, register.Unchanged, put(t, again, second, person), "and it goes on from there")
}

func TestManyPutsOfOneEntryAreDecidedOneAfterTheOther(t *testing.T) {
	_, log := newRegister(t)
	// Two instances that do not hear of each other.
	instances := []*register.Register{}
	for range 2 {
		r := register.New(register.Config{MaxAttempts: 1000}, register.Deps{Log: log, Append: log})
		replay(t, r, log)
		instances = append(instances, r)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			f := plant(1)
			f.Name = fmt.Sprintf("Name %d", i)
			if o := instances[i%2].PutFacility(context.Background(), f, person, actor); o.Err != nil {
				t.Errorf("put %d: %v", i, o.Err)
			}
		})
	}
	wg.Wait()
	names := map[string]bool{}
	for rec, err := range log.ReadStream(t.Context(), "facility-gb-ea-jp0001bt", 0) {
		require.NoError(t, err)
		ev, err := event.Decode(rec.Type, rec.Data)
		require.NoError(t, err)
		e, ok := ev.(event.FacilityRegistered)
		require.True(t, ok)
		require.EqualValues(t, rec.Revision+1, e.Revision)
		names[e.Facility.Name] = true
	}
	require.Len(t, names, 40, "what was acknowledged is in the log")
}

func TestErrorsOfTheLogReachTheCaller(t *testing.T) {
	r, log := newRegister(t)
	for _, c := range []struct {
		cause error
		kind  fault.Kind
	}{{eventlog.ErrUnavailable, fault.Unavailable}, {eventlog.ErrNoRoom, fault.NoRoom}, {errors.New("odd"), fault.Internal}} {
		log.before = func(string) error { return fmt.Errorf("no: %w", c.cause) }
		o := r.PutFacility(t.Context(), plant(9), person, actor)
		require.Equal(t, c.kind, fault.KindOf(o.Err))
		require.ErrorIs(t, o.Err, c.cause)
		require.False(t, r.KnownFacility(plant(9).ID))
	}
	log.before = func(stream string) error {
		return &eventlog.WrongRevision{Stream: stream, Expected: eventlog.NoStream(), Actual: eventlog.Exactly(4)}
	}
	o := r.PutFacility(t.Context(), plant(9), person, actor)
	require.Equal(t, fault.Conflict, fault.KindOf(o.Err), "bounded: %v", o.Err)
}

func TestAWholeFileIsRegisteredConcurrently(t *testing.T) {
	r, log := newRegister(t)
	log.delay = 5 * time.Millisecond // a slow fsync each
	facilities := make([]facility.Facility, 847)
	for i := range facilities {
		facilities[i] = plant(i)
	}
	areas := make([]area.Area, 600)
	for i := range areas {
		areas[i] = area.Area{ID: area.ID(fmt.Sprintf("gb-wpa-%d", i)), Level: area.Municipality, Name: fmt.Sprint("Area ", i), Country: "GB", Parent: "gb-region-east"}
	}
	start := time.Now()
	for _, o := range r.PutAreas(t.Context(), areas, file, actor) {
		require.NoError(t, o.Err)
	}
	require.LessOrEqual(t, log.appends.Load(), int64(2), "areas of a country share appends")
	for _, o := range r.PutFacilities(t.Context(), facilities, file, actor) {
		require.NoError(t, o.Err)
	}
	// One after the other they would take more than four seconds. How long it
	// takes depends on the machine; that they do not wait for each other does not.
	t.Logf("600 areas and 847 facilities in %v", time.Since(start))
	require.EqualValues(t, 847+2, log.appends.Load())
	require.Greater(t, log.peak.Load(), int64(32), "appends under way at a time")
}

func TestCancelledCallersDoNotWait(t *testing.T) {
	r, log := newRegister(t)
	entered, gate := make(chan struct{}), make(chan struct{})
	log.before = func(string) error { close(entered); <-gate; return nil }
	done := make(chan register.Outcome, 1)
	go func() { done <- r.PutFacility(context.Background(), plant(1), person, actor) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	changed := plant(1)
	changed.Name = "Other"
	require.ErrorIs(t, r.PutFacility(ctx, changed, person, actor).Err, context.Canceled)
	close(gate)
	require.NoError(t, (<-done).Err)
}
