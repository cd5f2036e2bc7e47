package facility_test

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

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
			require.Equal(t, "facility-"+strings.ReplaceAll(c.field, "_", "-"), errs[0].Rule)
			require.Regexp(t, `^The .*\.$`, errs[0].Message)
			require.True(t, utf8.ValidString(errs[0].Value))
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

func TestEqualSeesEveryField(t *testing.T) {
	require.True(t, good().Equal(good()))
	empty, none := good(), good()
	empty.Operations, none.Operations = []string{}, nil
	require.True(t, empty.Equal(none))
	for name, change := range map[string]func(*facility.Facility){
		"id": func(f *facility.Facility) { f.ID = "dk-p-1" }, "name": func(f *facility.Facility) { f.Name = "x" },
		"area": func(f *facility.Facility) { f.Area = "x" }, "locality": func(f *facility.Facility) { f.Locality = "x" },
		"location": func(f *facility.Facility) { f.Location.Lat = 1 }, "time zone": func(f *facility.Facility) { f.TimeZone = "x" },
		"permit": func(f *facility.Facility) { f.Permit = "x" }, "operations": func(f *facility.Facility) { f.Operations = []string{"R3"} },
	} {
		f := good()
		change(&f)
		require.False(t, f.Equal(good()), name)
	}
}

func TestStreamOfAFacility(t *testing.T) {
	require.Equal(t, "facility-gb-ea-jp3900bt", good().ID.Stream())
}
