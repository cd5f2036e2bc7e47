-- The position stands beside the data it covers and is moved after it, by the
-- same flush (ADR 0003).
CREATE TABLE IF NOT EXISTS projection_positions
(
    `projection` LowCardinality(String)  COMMENT 'Name of the projection: flows',
    commit      UInt64                  COMMENT 'Commit position up to which every event is in the tables',
    prepare     UInt64                  COMMENT 'Prepare position that goes with it; the log resumes from both',
    recorded_at DateTime64(3, 'UTC')    COMMENT 'The log''s time of the last event covered; 1970 before the first',
    events      UInt64                  COMMENT 'Events of the log covered, since the first',
    facts       UInt64                  COMMENT 'Rows of flow_facts that these events make; fewer in the table means loss',
    epoch       UInt64                  COMMENT 'Epoch of the writer that moved the position',
    flushed_at  DateTime64(3, 'UTC')    COMMENT 'When it did, by its own clock'
)
ENGINE = ReplacingMergeTree(commit)
ORDER BY projection
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Committed position of each projection: max(commit). Read it by a query of its own, before the tables it covers.';

CREATE TABLE IF NOT EXISTS quarantine
(
    `projection`   LowCardinality(String) COMMENT 'Projection that could not take the event',
    position       UInt64                 COMMENT 'Commit position of the event in the log' CODEC(Delta(8), ZSTD(1)),
    prepare        UInt64                 COMMENT 'Prepare position of the event in the log' CODEC(Delta(8), ZSTD(1)),
    stream         String                 COMMENT 'Stream of the event' CODEC(ZSTD(1)),
    revision       UInt64                 COMMENT 'Number of the event in its stream, from 0' CODEC(ZSTD(1)),
    event_id       UUID                   COMMENT 'Id of the event' CODEC(ZSTD(1)),
    event_type     LowCardinality(String) COMMENT 'Type of the event' CODEC(ZSTD(1)),
    data           String                 COMMENT 'Payload, as it stands in the log' CODEC(ZSTD(1)),
    meta           String                 COMMENT 'Metadata, as it stands in the log' CODEC(ZSTD(1)),
    error          String                 COMMENT 'Why the event could not be taken' CODEC(ZSTD(1)),
    recorded_at    DateTime64(3, 'UTC')   COMMENT 'The log''s own time of recording' CODEC(Delta(8), ZSTD(1)),
    quarantined_at DateTime64(3, 'UTC')   COMMENT 'When it was put here, by the projector''s clock' CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(quarantined_at)
ORDER BY (projection, position)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Events that could not be decoded or projected, kept whole, so that they can be replayed after a fix. Read with FINAL.';
