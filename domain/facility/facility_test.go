package facility_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
)

func known(id area.ID) bool { return id == "gb-wpa-suffolk" }

func good() facility.Facility {
	return facility.Facility{ID: "gb-ea-jp3900bt", Name: "Stowmarket", Area: "gb-wpa-suffolk", Locality: "Mid Suffolk",
		Location: area.Point{Lat: 52.2, Lon: 1}, TimeZone: "Europe/London", Permit: "JP3900BT", Operations: []string{"R3", "NS"}}
}

func TestValidateNamesTheField(t *testing.T) {
	require.Empty(t, good().Validate(known))
	for name, c := range map[string]struct {
		field string
		spoil func(*facility.Facility)
	}{
		"id in capitals":   {"id", func(f *facility.Facility) { f.ID = "GB-EA-1" }},
		"id too short":     {"id", func(f *facility.Facility) { f.ID = "ab" }},
		"id too long":      {"id", func(f *facility.Facility) { f.ID = facility.ID(strings.Repeat("a", 81)) }},
		"id ends in dash":  {"id", func(f *facility.Facility) { f.ID = "abc-" }},
		"id with slash":    {"id", func(f *facility.Facility) { f.ID = "a/b/c" }},
		"no name":          {"name", func(f *facility.Facility) { f.Name = " " }},
		"name too long":    {"name", func(f *facility.Facility) { f.Name = strings.Repeat("x", 201) }},
		"name not UTF-8":   {"name", func(f *facility.Facility) { f.Name = "a\xff" }},
		"control in place": {"locality", func(f *facility.Facility) { f.Locality = "a\nb" }},
		"unknown area":     {"area", func(f *facility.Facility) { f.Area = "gb-wpa-norfolk" }},
		"latitude":         {"location", func(f *facility.Facility) { f.Location.Lat = -90.1 }},
		"longitude":        {"location", func(f *facility.Facility) { f.Location.Lon = 180.1 }},
		"no number":        {"location", func(f *facility.Facility) { f.Location.Lat = math.NaN() }},
		"no zone":          {"time_zone", func(f *facility.Facility) { f.TimeZone = "" }},
		"local zone":       {"time_zone", func(f *facility.Facility) { f.TimeZone = "Local" }},
		"zone made up":     {"time_zone", func(f *facility.Facility) { f.TimeZone = "Europe/Roskilde" }},
		"zone a path":      {"time_zone", func(f *facility.Facility) { f.TimeZone = "../etc/passwd" }},
		"operation":        {"operations", func(f *facility.Facility) { f.Operations = []string{"R3", "R03"} }},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.spoil(&f)
			errs := f.Validate(known)
			require.Len(t, errs, 1)
			require.Equal(t, c.field, errs[0].Field)
			require.Contains(t, errs[0].Error(), c.field)
		})
	}
}

func TestAnEntryThatLacksEverythingNamesAllAtOnce(t *testing.T) {
	var fields []string
	for _, e := range (facility.Facility{}).Validate(known) {
		fields = append(fields, e.Field)
	}
	require.Equal(t, []string{"id", "name", "time_zone"}, fields)
}

func TestRegisterHoldsTheLastEntry(t *testing.T) {
	r := facility.NewRegister(good())
	moved := good()
	moved.Name = "Stowmarket HWRC"
	r.Put(moved)
	r.Put(facility.Facility{ID: "dk-p-1", Name: "A"})
	f, ok := r.Lookup("gb-ea-jp3900bt")
	require.True(t, ok)
	require.True(t, f.Equal(moved))
	require.False(t, f.Equal(good()))
	require.Equal(t, []facility.ID{"dk-p-1", "gb-ea-jp3900bt"}, r.IDs())
	require.Equal(t, 2, r.Len())
	require.True(t, r.Known("dk-p-1"))
	require.False(t, r.Known("dk-p-2"))
}

func TestStreamOfAFacility(t *testing.T) {
	require.Equal(t, "facility-gb-ea-jp3900bt", good().ID.Stream())
}
