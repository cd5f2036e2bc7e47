-- question: which rows of facilities belong to events of a range of positions?
-- parameters: after (position, exclusive), upto (position, inclusive)
-- columns: every stored column, as text: masses in whole grams, floats as their bits, nothing for NULL,
--   lists and maps as length-prefixed parts
SELECT
    toString(t.facility) AS facility,
    toString(t.position) AS position,
    toString(t.revision) AS revision,
    toString(t.event_id) AS event_id,
    toString(t.name) AS name,
    toString(t.area) AS area,
    toString(t.locality) AS locality,
    if(isNull(t.lat), '', toString(reinterpretAsUInt64(assumeNotNull(t.lat)))) AS lat,
    if(isNull(t.lon), '', toString(reinterpretAsUInt64(assumeNotNull(t.lon)))) AS lon,
    toString(t.time_zone) AS time_zone,
    toString(t.permit) AS permit,
    arrayStringConcat(arrayMap(w -> concat(toString(length(w)), ':', w), t.operations)) AS operations,
    toString(t.source) AS source,
    toString(t.recorded_at) AS recorded_at
FROM facilities AS t FINAL
WHERE t.position > {after:UInt64} AND t.position <= {upto:UInt64}
