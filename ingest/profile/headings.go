package profile

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
