-- name: find_window_threads
-- Threads of the mails of a window that nobody has looked at for units yet. OFFSET 0, here and below: one look-up a mail,
-- however many there are.
SELECT DISTINCT message.thread_id
FROM messages message
WHERE message.tenant_id = %(tenant)s AND message.account_id = %(account)s
  AND message.received_at >= coalesce(%(start)s::timestamptz, '-infinity')
  AND message.received_at < coalesce(%(end)s::timestamptz, 'infinity')
  AND EXISTS (SELECT FROM message_places place WHERE place.tenant_id = message.tenant_id
              AND place.message_id = message.id AND place.folder_id = %(folder)s)
  AND NOT EXISTS (SELECT FROM graph_mails seen
                  WHERE seen.tenant_id = message.tenant_id AND seen.message_id = message.id OFFSET 0);

-- name: find_job_threads
-- Threads of mails that a job brought in and nobody has looked at for units yet.
SELECT DISTINCT message.thread_id
FROM messages message
WHERE message.tenant_id = %(tenant)s AND message.first_job_id = %(job)s
  AND NOT EXISTS (SELECT FROM graph_mails seen
                  WHERE seen.tenant_id = message.tenant_id AND seen.message_id = message.id OFFSET 0)
LIMIT %(limit)s;

-- name: read_new_mails
-- Mails of threads that nobody has looked at; of jobs whose graph lane is not wanted, none. What is sent to many is
-- told apart without its text. One whose body is gone is looked at like any other, or it would be for ever.
SELECT message.id, message.thread_id, message.content_hash, message.subject, message.participants,
       coalesce(message.received_at, message.sent_at) AS dated, message.bulk OR message.machine AS bulk,
       CASE WHEN message.bulk OR message.machine THEN '' ELSE coalesce(body.text, '') END AS text,
       CASE WHEN message.bulk OR message.machine THEN '[]' ELSE coalesce(body.segments, '[]') END AS segments
FROM messages message
LEFT JOIN message_bodies body ON body.tenant_id = message.tenant_id AND body.message_id = message.id
WHERE message.tenant_id = %(tenant)s AND message.thread_id = ANY(%(threads)s::uuid[])
  AND EXISTS (SELECT FROM graph_lanes lane
              WHERE lane.tenant_id = message.tenant_id AND lane.job_id = message.first_job_id OFFSET 0)
  AND NOT EXISTS (SELECT FROM graph_mails seen
                  WHERE seen.tenant_id = message.tenant_id AND seen.message_id = message.id OFFSET 0)
ORDER BY message.id;

-- name: read_earlier_mails
-- Who takes part in what units of these threads there are already.
SELECT message.id, message.thread_id, message.content_hash, message.subject, message.participants,
       coalesce(message.received_at, message.sent_at) AS dated, '' AS text, '[]'::jsonb AS segments
FROM messages message
JOIN graph_mails seen ON seen.tenant_id = message.tenant_id AND seen.message_id = message.id AND seen.left_out IS NULL
WHERE message.tenant_id = %(tenant)s AND message.thread_id = ANY(%(threads)s::uuid[])
ORDER BY dated NULLS FIRST, message.id;

-- name: count_thread_units
-- How many units of these threads there are.
SELECT thread_id, count(*)::integer AS units FROM graph_units
WHERE tenant_id = %(tenant)s AND thread_id = ANY(%(threads)s::uuid[])
GROUP BY thread_id;

-- name: find_same_texts
-- Which of these texts a unit has already.
SELECT DISTINCT text_hash FROM graph_mails
WHERE tenant_id = %(tenant)s AND text_hash = ANY(%(hashes)s::bytea[]);

-- name: insert_mails
-- Looked at, once.
INSERT INTO graph_mails (tenant_id, message_id, left_out, text_hash)
SELECT %(tenant)s, message_id, left_out, text_hash
FROM unnest(%(ids)s::uuid[], %(left_out)s::text[], %(hashes)s::bytea[]) AS seen(message_id, left_out, text_hash)
ON CONFLICT DO NOTHING;

