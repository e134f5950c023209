-- name: open_chunk
-- What a chunk is about. No row: the fence has moved on. A job that ends where it was made was asked for no end.
SELECT chunk.folder_id, chunk.window_start, chunk.window_end, chunk.position, chunk.has_more, chunk.messages_hint,
       chunk.messages_done, job.chunk_size, job.again, job.start_date, job.end_date, job.folders,
       CASE WHEN job.end_date BETWEEN job.created_at - interval '2 seconds' AND job.created_at
            THEN atom_now() + interval '1 day' END AS untrue_from,
       coalesce(folder.well_known = 'drafts', chunk.kind = 'retry') AS draft_folder, account.kind AS account_kind,
       coalesce((SELECT epoch FROM memories WHERE memories.tenant_id = chunk.tenant_id), 0) AS epoch
FROM sync_chunks chunk
JOIN historical_sync_jobs job ON job.tenant_id = chunk.tenant_id AND job.id = chunk.job_id
JOIN accounts account ON account.tenant_id = chunk.tenant_id AND account.id = chunk.account_id
LEFT JOIN account_folders folder ON folder.tenant_id = chunk.tenant_id AND folder.account_id = chunk.account_id
     AND folder.folder_id = chunk.folder_id
WHERE chunk.tenant_id = %(tenant)s AND chunk.id = %(chunk)s AND chunk.fence = %(fence)s AND chunk.state = 'leased';

-- name: lock_account
-- One account's record is changed by one transaction at a time, so what two pages share is counted once. Ends with the
-- transaction, so poolers may be between.
SELECT pg_advisory_xact_lock(hashtextextended('record ' || %(account)s::text, 0));

-- name: hold_fence
-- Before anything is written in a transaction that makes something count; holds the chunk's row until the commit. Getting
-- further ends a series of failures.
UPDATE sync_chunks
SET position = %(position)s, has_more = %(has_more)s,
    attempts = CASE WHEN position = %(position)s AND has_more = %(has_more)s THEN attempts ELSE 0 END
WHERE tenant_id = %(tenant)s AND id = %(chunk)s AND fence = %(fence)s AND state = 'leased'
RETURNING id, kind, folder_id, window_start, window_end;

-- name: mark_seen
-- Messages met by this job for the first time, without being read again; the number of rows is progress.
UPDATE messages SET last_job_id = %(job)s
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND last_job_id <> %(job)s;

-- name: lock_jobs
-- In id order, when a page changes the counters of more than its own job.
SELECT id FROM historical_sync_jobs WHERE tenant_id = %(tenant)s AND id = ANY(%(jobs)s) ORDER BY id FOR NO KEY UPDATE;

-- name: lower_counters
-- What an earlier job had counted of a message that has changed since.
UPDATE historical_sync_jobs
SET entities_extracted = entities_extracted - %(entities)s,
    relationships_extracted = relationships_extracted - %(relationships)s
WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: raise_counters
-- The job's counters, in the transaction that makes them true. The pace decays with a time constant of 20 s.
UPDATE historical_sync_jobs
SET records_processed = records_processed + %(messages)s,
    entities_extracted = entities_extracted + %(entities)s,
    relationships_extracted = relationships_extracted + %(relationships)s,
    messages_done = messages_done + %(done)s,
    progress_percentage = greatest(progress_percentage, least(99, floor(100.0 * (messages_done + %(done)s)
        / greatest(total_records_estimate, messages_done + %(done)s, 1)))),
    pace_messages = %(done)s + pace_messages * exp(greatest(-600, extract(epoch FROM pace_at - atom_now()) / 20)),
    pace_fetch = %(fetch)s + pace_fetch * exp(greatest(-600, extract(epoch FROM pace_at - atom_now()) / 20)),
    pace_embed = %(embed)s + pace_embed * exp(greatest(-600, extract(epoch FROM pace_at - atom_now()) / 20)),
    pace_store = %(store)s + pace_store * exp(greatest(-600, extract(epoch FROM pace_at - atom_now()) / 20)),
    pace_at = atom_now(), last_heartbeat = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: raise_chunk
-- How many messages the chunk has accounted for; any of them ends a series of failures.
UPDATE sync_chunks
SET messages_done = messages_done + %(done)s, attempts = CASE WHEN %(done)s > 0 THEN 0 ELSE attempts END
WHERE tenant_id = %(tenant)s AND id = %(chunk)s;

-- name: upsert_folder
-- A folder as it is now.
INSERT INTO account_folders (tenant_id, account_id, folder_id, path, well_known, hidden, search, messages_hint)
VALUES (%(tenant)s, %(account)s, %(folder)s, %(path)s, %(well_known)s, %(hidden)s, %(search)s, %(hint)s)
ON CONFLICT (tenant_id, account_id, folder_id) DO UPDATE SET path = excluded.path, well_known = excluded.well_known,
    hidden = excluded.hidden, search = excluded.search, messages_hint = excluded.messages_hint;

-- name: expect_more
-- What the census expects in all; chunks that exist are counted, not summed up by hand.
UPDATE historical_sync_jobs job
SET total_records_estimate = %(estimate)s,
    total_chunks = (SELECT count(*) FROM sync_chunks chunk
                    WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
                      AND chunk.kind NOT IN ('retry', 'extract')),
    last_heartbeat = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: read_covered
