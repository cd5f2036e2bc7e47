-- statement: sum up the facts of consecutive segments, each as a build of its own
-- parameters: after (position before the first), last (the greatest bound), bounds (last position of each), builds (one for each)
INSERT INTO flow_rollup
(
    seg_from, seg_to, build, measure, kind, year, month, period, occurred_from, occurred_until, origin_area, target_area,
    facility, sector, site_category, waste_code, fraction, operation, fate, method, mass_t, events, facts
)
WITH
    {bounds:Array(UInt64)} AS bounds,
    arrayFirstIndex(bound -> position <= bound, bounds) AS segment
SELECT
    if(segment = 1, {after:UInt64}, bounds[segment - 1]) AS seg_from, bounds[segment] AS seg_to,
    {builds:Array(UUID)}[segment] AS build, measure, kind, year, month, period,
    if(kind = 'period_reported', occurred_on, toStartOfMonth(occurred_on)) AS occurred_from,
    if(kind = 'period_reported', until_on, addMonths(toStartOfMonth(occurred_on), 1)) AS occurred_until,
    origin_area, target_area, facility, sector, site_category, waste_code, fraction, operation, fate, method,
    sum(mass_t), sum(toInt64(events)), count()
FROM flow_facts FINAL
WHERE position > {after:UInt64} AND position <= {last:UInt64}
GROUP BY
    segment, measure, kind, year, month, period, occurred_from, occurred_until, origin_area, target_area,
    facility, sector, site_category, waste_code, fraction, operation, fate, method
