-- question: which segments of the rollup are complete?
-- columns: every stored column, as text
SELECT
    toString(t.seg_from) AS seg_from,
    toString(t.seg_to) AS seg_to,
    toString(t.level) AS level,
    toString(t.build) AS build,
    toString(t.facts) AS facts,
    toString(t.rows) AS rows,
    toString(t.built_at) AS built_at
FROM rollup_segments AS t FINAL
ORDER BY t.seg_from, t.seg_to
