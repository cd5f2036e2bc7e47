package codec

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// data is the payload of a fact as it is sent. given names the first member
// that a cancellation may not have.
type data struct {
	facility  string
	occurred  time.Time
	period    flow.Period
	measure   string
	material  flow.Material
	mass      massData
	operation operation.Code
	origin    flow.Place
	target    flow.Place

	siteCategory, fate, consignment string
	rejects, displaces              string
	outputs                         []flow.Output
	items, energy                   int64
	tags                            map[string]string
	given                           string
}

type massData struct {
	given                    bool
	value, gross, tare, unit string
	method                   string
}

const dataKnown = "facility, occurred, period, measure, material, mass, operation, origin, target, site_category, fate, consignment, rejects, outputs, items, displaces, energy_kwh and tags"

// readData reads the payload of a fact.
func (d *Decoder) readData(field string) {
	if !d.open(field) {
		return
	}
	for {
		name := d.next()
		if name == nil {
			return
		}
		if string(name) == "facility" {
			d.data.facility = d.word("facility")
			continue
		}
		if d.reasonInData && string(name) == "reason" {
			d.attribute(name)
			continue
		}
		if d.data.given == "" {
			d.data.given = fault.Clip(string(name))
		}
		if !d.member(name) {
			d.unknown(name, dataKnown)
		}
	}
}

// member reads one member of the payload; false when there is none of the name.
func (d *Decoder) member(name []byte) bool {
	f := &d.data
	switch string(name) {
	case "occurred":
		f.occurred = d.instant("occurred")
	case "period":
		d.period()
	case "measure":
		f.measure = d.word("measure")
	case "material":
		f.material = d.material()
	case "mass":
		f.mass = d.mass(true)
	case "operation":
		f.operation = d.operation()
	case "origin":
		f.origin = d.place("origin")
	case "target":
		f.target = d.place("target")
	case "site_category":
		f.siteCategory = d.word("site_category")
	case "fate":
		f.fate = d.word("fate")
	case "consignment":
		f.consignment = d.text("consignment")
	case "rejects":
		f.rejects = d.text("rejects")
	case "outputs":
		d.outputs()
	case "items":
		f.items = d.integer("items")
	case "displaces":
		f.displaces = d.word("displaces")
	case "energy_kwh":
		f.energy = d.integer("energy_kwh")
	case "tags":
		d.tags()
	default:
		return false
	}
	return true
}

func (d *Decoder) push(name string) { d.path = append(d.path, segment{name: name}) }
func (d *Decoder) pop()             { d.path = d.path[:len(d.path)-1] }

func (d *Decoder) period() {
	if !d.open("period") {
		return
	}
	d.push("period")
	defer d.pop()
	for {
		name := d.next()
		switch {
		case name == nil:
			return
		case string(name) == "from":
			d.data.period.From = flow.Date(d.word("from"))
		case string(name) == "to":
			d.data.period.To = flow.Date(d.word("to"))
		default:
			d.unknown(name, "from and to")
		}
	}
}

func (d *Decoder) material() (m flow.Material) {
	if !d.open("material") {
		return m
	}
	d.push("material")
	defer d.pop()
	for {
		name := d.next()
		switch {
		case name == nil:
			return m
		case string(name) == "waste_code":
			m.Waste = d.waste()
		case string(name) == "fraction":
			m.Fraction = d.word("fraction")
		case string(name) == "product":
			m.Product = d.word("product")
		case string(name) == "hazardous":
			m.Hazardous = d.flag("hazardous")
		case string(name) == "form":
			m.Form = d.word("form")
		default:
			d.unknown(name, "waste_code, fraction, product, hazardous and form")
		}
	}
}

func (d *Decoder) waste() waste.Code {
	text := d.word("waste_code")
	if d.halt != nil || text == "" {
		return ""
	}
	code, err := waste.ParseCode(text)
	if err != nil {
		d.violate(flow.ReadRule(err), "waste_code", text, "")
	}
	return code
}

func (d *Decoder) operation() operation.Code {
	text := d.word("operation")
	if d.halt != nil || text == "" {
		return ""
	}
	code, err := operation.Parse(text)
	if err != nil {
		d.violate(flow.ReadRule(err), "operation", text, "")
	}
	return code
}

// mass reads a mass as it was written; of outputs only value and unit.
func (d *Decoder) mass(whole bool) (m massData) {
	if !d.open("mass") {
		return m
	}
	m.given = true
	d.push("mass")
	defer d.pop()
	known := "value and unit"
	if whole {
		known = "value, unit, method, gross and tare"
	}
	for {
		name := d.next()
		switch {
		case name == nil:
			return m
		case string(name) == "value":
			m.value = d.digits("value")
		case string(name) == "unit":
			m.unit = d.word("unit")
		case whole && string(name) == "method":
			m.method = d.word("method")
		case whole && string(name) == "gross":
			m.gross = d.digits("gross")
		case whole && string(name) == "tare":
			m.tare = d.digits("tare")
		default:
			d.unknown(name, known)
		}
	}
}

