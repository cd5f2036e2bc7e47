-- question: which rows of areas belong to events of a range of positions?
-- parameters: after (position, exclusive), upto (position, inclusive)
-- columns: every stored column, as text: masses in whole grams, floats as their bits, nothing for NULL,
--   lists and maps as length-prefixed parts
SELECT
    toString(t.area) AS area,
    toString(t.position) AS position,
    toString(t.revision) AS revision,
    toString(t.event_id) AS event_id,
    toString(t.level) AS level,
    toString(t.name) AS name,
    toString(t.country) AS country,
    toString(t.code) AS code,
    toString(t.parent) AS parent,
    toString(t.nuts) AS nuts,
    if(isNull(t.lat), '', toString(reinterpretAsUInt64(assumeNotNull(t.lat)))) AS lat,
    if(isNull(t.lon), '', toString(reinterpretAsUInt64(assumeNotNull(t.lon)))) AS lon,
    toString(t.source) AS source,
    toString(t.recorded_at) AS recorded_at
FROM areas AS t FINAL
WHERE t.position > {after:UInt64} AND t.position <= {upto:UInt64}
