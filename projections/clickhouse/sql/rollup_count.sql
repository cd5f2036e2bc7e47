-- question: what did a build write?
-- parameters: seg_to (position), build
-- columns: rows (rows of the build), facts (facts in its sums)
SELECT count() AS rows, sum(r.facts) AS facts
FROM flow_rollup AS r
WHERE seg_to = {seg_to:UInt64} AND build = {build:UUID}