// grams turns a written mass into grams; path is the field's whole path.
func (d *Decoder) grams(path, value, unit string) mass.Grams {
	g, err := mass.Parse(value, mass.Unit(unit))
	if err == nil {
		return g
	}
	if errors.Is(err, mass.ErrUnitMissing) || errors.Is(err, mass.ErrUnitUnknown) {
		path, value = path[:strings.LastIndexByte(path, '.')]+".unit", unit
	}
	d.breaks(flow.ReadRule(err), path, value, "")
	return 0
}

func (d *Decoder) place(field string) (p flow.Place) {
	if !d.open(field) {
		return p
	}
	d.push(field)
	defer d.pop()
	for {
		name := d.next()
		switch {
		case name == nil:
			return p
		case string(name) == "area":
			p.Area = area.ID(d.word("area"))
		case string(name) == "facility":
			p.Facility = facility.ID(d.word("facility"))
		case string(name) == "sector":
			p.Sector = d.word("sector")
		default:
			d.unknown(name, "area, facility and sector")
		}
	}
}

func (d *Decoder) outputs() {
	if d.halt != nil {
		return
	}
	if d.json.PeekKind() != jsontext.KindBeginArray {
		d.mismatch("outputs", "an array of objects")
		return
	}
	if _, err := d.json.ReadToken(); err != nil {
		d.fail(err)
		return
	}
	d.push("outputs")
	defer d.pop()
	for i := 0; d.halt == nil; i++ {
		kind := d.json.PeekKind()
		if kind == jsontext.KindEndArray {
			if _, err := d.json.ReadToken(); err != nil {
				d.fail(err)
			}
			return
		}
		if i > flow.MaxOutputs {
			d.skip()
			continue
		}
		d.path = append(d.path, segment{index: i})
		d.output()
		d.pop()
	}
}

func (d *Decoder) output() {
	if !d.open("") {
		return
	}
	var o flow.Output
	var m massData
	for {
		name := d.next()
		if name == nil {
			break
		}
		switch string(name) {
		case "role":
			o.Role = flow.OutputRole(d.word("role"))
		case "material":
			o.Material = d.material()
		case "mass":
			m = d.mass(false)
		default:
			d.unknown(name, "role, material and mass")
		}
	}
	if d.halt != nil {
		return
	}
	if m.value != "" || m.given {
		o.Net = d.grams(d.where("mass.value"), m.value, m.unit)
	} else {
		d.breaks(flow.RuleFieldRequired, d.where("mass"), "", "")
	}
	d.data.outputs = append(d.data.outputs, o)
}

func (d *Decoder) tags() {
	if !d.open("tags") {
		return
	}
	d.push("tags")
	defer d.pop()
	d.data.tags = make(map[string]string)
	for {
		name := d.next()
		if name == nil {
			return
		}
		if len(d.data.tags) > flow.MaxTags { // one too many is kept for the rule to see
			d.skip()
			continue
		}
		key := string(name)
		d.data.tags[key] = d.word(key)
	}
}

// factOf makes the fact.
func (d *Decoder) factOf(m *Message) {
	f := &d.data
	kind, ok := kinds[d.env.typ]
	if !ok && d.env.typ != "" {
		d.violate(RuleEventType, "type", d.env.typ, fmt.Sprintf("It must be %s<kind>%s, with a kind of %s, or %s.",
			TypePrefix, TypeSuffix, kindList(), TypeCancelled))
	}
	if !d.env.hasData {
		d.violate(RuleAttribute, "data", "", "")
		return
	}
	m.Fact = flow.Fact{
		Kind:         kind,
		Identity:     d.identity(),
		Facility:     facility.ID(f.facility),
		When:         flow.When{Occurred: f.occurred, Period: f.period},
		Measure:      flow.Measure(f.measure),
		Material:     f.material,
		Operation:    f.operation,
		Origin:       f.origin,
		Target:       f.target,
		SiteCategory: f.siteCategory,
		Fate:         f.fate,
		Consignment:  f.consignment,
		Rejects:      f.rejects,
		Items:        f.items,
		Displaces:    f.displaces,
		EnergyKWh:    f.energy,
		Tags:         f.tags,
	}
	if len(f.outputs) > 0 {
		m.Fact.Outputs = append([]flow.Output(nil), f.outputs...)
	}
	if !f.mass.given {
		return // the catalogue knows which kinds need a mass
	}
	m.Fact.Mass = flow.Mass{Net: d.grams("mass.value", f.mass.value, f.mass.unit), Method: flow.Method(f.mass.method)}
	if f.mass.gross != "" {
		m.Fact.Mass.Gross = d.grams("mass.gross", f.mass.gross, f.mass.unit)
	}
	if f.mass.tare != "" {
		m.Fact.Mass.Tare = d.grams("mass.tare", f.mass.tare, f.mass.unit)
	}
}

func kindList() string {
	var all []string
	for _, k := range flow.Kinds() {
		all = append(all, string(k))
	}
	return strings.Join(all, ", ")
}
