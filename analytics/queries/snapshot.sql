-- question: Up to which position may be read, and from where?
-- parameters:
-- columns:
--   committed UInt64: commit position up to which every table is complete; 0 before the first flush
--   recorded_at DateTime64(3, 'UTC'): when the event at committed was recorded
--   watermark UInt64: facts up to here are in flow_rollup
--   builds Array(UUID): builds of flow_rollup that cover the log up to watermark exactly once
-- units: positions are the log's own
-- freshness: the last flush
SELECT committed, recorded_at, watermark, builds
FROM flow_snapshot
