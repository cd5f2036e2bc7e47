-- Facts. A row is a pure function of one event of the log, keyed by
-- (position, leg): however often and however late it arrives, it is the same
-- row, so that a retried or late INSERT changes nothing (ADR 0007).
-- No PARTITION BY: one INSERT is then one part, and whole or absent.
CREATE TABLE IF NOT EXISTS flow_facts
(
    position           UInt64                            COMMENT 'Commit position of the event in the log' CODEC(Delta(8), ZSTD(1)),
    leg                UInt16                            COMMENT 'Which row of the event, from 0; (position, leg) is the key' CODEC(ZSTD(1)),
    prepare_lag        Int64                             COMMENT 'position - prepare position; nearly always 0' CODEC(ZSTD(1)),
    prepare            UInt64                            ALIAS toUInt64(toInt64(position) - prepare_lag) COMMENT 'Prepare position of the event in the log',
    sign               Int8                              COMMENT '+1 counts, -1 takes back what an earlier event counted (correction, move, cancellation)' CODEC(ZSTD(1)),
    event_id           UUID                              COMMENT 'Id of the event in the log' CODEC(ZSTD(1)),
    first_event_id     UUID                              COMMENT 'Id of the event that recorded the fact first; nil UUID when that is this event' CODEC(ZSTD(1)),
    fact_id            UUID                              ALIAS if(first_event_id = toUUID('00000000-0000-0000-0000-000000000000'), event_id, first_event_id) COMMENT 'Id of the fact for ever: the id of its first event',
    revision           UInt32                            COMMENT 'Revision of the fact''s identity that the event made, from 1' CODEC(ZSTD(1)),
    event_type         LowCardinality(String)            COMMENT 'Type of the event in the log, version included' CODEC(ZSTD(1)),
    kind               LowCardinality(String)            COMMENT 'Kind of the fact: received, sorted, period_reported, ...' CODEC(ZSTD(1)),
    measure            LowCardinality(String)            COMMENT 'What the mass measures: collected, received, dispatched, rejected, sorted, reused, recycled, incinerated, landfilled, exported; of outputs of a treatment their role: output, residue, loss, bottom_ash, fly_ash, metals; of stock counts: stock. Never add across measures' CODEC(ZSTD(1)),
    facility           LowCardinality(String)            COMMENT 'Facility whose ledger holds the fact' CODEC(ZSTD(1)),
    origin_area        LowCardinality(String)            COMMENT 'Area the matter comes from, as reported; empty when not stated' CODEC(ZSTD(1)),
    origin_facility    LowCardinality(String)            COMMENT 'Facility the matter comes from, as reported; empty when not stated' CODEC(ZSTD(1)),
    target_area        LowCardinality(String)            COMMENT 'Area the matter goes to, as reported; empty when not stated' CODEC(ZSTD(1)),
    target_facility    LowCardinality(String)            COMMENT 'Facility the matter goes to, as reported; empty when not stated' CODEC(ZSTD(1)),
    from_area          LowCardinality(String)            ALIAS if(measure IN ('collected', 'received', 'sorted', 'reused', 'recycled', 'incinerated', 'landfilled'), origin_area, '') COMMENT 'Area at the near end of the leg, as reported; empty when that end is the reporting facility, whose area stands in facilities',
    from_facility      LowCardinality(String)            ALIAS if(measure IN ('collected', 'received', 'sorted', 'reused', 'recycled', 'incinerated', 'landfilled'), origin_facility, facility) COMMENT 'Facility at the near end of the leg; empty when not known',
    to_area            LowCardinality(String)            ALIAS multiIf(measure IN ('dispatched', 'exported') OR measure = 'rejected' AND (target_area != '' OR target_facility != ''), target_area, measure = 'rejected', origin_area, '') COMMENT 'Area at the far end of the leg, as reported; empty when that end is the reporting facility. What was rejected goes back unless it says where else',
    to_facility        LowCardinality(String)            ALIAS multiIf(measure IN ('dispatched', 'exported') OR measure = 'rejected' AND (target_area != '' OR target_facility != ''), target_facility, measure = 'rejected', origin_facility, measure = 'loss', '', facility) COMMENT 'Facility at the far end of the leg; empty when not known, and for what is lost',
    sector             LowCardinality(String)            COMMENT 'Producer sector of the origin: household, service, industry, ...; empty when not stated' CODEC(ZSTD(1)),
    waste_code         LowCardinality(String)            COMMENT 'Six-digit code of the EU list of waste, digits only; empty for products' CODEC(ZSTD(1)),
    fraction           LowCardinality(String)            COMMENT 'Household fraction, where one is used' CODEC(ZSTD(1)),
    product            LowCardinality(String)            COMMENT 'Product group or secondary material' CODEC(ZSTD(1)),
    form               LowCardinality(String)            COMMENT 'solid, liquid, sludge, powder, gas; empty when not stated' CODEC(ZSTD(1)),
    hazardous_declared Nullable(Bool)                    COMMENT 'What the reporter declared; NULL when nothing was declared' CODEC(ZSTD(1)),
    operation          LowCardinality(String)            COMMENT 'Recovery or disposal operation R1 to R13, D1 to D15, NS (not stated), OF (other); empty for none' CODEC(ZSTD(1)),
    site_category      LowCardinality(String)            COMMENT 'What the site is, as the source says it; belongs to the fact' CODEC(ZSTD(1)),
    fate               LowCardinality(String)            COMMENT 'What becomes of the matter, as the source says it' CODEC(ZSTD(1)),
    method             LowCardinality(String)            COMMENT 'How the mass was found: weighed, volume, estimated, declared; empty on outputs' CODEC(ZSTD(1)),
    mass_t             Decimal(18, 6)                    COMMENT 'Net mass in tonnes, exact to the gram, signed by sign: sum it' CODEC(ZSTD(1)),
    events             Int8                              COMMENT 'sign on the leg that counts as one event of its measure, 0 on outputs: sum it' CODEC(ZSTD(1)),
    items              Int64                             COMMENT 'Pieces prepared for reuse, signed by sign' CODEC(ZSTD(1)),
    energy_kwh         Int64                             COMMENT 'Energy out of incineration in kWh, signed by sign' CODEC(ZSTD(1)),
    displaces          LowCardinality(String)            COMMENT 'Product group that reused goods stand in for' CODEC(ZSTD(1)),
    year               UInt16                            COMMENT 'Year of occurred_on, at the facility' CODEC(ZSTD(1)),
    month              UInt8                             COMMENT 'Month 1 to 12; 0 for a total over any period but one calendar month' CODEC(ZSTD(1)),
    period             LowCardinality(String)            COMMENT 'Year or year and month (2019, 2019-03); for a total over any other period its first and last day (2019-01-01/2019-03-31)' CODEC(ZSTD(1)),
    occurred_on        Date                              COMMENT 'First day of the fact: of a load its day in UTC, held inside the month of its ledger, which is the facility''s own; of a total the first day of its period' CODEC(ZSTD(1)),
    until_on           Date                              COMMENT 'Day after the last: the next day for a load, the exclusive end of a period' CODEC(ZSTD(1)),
    occurred_at        DateTime64(3, 'UTC')              COMMENT 'Instant of a load; midnight UTC of the first day of a period' CODEC(ZSTD(1)),
    booked_in          LowCardinality(String)            COMMENT 'Open month (yyyymm) a late fact is booked in; empty when it is booked where it occurred' CODEC(ZSTD(1)),
    recorded_at        DateTime64(3, 'UTC')              COMMENT 'The log''s own time of recording; never goes back along position' CODEC(Delta(8), ZSTD(1)),
    reporter           LowCardinality(String)            COMMENT 'Who reports: first part of the identity' CODEC(ZSTD(1)),
    source             LowCardinality(String)            COMMENT 'System or data set: second part of the identity' CODEC(ZSTD(1)),
    external_id        String                            COMMENT 'The fact''s own id there: third part of the identity' CODEC(ZSTD(1)),
    import_id          LowCardinality(String)            COMMENT 'Import job the event belongs to; empty when not from a file' CODEC(ZSTD(1)),
    line               UInt32                            COMMENT 'Line of that file, from 1; 0 when not from a file' CODEC(Delta(4), ZSTD(1)),
    consignment        String                            COMMENT 'Document number shared by both sides of a consignment' CODEC(ZSTD(1)),
    reason             LowCardinality(String)            COMMENT 'Stated reason of a correction, move or cancellation' CODEC(ZSTD(1)),
    tags               Map(LowCardinality(String), LowCardinality(String)) COMMENT 'The source''s own classifications, verbatim' CODEC(ZSTD(1)),
    warnings           Array(LowCardinality(String))     COMMENT 'Ids of the rules the fact breaks without being refused' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (position, leg)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'One row per leg of a material-flow event, additive: sum mass_t and events. Read with FINAL and position <= the committed position, fetched by a query of its own before.';
