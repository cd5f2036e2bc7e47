package analytics

import "github.com/stofstrom/stofstrom/domain/area"

func (p *plan) findArea(text string) []string {
	return named(p.register.areas, text, func(e areaEntry) string { return e.name }, func(areaEntry) bool { return true })
}

func (p *plan) findRegion(text string) []string {
	return named(p.register.areas, text, func(e areaEntry) string { return e.name }, func(e areaEntry) bool { return e.level == area.Region })
}

func (p *plan) findFacility(text string) []string {
	return named(p.register.facilities, text, func(e facilityEntry) string { return e.name }, func(facilityEntry) bool { return true })
}

// placesOf binds how origins are filtered and told apart.
func (p *plan) placesOf(maxBytes int) {
	areas := p.ids(OriginArea, "an area", p.findArea)
	regions := p.ids(OriginRegion, "a region", p.findRegion)
	known := p.register.areaIDs()
	accept := func(id string) bool {
		return (areas == nil || areas[id]) && (regions == nil || regions[p.register.regionOf(id)])
	}
	filter := filterOf(known, accept)
	p.nothing = p.nothing || filter.nothing
	byID, byGroup := p.by(OriginArea), false
	if filter.size() > maxBytes {
		p.originPasses, filter, byID = accept, idFilter{}, true
	}
	if !byID && p.by(OriginRegion) {
		p.origins = groupsOf(known, func(id string) place { return place{region: p.register.regionOf(id)} })
		byID, byGroup = sizeOf(p.origins.ids) > maxBytes, sizeOf(p.origins.ids) <= maxBytes
	}
	p.bindPlaces("origin", filter, byID, byGroup, p.origins.ids, p.origins.numbers)
}

// sitesOf binds how facilities are filtered and told apart.
func (p *plan) sitesOf(maxBytes int) {
	ids := p.ids(Facility, "a facility", p.findFacility)
	names := p.ids(FacilityName, "a facility", p.findFacility)
	areas := p.ids(FacilityArea, "an area", p.findArea)
	regions := p.ids(FacilityRegion, "a region", p.findRegion)
	known := p.register.facilityIDs()
	accept := func(id string) bool {
		entry := p.register.facilities[id]
		return (ids == nil || ids[id]) &&
			(names == nil || names[id] || names[""] && entry.name == "") &&
			(areas == nil || areas[entry.area]) &&
			(regions == nil || regions[p.register.regionOf(entry.area)])
	}
	filter := filterOf(known, accept)
	p.nothing = p.nothing || filter.nothing
	byID, byGroup := p.by(Facility), false
	if filter.size() > maxBytes {
		p.sitePasses, filter, byID = accept, idFilter{}, true
	}
	if !byID && p.by(FacilityName, FacilityArea, FacilityRegion) {
		p.sites = groupsOf(known, p.siteOf)
		byID, byGroup = sizeOf(p.sites.ids) > maxBytes, sizeOf(p.sites.ids) <= maxBytes
	}
	p.bindPlaces("facility", filter, byID, byGroup, p.sites.ids, p.sites.numbers)
}

// siteOf is what a facility is grouped by.
func (p *plan) siteOf(id string) site {
	var s site
	entry := p.register.facilities[id]
	if p.by(Facility) {
		s.id = id
	}
	if p.by(FacilityName) {
		s.name = entry.name
	}
	if p.by(FacilityArea) {
		s.area = entry.area
	}
	if p.by(FacilityRegion) {
		s.region = p.register.regionOf(entry.area)
	}
	return s
}

// placeOf is what an origin area is grouped by.
func (p *plan) placeOf(id string) place {
	var s place
	if p.by(OriginArea) {
		s.area = id
	}
	if p.by(OriginRegion) {
		s.region = p.register.regionOf(id)
	}
	return s
}

// bindPlaces binds the parameters of one end of the flow. Group lists are
// bound only when the statement groups by them, so that it stays short.
func (p *plan) bindPlaces(end string, filter idFilter, byID, byGroup bool, ids []string, numbers []uint32) {
	if !byGroup {
		ids, numbers = nil, nil
	}
	plural := map[string]string{"origin": "origins", "facility": "facilities"}[end]
	p.bind[plural] = nonNil(filter.keep)
	p.bind["not_"+plural] = nonNil(filter.drop)
	p.bind["by_"+end] = byID
	p.bind["by_"+end+"_group"] = byGroup
	p.bind[end+"_ids"] = nonNil(ids)
	p.bind[end+"_groups"] = nonNil(numbers)
}

// nonNil makes an empty list of nil: nil would be bound as NULL.
func nonNil[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}
