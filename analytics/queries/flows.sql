-- question: How much of one measure flowed, by the ids that rows hold?
-- parameters:
--   measure String: the measure asked for
--   builds Array(UUID): builds of flow_rollup that cover the log up to watermark; none to read facts alone
--   watermark UInt64: facts up to here are read from flow_rollup, later ones from flow_facts; 0 to read facts alone
--   committed UInt64: position up to which the answer reads
--   from_open Bool: there is no first day; days are then not read at all, which is what makes this a parameter
--   from Date: first day; what began before is left out
--   to_open Bool: there is no last day
--   to Date: day after the last; what ended after is left out
--   kinds Array(String): kinds to keep; empty keeps all, here and below
--   years Array(UInt16): years to keep
--   months Array(UInt32): months to keep, as year times 100 plus month; 0 keeps period totals
--   origins Array(String): ids of origin areas to keep
--   not_origins Array(String): ids of origin areas to leave out
--   facilities Array(String): ids of facilities to keep
--   not_facilities Array(String): ids of facilities to leave out
--   site_categories Array(String): site categories to keep
--   waste_codes Array(String): waste codes to keep
--   waste_chapters Array(String): first two digits of waste codes to keep
--   operations Array(String): operations to keep
--   fates Array(String): fates to keep
--   by_kind Bool: tell kinds apart
--   by_year Bool: tell years apart
--   by_month Bool: tell months, and periods of period totals, apart
--   by_origin Bool: tell origin areas apart
--   by_origin_group Bool: tell groups of origin areas apart
--   origin_ids Array(String): ids of origin areas that belong to a group
--   origin_groups Array(UInt32): their groups, in the same order; areas that are not named are group 0
--   by_facility Bool: tell facilities apart
--   by_facility_group Bool: tell groups of facilities apart
--   facility_ids Array(String): ids of facilities that belong to a group
--   facility_groups Array(UInt32): their groups, in the same order; facilities that are not named are group 0
--   by_site_category Bool: tell site categories apart
--   by_waste_code Bool: tell waste codes apart
--   by_waste_chapter Bool: tell chapters apart; without effect beside by_waste_code
--   by_operation Bool: tell operations apart
--   by_fate Bool: tell fates apart
--   max_groups UInt64: rows to give at most
-- columns:
--   kind String: kind of the fact, or empty when not told apart, as all that follow
--   year UInt16: year; 0
--   month UInt32: year times 100 plus month of a single fact, 0 of a period total; 0
--   period String: period of a period total, empty of a single fact
--   origin String: id of the origin area
--   origin_group UInt32: group of the origin area; 0
--   facility String: id of the facility
--   facility_group UInt32: group of the facility; 0
--   site_category String: site category
--   waste String: waste code, or its first two digits
--   operation String: operation
--   fate String: fate
--   grams Int64: mass
--   events Int64: facts that count
-- units: grams are whole grams; events are pieces
-- freshness: exactly what the log held up to committed
SELECT
    if({by_kind:Bool}, rows.kind, '') AS kind,
    if({by_year:Bool}, rows.year, 0) AS year,
    if({by_month:Bool}, calendar_month, 0) AS month,
    if({by_month:Bool} AND calendar_month = 0, rows.period, '') AS period,
    if({by_origin:Bool}, origin_area, '') AS origin,
    if({by_origin_group:Bool}, transform(origin_area, {origin_ids:Array(String)}, {origin_groups:Array(UInt32)}, toUInt32(0)), toUInt32(0)) AS origin_group,
    if({by_facility:Bool}, rows.facility, '') AS facility,
    if({by_facility_group:Bool}, transform(rows.facility, {facility_ids:Array(String)}, {facility_groups:Array(UInt32)}, toUInt32(0)), toUInt32(0)) AS facility_group,
    if({by_site_category:Bool}, rows.site_category, '') AS site_category,
    if({by_waste_code:Bool}, waste_code, if({by_waste_chapter:Bool}, substring(waste_code, 1, 2), '')) AS waste,
    if({by_operation:Bool}, rows.operation, '') AS operation,
    if({by_fate:Bool}, rows.fate, '') AS fate,
    toInt64(sum(rows.mass_t) * 1000000) AS grams,
    sum(rows.events) AS events
FROM
(
    SELECT kind, year, if(kind = 'period_reported', 0, toUInt32(year * 100 + month)) AS calendar_month, period, occurred_from, occurred_until,
        origin_area, facility, site_category, waste_code, operation, fate, mass_t, events
    FROM flow_rollup
    WHERE build IN {builds:Array(UUID)} AND measure = {measure:String}
    UNION ALL
    SELECT kind, year, if(kind = 'period_reported', 0, toUInt32(year * 100 + month)) AS calendar_month, period, occurred_on, until_on,
        origin_area, facility, site_category, waste_code, operation, fate, mass_t, events
    FROM flow_facts FINAL
    WHERE position > {watermark:UInt64} AND position <= {committed:UInt64} AND measure = {measure:String}
) AS rows
WHERE ({from_open:Bool} OR occurred_from >= {from:Date})
    AND ({to_open:Bool} OR occurred_until <= {to:Date})
    AND (empty({kinds:Array(String)}) OR rows.kind IN {kinds:Array(String)})
    AND (empty({years:Array(UInt16)}) OR rows.year IN {years:Array(UInt16)})
    AND (empty({months:Array(UInt32)}) OR calendar_month IN {months:Array(UInt32)})
    AND (empty({origins:Array(String)}) OR origin_area IN {origins:Array(String)})
    AND (empty({not_origins:Array(String)}) OR origin_area NOT IN {not_origins:Array(String)})
    AND (empty({facilities:Array(String)}) OR rows.facility IN {facilities:Array(String)})
    AND (empty({not_facilities:Array(String)}) OR rows.facility NOT IN {not_facilities:Array(String)})
    AND (empty({site_categories:Array(String)}) OR rows.site_category IN {site_categories:Array(String)})
    AND (empty({waste_codes:Array(String)}) OR waste_code IN {waste_codes:Array(String)})
    AND (empty({waste_chapters:Array(String)}) OR substring(waste_code, 1, 2) IN {waste_chapters:Array(String)})
    AND (empty({operations:Array(String)}) OR rows.operation IN {operations:Array(String)})
    AND (empty({fates:Array(String)}) OR rows.fate IN {fates:Array(String)})
GROUP BY ALL
LIMIT {max_groups:UInt64}
