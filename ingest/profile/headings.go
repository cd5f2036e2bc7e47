package profile

import "encoding/binary"

// headings maps the paths of fields, as the rule catalogue names them, to the
// file's own column headings.
func (p *plan) headings() map[string]string {
	m := map[string]string{}
	put := func(path string, t *text) {
		if t != nil && t.column != nil {
			m[path] = t.column.shown
		}
	}
	col := func(path string, c *column) {
		if c != nil {
			m[path] = c.shown
		}
	}
	f := &p.fact
	put("kind", f.kind)
	put("measure", f.measure)
	put("material.waste_code", f.waste)
	put("material.fraction", f.fraction)
	put("material.product", f.product)
	put("material.form", f.form)
	col("material.hazardous", f.hazardous)
	col("mass.value", f.net)
	col("mass.gross", f.gross)
	col("mass.tare", f.tare)
	put("mass.method", f.method)
	put("operation", f.operation)
	put("site_category", f.siteCategory)
	put("fate", f.fate)
	put("consignment", f.consignment)
	put("rejects", f.rejects)
	put("displaces", f.displaces)
	col("items", f.items)
	col("energy_kwh", f.energy)
	for _, t := range f.tags {
		put("tags."+t.key, t.text)
	}
	if len(f.occurred) > 0 {
		m["occurred"] = f.occurred[0].shown
	}
	for path, t := range map[string]*text{"period": f.year, "period.from": f.from, "period.to": f.to} {
		put(path, t)
	}
	put("period", f.month)
	for path, place := range map[string]placePlan{"origin": f.origin, "target": f.target} {
		put(path+".facility", place.facility)
		put(path+".sector", place.sector)
		if place.area >= 0 {
			put(path+".area", p.areas[place.area].id)
		}
	}
	p.facilityHeadings(put, col)
	return m
}

func (p *plan) facilityHeadings(put func(string, *text), col func(string, *column)) {
	f := &p.facility
	put("facility", f.id)
	put("facility.id", f.id)
	put("facility.name", f.name)
	put("facility.locality", f.locality)
	put("facility.permit", f.permit)
	col("facility.location", f.east)
	if f.area >= 0 {
		put("facility.area", p.areas[f.area].id)
	}
	for i := range p.key {
		if !p.keyless {
			col("id", p.key[i])
			break
		}
	}
}

// Heading names a field of a fact (a path of the rule catalogue, or a path
// below facility) as the file does: by its column heading. What comes from no
// column keeps its path. It may be called from any goroutine, also after Close.
func (d *Decoder) Heading(path string) string {
	if heading, ok := d.shown[path]; ok {
		return heading
	}
	return path
}

// Cells are the texts of those cells of a row whose content a fact holds in
// another form: numbers, codes of the field, and times. Free text, names and
// ids are never among them: a fact holds them as the file does, and they
// could be personal.
type Cells string // length-prefixed, in the order of plan.quoted

// quotedField is a field that Cells can quote.
type quotedField struct {
	path    string
	columns []*column // in the order of the profile, joined by blanks
	or      *column   // read where the first is empty; nil without
}

// quoted lists the fields that Cells quote.
func (p *plan) quoted() []quotedField {
	var all []quotedField
	put := func(path string, t *text) {
		if t != nil && t.column != nil {
			all = append(all, quotedField{path: path, columns: []*column{t.column}, or: t.or})
		}
	}
	col := func(path string, c *column) {
		if c != nil {
			all = append(all, quotedField{path: path, columns: []*column{c}})
		}
	}
	f := &p.fact
	col("mass.value", f.net)
	col("mass.gross", f.gross)
	col("mass.tare", f.tare)
	put("mass.method", f.method)
	put("material.waste_code", f.waste)
	put("material.form", f.form)
	col("material.hazardous", f.hazardous)
	put("operation", f.operation)
	col("items", f.items)
	col("energy_kwh", f.energy)
	put("period", f.year)
	put("period", f.month)
	put("period.from", f.from)
	put("period.to", f.to)
	if len(f.occurred) > 0 {
		all = append(all, quotedField{path: "occurred", columns: f.occurred})
	}
	return all
}

// cells copies what Cells quote of the current record.
func (d *Decoder) cells(r *row) Cells {
	b := d.scratch[:0]
	for _, q := range d.quoted {
		columns := q.columns
		if q.or != nil && len(r.raw(q.columns[0])) == 0 {
			columns = []*column{q.or}
		}
		size := len(columns) - 1
		for _, c := range columns {
			size += len(r.raw(c))
		}
		b = binary.AppendUvarint(b, uint64(size))
		for i, c := range columns {
			if i > 0 {
				b = append(b, ' ')
			}
			b = append(b, r.raw(c)...)
		}
	}
	d.scratch = b
	return Cells(b)
}

// Quote is what the file itself says in the cells that a field of a fact comes
// from; ok is false for fields that Cells do not quote. It may be called from
// any goroutine, also after Close.
func (d *Decoder) Quote(cells Cells, path string) (text string, ok bool) {
	rest := string(cells)
	for _, q := range d.quoted {
		size, n := binary.Uvarint([]byte(rest[:min(len(rest), binary.MaxVarintLen64)]))
		if n <= 0 || uint64(len(rest)-n) < size {
			return "", false // cells of no row
		}
		if q.path == path {
			return rest[n : n+int(size)], true
		}
		rest = rest[n+int(size):]
	}
	return "", false
}
