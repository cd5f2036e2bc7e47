package flow

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Difference is a field in which two versions of a fact differ, each side as
// text; "" where it is not stated.
type Difference struct {
	Field   string
	Was, Is string
}

// Diff lists the fields in which two versions of a fact differ, identity left
// out, in a fixed order.
func Diff(was, is Fact) []Difference {
	a, b := fields(was), fields(is)
	var out []Difference
	for i := range a { // the fields of every fact, in the same order
		if a[i].value != b[i].value {
			out = append(out, Difference{Field: a[i].name, Was: a[i].value, Is: b[i].value})
		}
	}
	for i := range max(len(was.Outputs), len(is.Outputs)) {
		x, y := outputText(was.Outputs, i), outputText(is.Outputs, i)
		if x != y {
			out = append(out, Difference{Field: fmt.Sprintf("outputs[%d]", i), Was: x, Is: y})
		}
	}
	for _, k := range tagKeys(was.Tags, is.Tags) {
		if was.Tags[k] != is.Tags[k] {
			out = append(out, Difference{Field: "tags." + k, Was: was.Tags[k], Is: is.Tags[k]})
		}
	}
	return out
}

type field struct{ name, value string }

func fields(f Fact) []field {
	occurred := ""
	if !f.When.Occurred.IsZero() {
		occurred = f.When.Occurred.UTC().Format(time.RFC3339Nano)
	}
	list := []field{
		{"kind", string(f.Kind)},
		{"facility", string(f.Facility)},
		{"occurred", occurred},
		{"period.from", string(f.When.Period.From)},
		{"period.to", string(f.When.Period.To)},
		{"measure", string(f.Measure)},
	}
	list = append(list, materialFields("material", f.Material)...)
	list = append(list,
		field{"mass.value", f.Mass.Net.String()},
		field{"mass.gross", f.Mass.Gross.String()},
		field{"mass.tare", f.Mass.Tare.String()},
		field{"mass.method", string(f.Mass.Method)},
		field{"operation", string(f.Operation)})
	list = append(list, placeFields("origin", f.Origin)...)
	list = append(list, placeFields("target", f.Target)...)
	return append(list,
		field{"site_category", f.SiteCategory},
		field{"fate", f.Fate},
		field{"consignment", f.Consignment},
		field{"rejects", f.Rejects},
		field{"items", strconv.FormatInt(f.Items, 10)},
		field{"displaces", f.Displaces},
		field{"energy_kwh", strconv.FormatInt(f.EnergyKWh, 10)})
}

func materialFields(name string, m Material) []field {
	hazardous := ""
	if m.Hazardous != nil {
		hazardous = strconv.FormatBool(*m.Hazardous)
	}
	return []field{
		{name + ".waste_code", string(m.Waste)},
		{name + ".fraction", m.Fraction},
		{name + ".product", m.Product},
		{name + ".hazardous", hazardous},
		{name + ".form", m.Form},
	}
}

func placeFields(name string, p Place) []field {
	return []field{{name + ".area", string(p.Area)}, {name + ".facility", string(p.Facility)}, {name + ".sector", p.Sector}}
}

// outputText writes output i for people; "" when there is none.
func outputText(outputs []Output, i int) string {
	if i >= len(outputs) {
		return ""
	}
	o := outputs[i]
	text := string(o.Role)
	for _, f := range materialFields("", o.Material) {
		if f.value != "" {
			text += " " + f.value
		}
	}
	return text + " " + o.Net.String()
}

func tagKeys(a, b map[string]string) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
