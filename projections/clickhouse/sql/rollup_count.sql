-- question: what did builds write?
-- parameters: after, last (positions that the segments lie between), builds
-- columns: build, rows (rows of the build), facts (facts in its sums)
SELECT build, count() AS rows, sum(r.facts) AS facts
FROM flow_rollup AS r
WHERE seg_to > {after:UInt64} AND seg_to <= {last:UInt64} AND build IN {builds:Array(UUID)}
GROUP BY build