-- Windows that were walked to their end, whatever became of their job.
SELECT window_start, window_end FROM sync_chunks
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND folder_id = %(folder)s AND kind = 'window' AND state = 'done'
  AND job_id <> %(job)s;

-- name: list_covered
-- The same, of all folders of an account.
SELECT folder_id, window_start, window_end FROM sync_chunks
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND kind = 'window' AND state = 'done'
ORDER BY folder_id, window_start NULLS FIRST;

-- name: read_jobs
-- Jobs for people, newest first, with what is needed to tell the pace and what sets it.
SELECT job.*, atom_now() AS now, account.address,
       lane.units_total, lane.units_done, lane.percent AS graph_percent, lane.calls, lane.input_tokens, lane.output_tokens,
       lane.usd + lane.usd_reserved AS graph_usd, lane.unpriced, lane.pace_at AS graph_pace_at, lane.pace_units,
       (SELECT pace.blocked_until > atom_now() OR pace.requests_left < 1 FROM key_paces pace
        WHERE pace.tenant_id = job.tenant_id AND pace.name = 'OPENAI_API_KEY') AS model_rate,
       EXISTS (SELECT FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
               AND chunk.lane = 'graph' AND chunk.state = 'leased' AND chunk.lease_until >= atom_now()) AS graph_leased,
       CASE WHEN isfinite(account.throttled_until) THEN account.throttled_until END AS throttled_until,
       (SELECT count(*) FROM failures WHERE failures.tenant_id = job.tenant_id AND failures.job_id = job.id)
       + (SELECT count(*) FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
          AND chunk.state = 'quarantined')
       + (SELECT count(*) FROM graph_units unit WHERE unit.tenant_id = job.tenant_id AND unit.job_id = job.id
          AND unit.state IN ('failed', 'refused')) AS failures,
       (SELECT min(CASE kind WHEN 'plan' THEN 0 WHEN 'window' THEN 1 WHEN 'check' THEN 2 ELSE 3 END)
        FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
          AND chunk.lane = 'ingest' AND chunk.state IN ('ready', 'leased')) AS phase_number,
       EXISTS (SELECT FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
               AND chunk.lane = 'ingest' AND chunk.state = 'leased' AND chunk.lease_until >= atom_now()) AS leased,
       -- Of those that may be claimed at all: what comes after them has been ready for long.
       (SELECT min(chunk.run_at) FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
          AND chunk.lane = 'ingest' AND chunk.state = 'ready'
          AND chunk.stage = (SELECT min(stage) FROM sync_chunks lower
                             WHERE lower.tenant_id = job.tenant_id AND lower.job_id = job.id
                               AND lower.lane = chunk.lane AND lower.state IN ('ready', 'leased'))) AS next_run_at,
       EXISTS (SELECT FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
               AND chunk.state = 'ready' AND chunk.attempts > 0 AND chunk.error_code IS NOT NULL
               AND chunk.run_at > atom_now()) AS waits_after_error
FROM historical_sync_jobs job
JOIN accounts account ON account.tenant_id = job.tenant_id AND account.id = job.account_id
LEFT JOIN graph_lanes lane ON lane.tenant_id = job.tenant_id AND lane.job_id = job.id
WHERE job.tenant_id = %(tenant)s
  AND (%(least)s::uuid IS NULL OR job.id BETWEEN %(least)s AND %(most)s)
  AND (%(status)s::text IS NULL OR job.status = %(status)s)
ORDER BY job.created_at DESC, job.id
LIMIT %(limit)s;

-- name: latest_jobs
-- What an account's address or id names. Compared outside, since what counts as the same letter depends on a database's collation.
SELECT account.address, account.id AS account_id, job.id
FROM accounts account CROSS JOIN LATERAL (
  SELECT id FROM historical_sync_jobs
  WHERE tenant_id = account.tenant_id AND account_id = account.id ORDER BY created_at DESC, id LIMIT 1) job
WHERE account.tenant_id = %(tenant)s;

-- name: list_failures
-- What a job could not read: messages, then chunks that were given up whole, then units of the graph lane.
SELECT id AS failure_id, message_id, source_id, folder.path AS folder, subject, stage, error_code, error, attempts,
       first_at, last_at
FROM failures LEFT JOIN account_folders folder USING (tenant_id, account_id, folder_id)
WHERE tenant_id = %(tenant)s AND job_id = %(job)s
UNION ALL
SELECT id, NULL, NULL, folder.path, '', 'fetch', error_code, error, attempts, created_at,
       coalesce(finished_at, created_at)
FROM sync_chunks LEFT JOIN account_folders folder USING (tenant_id, account_id, folder_id)
WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND state = 'quarantined'
UNION ALL
SELECT unit.id, message.id, message.source_id, NULL, message.subject, 'extract', coalesce(unit.reason, unit.state),
       CASE unit.state WHEN 'refused' THEN 'The model refuses to speak about this text.'
            ELSE 'A model was asked in vain: its answers could not be used.' END,
       greatest(unit.attempts, 1), unit.created_at, coalesce(unit.finished_at, unit.created_at)
FROM graph_units unit
LEFT JOIN LATERAL (SELECT id, source_id, subject FROM messages
                   WHERE tenant_id = unit.tenant_id AND id = (unit.mails -> 0 ->> 0)::uuid OFFSET 0) message ON true
WHERE unit.tenant_id = %(tenant)s AND unit.job_id = %(job)s AND unit.state IN ('failed', 'refused')
ORDER BY first_at, failure_id;
