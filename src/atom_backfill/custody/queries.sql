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
SELECT start_date AS start, end_date AS "end", folders, date_trunc('second', created_at, 'UTC') AS made_at
FROM historical_sync_jobs
WHERE tenant_id = %(tenant)s AND account_id = %(account)s
ORDER BY created_at;

-- name: count_messages
-- The record, and the rows that the memory must have of it: a message without new text has one all the same.
SELECT count(*) AS messages, coalesce(sum(greatest(passages, 1)), 0)::bigint AS passages
FROM messages WHERE tenant_id = %(tenant)s;

-- name: count_units
-- For the balance. What was split is counted by its parts.
SELECT count(*)::integer AS units, (count(*) FILTER (WHERE state IN ('done', 'empty', 'skipped')))::integer AS done,
       (count(*) FILTER (WHERE state IN ('failed', 'refused')))::integer AS failed,
       (count(*) FILTER (WHERE state IN ('queued', 'running')))::integer AS waiting
FROM graph_units WHERE tenant_id = %(tenant)s AND state <> 'split';

-- name: read_generations
-- The generation of each message that search shows.
SELECT id, generation FROM messages WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s);

-- name: read_busy
-- Accounts of which pages may be written to the memory now that are not in the record yet.
SELECT DISTINCT account_id FROM sync_chunks
WHERE tenant_id = %(tenant)s AND state = 'leased' AND lease_until >= atom_now();

-- name: read_recorded
-- Messages with all that their passages are made of.
SELECT message.id, message.account_id, message.thread_id, message.subject, message.received_at, message.participants,
       message.attachments, message.has_attachments, message.content_hash, message.generation, body.text, body.segments,
       ARRAY(SELECT place.folder_id FROM message_places place
             WHERE place.tenant_id = message.tenant_id AND place.message_id = message.id) AS folder_ids
FROM messages message JOIN message_bodies body ON body.tenant_id = message.tenant_id AND body.message_id = message.id
WHERE message.tenant_id = %(tenant)s AND message.id = ANY(%(ids)s);

-- name: read_owed
-- Messages in the order of their ids, and how many passages the memory must have of each.
SELECT id, generation, content_hash, greatest(passages, 1) AS rows
FROM messages WHERE tenant_id = %(tenant)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s;

-- name: read_owed_of_account
-- The same, of one account.
SELECT id, generation, content_hash, greatest(passages, 1) AS rows
FROM messages WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s;

-- name: read_changed
-- Messages that, or whose places, were written by this transaction or a later one. A frozen row of long ago may be among
-- them, and costs no more than being looked at.
SELECT id, generation, content_hash, greatest(passages, 1) AS rows
FROM messages
WHERE tenant_id = %(tenant)s AND id > %(after)s
  AND id IN (SELECT id FROM messages
             WHERE tenant_id = %(tenant)s AND age(xmin) <= age(%(mark)s::text::xid8::xid)
             UNION ALL
             SELECT message_id FROM message_places
             WHERE tenant_id = %(tenant)s AND age(xmin) <= age(%(mark)s::text::xid8::xid))
ORDER BY id LIMIT %(limit)s;

-- name: count_recorded
-- How many messages there are, of one account or of all.
SELECT count(*) FROM messages WHERE tenant_id = %(tenant)s AND (%(account)s::uuid IS NULL OR account_id = %(account)s);

-- name: find_latest_job
-- To which what was missing is added.
SELECT id FROM historical_sync_jobs
WHERE tenant_id = %(tenant)s AND account_id = %(account)s ORDER BY created_at DESC, id LIMIT 1;

-- name: count_unfinished
-- Of these chunks, those that a worker has or may claim; a job that failed meanwhile has none of these.
SELECT count(*) FROM sync_chunks chunk
WHERE chunk.tenant_id = %(tenant)s AND chunk.id = ANY(%(chunks)s) AND chunk.state IN ('ready', 'leased')
  AND EXISTS (SELECT FROM job_turns turn WHERE turn.tenant_id = chunk.tenant_id AND turn.job_id = chunk.job_id);

-- name: find_miscounted
-- Jobs whose counters are not what the tables hold, in one snapshot, in which pages count whole or not at all.
SELECT job.id, job.account_id
FROM historical_sync_jobs job CROSS JOIN LATERAL job_counts(job.tenant_id, job.id) counted
WHERE job.tenant_id = %(tenant)s
  AND (job.records_processed, job.entities_extracted, job.relationships_extracted)
      IS DISTINCT FROM (counted.records, counted.entities, counted.relationships)
ORDER BY job.id;

-- name: lock_record
-- The lock of page commits (backfill/queries.sql), so that none of the account's counts meanwhile.
SELECT pg_advisory_xact_lock(hashtextextended('record ' || %(account)s::text, 0));

-- name: count_anew
-- The job's counters as the tables have it.
UPDATE historical_sync_jobs job
SET records_processed = counted.records, entities_extracted = counted.entities,
    relationships_extracted = counted.relationships
FROM job_counts(%(tenant)s, %(job)s) counted
WHERE job.tenant_id = %(tenant)s AND job.id = %(job)s
  AND (job.records_processed, job.entities_extracted, job.relationships_extracted)
      IS DISTINCT FROM (counted.records, counted.entities, counted.relationships);
