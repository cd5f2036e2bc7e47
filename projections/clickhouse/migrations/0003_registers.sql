-- Registers keep every version, so that a question can be asked as of an
-- earlier position: argMax(column, position) over position <= the one asked.
CREATE TABLE IF NOT EXISTS facilities
(
    facility    LowCardinality(String)   COMMENT 'Id of the facility' CODEC(ZSTD(1)),
    position    UInt64                   COMMENT 'Commit position of the event that said so' CODEC(Delta(8), ZSTD(1)),
    revision    UInt32                   COMMENT 'Version of the entry, from 1' CODEC(ZSTD(1)),
    event_id    UUID                     COMMENT 'Id of the event in the log' CODEC(ZSTD(1)),
    name        String                   COMMENT 'Name of the facility' CODEC(ZSTD(1)),
    area        LowCardinality(String)   COMMENT 'Municipality or planning area it lies in' CODEC(ZSTD(1)),
    locality    String                   COMMENT 'District or town, as the source says it' CODEC(ZSTD(1)),
    lat         Nullable(Float64)        COMMENT 'Latitude, WGS 84, degrees; NULL when not known' CODEC(ZSTD(1)),
    lon         Nullable(Float64)        COMMENT 'Longitude, WGS 84, degrees; NULL when not known' CODEC(ZSTD(1)),
    time_zone   LowCardinality(String)   COMMENT 'IANA time zone in which its months are taken' CODEC(ZSTD(1)),
    permit      String                   COMMENT 'Permit number as the authority writes it' CODEC(ZSTD(1)),
    operations  Array(LowCardinality(String)) COMMENT 'Operations the permit allows; empty when not known' CODEC(ZSTD(1)),
    source      LowCardinality(String)   COMMENT 'Who says so: profile and data set, or a key' CODEC(ZSTD(1)),
    recorded_at DateTime64(3, 'UTC')     COMMENT 'The log''s own time of recording' CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (facility, position)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every version of every facility. Latest known at a position: argMax(column, position) where position <= it.';

CREATE TABLE IF NOT EXISTS areas
(
    area        LowCardinality(String)   COMMENT 'Id of the area' CODEC(ZSTD(1)),
    position    UInt64                   COMMENT 'Commit position of the event that said so' CODEC(Delta(8), ZSTD(1)),
    revision    UInt32                   COMMENT 'Version of the entry, from 1' CODEC(ZSTD(1)),
    event_id    UUID                     COMMENT 'Id of the event in the log' CODEC(ZSTD(1)),
    level       LowCardinality(String)   COMMENT 'country, region or municipality' CODEC(ZSTD(1)),
    name        String                   COMMENT 'Name as its own people write it' CODEC(ZSTD(1)),
    country     LowCardinality(String)   COMMENT 'ISO 3166-1 alpha-2, upper case' CODEC(ZSTD(1)),
    code        String                   COMMENT 'Official code within the country; may be empty' CODEC(ZSTD(1)),
    parent      LowCardinality(String)   COMMENT 'Area it lies in; empty for countries' CODEC(ZSTD(1)),
    nuts        String                   COMMENT 'NUTS 2021 code, where there is one' CODEC(ZSTD(1)),
    lat         Nullable(Float64)        COMMENT 'Latitude of the centre, WGS 84, degrees; NULL when not known' CODEC(ZSTD(1)),
    lon         Nullable(Float64)        COMMENT 'Longitude of the centre, WGS 84, degrees; NULL when not known' CODEC(ZSTD(1)),
    source      LowCardinality(String)   COMMENT 'Who says so' CODEC(ZSTD(1)),
    recorded_at DateTime64(3, 'UTC')     COMMENT 'The log''s own time of recording' CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (area, position)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every version of every area. Latest known at a position: argMax(column, position) where position <= it.';
