package analyticstest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/analytics/queries"
)

// Twin answers the statements of package queries from a world in memory. It
// knows the statements by their text; anything else is an error. Set replaces
// the world; Fail makes every statement fail. It is safe for concurrent use.
type Twin struct {
	mu    sync.Mutex
	world World // guarded by mu
	fail  error // guarded by mu
	asked []string
}

// NewTwin makes a twin of the tables.
func NewTwin(w World) *Twin { return &Twin{world: w} }

// Set replaces what stands in the tables.
func (t *Twin) Set(w World) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.world = w
}

// Fail makes statements fail with err; nil ends it.
func (t *Twin) Fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = err
}

// Asked lists the names of the statements run since the last call.
func (t *Twin) Asked() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := t.asked
	t.asked = nil
	return asked
}

// Query runs a statement of package queries.
func (t *Twin) Query(ctx context.Context, statement string, args ...any) (driver.Rows, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if t.fail != nil {
		return nil, t.fail
	}
	bound := binding{}
	for _, arg := range args {
		named, ok := arg.(driver.NamedValue)
		if !ok {
			return nil, fmt.Errorf("argument %v has no name", arg)
		}
		bound[named.Name] = named.Value
	}
	for name, answer := range map[string]func(World, binding) [][]any{
		"snapshot": snapshot, "areas": areas, "facilities": facilities, "words": words, "flows": flows,
		"balances": balances, "balance_days": balanceDays,
	} {
		q, err := queries.Load(name)
		if err != nil {
			return nil, err
		}
		if q.SQL == statement {
			t.asked = append(t.asked, name)
			return &rows{values: answer(t.world, bound)}, nil
		}
	}
	return nil, fmt.Errorf("the twin does not know the statement %.80q", statement)
}

// binding holds parameters by name. A parameter of another type than expected
// is a fault of the code under test: the test ends.
type binding map[string]any

func get[T any](b binding, name string) T {
	v, ok := b[name].(T)
	if !ok {
		panic(fmt.Sprintf("parameter %s is bound to %T", name, b[name]))
	}
	return v
}

// among tells whether a list is empty or holds a value.
func among[T comparable](b binding, name string, v T) bool {
	list := get[[]T](b, name)
	return len(list) == 0 || slices.Contains(list, v)
}

func snapshot(w World, _ binding) [][]any {
	var watermark uint64
	builds := []uuid.UUID{}
	for _, s := range w.Segments {
		watermark, builds = s.To, append(builds, s.Build)
	}
	return [][]any{{w.Committed, w.RecordedAt, watermark, builds}}
}

func areas(w World, b binding) (out [][]any) {
	for _, a := range w.Areas {
		if a.Position > get[uint64](b, "after") && a.Position <= get[uint64](b, "upto") {
			out = append(out, []any{a.Position, a.ID, a.Level, a.Name, a.Parent})
		}
	}
	return out
}

func facilities(w World, b binding) (out [][]any) {
	for _, f := range w.Facilities {
		if f.Position > get[uint64](b, "after") && f.Position <= get[uint64](b, "upto") {
			out = append(out, []any{f.Position, f.ID, f.Name, f.Area})
		}
	}
	return out
}

func words(w World, b binding) [][]any {
	var sites, fates []string
	for _, f := range w.Facts {
		if f.Position <= get[uint64](b, "committed") {
			sites, fates = append(sites, f.SiteCategory), append(fates, f.Fate)
		}
	}
	return [][]any{{sites, fates}}
}

// readable lists the facts a statement sees: those of the rollup builds it
// names, with days widened to months as a rollup keeps them, and those between
// watermark and committed.
func readable(w World, b binding) (out []Fact) {
	builds := get[[]uuid.UUID](b, "builds")
	watermark, committed := get[uint64](b, "watermark"), get[uint64](b, "committed")
	for _, f := range w.Facts {
		if f.Position > watermark && f.Position <= committed {
			out = append(out, f)
		}
		for _, s := range w.Segments {
			if slices.Contains(builds, s.Build) && f.Position > s.From && f.Position <= s.To {
				if f.Kind != "period_reported" {
					first := day(f.From).AddDate(0, 0, 1-day(f.From).Day())
					f.From, f.Until = first.Format(time.DateOnly), first.AddDate(0, 1, 0).Format(time.DateOnly)
				}
				out = append(out, f)
			}
		}
	}
	return out
}

