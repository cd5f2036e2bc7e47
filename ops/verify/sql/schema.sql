-- question: which tables and columns are there?
-- columns: table, engine, column, whether the column is computed when read
SELECT c.table, t.engine, c.name, toString(toUInt8(c.default_kind = 'ALIAS')) AS computed
FROM system.columns AS c
INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
WHERE c.database = currentDatabase()
ORDER BY c.table, c.position
