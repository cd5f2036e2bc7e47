-- statement: sum up the facts of a segment, as a build of its own
-- parameters: seg_from, seg_to (positions, half-open below), build
INSERT INTO flow_rollup
(
    seg_from, seg_to, build, measure, kind, year, month, period, occurred_from, occurred_until, origin_area, target_area,
    facility, sector, site_category, waste_code, fraction, operation, fate, method, mass_t, events, facts
)
SELECT
    {seg_from:UInt64}, {seg_to:UInt64}, {build:UUID}, measure, kind, year, month, period,
    if(kind = 'period_reported', occurred_on, toStartOfMonth(occurred_on)) AS occurred_from,
    if(kind = 'period_reported', until_on, addMonths(toStartOfMonth(occurred_on), 1)) AS occurred_until,
    origin_area, target_area, facility, sector, site_category, waste_code, fraction, operation, fate, method,
    sum(mass_t), sum(toInt64(events)), count()
FROM flow_facts FINAL
WHERE position > {seg_from:UInt64} AND position <= {seg_to:UInt64}
GROUP BY
    measure, kind, year, month, period, occurred_from, occurred_until, origin_area, target_area,
    facility, sector, site_category, waste_code, fraction, operation, fate, method
