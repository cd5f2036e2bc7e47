package flows

import (
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/projections/sink"
)

// facilityColumns are the columns of facilities.
type facilityColumns struct {
	facility, name, area, locality, zone, permit, source []string
	position                                             []uint64
	revision                                             []uint32
	eventID                                              []uuid.UUID
	lat, lon                                             []*float64
	operations                                           [][]string
	recordedAt                                           []time.Time
}

func (c *facilityColumns) add(rec *eventlog.Recorded, e *event.FacilityRegistered) {
	lat, lon := degrees(e.Facility.Location)
	c.facility = append(c.facility, string(e.Facility.ID))
	c.position = append(c.position, rec.Position.Commit)
	c.revision = append(c.revision, e.Revision)
	c.eventID = append(c.eventID, rec.ID)
	c.name = append(c.name, e.Facility.Name)
	c.area = append(c.area, string(e.Facility.Area))
	c.locality = append(c.locality, e.Facility.Locality)
	c.lat = append(c.lat, lat)
	c.lon = append(c.lon, lon)
	c.zone = append(c.zone, e.Facility.TimeZone)
	c.permit = append(c.permit, e.Facility.Permit)
	c.operations = append(c.operations, operations(e.Facility))
	c.source = append(c.source, e.Source)
	c.recordedAt = append(c.recordedAt, rec.RecordedAt.UTC())
}

func (c *facilityColumns) block() sink.Block {
	return sink.Block{Table: FacilitiesTable, Rows: len(c.position), Columns: []sink.Column{
		{Name: "facility", Values: c.facility}, {Name: "position", Values: c.position}, {Name: "revision", Values: c.revision},
		{Name: "event_id", Values: c.eventID}, {Name: "name", Values: c.name}, {Name: "area", Values: c.area},
		{Name: "locality", Values: c.locality}, {Name: "lat", Values: c.lat}, {Name: "lon", Values: c.lon},
		{Name: "time_zone", Values: c.zone}, {Name: "permit", Values: c.permit}, {Name: "operations", Values: c.operations},
		{Name: "source", Values: c.source}, {Name: "recorded_at", Values: c.recordedAt},
	}}
}

func (c *facilityColumns) reset() { *c = facilityColumns{} } // few rows: nothing to reuse

// areaColumns are the columns of areas.
type areaColumns struct {
	area, level, name, country, code, parent, nuts, source []string
	position                                               []uint64
	revision                                               []uint32
	eventID                                                []uuid.UUID
	lat, lon                                               []*float64
	recordedAt                                             []time.Time
}

func (c *areaColumns) add(rec *eventlog.Recorded, e *event.AreaRegistered) {
	lat, lon := degrees(e.Area.Centre)
	c.area = append(c.area, string(e.Area.ID))
	c.position = append(c.position, rec.Position.Commit)
	c.revision = append(c.revision, e.Revision)
	c.eventID = append(c.eventID, rec.ID)
	c.level = append(c.level, string(e.Area.Level))
	c.name = append(c.name, e.Area.Name)
	c.country = append(c.country, e.Area.Country)
	c.code = append(c.code, e.Area.Code)
	c.parent = append(c.parent, string(e.Area.Parent))
	c.nuts = append(c.nuts, e.Area.NUTS)
	c.lat = append(c.lat, lat)
	c.lon = append(c.lon, lon)
	c.source = append(c.source, e.Source)
	c.recordedAt = append(c.recordedAt, rec.RecordedAt.UTC())
}

func (c *areaColumns) block() sink.Block {
	return sink.Block{Table: AreasTable, Rows: len(c.position), Columns: []sink.Column{
		{Name: "area", Values: c.area}, {Name: "position", Values: c.position}, {Name: "revision", Values: c.revision},
		{Name: "event_id", Values: c.eventID}, {Name: "level", Values: c.level}, {Name: "name", Values: c.name},
		{Name: "country", Values: c.country}, {Name: "code", Values: c.code}, {Name: "parent", Values: c.parent},
		{Name: "nuts", Values: c.nuts}, {Name: "lat", Values: c.lat}, {Name: "lon", Values: c.lon},
		{Name: "source", Values: c.source}, {Name: "recorded_at", Values: c.recordedAt},
	}}
}

func (c *areaColumns) reset() { *c = areaColumns{} }
