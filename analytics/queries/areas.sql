-- question: Which entries of the area register were made between two positions?
-- parameters:
--   after UInt64: position the caller knows already
--   upto UInt64: last position to read
-- columns:
--   position UInt64: position of the entry
--   area String: id
--   level String: country, region or municipality
--   name String: name, as its own people write it
--   parent String: id of the area it lies in; empty for countries
-- units: positions are the log's own
-- freshness: exactly what the log held up to upto
SELECT position, toString(area) AS area, toString(level) AS level, name, toString(parent) AS parent
FROM areas
WHERE position > {after:UInt64} AND position <= {upto:UInt64}
ORDER BY position
