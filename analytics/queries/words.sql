-- question: Which site categories and fates were ever reported?
-- parameters:
--   builds Array(UUID): builds of flow_rollup that cover the log up to watermark
--   watermark UInt64: facts up to here are read from flow_rollup, later ones from flow_facts
--   committed UInt64: position up to which the answer reads
-- columns:
--   site_categories Array(String): site categories, in no order
--   fates Array(String): fates, in no order
-- units: none
-- freshness: exactly what the log held up to committed
SELECT groupUniqArray(toString(site_category)) AS site_categories, groupUniqArray(toString(fate)) AS fates
FROM
(
    SELECT site_category, fate
    FROM flow_rollup
    WHERE build IN {builds:Array(UUID)}
    UNION ALL
    SELECT site_category, fate
    FROM flow_facts
    WHERE position > {watermark:UInt64} AND position <= {committed:UInt64}
)
