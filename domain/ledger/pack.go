package ledger

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
	"github.com/stofstrom/stofstrom/domain/waste"
)

// texts numbers the texts of a ledger. The facts of one ledger share most of
// theirs, so that a packed fact takes some fifty bytes instead of a thousand.
// Number 0 is "". Nothing packed here is ever stored: it is memory only.
type texts struct {
	numbers map[string]uint32
	list    []string
	bytes   int64
}

// number is the number of a text, given on first use.
func (t *texts) number(s string) uint32 {
	if s == "" {
		return 0
	}
	if n, ok := t.numbers[s]; ok {
		return n
	}
	if t.numbers == nil {
		t.numbers = make(map[string]uint32)
	}
	t.list = append(t.list, s)
	n := uint32(len(t.list))
	t.numbers[s] = n
	t.bytes += int64(len(s))
	return n
}

func (t *texts) at(n uint32) string {
	if n == 0 {
		return ""
	}
	return t.list[n-1]
}

// size is about how much memory the texts hold, in bytes.
func (t *texts) size() int64 {
	const text = unsafe.Sizeof("")
	return t.bytes + int64(cap(t.list))*int64(text) + mapSize(len(t.numbers), text+unsafe.Sizeof(uint64(0)))
}

type packer struct {
	t *texts
	b []byte
}

func (p *packer) text(s string)  { p.b = binary.AppendUvarint(p.b, uint64(p.t.number(s))) }
func (p *packer) count(n int)    { p.b = binary.AppendUvarint(p.b, uint64(n)) }
func (p *packer) signed(n int64) { p.b = binary.AppendVarint(p.b, n) }

// own writes a text that no other fact is likely to have.
func (p *packer) own(s string) {
	p.count(len(s))
	p.b = append(p.b, s...)
}

func (p *packer) material(m flow.Material) {
	p.text(string(m.Waste))
	p.text(m.Fraction)
	p.text(m.Product)
	switch {
	case m.Hazardous == nil:
		p.count(0)
	case *m.Hazardous:
		p.count(2)
	default:
		p.count(1)
	}
	p.text(m.Form)
}

func (p *packer) place(l flow.Place) {
	p.text(string(l.Area))
	p.text(string(l.Facility))
	p.text(l.Sector)
}

// pack appends a fact to b.
func (t *texts) pack(b []byte, f flow.Fact) []byte {
	p := packer{t: t, b: b}
	p.text(string(f.Kind))
	p.text(f.Identity.Reporter)
	p.text(f.Identity.Source)
	p.own(f.Identity.ExternalID)
	p.text(string(f.Facility))
	if f.When.Occurred.IsZero() {
		p.count(0)
	} else {
		p.count(1)
		p.signed(f.When.Occurred.Unix())
		p.count(f.When.Occurred.Nanosecond())
		_, offset := f.When.Occurred.Zone()
		p.signed(int64(offset))
	}
	p.text(string(f.When.Period.From))
	p.text(string(f.When.Period.To))
	p.text(string(f.Measure))
	p.material(f.Material)
	p.signed(int64(f.Mass.Net))
	p.signed(int64(f.Mass.Gross))
	p.signed(int64(f.Mass.Tare))
	p.text(string(f.Mass.Method))
	p.text(string(f.Operation))
	p.place(f.Origin)
	p.place(f.Target)
	p.text(f.SiteCategory)
	p.text(f.Fate)
	p.own(f.Consignment)
	p.own(f.Rejects)
	p.count(len(f.Outputs))
	for _, o := range f.Outputs {
		p.text(string(o.Role))
		p.material(o.Material)
		p.signed(int64(o.Net))
	}
	p.signed(f.Items)
	p.text(f.Displaces)
	p.signed(f.EnergyKWh)
	p.count(len(f.Tags))
	keys := make([]string, 0, len(f.Tags))
	for k := range f.Tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		p.text(k)
		p.text(f.Tags[k])
	}
	return p.b
}

type unpacker struct {
	t *texts
	b []byte
}

func (u *unpacker) count() uint64 {
	n, size := binary.Uvarint(u.b)
	u.advance(size)
	return n
}

func (u *unpacker) signed() int64 {
	n, size := binary.Varint(u.b)
	u.advance(size)
	return n
}

func (u *unpacker) advance(size int) {
	if size <= 0 { // only pack writes what is read here
		panic(fmt.Sprintf("packed fact torn with %d bytes left", len(u.b)))
	}
	u.b = u.b[size:]
}

func (u *unpacker) text() string { return u.t.at(uint32(u.count())) }

func (u *unpacker) own() string {
	n := u.count()
	s := string(u.b[:n])
	u.b = u.b[n:]
	return s
}

func (u *unpacker) material() flow.Material {
	m := flow.Material{Waste: waste.Code(u.text()), Fraction: u.text(), Product: u.text()}
	if h := u.count(); h > 0 {
		declared := h == 2
		m.Hazardous = &declared
	}
	m.Form = u.text()
	return m
}

func (u *unpacker) place() flow.Place {
	return flow.Place{Area: area.ID(u.text()), Facility: facility.ID(u.text()), Sector: u.text()}
}

// unpack reads what pack wrote.
func (t *texts) unpack(b []byte) flow.Fact {
	u := unpacker{t: t, b: b}
	var f flow.Fact
	f.Kind = flow.Kind(u.text())
	f.Identity = flow.Identity{Reporter: u.text(), Source: u.text(), ExternalID: u.own()}
	f.Facility = facility.ID(u.text())
	if u.count() == 1 {
		sec := u.signed()
		at := time.Unix(sec, int64(u.count()))
		f.When.Occurred = at.UTC()
		if offset := int(u.signed()); offset != 0 {
			f.When.Occurred = at.In(time.FixedZone("", offset))
		}
	}
	f.When.Period = flow.Period{From: flow.Date(u.text()), To: flow.Date(u.text())}
	f.Measure = flow.Measure(u.text())
	f.Material = u.material()
	f.Mass = flow.Mass{Net: mass.Grams(u.signed()), Gross: mass.Grams(u.signed()), Tare: mass.Grams(u.signed()), Method: flow.Method(u.text())}
	f.Operation = operation.Code(u.text())
	f.Origin, f.Target = u.place(), u.place()
	f.SiteCategory, f.Fate = u.text(), u.text()
	f.Consignment, f.Rejects = u.own(), u.own()
	if n := u.count(); n > 0 {
		f.Outputs = make([]flow.Output, n)
		for i := range f.Outputs {
			f.Outputs[i] = flow.Output{Role: flow.OutputRole(u.text()), Material: u.material(), Net: mass.Grams(u.signed())}
		}
	}
	f.Items = u.signed()
	f.Displaces = u.text()
	f.EnergyKWh = u.signed()
	if n := u.count(); n > 0 {
		f.Tags = make(map[string]string, n)
		for range n {
			k := u.text()
			f.Tags[k] = u.text()
		}
	}
	return f
}
