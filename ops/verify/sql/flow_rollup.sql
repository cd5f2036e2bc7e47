-- question: what did a build of a segment sum up?
-- parameters: seg_to (position), build
-- columns: every stored column, as text, masses in whole grams
SELECT
    toString(t.seg_from) AS seg_from,
    toString(t.seg_to) AS seg_to,
    toString(t.build) AS build,
    toString(t.measure) AS measure,
    toString(t.kind) AS kind,
    toString(t.year) AS year,
    toString(t.month) AS month,
    toString(t.period) AS period,
    toString(t.occurred_from) AS occurred_from,
    toString(t.occurred_until) AS occurred_until,
    toString(t.origin_area) AS origin_area,
    toString(t.target_area) AS target_area,
    toString(t.facility) AS facility,
    toString(t.sector) AS sector,
    toString(t.site_category) AS site_category,
    toString(t.waste_code) AS waste_code,
    toString(t.fraction) AS fraction,
    toString(t.operation) AS operation,
    toString(t.fate) AS fate,
    toString(t.method) AS method,
    toString(toInt128(t.mass_t * 1000000)) AS mass_t,
    toString(t.events) AS events,
    toString(t.facts) AS facts
FROM flow_rollup AS t
WHERE t.seg_to = {seg_to:UInt64} AND t.build = {build:UUID}