func flows(w World, b binding) (out [][]any) {
	type key struct {
		kind                  string
		year                  uint16
		month                 uint32
		period, origin        string
		originGroup           uint32
		facility              string
		facilityGroup         uint32
		site, waste, op, fate string
	}
	sums := map[key]*[2]int64{}
	for _, f := range readable(w, b) {
		month := uint32(f.Year()*100 + f.Month()) //nolint:gosec // a month of our era
		if f.Kind == "period_reported" {
			month = 0
		}
		year := uint16(f.Year()) //nolint:gosec // a year of our era
		chapter := f.WasteCode[:min(2, len(f.WasteCode))]
		if f.Measure != get[string](b, "measure") || !get[bool](b, "from_open") && f.From < get[string](b, "from") || !get[bool](b, "to_open") && f.Until > get[string](b, "to") ||
			!among(b, "kinds", f.Kind) || !among(b, "years", year) || !among(b, "months", month) || !among(b, "origins", f.OriginArea) ||
			!among(b, "facilities", f.Facility) || !among(b, "site_categories", f.SiteCategory) || !among(b, "waste_codes", f.WasteCode) ||
			!among(b, "waste_chapters", chapter) || !among(b, "operations", f.Operation) || !among(b, "fates", f.Fate) ||
			slices.Contains(get[[]string](b, "not_origins"), f.OriginArea) || slices.Contains(get[[]string](b, "not_facilities"), f.Facility) {
			continue
		}
		k := key{
			kind: when(b, "by_kind", f.Kind), year: when(b, "by_year", year), month: when(b, "by_month", month),
			origin: when(b, "by_origin", f.OriginArea), originGroup: when(b, "by_origin_group", grouped(b, "origin", f.OriginArea)),
			facility: when(b, "by_facility", f.Facility), facilityGroup: when(b, "by_facility_group", grouped(b, "facility", f.Facility)),
			site: when(b, "by_site_category", f.SiteCategory), waste: when(b, "by_waste_chapter", chapter),
			op: when(b, "by_operation", f.Operation), fate: when(b, "by_fate", f.Fate),
		}
		if month == 0 {
			k.period = when(b, "by_month", f.Period)
		}
		if get[bool](b, "by_waste_code") {
			k.waste = f.WasteCode
		}
		if sums[k] == nil {
			sums[k] = &[2]int64{}
		}
		sums[k][0] += f.Grams
		sums[k][1] += int64(f.Events)
	}
	for k, sum := range sums {
		if uint64(len(out)) == get[uint64](b, "max_groups") {
			break
		}
		out = append(out, []any{k.kind, k.year, k.month, k.period, k.origin, k.originGroup, k.facility, k.facilityGroup, k.site, k.waste, k.op, k.fate, sum[0], sum[1]})
	}
	return out
}

func when[T any](b binding, name string, v T) T {
	if !get[bool](b, name) {
		var none T
		return none
	}
	return v
}

func grouped(b binding, end, id string) uint32 {
	if i := slices.Index(get[[]string](b, end+"_ids"), id); i >= 0 {
		return get[[]uint32](b, end+"_groups")[i]
	}
	return 0
}

// rows is a result in memory.
type rows struct {
	driver.Rows // what is not used here
	values      [][]any
	at          int
}

func (r *rows) Next() bool   { r.at++; return r.at <= len(r.values) }
func (r *rows) Err() error   { return nil }
func (r *rows) Close() error { return nil }

// Scan copies a row; types must match exactly, as the driver wants them.
func (r *rows) Scan(dest ...any) error {
	row := r.values[r.at-1]
	if len(dest) != len(row) {
		return fmt.Errorf("scan of %d columns into %d", len(row), len(dest))
	}
	for i, d := range dest {
		into := reflect.ValueOf(d).Elem()
		if into.Type() != reflect.TypeOf(row[i]) {
			return fmt.Errorf("column %d is %T, scanned into %s", i, row[i], into.Type())
		}
		into.Set(reflect.ValueOf(row[i]))
	}
	return nil
}
