-- statement: sum up consecutive segments as a build of its own
-- parameters: after, last (positions, half-open below), build, children (builds)
INSERT INTO flow_rollup
(
    seg_from, seg_to, build, measure, kind, year, month, period, occurred_from, occurred_until, origin_area, target_area,
    facility, sector, site_category, waste_code, fraction, operation, fate, method, mass_t, events, facts
)
SELECT
    {after:UInt64}, {last:UInt64}, {build:UUID}, measure, kind, year, month, period, occurred_from, occurred_until,
    origin_area, target_area, facility, sector, site_category, waste_code, fraction, operation, fate, method,
    sum(r.mass_t), sum(r.events), sum(r.facts)
FROM flow_rollup AS r
WHERE seg_to > {after:UInt64} AND seg_to <= {last:UInt64} AND build IN {children:Array(UUID)}
GROUP BY
    measure, kind, year, month, period, occurred_from, occurred_until, origin_area, target_area,
    facility, sector, site_category, waste_code, fraction, operation, fate, method
