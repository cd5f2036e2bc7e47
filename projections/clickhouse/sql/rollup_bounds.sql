-- question: where do whole segments end, among the facts after a position?
-- parameters: after (position), committed (position), size (events of a segment), most (rows returned)
-- columns: bound (position of every size-th event that holds facts)
SELECT position AS bound
FROM
(
    SELECT position, row_number() OVER (ORDER BY position) AS number
    FROM (SELECT DISTINCT position FROM flow_facts WHERE position > {after:UInt64} AND position <= {committed:UInt64})
)
WHERE number % {size:UInt64} = 0
ORDER BY position
LIMIT {most:UInt64}
