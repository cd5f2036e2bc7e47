package verify

// The tables, with their columns in the order of their statement.
var (
	factsTable = newTable("flow_facts", []string{"position", "leg"}, nil,
		"position", "leg", "prepare_lag", "sign", "event_id", "first_event_id", "revision", "event_type", "kind", "measure", "facility",
		"origin_area", "origin_facility", "target_area", "target_facility", "from_area", "from_facility", "to_area", "to_facility", "sector",
		"waste_code", "fraction", "product", "form", "hazardous_declared", "operation", "site_category", "fate", "method",
		"mass_t", "events", "items", "energy_kwh", "displaces", "year", "month", "period", "occurred_on", "until_on", "occurred_at",
		"booked_in", "recorded_at", "reporter", "source", "external_id", "import_id", "line", "consignment", "reason", "tags", "warnings")

	facilitiesTable = newTable("facilities", []string{"facility", "position"}, nil,
		"facility", "position", "revision", "event_id", "name", "area", "locality", "lat", "lon", "time_zone", "permit", "operations", "source", "recorded_at")

	areasTable = newTable("areas", []string{"area", "position"}, nil,
		"area", "position", "revision", "event_id", "level", "name", "country", "code", "parent", "nuts", "lat", "lon", "source", "recorded_at")

	quarantineTable = newTable("quarantine", []string{"projection", "position"}, []string{"error", "quarantined_at"},
		"projection", "position", "prepare", "stream", "revision", "event_id", "event_type", "data", "meta", "error", "recorded_at", "quarantined_at")

	positionsTable = newTable("projection_positions", []string{"projection"}, []string{"epoch", "flushed_at"},
		"projection", "commit", "prepare", "recorded_at", "events", "facts", "epoch", "flushed_at")

	segmentsTable = newTable("rollup_segments", []string{"seg_from", "seg_to"}, []string{"level", "build", "built_at"},
		"seg_from", "seg_to", "level", "build", "facts", "rows", "built_at")

	// A view: what it gives follows from positions and segments.
	snapshotTable = newTable("flow_snapshot", nil, nil, "committed", "prepare", "recorded_at", "watermark", "builds")

	rollupTable = newTable("flow_rollup", []string{
		"seg_from", "seg_to", "measure", "kind", "year", "month", "period", "occurred_from", "occurred_until", "origin_area", "target_area",
		"facility", "sector", "site_category", "waste_code", "fraction", "operation", "fate", "method",
	}, []string{"build"},
		"seg_from", "seg_to", "build", "measure", "kind", "year", "month", "period", "occurred_from", "occurred_until", "origin_area", "target_area",
		"facility", "sector", "site_category", "waste_code", "fraction", "operation", "fate", "method", "mass_t", "events", "facts")
)

func tables() []*table {
	return []*table{factsTable, facilitiesTable, areasTable, quarantineTable, positionsTable, segmentsTable, rollupTable, snapshotTable}
}

// migrationsTable is the migrator's own book: nothing in it comes from the log.
const migrationsTable = "schema_migrations"
