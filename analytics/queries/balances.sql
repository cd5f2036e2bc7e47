-- question: What did facilities report of a period, by everything that a balance tells apart?
-- parameters:
--   committed UInt64: position up to which the answer reads
--   facilities Array(String): ids of facilities to keep, and what others say of consignments from or to them; empty keeps all
--   from_open Bool: there is no first day
--   from Date: first day; what began before is left out
--   to_open Bool: there is no last day
--   to Date: day after the last; what ended after is left out
--   stock Bool: counts of stock are read
--   stock_from Date: first day of counts
--   stock_to Date: day after the last day of counts
--   max_groups UInt64: rows to give at most
-- columns:
--   facility String: id of the facility
--   kind String: kind of the facts
--   measure String: measure of the legs, role of an output, or stock
--   with_outputs Bool: the facts are treatments that state what came out
--   other String: facility at the other end of what was received, dispatched, rejected or exported
--   both_sides Bool: the other facility reports the same consignment of the same material
--   waste_code String: waste code; of a loss, that of what was treated, and so the next two
--   fraction String: household fraction
--   product String: product group or secondary material
--   method String: how the mass of the fact was found, for its outputs too
--   from_day String: first day of a period total, day of a count; empty of loads
--   to_day String: day after it
--   grams Int64: mass
--   squares Float64: sum of signed squares of the masses
--   legs Int64: legs that count, those taken back taken out
-- units: grams are whole grams, squares are grams squared, legs are pieces
-- freshness: exactly what the log held up to committed
SELECT
    facility, kind, measure, with_outputs, other, both_sides, waste_code, fraction, product, method, from_day, to_day,
    toInt64(sum(mass_t) * 1000000) AS grams,
    toFloat64(sum(toInt256(sign) * square)) AS squares,
    sum(toInt64(sign)) AS legs
FROM
(
    SELECT toString(f.facility) AS facility, toString(f.kind) AS kind, toString(f.measure) AS measure, false AS with_outputs,
        toString(multiIf(f.kind = 'exported', f.target_facility, f.kind = 'rejected' AND (f.target_area != '' OR f.target_facility != ''), f.target_facility,
            f.kind = 'rejected', f.origin_facility, '')) AS other,
        false AS both_sides, toString(f.waste_code) AS waste_code, toString(f.fraction) AS fraction, toString(f.product) AS product, toString(f.method) AS method,
        if(f.kind = 'period_reported', toString(f.occurred_on), '') AS from_day, if(f.kind = 'period_reported', toString(f.until_on), '') AS to_day,
        f.mass_t AS mass_t, f.sign AS sign, toInt256(toDecimal128(f.mass_t, 6) * 1000000) * toInt256(toDecimal128(f.mass_t, 6) * 1000000) AS square
    FROM flow_facts AS f FINAL
    WHERE f.position <= {committed:UInt64} AND f.kind IN ('collected', 'rejected', 'exported', 'landfilled', 'period_reported')
        AND (empty({facilities:Array(String)}) OR f.facility IN {facilities:Array(String)})
        AND ({from_open:Bool} OR f.occurred_on >= {from:Date}) AND ({to_open:Bool} OR f.until_on <= {to:Date})
    UNION ALL
    SELECT toString(f.facility), toString(f.kind), toString(f.measure), false, toString(if(f.kind = 'received', f.origin_facility, f.target_facility)),
        f.consignment != '' AND if(f.kind = 'received', f.origin_facility, f.target_facility) != ''
            AND sumIf(toInt64(f.sign), f.kind = 'dispatched') OVER travel > 0 AND sumIf(toInt64(f.sign), f.kind = 'received') OVER travel > 0,
        toString(f.waste_code), toString(f.fraction), toString(f.product), toString(f.method), '', '', f.mass_t, f.sign, toInt256(toDecimal128(f.mass_t, 6) * 1000000) * toInt256(toDecimal128(f.mass_t, 6) * 1000000)
    FROM flow_facts AS f FINAL
    WHERE f.position <= {committed:UInt64} AND f.kind IN ('received', 'dispatched')
        AND (empty({facilities:Array(String)}) OR f.facility IN {facilities:Array(String)}
            OR if(f.kind = 'received', f.origin_facility, f.target_facility) IN {facilities:Array(String)})
        AND ({from_open:Bool} OR f.occurred_on >= {from:Date}) AND ({to_open:Bool} OR f.until_on <= {to:Date})
    WINDOW travel AS (PARTITION BY if(f.kind = 'received', f.origin_facility, f.facility), if(f.kind = 'received', f.facility, f.target_facility),
        f.consignment, f.waste_code, f.fraction, f.product)
    UNION ALL
    SELECT toString(f.facility), toString(f.kind), toString(f.measure), countIf(f.events = 0) OVER fact > 0, '', false,
        if(f.measure = 'loss', maxIf(toString(f.waste_code), f.events != 0) OVER fact, toString(f.waste_code)),
        if(f.measure = 'loss', maxIf(toString(f.fraction), f.events != 0) OVER fact, toString(f.fraction)),
        if(f.measure = 'loss', maxIf(toString(f.product), f.events != 0) OVER fact, toString(f.product)),
        max(toString(f.method)) OVER fact, '', '', f.mass_t, f.sign, toInt256(toDecimal128(f.mass_t, 6) * 1000000) * toInt256(toDecimal128(f.mass_t, 6) * 1000000)
    FROM flow_facts AS f FINAL
    WHERE f.position <= {committed:UInt64} AND f.kind IN ('sorted', 'reused', 'recycled', 'incinerated')
        AND (empty({facilities:Array(String)}) OR f.facility IN {facilities:Array(String)})
        AND ({from_open:Bool} OR f.occurred_on >= {from:Date}) AND ({to_open:Bool} OR f.until_on <= {to:Date})
    WINDOW fact AS (PARTITION BY f.position, f.sign)
    UNION ALL
    SELECT toString(f.facility), toString(f.kind), toString(f.measure), false, '', false, toString(f.waste_code), toString(f.fraction), toString(f.product),
        toString(f.method), toString(f.occurred_on), toString(f.until_on), f.mass_t, f.sign, toInt256(toDecimal128(f.mass_t, 6) * 1000000) * toInt256(toDecimal128(f.mass_t, 6) * 1000000)
    FROM flow_facts AS f FINAL
    WHERE {stock:Bool} AND f.position <= {committed:UInt64} AND f.kind = 'stock_counted'
        AND (empty({facilities:Array(String)}) OR f.facility IN {facilities:Array(String)})
        AND f.occurred_on >= {stock_from:Date} AND f.occurred_on < {stock_to:Date}
)
WHERE empty({facilities:Array(String)}) OR facility IN {facilities:Array(String)} OR both_sides
GROUP BY ALL
LIMIT {max_groups:UInt64}
