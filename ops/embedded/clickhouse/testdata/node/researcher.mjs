// Uses the endpoint with ClickHouse's own client for Node, as a researcher and as
// the account that writes. The addresses come from the environment; the first
// thing that is not as it should be ends the program with status 1.
import assert from 'node:assert/strict'
import { createClient, ClickHouseError } from '@clickhouse/client'

const { URL_ADMIN, USER_ADMIN, PASSWORD_ADMIN, USER_RESEARCHER, PASSWORD_RESEARCHER } = process.env
const admin = createClient({
  url: URL_ADMIN, username: USER_ADMIN, password: PASSWORD_ADMIN,
  compression: { request: true, response: true },
})
const researcher = createClient({
  url: URL_ADMIN, username: USER_RESEARCHER, password: PASSWORD_RESEARCHER, database: 'stofstrom',
  compression: { response: true },
})

assert.equal((await admin.ping()).success, true)
assert.equal((await researcher.ping({ select: true })).success, true)

await admin.command({
  query: 'CREATE TABLE stofstrom.node (n UInt64, mass Decimal(38, 6), at DateTime64(3), tags Array(String)) ENGINE = MergeTree ORDER BY n',
})
const rows = 50_000
await admin.insert({
  table: 'stofstrom.node',
  format: 'JSONEachRow',
  values: Array.from({ length: rows }, (_, n) => ({ n, mass: `${n}.000001`, at: '2025-01-02 03:04:05.678', tags: ['a\n\nb', "it's"] })),
})

// Rows as a stream.
const stream = (await researcher.query({ query: 'SELECT * FROM node ORDER BY n', format: 'JSONEachRow' })).stream()
let seen = 0
for await (const chunk of stream) {
  for (const row of chunk) {
    const { n, mass, tags } = row.json()
    assert.equal(String(n), String(seen))
    assert.equal(String(mass).startsWith(String(seen)), true)
    assert.deepEqual(tags, ['a\n\nb', "it's"])
    seen++
  }
}
assert.equal(seen, rows)

// A whole result, parameters, settings.
const result = await researcher.query({
  query: 'SELECT count() AS c, {text:String} AS t, sum(mass) AS m FROM node WHERE n < {limit:UInt64}',
  query_params: { limit: 10, text: "it's\n\t\\" },
  format: 'JSON',
  clickhouse_settings: { max_threads: 1, output_format_json_quote_64bit_integers: 1 },
})
const { data } = await result.json()
assert.equal(data[0].c, '10')
assert.equal(data[0].t, "it's\n\t\\")

// What a researcher may not do.
for (const query of [
  'DROP TABLE stofstrom.node', 'CREATE TABLE stofstrom.x (a Int8) ENGINE = Memory', "SELECT file('/etc/passwd')",
  "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", 'SELECT * FROM system.users',
]) {
  await assert.rejects(researcher.command({ query }), (err) => err instanceof ClickHouseError && err.code === '497', query)
}
await assert.rejects(
  researcher.insert({ table: 'stofstrom.node', format: 'JSONEachRow', values: [{ n: 1 }] }),
  (err) => err instanceof ClickHouseError && err.code === '497',
)
await assert.rejects(admin.query({ query: 'SELECT * FROM nowhere' }), (err) => err instanceof ClickHouseError && err.code === '60' && err.type === 'UNKNOWN_TABLE')
const stranger = createClient({ url: URL_ADMIN, username: USER_ADMIN, password: 'wrong' })
await assert.rejects(stranger.query({ query: 'SELECT 1' }), (err) => err instanceof ClickHouseError && err.code === '516')

await Promise.all([admin.close(), researcher.close(), stranger.close()])
console.log(`ok: ${seen} rows`)
