Statements the researcher's account must get through, as researchers, the Go
driver, Grafana's data source and database browsers make them.
=== ping of the driver
SELECT 1
=== version for a JDBC driver
SELECT currentUser() AS user, timezone() AS timezone, version() AS version, getSetting('readonly') AS readonly
=== databases for a browser
SELECT name, engine, comment FROM system.databases ORDER BY name
=== tables for a browser
SELECT database, name, engine, total_rows, total_bytes, comment FROM system.tables WHERE database = 'stofstrom' ORDER BY name
=== columns for a browser
SELECT table, name, type, default_kind, comment, is_in_primary_key FROM system.columns WHERE database = 'stofstrom' AND table = 'facts' ORDER BY position
=== columns by the standard's names
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'stofstrom'
=== tables by the standard's names
SELECT table_name, table_type FROM INFORMATION_SCHEMA.TABLES WHERE table_schema = 'stofstrom'
=== functions for completion
SELECT name, is_aggregate FROM system.functions LIMIT 3
=== keywords for completion
SELECT word FROM system.completions LIMIT 3
=== types for a browser
SELECT name, case_insensitive, alias_to FROM system.data_type_families LIMIT 3
=== formats for a browser
SELECT name FROM system.formats WHERE is_output
=== settings for a browser
SELECT name, value FROM system.settings WHERE name IN ('max_threads', 'max_execution_time')
=== size of tables
SELECT table, sum(rows) AS r, formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active GROUP BY table
=== show databases
SHOW DATABASES
=== show tables
SHOW TABLES FROM stofstrom LIKE '%'
=== show full tables
SHOW FULL TABLES FROM stofstrom
=== show columns
SHOW COLUMNS FROM facts FROM stofstrom
=== show create table
SHOW CREATE TABLE stofstrom.facts
=== show settings
SHOW SETTINGS LIKE 'max_threads'
=== show functions
SHOW FUNCTIONS LIKE 'toStart%'
=== describe table
DESCRIBE TABLE stofstrom.facts
=== describe of the driver
DESC facts
=== describe a query
DESCRIBE (SELECT mass, area FROM stofstrom.facts)
=== exists
EXISTS TABLE stofstrom.facts
=== explain
EXPLAIN SELECT area, sum(mass) FROM stofstrom.facts GROUP BY area
=== explain pipeline
EXPLAIN PIPELINE SELECT sum(mass) FROM stofstrom.facts
=== explain with options
EXPLAIN PLAN indexes = 1, actions = 1 SELECT * FROM stofstrom.facts WHERE day = '2025-01-01'
=== explain syntax
EXPLAIN SYNTAX SELECT * FROM stofstrom.facts AS f JOIN stofstrom.areas AS a ON f.area = a.area
=== explain estimate
EXPLAIN ESTIMATE SELECT * FROM stofstrom.facts
=== sum by group
SELECT area, sum(mass) AS t, count() FROM facts GROUP BY area HAVING t > 0 ORDER BY t DESC LIMIT 10
=== decimals stay exact
SELECT toTypeName(sum(mass)), sum(mass) = toDecimal128('450', 6) FROM stofstrom.facts WHERE mass < 100
=== join
SELECT f.area, a.region, sum(f.mass) FROM stofstrom.facts AS f LEFT JOIN stofstrom.areas AS a ON a.area = f.area GROUP BY ALL ORDER BY 1
=== join using and settings
SELECT count() FROM stofstrom.facts INNER JOIN stofstrom.areas USING (area) SETTINGS join_use_nulls = 1, max_threads = 1
=== asof join
SELECT f.day, a.day FROM stofstrom.facts AS f ASOF JOIN stofstrom.facts AS a ON f.area = a.area AND f.day >= a.day LIMIT 3
=== common table expressions
WITH totals AS (SELECT area, sum(mass) AS t FROM stofstrom.facts GROUP BY area), whole AS (SELECT sum(t) AS w FROM totals) SELECT area, t / (SELECT w FROM whole) AS share FROM totals ORDER BY share
=== expression in WITH
WITH toDate('2025-01-01') AS start SELECT count() FROM stofstrom.facts WHERE day >= start
=== recursive query
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n
=== window functions
SELECT area, day, sum(mass) OVER (PARTITION BY area ORDER BY day ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS moving, rank() OVER w, lagInFrame(mass, 1, 0) OVER w FROM stofstrom.facts WINDOW w AS (PARTITION BY area ORDER BY day) LIMIT 5
=== qualify
SELECT area, mass, row_number() OVER (PARTITION BY area ORDER BY mass DESC) AS r FROM stofstrom.facts QUALIFY r = 1
=== quantiles and statistics
SELECT quantiles(0.25, 0.5, 0.75)(toFloat64(mass)), stddevPop(toFloat64(mass)), corr(toFloat64(mass), toFloat64(n)), uniqExact(area), topK(3)(area), median(mass) FROM stofstrom.facts
=== aggregate combinators
SELECT sumIf(mass, area = 'A'), countIf(day > '2025-01-02'), uniqIf(area, mass > 1), avgOrNull(toFloat64(mass)), sumMap(map(area, n)), argMax(area, mass), groupArrayIf(n, n < 3), finalizeAggregation(sumState(n)) FROM stofstrom.facts
=== filter clause
SELECT count() FILTER (WHERE mass > 1), sum(mass) FILTER (WHERE area = 'A') FROM stofstrom.facts
=== dates
SELECT toStartOfMonth(day) AS month, toYYYYMM(day), dateDiff('day', min(day), max(day)), toStartOfInterval(day, INTERVAL 1 WEEK), formatDateTime(any(day), '%Y-%m'), any(day) + INTERVAL 1 MONTH FROM stofstrom.facts GROUP BY ALL ORDER BY month
=== time zones
SELECT toTimeZone(now(), 'Europe/Copenhagen'), toDateTime('2025-03-30 00:00:00', 'UTC'), timezone()
=== time series as Grafana's macros expand them
SELECT toStartOfInterval(toDateTime(day), toIntervalSecond(86400)) AS time, area, toFloat64(sum(mass)) AS value FROM stofstrom.facts WHERE (toDateTime(day) >= toDateTime(1704067200)) AND (toDateTime(day) <= toDateTime(1893456000)) GROUP BY time, area ORDER BY time ASC WITH FILL STEP toIntervalDay(1)
=== variable of a Grafana dashboard
SELECT DISTINCT area FROM stofstrom.facts WHERE area ILIKE '%a%' ORDER BY area
=== with fill and interpolate
SELECT day, sum(n) AS s FROM stofstrom.facts GROUP BY day ORDER BY day WITH FILL FROM toDate('2025-01-01') TO toDate('2025-01-10') STEP 1 INTERPOLATE (s AS s + 1)
=== arrays and lambdas
SELECT arrayMap(x -> x * 2, range(5)), arrayFilter((x, y) -> x > y, [1, 5], [2, 3]), arraySum([1, 2]), arrayReduce('max', [1, 2]), arraySort(x -> -x, [1, 2])
=== functions by name
SELECT arrayMap(upper, ['a', 'b'])
=== arrayJoin
SELECT arrayJoin([1, 2, 3]) AS x, x * 2
=== array join
SELECT n, t FROM stofstrom.facts ARRAY JOIN tags AS t ORDER BY n, t LIMIT 5
=== column transformers
SELECT * EXCEPT (note, tags) REPLACE (mass * 2 AS mass) FROM stofstrom.facts LIMIT 1
=== column transformers with functions
SELECT COLUMNS('^(mass|n)$') APPLY(sum) APPLY(toString) FROM stofstrom.facts
=== column transformers with a lambda
SELECT COLUMNS('^n$') APPLY(x -> toString(x + 1)) FROM stofstrom.facts LIMIT 1
=== strings and regular expressions
SELECT replaceRegexpAll('20 01 08', '\\s+', ''), extract('R03.01', '(R\\d+)'), splitByChar('.', 'R3.1'), position('abc' IN 'xabc'), substring('abc' FROM 2 FOR 1), trim(BOTH ' ' FROM ' a '), 'a' || 'b', leftPad('7', 3, '0')
=== conditions
SELECT multiIf(mass > 5, 'big', mass > 1, 'medium', 'small') AS size, if(n % 2 = 0, 1, 0), CASE area WHEN 'A' THEN 1 ELSE 2 END, coalesce(NULL, 1), nullIf(1, 1), mass BETWEEN 1 AND 2, area IN ('A', 'B'), isNull(note), transform(area, ['A'], ['x'], 'y') FROM stofstrom.facts LIMIT 3
=== membership in a subquery
SELECT count() FROM stofstrom.facts WHERE area IN (SELECT area FROM stofstrom.areas WHERE region = 'north')
=== membership in a table
SELECT count() FROM stofstrom.facts WHERE area IN stofstrom.area_list
=== correlated existence
SELECT count() FROM stofstrom.facts WHERE exists(SELECT 1 FROM stofstrom.areas)
=== unions
SELECT area FROM stofstrom.facts UNION DISTINCT SELECT area FROM stofstrom.areas
=== except and intersect
SELECT area FROM stofstrom.areas EXCEPT SELECT area FROM stofstrom.facts
=== rollup and grouping sets
SELECT area, day, sum(mass), grouping(area) FROM stofstrom.facts GROUP BY GROUPING SETS ((area, day), (area), ())
=== group by with totals
SELECT area, sum(mass) FROM stofstrom.facts GROUP BY area WITH TOTALS
=== limit by
SELECT area, mass FROM stofstrom.facts ORDER BY mass DESC LIMIT 2 BY area
=== distinct on
SELECT DISTINCT ON (area) area, mass FROM stofstrom.facts ORDER BY area, mass
=== final
SELECT count() FROM stofstrom.facts FINAL
=== sample of numbers
SELECT number, number % 7 FROM numbers(100) WHERE number > 50 LIMIT 3
=== series
SELECT * FROM generate_series(1, 5, 2)
=== values as a table
SELECT a, b FROM values('a UInt8, b String', (1, 'x'), (2, 'y'))
=== view of a query
SELECT * FROM view(SELECT 1 AS a)
=== geography
SELECT greatCircleDistance(12.5, 55.7, 10.2, 56.1), geohashEncode(12.5, 55.7), pointInPolygon((1., 1.), [(0., 0.), (0., 2.), (2., 2.), (2., 0.)])
=== hashes and encodings
SELECT cityHash64('a'), hex(SHA256('a')), base64Encode('a'), toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0'), generateUUIDv4() != generateUUIDv4()
=== json values
SELECT JSONExtractString('{"a":"b"}', 'a'), toJSONString(map('a', 1)), JSON_VALUE('{"a":1}', '$.a')
=== json for a web page
SELECT area, sum(mass) AS t FROM stofstrom.facts GROUP BY area ORDER BY area FORMAT JSON
=== json rows
SELECT * FROM stofstrom.facts LIMIT 2 FORMAT JSONEachRow
=== csv for a spreadsheet
SELECT * FROM stofstrom.facts LIMIT 2 FORMAT CSVWithNames
=== parquet for R and Python
SELECT area, mass FROM stofstrom.facts LIMIT 2 FORMAT Parquet
=== pretty in a terminal
SELECT * FROM stofstrom.facts LIMIT 2 FORMAT PrettyCompact SETTINGS output_format_pretty_color = 0
=== comments and a semicolon
SELECT /* all */ 1 -- one
;
=== views of the research schema
SELECT * FROM stofstrom_research.by_area ORDER BY area
=== simple forecast
SELECT simpleLinearRegression(n, toFloat64(mass)) FROM stofstrom.facts
=== random numbers
SELECT count() FROM (SELECT rand() AS r FROM numbers(10)) WHERE r >= 0
