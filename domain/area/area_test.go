package area_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
)

func TestBuiltInAreasAreWhole(t *testing.T) {
	counts := map[string]map[area.Level]int{}
	seen := map[area.ID]bool{}
	r := area.NewRegister()
	for _, a := range area.BuiltIn() {
		require.Empty(t, r.Accept(a), "%s: a parent comes before what lies in it", a.ID)
		require.False(t, seen[a.ID], a.ID)
		seen[a.ID] = true
		r.Put(a)
		if counts[a.Country] == nil {
			counts[a.Country] = map[area.Level]int{}
		}
		counts[a.Country][a.Level]++
		require.True(t, strings.HasPrefix(string(a.ID), strings.ToLower(a.Country)), a.ID)
		require.True(t, strings.HasPrefix(a.NUTS, a.Country), a.ID)
		if a.Level == area.Municipality {
			require.False(t, a.Centre.IsZero(), a.ID)
			require.Equal(t, area.ID(strings.ToLower(a.Country)+"-"+a.Code), a.ID)
		}
	}
	require.Equal(t, map[string]map[area.Level]int{
		"DK": {area.Country: 1, area.Region: 5, area.Municipality: 98 + 1},
		"SE": {area.Country: 1, area.Region: 21, area.Municipality: 290},
	}, counts)
}

func TestRegisterAnswersByIDNameAndLevel(t *testing.T) {
	r := area.NewRegister(area.BuiltIn()...)
	a, ok := r.Lookup("dk-0101")
	require.True(t, ok)
	require.Equal(t, "København", a.Name)
	require.InDelta(t, 55.66, a.Centre.Lat, 0.01)

	region, ok := r.At("dk-0101", area.Region)
	require.True(t, ok)
	require.Equal(t, area.ID("dk-1084"), region.ID)
	require.Equal(t, "Hovedstaden", region.Name)
	self, ok := r.At("dk-0101", area.Municipality)
	require.True(t, ok)
	require.Equal(t, a, self)
	_, ok = r.At("dk-1084", area.Municipality)
	require.False(t, ok, "a region lies in no municipality")
	_, ok = r.At("dk-9999", area.Country)
	require.False(t, ok)

	var up []area.ID
	for _, x := range r.Ancestors("se-0114") {
		up = append(up, x.ID)
	}
	require.Equal(t, []area.ID{"se-01", "se"}, up)
	require.Empty(t, r.Ancestors("se"))
	require.Empty(t, r.Ancestors("xx"))

	found := r.ByName(area.Municipality, "UPPLANDS väsby")
	require.Len(t, found, 1)
	require.Equal(t, area.ID("se-0114"), found[0].ID)
	require.Empty(t, r.ByName(area.Region, "København"))
	require.True(t, r.Known("se-1480"))
	require.False(t, r.Known(""))
	require.Equal(t, 417, r.Len())

	all := slices.Collect(r.All())
	require.Len(t, all, r.Len())
	require.Equal(t, []area.ID{"dk", "se", "dk-1081"}, []area.ID{all[0].ID, all[1].ID, all[2].ID})
	for range r.All() { // a caller may stop
		break
	}
}

func TestPutReplacesAnEntryWhole(t *testing.T) {
	r := area.NewRegister(area.BuiltIn()...)
	a, _ := r.Lookup("dk-0101")
	a.Name = "Copenhagen"
	r.Put(a)
	require.Equal(t, 417, r.Len())
	require.Empty(t, r.ByName(area.Municipality, "København"))
	require.Len(t, r.ByName(area.Municipality, "copenhagen"), 1)

	// Two areas of one level may share a name.
	r.Put(area.Area{ID: "xx", Level: area.Country, Name: "X", Country: "XX"})
	r.Put(area.Area{ID: "xx-1", Level: area.Municipality, Name: "Copenhagen", Country: "XX", Parent: "xx"})
	require.Len(t, r.ByName(area.Municipality, "Copenhagen"), 2)
}

func TestAcceptRefusesWhatDoesNotFit(t *testing.T) {
	r := area.NewRegister(area.BuiltIn()...)
	good := area.Area{ID: "dk-9000", Level: area.Municipality, Name: "Ny", Country: "DK", Parent: "dk-1084"}
	require.Empty(t, r.Accept(good))
	for field, spoil := range map[string]func(*area.Area){
		"id":      func(a *area.Area) { a.ID = "DK-9000" },
		"level":   func(a *area.Area) { a.Level = "parish" },
		"name":    func(a *area.Area) { a.Name = "" },
		"country": func(a *area.Area) { a.Country = "dk" },
		"code":    func(a *area.Area) { a.Code = strings.Repeat("1", 41) },
		"nuts":    func(a *area.Area) { a.NUTS = "DK0111" },
		"centre":  func(a *area.Area) { a.Centre.Lat = 91 },
		"parent":  func(a *area.Area) { a.Parent = "" },
	} {
		a := good
		spoil(&a)
		errs := r.Accept(a)
		require.Len(t, errs, 1, field)
		require.Equal(t, field, errs[0].Field)
		require.Contains(t, errs[0].Error(), errs[0].Value)
	}
	for name, parent := range map[string]area.ID{"not registered": "dk-1", "in another country": "se-01", "of its own level": "dk-0101", "itself": "dk-9000"} {
		a := good
		a.Parent = parent
		require.Len(t, r.Accept(a), 1, name)
	}
	require.Len(t, r.Accept(area.Area{ID: "xx", Level: area.Country, Name: "X", Country: "XX", Parent: "dk"}), 1)
}

func TestParentsInACircleEndTheSearch(t *testing.T) {
	r := area.NewRegister(
		area.Area{ID: "xx-1", Level: area.Region, Name: "A", Country: "XX", Parent: "xx-2"},
		area.Area{ID: "xx-2", Level: area.Region, Name: "B", Country: "XX", Parent: "xx-1"})
	_, ok := r.At("xx-1", area.Country)
	require.False(t, ok)
	require.LessOrEqual(t, len(r.Ancestors("xx-1")), 3)
}

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Suffolk":                            "suffolk",
		"WPA not codeable (East of England)": "wpa-not-codeable-east-of-england",
		"Ærøskøbing":                         "aeroeskoebing",
		"Århus Å":                            "aarhus-aa",
		"Malmö":                              "malmoe",
		"Kingston upon Hull, City of":        "kingston-upon-hull-city-of",
		"St Mary's & St. John’s":             "st-marys-and-st-johns",
		"Bath&Wells":                         "bath-and-wells",
		"  --a--b--  ":                       "a-b",
		"Café Zürich":                        "cafe-zuerich",
		"北京":                                 "",
		"":                                   "",
	} {
		require.Equal(t, want, area.Slug(name), name)
	}
}

func FuzzSlugIsPartOfAnID(f *testing.F) {
	for _, s := range []string{"Suffolk", "Å", "a--b", "&", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		slug := area.Slug(s)
		require.Equal(t, slug, area.Slug(slug))
		if id := area.ID("gb-" + slug); slug != "" && len(id) <= area.MaxIDLength {
			require.True(t, id.Valid(), id)
		}
	})
}

func TestIDGrammar(t *testing.T) {
	for id, want := range map[area.ID]bool{"dk": true, "dk-0101": true, "a": false, "": false, "-dk": false, "dk-": false, "DK": false,
		"dk_1": false, "dk 1": false, "æø": false, area.ID(strings.Repeat("a", 80)): true, area.ID(strings.Repeat("a", 81)): false} {
		require.Equal(t, want, id.Valid(), id)
	}
}
