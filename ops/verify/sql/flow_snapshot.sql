-- question: what do readers take as complete, and as its sums?
-- columns: every column of the view, as text; builds as length-prefixed parts, sorted
SELECT
    toString(t.committed) AS committed,
    toString(t.prepare) AS prepare,
    toString(t.recorded_at) AS recorded_at,
    toString(t.watermark) AS watermark,
    arrayStringConcat(arrayMap(b -> concat(toString(length(b)), ':', b), arraySort(arrayMap(u -> toString(u), t.builds)))) AS builds
FROM flow_snapshot AS t
