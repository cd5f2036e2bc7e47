package area_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/area"
)

// registered finds an area among the given ones.
func registered(areas ...area.Area) func(area.ID) (area.Area, bool) {
	byID := map[area.ID]area.Area{}
	for _, a := range areas {
		byID[a.ID] = a
	}
	return func(id area.ID) (area.Area, bool) {
		a, ok := byID[id]
		return a, ok
	}
}

func TestBuiltInAreasAreWhole(t *testing.T) {
	counts := map[string]map[area.Level]int{}
	seen := map[area.ID]bool{}
	all := area.BuiltIn()
	for i, a := range all {
		require.Empty(t, a.Validate(registered(all[:i]...)), "%s: a parent comes before what lies in it", a.ID)
		require.False(t, seen[a.ID], a.ID)
		seen[a.ID] = true
		if counts[a.Country] == nil {
			counts[a.Country] = map[area.Level]int{}
		}
		counts[a.Country][a.Level]++
		require.Equal(t, area.StreamPrefix+strings.ToLower(a.Country), a.Stream())
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
	all[0].Name = "spoilt"
	require.NotEqual(t, "spoilt", area.BuiltIn()[0].Name, "the slice is the caller's own")
}

func TestValidateRefusesWhatDoesNotFit(t *testing.T) {
	lookup := registered(area.BuiltIn()...)
	good := area.Area{ID: "dk-9000", Level: area.Municipality, Name: "Ny", Country: "DK", Parent: "dk-1084"}
	require.Empty(t, good.Validate(lookup))
	for name, c := range map[string]struct {
		rule, field string
		spoil       func(*area.Area)
	}{
		"id in capitals":       {area.RuleID, "id", func(a *area.Area) { a.ID = "DK-9000" }},
		"id of another place":  {area.RuleID, "id", func(a *area.Area) { a.ID = "dkk-9000" }},
		"level":                {area.RuleLevel, "level", func(a *area.Area) { a.Level = "parish" }},
		"no name":              {area.RuleName, "name", func(a *area.Area) { a.Name = " " }},
		"name too long":        {area.RuleName, "name", func(a *area.Area) { a.Name = strings.Repeat("x", 201) }},
		"name of two lines":    {area.RuleName, "name", func(a *area.Area) { a.Name = "a\nb" }},
		"name not UTF-8":       {area.RuleName, "name", func(a *area.Area) { a.Name = "a\xff" }},
		"country":              {area.RuleCountry, "country", func(a *area.Area) { a.Country, a.Parent = "dk", "xx" }},
		"code too long":        {area.RuleCode, "code", func(a *area.Area) { a.Code = strings.Repeat("1", 41) }},
		"code of two lines":    {area.RuleCode, "code", func(a *area.Area) { a.Code = "a\nb" }},
		"nuts too long":        {area.RuleNUTS, "nuts", func(a *area.Area) { a.NUTS = "DK0111" }},
		"nuts in small":        {area.RuleNUTS, "nuts", func(a *area.Area) { a.NUTS = "dk01" }},
		"centre":               {area.RuleCentre, "centre", func(a *area.Area) { a.Centre.Lat = 91 }},
		"no parent":            {area.RuleParent, "parent", func(a *area.Area) { a.Parent = "" }},
		"parent unknown":       {area.RuleParent, "parent", func(a *area.Area) { a.Parent = "dk-1" }},
		"parent abroad":        {area.RuleParent, "parent", func(a *area.Area) { a.Parent = "se-01" }},
		"parent of same level": {area.RuleParent, "parent", func(a *area.Area) { a.Parent = "dk-0101" }},
		"parent itself":        {area.RuleParent, "parent", func(a *area.Area) { a.Parent = "dk-9000" }},
		"country in an area": {area.RuleParent, "parent", func(a *area.Area) {
			*a = area.Area{ID: "xx", Level: area.Country, Name: "X", Country: "XX", Parent: "dk"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			c.spoil(&a)
			found := a.Validate(registered(append(area.BuiltIn(), area.Area{ID: "xx", Level: area.Country, Country: "dk"})...))
			require.Len(t, found, 1)
			require.Equal(t, c.rule, found[0].Rule)
			require.Equal(t, c.field, found[0].Field)
			require.Regexp(t, `^The .*\.$`, found[0].Message)
			require.True(t, utf8.ValidString(found[0].Value))
		})
	}
}

func TestAnAreaThatLacksEverythingNamesAllAtOnce(t *testing.T) {
	var fields []string
	for _, v := range (area.Area{}).Validate(registered()) {
		fields = append(fields, v.Field)
	}
	require.Equal(t, []string{"id", "level", "name", "country", "parent"}, fields)
}

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Suffolk":                            "suffolk",
		"WPA not codeable (East of England)": "wpa-not-codeable-east-of-england",
		"Ærøskøbing":                         "aeroeskoebing",
		"Århus Å":                            "aarhus-aa",
		"Malmö":                              "malmoe",
		"Kingston upon Hull, City of":        "kingston-upon-hull-city-of",
		"St Mary's & St. John’s":             "st-marys-st-johns",
		"Bath&Wells":                         "bath-wells",
		"York, City of":                      "york-city-of",
		"Høje-Taastrup":                      "hoeje-taastrup",
		"---":                                "",
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
