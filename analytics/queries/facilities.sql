-- question: Which entries of the facility register were made between two positions?
-- parameters:
--   after UInt64: position the caller knows already
--   upto UInt64: last position to read
-- columns:
--   position UInt64: position of the entry
--   facility String: id
--   name String: name
--   area String: id of the area it lies in; empty when not known
-- units: positions are the log's own
-- freshness: exactly what the log held up to upto
SELECT position, toString(facility) AS facility, name, toString(area) AS area
FROM facilities
WHERE position > {after:UInt64} AND position <= {upto:UInt64}
ORDER BY position
