-- question: On which days did facilities report single facts of some measures?
-- parameters:
--   committed UInt64: position up to which the answer reads
--   facilities Array(String): ids of facilities to keep
--   measures Array(String): measures to keep
--   from_open Bool: there is no first day
--   from Date: first day
--   to_open Bool: there is no last day
--   to Date: day after the last
-- columns:
--   facility String: id of the facility
--   measure String: measure of the facts
--   day String: a day with facts that count
-- units: days are the facility's own, as 2019-03-01
-- freshness: exactly what the log held up to committed
SELECT toString(facility) AS facility, toString(measure) AS measure, toString(occurred_on) AS day
FROM flow_facts FINAL
WHERE position <= {committed:UInt64} AND kind NOT IN ('period_reported', 'stock_counted')
    AND flow_facts.facility IN {facilities:Array(String)} AND flow_facts.measure IN {measures:Array(String)}
    AND ({from_open:Bool} OR occurred_on >= {from:Date}) AND ({to_open:Bool} OR until_on <= {to:Date})
GROUP BY ALL
HAVING sum(toInt64(sign)) > 0
