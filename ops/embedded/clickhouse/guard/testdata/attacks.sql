Statements the researcher's account must not get through. Each block is one
statement; its title may end in the exception's code in brackets, 497
(ACCESS_DENIED) otherwise. {SECRET} is a file that holds a secret, {DIR} a folder
that must stay empty, {LISTENER} host and port of a listener that must stay alone.
=== file function
SELECT file('{SECRET}')
=== file function by name
SELECT arrayMap(file, ['{SECRET}'])
=== file function by alias
SELECT file AS f, arrayMap(f, ['{SECRET}'])
=== file function quoted
SELECT `file`('{SECRET}')
=== file function double quoted
SELECT "file"('{SECRET}')
=== file function after a comment
SELECT file/**/('{SECRET}')
=== file function behind a line comment
SELECT 1 -- harmless
, file('{SECRET}')
=== file function with a heredoc
SELECT file($$ {SECRET} $$)
=== file function in APPLY
SELECT p.* APPLY(file) FROM (SELECT '{SECRET}' AS path) AS p
=== file function in an APPLY lambda
SELECT p.* APPLY(x -> file(x)) FROM (SELECT '{SECRET}' AS path) AS p
=== file function in an APPLY lambda, hidden
SELECT p.* APPLY(x -> concat('a', file(x))) FROM (SELECT '{SECRET}' AS path) AS p
=== file function by name in an APPLY lambda
SELECT p.* APPLY(x -> arrayMap(file, [x])) FROM (SELECT '{SECRET}' AS path) AS p
=== file function by quoted name in an APPLY lambda
SELECT p.* APPLY(x -> arrayMap(`file`, [x])) FROM (SELECT '{SECRET}' AS path) AS p
=== file function by name in APPLY without parentheses
SELECT p.* APPLY file FROM (SELECT '{SECRET}' AS path) AS p
=== file function in COLUMNS APPLY
SELECT COLUMNS('path') APPLY(file) FROM (SELECT '{SECRET}' AS path)
=== file function in REPLACE
SELECT * REPLACE (file(path) AS path) FROM (SELECT '{SECRET}' AS path)
=== file function in a lambda
SELECT arrayMap(x -> file(x), ['{SECRET}'])
=== file function in arrayFold
SELECT arrayFold((a, x) -> concat(a, file(x)), ['{SECRET}'], '')
=== file function in arraySort
SELECT arraySort(x -> file(x), ['{SECRET}', '{SECRET}'])
=== file function in WHERE
SELECT 1 WHERE file('{SECRET}') != ''
=== file function in ORDER BY
SELECT number FROM numbers(2) ORDER BY file('{SECRET}')
=== file function in GROUP BY
SELECT count() FROM numbers(2) GROUP BY file('{SECRET}')
=== file function in HAVING
SELECT count() FROM numbers(2) HAVING file('{SECRET}') != ''
=== file function in QUALIFY
SELECT number, row_number() OVER (ORDER BY number) AS r FROM numbers(2) QUALIFY file('{SECRET}') != ''
=== file function in a window
SELECT sum(number) OVER (PARTITION BY file('{SECRET}')) FROM numbers(2)
=== file function in a named window
SELECT sum(number) OVER w FROM numbers(2) WINDOW w AS (PARTITION BY file('{SECRET}'))
=== file function in a window frame
SELECT sum(number) OVER (ORDER BY number ROWS BETWEEN length(file('{SECRET}')) PRECEDING AND CURRENT ROW) FROM numbers(2)
=== file function in LIMIT
SELECT number FROM numbers(9) LIMIT length(file('{SECRET}'))
=== file function in LIMIT BY
SELECT number FROM numbers(9) LIMIT 1 BY file('{SECRET}')
=== file function in OFFSET
SELECT number FROM numbers(9) LIMIT 1 OFFSET length(file('{SECRET}'))
=== file function in WITH FILL
SELECT number FROM numbers(2) ORDER BY number WITH FILL FROM 0 TO length(file('{SECRET}'))
=== file function in INTERPOLATE
SELECT number, 'a' AS s FROM numbers(2) ORDER BY number WITH FILL FROM 0 TO 4 INTERPOLATE (s AS file('{SECRET}'))
=== file function in ARRAY JOIN
SELECT x FROM numbers(1) ARRAY JOIN [file('{SECRET}')] AS x
=== file function in JOIN ON
SELECT 1 FROM numbers(1) AS a JOIN numbers(1) AS b ON a.number = b.number AND file('{SECRET}') != ''
=== file function in a common table expression
WITH s AS (SELECT file('{SECRET}') AS t) SELECT t FROM s
=== file function in a WITH expression
WITH file('{SECRET}') AS t SELECT t
=== file function in a scalar subquery
SELECT (SELECT file('{SECRET}'))
=== file function in IN
SELECT 1 IN (SELECT length(file('{SECRET}')))
=== file function in UNION
SELECT 'a' UNION ALL SELECT file('{SECRET}')
=== file function in INTERSECT
SELECT 'a' INTERSECT SELECT file('{SECRET}')
=== file function in EXISTS
SELECT exists(SELECT file('{SECRET}'))
=== file function in a table function's argument
SELECT * FROM numbers(length(file('{SECRET}')))
=== file function in view
SELECT * FROM view(SELECT file('{SECRET}'))
=== file function in values
SELECT * FROM values('a String', file('{SECRET}'))
=== file function in EXPLAIN
EXPLAIN SELECT file('{SECRET}')
=== file function in EXPLAIN SYNTAX
EXPLAIN SYNTAX run_query_tree_passes = 1 SELECT file('{SECRET}')
=== file function in EXPLAIN as a table
SELECT * FROM (EXPLAIN QUERY TREE SELECT file('{SECRET}'))
=== file function in DESCRIBE
DESCRIBE (SELECT file('{SECRET}') AS a)
=== file function in SETTINGS [62]
SELECT 1 SETTINGS max_threads = file('{SECRET}')
=== file function in a tuple element
SELECT (file('{SECRET}'), 1).1
=== file function in CASE
SELECT CASE WHEN 1 THEN file('{SECRET}') ELSE '' END
=== file function in a cast
SELECT file('{SECRET}')::FixedString(100)
=== file function in an aggregate's parameter
SELECT quantile(length(file('{SECRET}')))(number) FROM numbers(1)
=== file function as FILTER
SELECT count() FILTER (WHERE file('{SECRET}') != '') FROM numbers(1)
=== file function in PREWHERE
SELECT mass FROM stofstrom.facts PREWHERE file('{SECRET}') != ''
=== file function in SAMPLE [62]
SELECT mass FROM stofstrom.facts SAMPLE file('{SECRET}')
=== file function in a recursive query
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + length(file('{SECRET}')) FROM r WHERE n < 3) SELECT * FROM r
=== file table function
SELECT * FROM file('{SECRET}', 'LineAsString', 'l String')
=== file table function in a join
SELECT * FROM numbers(1) AS n CROSS JOIN file('{SECRET}', 'LineAsString', 'l String') AS f
=== file table function in view
SELECT * FROM view(SELECT * FROM file('{SECRET}', 'LineAsString', 'l String'))
=== file table function in viewExplain
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM file('{SECRET}', 'LineAsString', 'l String')))
=== file table function in IN
SELECT 'a' IN (SELECT l FROM file('{SECRET}', 'LineAsString', 'l String'))
=== file table function in DESCRIBE
DESCRIBE TABLE file('{SECRET}')
=== file table function in upper case
SELECT * FROM FILE('{SECRET}', 'LineAsString', 'l String')
=== file as a table
SELECT * FROM `{SECRET}`
=== file as a table of the default database
SELECT * FROM default.`{SECRET}`
=== fileCluster
SELECT * FROM fileCluster('default', '{SECRET}', 'LineAsString', 'l String')
=== filesystem table function
SELECT * FROM filesystem('/')
=== filesystem function
SELECT filesystemAvailable()
=== database on the file system
CREATE DATABASE fs ENGINE = Filesystem('/')
=== sqlite
SELECT * FROM sqlite('{SECRET}', 't')
=== deltaLakeLocal
SELECT * FROM deltaLakeLocal('/')
=== icebergLocal
SELECT * FROM icebergLocal('/')
=== outfile
SELECT 1 INTO OUTFILE '{DIR}/a.csv'
=== outfile with a format
SELECT 1 INTO OUTFILE '{DIR}/a.csv' TRUNCATE FORMAT CSV
=== outfile behind a comment
SELECT 1 INTO/* */OUTFILE '{DIR}/a.csv'
=== outfile over lines
SELECT 1
INTO
OUTFILE '{DIR}/a.csv' APPEND
=== outfile in EXPLAIN
EXPLAIN SELECT 1 INTO OUTFILE '{DIR}/a.csv'
=== outfile in SHOW
SHOW TABLES INTO OUTFILE '{DIR}/a.csv'
=== outfile and standard output
SELECT 1 INTO OUTFILE '{DIR}/a.csv' AND STDOUT
=== schema file written by a format
SELECT 1 AS a FORMAT Protobuf SETTINGS output_format_schema = '{DIR}/schema.proto'
=== schema file through a setting
SELECT 1 AS a FORMAT CapnProto SETTINGS output_format_schema = '{DIR}/schema.proto'
=== template format
SELECT 1 AS a FORMAT Template SETTINGS format_template_row = '{SECRET}'
=== url table function
SELECT * FROM url('http://{LISTENER}/x', 'CSV', 'a String')
=== url in a join
SELECT * FROM numbers(1) AS n JOIN url('http://{LISTENER}/x', 'CSV', 'number UInt64') AS u USING (number)
=== url with schema inference
DESCRIBE url('http://{LISTENER}/x.csv')
=== url in EXPLAIN
EXPLAIN QUERY TREE SELECT * FROM url('http://{LISTENER}/x.csv')
=== urlCluster
SELECT * FROM urlCluster('default', 'http://{LISTENER}/x', 'CSV', 'a String')
=== s3
SELECT * FROM s3('http://{LISTENER}/bucket/x.csv', 'CSV', 'a String')
=== gcs
SELECT * FROM gcs('http://{LISTENER}/bucket/x.csv', 'CSV', 'a String')
=== azureBlobStorage
SELECT * FROM azureBlobStorage('http://{LISTENER}/x', 'c', 'b', 'a', 'YQ==', 'CSV', 'auto', 'a String')
=== hdfs
SELECT * FROM hdfs('hdfs://{LISTENER}/x', 'CSV', 'a String')
=== iceberg
SELECT * FROM iceberg('http://{LISTENER}/bucket/table')
=== deltaLake
SELECT * FROM deltaLake('http://{LISTENER}/bucket/table')
=== hudi
SELECT * FROM hudi('http://{LISTENER}/bucket/table')
=== remote
SELECT * FROM remote('{LISTENER}', system.one)
=== remoteSecure
SELECT * FROM remoteSecure('{LISTENER}', system.one)
=== cluster
SELECT * FROM cluster('default', system.one)
=== clusterAllReplicas
SELECT * FROM clusterAllReplicas('default', system.one)
=== mysql
SELECT * FROM mysql('{LISTENER}', 'd', 't', 'u', 'p')
=== postgresql
SELECT * FROM postgresql('{LISTENER}', 'd', 't', 'u', 'p')
=== mongodb
SELECT * FROM mongodb('{LISTENER}', 'd', 'c', 'u', 'p', 'a String')
=== redis
SELECT * FROM redis('{LISTENER}', 'key', 'key String, v String')
=== odbc
SELECT * FROM odbc('DSN=x', 'd', 't')
=== jdbc
SELECT * FROM jdbc('jdbc:x://{LISTENER}', 't')
=== ytsaurus
SELECT * FROM ytsaurus('http://{LISTENER}', '//t', 'o', 'a String')
=== paimon
SELECT * FROM paimon('http://{LISTENER}/bucket/table')
=== prometheusQuery
SELECT * FROM prometheusQuery('stofstrom', 'facts', 'up', now())
=== reverse lookup through a dictionary
SELECT dictGet('http://{LISTENER}/', 'a', 1)
=== dictionary table function
SELECT * FROM dictionary('d')
=== language model over the network
SELECT aiGenerate('hello')
=== column check on another server
SELECT hasColumnInTable('{LISTENER}', 'u', 'p', 'system', 'one', 'dummy')
=== executable
SELECT * FROM executable('id', 'TSV', 'a String')
=== python
SELECT * FROM python('x')
=== arrow stream of the process
SELECT * FROM arrowstream('x')
=== input
SELECT * FROM input('a String')
=== merge over other databases
SELECT * FROM merge('private', '.*')
=== merge by pattern
SELECT * FROM merge(REGEXP('.*'), '.*')
=== loop
SELECT * FROM loop(stofstrom.facts)
=== index of another table
SELECT * FROM mergeTreeIndex('private', 'secrets')
=== random rows without end
SELECT * FROM generateRandom('a String')
=== fuzzed query
SELECT fuzzQuery('SELECT 1')
=== fuzzed query as a table
SELECT * FROM fuzzQuery('SELECT 1')
=== table of another database
SELECT * FROM private.secrets
=== table of another database quoted
SELECT * FROM `private`.`secrets`
=== table of another database in IN
SELECT 'x' IN private.secrets
=== table of another database in a subquery
SELECT (SELECT max(secret) FROM private.secrets)
=== table of another database by join
SELECT * FROM stofstrom.facts AS f, private.secrets AS s
=== table of another database by joinGet
SELECT joinGet('private.joined', 'v', 1)
=== table of another database in view
SELECT * FROM view(SELECT * FROM private.secrets)
=== table of another database in EXPLAIN ESTIMATE
EXPLAIN ESTIMATE SELECT * FROM private.secrets
=== description of another database's table
SHOW CREATE TABLE private.secrets
=== description of another database
SHOW CREATE DATABASE private
=== columns of another database's table
DESCRIBE TABLE private.secrets
=== existence of another database's table
EXISTS TABLE private.secrets
=== users
SELECT * FROM system.users
=== grants
SHOW GRANTS
=== access
SHOW ACCESS
=== processes
SELECT * FROM system.processes
=== process list
SHOW PROCESSLIST
=== stack traces
SELECT * FROM system.stack_trace
=== server settings
SELECT * FROM system.server_settings
=== disks
SELECT * FROM system.disks
=== clusters
SELECT * FROM system.clusters
=== build options
SELECT * FROM system.build_options
=== certificates
SELECT * FROM system.certificates
=== name of the machine
SELECT hostName()
=== full name of the machine
SELECT FQDN()
=== kernel of the machine
SELECT getOSKernelVersion()
=== macro
SELECT getMacro('x')
=== server setting
SELECT getServerSetting('path')
=== port
SELECT tcpPort()
=== request header
SELECT getClientHTTPHeader('Authorization')
=== certificate
SELECT showCertificate()
=== address of code
SELECT addressToLine(1)
=== demangled name
SELECT demangle('_Z1av')
=== entry in the log
SELECT logTrace('x')
=== sleep
SELECT sleep(3)
=== sleep for each row
SELECT sleepEachRow(1) FROM numbers(100)
=== sleep by name
SELECT arrayMap(sleep, [1, 1])
=== serial number kept by the server
SELECT generateSerialID('x')
=== model from a file
SELECT catboostEvaluate('{SECRET}', 1)
=== insert
INSERT INTO stofstrom.facts VALUES (1, 'x')
=== insert from a select
INSERT INTO stofstrom.facts SELECT 1, 'x'
=== insert into a file
INSERT INTO FUNCTION file('{DIR}/x.csv', 'CSV', 'a Int8') SELECT 1
=== insert into a url
INSERT INTO FUNCTION url('http://{LISTENER}/x', 'CSV', 'a Int8') SELECT 1
=== insert from a file
INSERT INTO stofstrom.facts FROM INFILE '{SECRET}' FORMAT CSV
=== insert behind a comment
/* SELECT */ INSERT INTO stofstrom.facts VALUES (1, 'x')
=== create table
CREATE TABLE stofstrom.t (a Int8) ENGINE = Memory
=== create table as select
CREATE TABLE stofstrom.t ENGINE = Memory AS SELECT 1
=== create table on a file
CREATE TABLE stofstrom.t (a Int8) ENGINE = File(CSV, '{DIR}/x.csv')
=== create table on a url
CREATE TABLE stofstrom.t (a Int8) ENGINE = URL('http://{LISTENER}/x', CSV)
=== create temporary table
CREATE TEMPORARY TABLE t (a Int8)
=== create view
CREATE VIEW stofstrom.v AS SELECT 1
=== create materialized view
CREATE MATERIALIZED VIEW stofstrom.v ENGINE = Memory AS SELECT * FROM stofstrom.facts
=== create dictionary
CREATE DICTIONARY stofstrom.d (a UInt64) PRIMARY KEY a SOURCE(FILE(path '{SECRET}' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)
=== create database
CREATE DATABASE mine
=== create function
CREATE FUNCTION f AS x -> x
=== create user
CREATE USER mallory
=== create role
CREATE ROLE mallory
=== create named collection
CREATE NAMED COLLECTION c AS a = 1
=== alter
ALTER TABLE stofstrom.facts ADD COLUMN x Int8
=== delete by alter
ALTER TABLE stofstrom.facts DELETE WHERE 1
=== delete
DELETE FROM stofstrom.facts WHERE 1
=== update
UPDATE stofstrom.facts SET note = 'x' WHERE 1
=== truncate
TRUNCATE TABLE stofstrom.facts
=== drop table
DROP TABLE stofstrom.facts
=== drop database
DROP DATABASE stofstrom
=== rename
RENAME TABLE stofstrom.facts TO stofstrom.facts2
=== exchange
EXCHANGE TABLES stofstrom.facts AND private.secrets
=== detach
DETACH TABLE stofstrom.facts
=== attach from a folder
ATTACH TABLE stofstrom.x FROM '{DIR}' (a Int8) ENGINE = MergeTree ORDER BY a
=== optimize
OPTIMIZE TABLE stofstrom.facts FINAL
=== backup
BACKUP TABLE stofstrom.facts TO File('{DIR}/b')
=== restore
RESTORE TABLE stofstrom.facts FROM File('{DIR}/b')
=== system command
SYSTEM SHUTDOWN
=== system flush
SYSTEM DROP MARK CACHE
=== kill query
KILL QUERY WHERE 1
=== kill mutation
KILL MUTATION WHERE 1
=== grant
GRANT ALL ON *.* TO default
=== revoke
REVOKE ALL ON *.* FROM default
=== set role
SET ROLE stofstrom_admin
=== set default role
SET DEFAULT ROLE stofstrom_admin TO default
=== set
SET readonly = 0
=== use
USE private
=== execute as
EXECUTE AS default SELECT 1
=== check table
CHECK TABLE stofstrom.facts
=== watch
WATCH stofstrom.v
=== transaction
BEGIN TRANSACTION
=== describe cache
DESCRIBE FILESYSTEM CACHE 'x'
=== explain a drop
EXPLAIN AST DROP TABLE stofstrom.facts
=== explain an insert
EXPLAIN INSERT INTO stofstrom.facts SELECT 1, 'x'
=== explain a table override
EXPLAIN TABLE OVERRIDE mysql('{LISTENER}', 'd', 't', 'u', 'p') PARTITION BY a
=== two statements [62]
SELECT 1; DROP TABLE stofstrom.facts
=== two statements behind a quote trick [62]
SELECT '\'; DROP TABLE stofstrom.facts; --'; SELECT 1
=== two statements behind a heredoc trick [62]
SELECT $a$ $b$; SELECT 1 $a$; DROP TABLE stofstrom.facts
=== two statements behind a comment trick [62]
SELECT 1 /* ' */ ; DROP TABLE stofstrom.facts /* ' */
=== two statements in parallel
DROP TABLE stofstrom.facts PARALLEL WITH DROP TABLE private.secrets
=== a select and a drop in parallel
SELECT 1 PARALLEL WITH DROP TABLE stofstrom.facts
=== settings that loosen the account
SELECT 1 SETTINGS readonly = 0
=== settings that allow changes
SELECT 1 SETTINGS allow_ddl = 1
=== settings that lift the time limit
SELECT 1 SETTINGS max_execution_time = 0
=== settings that widen the time limit
SELECT 1 SETTINGS max_execution_time = 999999
=== settings that widen the memory limit
SELECT 1 SETTINGS max_memory_usage = 0
=== settings that widen the result
SELECT 1 SETTINGS max_result_rows = 0
=== settings that switch the language
SELECT 1 SETTINGS dialect = 'kusto'
=== settings that allow introspection
SELECT addressToSymbol(1) SETTINGS allow_introspection_functions = 1
=== settings in a subquery
SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)
=== settings in a common table expression
WITH x AS (SELECT 1 SETTINGS readonly = 0) SELECT * FROM x
=== settings that read a file
SELECT 1 SETTINGS format_schema = '{SECRET}'
=== cache written for others
SELECT 1 SETTINGS use_query_cache = 1
