package flows

func (c *factColumns) reset() {
	// References are let go, so that a reused batch does not hold the last one's events.
	c.position = c.position[:0]
	c.prepareLag = c.prepareLag[:0]
	c.leg = c.leg[:0]
	c.year = c.year[:0]
	c.sign = c.sign[:0]
	c.events = c.events[:0]
	c.eventID = c.eventID[:0]
	c.firstEventID = c.firstEventID[:0]
	c.revision = c.revision[:0]
	c.line = c.line[:0]
	clear(c.eventType)
	c.eventType = c.eventType[:0]
	clear(c.kind)
	c.kind = c.kind[:0]
	clear(c.measure)
	c.measure = c.measure[:0]
	clear(c.facility)
	c.facility = c.facility[:0]
	clear(c.originArea)
	c.originArea = c.originArea[:0]
	clear(c.originFacility)
	c.originFacility = c.originFacility[:0]
	clear(c.targetArea)
	c.targetArea = c.targetArea[:0]
	clear(c.targetFacility)
	c.targetFacility = c.targetFacility[:0]
	clear(c.sector)
	c.sector = c.sector[:0]
	clear(c.wasteCode)
	c.wasteCode = c.wasteCode[:0]
	clear(c.fraction)
	c.fraction = c.fraction[:0]
	clear(c.product)
	c.product = c.product[:0]
	clear(c.form)
	c.form = c.form[:0]
	clear(c.hazardous)
	c.hazardous = c.hazardous[:0]
	clear(c.operation)
	c.operation = c.operation[:0]
	clear(c.siteCategory)
	c.siteCategory = c.siteCategory[:0]
	clear(c.fate)
	c.fate = c.fate[:0]
	clear(c.method)
	c.method = c.method[:0]
	clear(c.displaces)
	c.displaces = c.displaces[:0]
	c.mass = c.mass[:0]
	c.items = c.items[:0]
	c.energy = c.energy[:0]
	c.month = c.month[:0]
	clear(c.period)
	c.period = c.period[:0]
	clear(c.bookedIn)
	c.bookedIn = c.bookedIn[:0]
	clear(c.reporter)
	c.reporter = c.reporter[:0]
	clear(c.source)
	c.source = c.source[:0]
	clear(c.external)
	c.external = c.external[:0]
	clear(c.importID)
	c.importID = c.importID[:0]
	clear(c.document)
	c.document = c.document[:0]
	c.occurredOn = c.occurredOn[:0]
	c.untilOn = c.untilOn[:0]
	c.occurredAt = c.occurredAt[:0]
	c.recordedAt = c.recordedAt[:0]
	clear(c.reason)
	c.reason = c.reason[:0]
	clear(c.tags)
	c.tags = c.tags[:0]
	clear(c.warnings)
	c.warnings = c.warnings[:0]
}
