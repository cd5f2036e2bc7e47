-- question: how far is each projection?
-- columns: every stored column, as text
SELECT
    toString(t.projection) AS projection,
    toString(t.commit) AS commit,
    toString(t.prepare) AS prepare,
    toString(t.recorded_at) AS recorded_at,
    toString(t.events) AS events,
    toString(t.facts) AS facts,
    toString(t.epoch) AS epoch,
    toString(t.flushed_at) AS flushed_at
FROM projection_positions AS t FINAL
ORDER BY t.projection
