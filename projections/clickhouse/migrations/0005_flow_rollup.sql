-- Sums of facts over a range of positions (seg_from, seg_to]. Every attempt to
-- fill a segment writes rows under a build id of its own; rollup_segments names
-- the build that counts, once it is complete. What a retried, late or fenced
-- attempt leaves behind is named by nobody and read by nobody.
CREATE TABLE IF NOT EXISTS flow_rollup
(
    seg_from       UInt64                 COMMENT 'Position after which the segment begins' CODEC(ZSTD(1)),
    seg_to         UInt64                 COMMENT 'Last position of the segment' CODEC(ZSTD(1)),
    build          UUID                   COMMENT 'Attempt that wrote the row: counts only when flow_snapshot or rollup_segments names it' CODEC(ZSTD(1)),
    measure        LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    kind           LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    year           UInt16                 COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    month          UInt8                  COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    period         LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    occurred_from  Date                   COMMENT 'First day of the month of a load; first day of a period total' CODEC(ZSTD(1)),
    occurred_until Date                   COMMENT 'First day of the month after a load; exclusive end of a period total' CODEC(ZSTD(1)),
    origin_area    LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    target_area    LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    facility       LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    sector         LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    site_category  LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    waste_code     LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    fraction       LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    operation      LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    fate           LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    method         LowCardinality(String) COMMENT 'As in flow_facts' CODEC(ZSTD(1)),
    mass_t         Decimal(38, 6)         COMMENT 'Sum of mass_t in tonnes, exact: sum it' CODEC(ZSTD(1)),
    events         Int64                  COMMENT 'Sum of events: sum it' CODEC(ZSTD(1)),
    facts          UInt64                 COMMENT 'Rows of flow_facts in the sums' CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (seg_to, build, measure, year, occurred_from, facility, waste_code)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'flow_facts summed over segments of the log. Read only rows whose build flow_snapshot names, and the facts above its watermark.';

CREATE TABLE IF NOT EXISTS rollup_segments
(
    seg_from   UInt64               COMMENT 'Position after which the segment begins; 0 for the first',
    seg_to     UInt64               COMMENT 'Last position of the segment',
    level      UInt8                COMMENT '0: made from facts; n: the sum of consecutive segments of level n - 1',
    build      UUID                 COMMENT 'Build of flow_rollup that holds the segment, complete',
    facts      UInt64               COMMENT 'Rows of flow_facts summed up',
    rows       UInt64               COMMENT 'Rows of flow_rollup in this build',
    built_at   DateTime64(3, 'UTC') COMMENT 'When it was completed, by the projector''s clock'
)
ENGINE = ReplacingMergeTree
ORDER BY (seg_from, seg_to)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Segments of flow_rollup that are complete. Larger ones stand beside the smaller ones they sum up: flow_snapshot picks those that cover the log once.';

CREATE VIEW IF NOT EXISTS flow_snapshot
(
    committed   UInt64               COMMENT 'Position up to which every table is complete; 0 before the first flush',
    prepare     UInt64               COMMENT 'Prepare position that goes with it',
    recorded_at DateTime64(3, 'UTC') COMMENT 'The log''s time of the last event covered',
    watermark   UInt64               COMMENT 'Facts up to here are in flow_rollup; from here to committed read flow_facts with FINAL',
    builds      Array(UUID)          COMMENT 'Builds of flow_rollup that cover (0, watermark] exactly once'
)
AS
WITH
    (SELECT max(commit) FROM projection_positions WHERE projection = 'flows') AS at,
    -- The largest segment from each beginning, then those that do not begin inside a larger one.
    widest AS
    (
        SELECT seg_from, max(seg_to) AS seg_end, argMax(build, seg_to) AS chosen
        FROM rollup_segments
        WHERE seg_to <= at
        GROUP BY seg_from
    ),
    outermost AS
    (
        SELECT seg_from, seg_end, chosen,
            max(seg_end) OVER (ORDER BY seg_from ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
        FROM widest
    ),
    -- Only what joins without a gap from 0 counts.
    joined AS
    (
        SELECT seg_from, seg_end, chosen,
            sum(seg_from != reached) OVER (ORDER BY seg_from ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS gaps
        FROM outermost
        WHERE reached <= seg_from
    )
SELECT
    at AS committed,
    (SELECT argMax(prepare, commit) FROM projection_positions WHERE projection = 'flows') AS prepare,
    (SELECT argMax(recorded_at, commit) FROM projection_positions WHERE projection = 'flows') AS recorded_at,
    max(seg_end) AS watermark,
    groupArray(chosen) AS builds
FROM joined
WHERE gaps = 0
COMMENT 'Everything a question needs to know before it reads. Fetch the one row first, by a query of its own, and bind its values: inside one query the order in which tables are opened is not fixed, and half a flush could be seen.';
