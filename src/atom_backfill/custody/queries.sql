-- name: find_settled
-- Which of these source ids the account has in its record, and which among its failures.
SELECT coalesce(array_agg(source_id) FILTER (WHERE stored), '{}') AS stored,
       coalesce(array_agg(source_id) FILTER (WHERE NOT stored), '{}') AS failed
FROM (SELECT source_id, true AS stored FROM messages
      WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND source_id = ANY(%(source_ids)s)
      UNION ALL
      SELECT source_id, false FROM failures
      WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND source_id = ANY(%(source_ids)s)) settled;

-- name: read_ranges
-- What the account's jobs were asked to read.
SELECT start_date AS start, end_date AS "end", folders FROM historical_sync_jobs
WHERE tenant_id = %(tenant)s AND account_id = %(account)s
ORDER BY created_at;

-- name: count_messages
-- The record, and the rows that the memory must have of it: a message without new text has one all the same.
SELECT count(*) AS messages, coalesce(sum(greatest(passages, 1)), 0)::bigint AS passages
FROM messages WHERE tenant_id = %(tenant)s;

-- name: read_generations
-- The generation of each message that search shows.
SELECT id, generation FROM messages WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s);
