-- question: which rows of quarantine belong to events of a range of positions?
-- parameters: after (position, exclusive), upto (position, inclusive)
-- columns: every stored column, as text: masses in whole grams, floats as their bits, nothing for NULL,
--   lists and maps as length-prefixed parts
SELECT
    toString(t.projection) AS projection,
    toString(t.position) AS position,
    toString(t.prepare) AS prepare,
    toString(t.stream) AS stream,
    toString(t.revision) AS revision,
    toString(t.event_id) AS event_id,
    toString(t.event_type) AS event_type,
    toString(t.data) AS data,
    toString(t.meta) AS meta,
    toString(t.error) AS error,
    toString(t.recorded_at) AS recorded_at,
    toString(t.quarantined_at) AS quarantined_at
FROM quarantine AS t FINAL
WHERE t.position > {after:UInt64} AND t.position <= {upto:UInt64}