-- name: insert_units
-- Once: the same messages and spans again are the same unit.
INSERT INTO graph_units (tenant_id, id, account_id, job_id, thread_id, ordinal, latest_at, characters, mails, carried, alone)
SELECT %(tenant)s, id, %(account)s, %(job)s, thread_id, ordinal, latest_at, characters, mails, carried, alone
FROM jsonb_to_recordset(%(rows)s) AS unit(id uuid, thread_id uuid, ordinal integer, latest_at timestamptz,
    characters integer, mails jsonb, carried jsonb, alone boolean)
ON CONFLICT DO NOTHING;

-- name: forget_mails
-- Changed mails are looked at anew. Units that have them are skipped when their turn comes.
DELETE FROM graph_mails WHERE tenant_id = %(tenant)s AND message_id = ANY(%(ids)s::uuid[]);

-- name: pick_units
-- The newest that wait. What another worker is just picking is left to it.
SELECT id, thread_id, ordinal, latest_at, characters, mails, carried, alone, attempts, troubles
FROM graph_units
WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND state = 'queued'
ORDER BY latest_at DESC, id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: begin_units
-- They belong to the slot's lease now.
UPDATE graph_units SET state = 'running', chunk_id = %(chunk)s, fence = %(fence)s
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::uuid[]);

-- name: queue_units
-- Given back, each with how often it was tried in vain.
UPDATE graph_units unit
SET state = 'queued', chunk_id = NULL, fence = NULL, alone = unit.alone OR back.alone, attempts = unit.attempts + back.attempts,
    troubles = unit.troubles + back.troubles, reason = coalesce(back.reason, unit.reason)
FROM jsonb_to_recordset(%(rows)s) AS back(id uuid, alone boolean, attempts integer, troubles integer, reason text)
WHERE unit.tenant_id = %(tenant)s AND unit.id = ANY(%(ids)s::uuid[]) AND unit.id = back.id
  AND unit.state = 'running' AND unit.chunk_id = %(chunk)s AND unit.fence = %(fence)s;

-- name: requeue_lost
-- What an earlier lease of this slot had begun. Nobody knows what its worker died of.
UPDATE graph_units SET state = 'queued', chunk_id = NULL, fence = NULL, troubles = troubles + %(troubles)s
WHERE tenant_id = %(tenant)s AND chunk_id = %(chunk)s AND state = 'running' AND fence <> %(fence)s;

-- name: end_unit
-- What became of it. No row: it belongs to another lease.
UPDATE graph_units
SET state = %(state)s, chunk_id = NULL, fence = NULL, reason = %(reason)s, dropped = %(dropped)s,
    attempts = attempts + %(attempts)s, answer_key = %(answer_key)s, generation_id = %(generation)s, finished_at = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(id)s AND state = 'running' AND chunk_id = %(chunk)s AND fence = %(fence)s
RETURNING id;

-- name: read_unit_mails
-- Mails of units, with their text.
SELECT message.id, message.thread_id, message.content_hash, message.subject, message.participants,
       coalesce(message.received_at, message.sent_at) AS dated, body.text, body.segments
FROM messages message
JOIN message_bodies body ON body.tenant_id = message.tenant_id AND body.message_id = message.id
WHERE message.tenant_id = %(tenant)s AND message.id = ANY(%(ids)s::uuid[]);

-- name: find_answers
-- What was said before of these very questions.
SELECT key, answer FROM graph_answers WHERE tenant_id = %(tenant)s AND key = ANY(%(keys)s::bytea[]);

-- name: insert_answers
-- The first counts.
INSERT INTO graph_answers (tenant_id, key, answer)
SELECT %(tenant)s, key, answer FROM unnest(%(keys)s::bytea[], %(answers)s::text[]) AS said(key, answer)
ON CONFLICT DO NOTHING;

-- name: insert_generation
-- Once.
INSERT INTO graph_generations (tenant_id, id, definition, model) VALUES (%(tenant)s, %(id)s, %(definition)s, %(model)s)
ON CONFLICT DO NOTHING;
