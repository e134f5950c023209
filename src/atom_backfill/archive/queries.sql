-- name: read_known
-- What the record already has of these source ids, locked in id order so that two commits cannot deadlock.
SELECT id, source_id, content_hash, generation, change_key, last_job_id
FROM messages
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)
ORDER BY id
FOR NO KEY UPDATE;

-- name: find_settled
-- Which of these items need not be read again: stored unchanged (by this very job, when everything is read anew), or
-- found unreadable by this job before. Their ids are named beside the join, here and below, lest the planner read all of
-- the mailbox; until a table is first analysed it may do so even then, but once for all of them.
SELECT message.source_id
FROM unnest(%(ids)s::uuid[], %(change_keys)s::text[]) AS wanted(id, change_key)
JOIN messages message ON message.tenant_id = %(tenant)s AND message.id = wanted.id
WHERE message.id = ANY(%(ids)s::uuid[])
  AND (wanted.change_key = '' OR message.change_key = wanted.change_key)
  AND (NOT %(again)s OR message.last_job_id = %(job)s)
UNION ALL
SELECT source_id FROM failures
WHERE tenant_id = %(tenant)s AND id = ANY(%(failure_ids)s::uuid[]) AND job_id = %(job)s;

-- name: insert_message
-- A message that the record has is changed in place: its id, first job and date of arrival stay.
INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,
    conversation_id, thread_id, subject, received_at, sent_at, from_name, from_address, participants, kind, bulk, machine,
    is_draft, has_attachments, attachments, importance, web_link, change_key, content_hash, generation, passages, notes)
VALUES (%(tenant)s, %(id)s, %(account)s, %(job)s, %(job)s, %(source_id)s, %(internet_message_id)s,
    %(conversation_id)s, %(thread_id)s, %(subject)s, %(received_at)s, %(sent_at)s, %(from_name)s, %(from_address)s,
    %(participants)s, %(kind)s, %(bulk)s, %(machine)s, %(is_draft)s, %(has_attachments)s, %(attachments)s,
    %(importance)s, %(web_link)s, %(change_key)s, %(content_hash)s, %(generation)s, %(passages)s, %(notes)s)
ON CONFLICT (tenant_id, id) DO UPDATE SET
    last_job_id = excluded.last_job_id, internet_message_id = excluded.internet_message_id,
    conversation_id = excluded.conversation_id, thread_id = excluded.thread_id, subject = excluded.subject,
    received_at = excluded.received_at, sent_at = excluded.sent_at, from_name = excluded.from_name,
    from_address = excluded.from_address, participants = excluded.participants, kind = excluded.kind,
    bulk = excluded.bulk, machine = excluded.machine, is_draft = excluded.is_draft,
    has_attachments = excluded.has_attachments, attachments = excluded.attachments, importance = excluded.importance,
    web_link = excluded.web_link, change_key = excluded.change_key, content_hash = excluded.content_hash,
    generation = excluded.generation, passages = excluded.passages, notes = excluded.notes, updated_at = atom_now();

-- name: touch_messages
-- Read again and found the same.
UPDATE messages SET last_job_id = %(job)s, change_key = seen.change_key
FROM unnest(%(ids)s::uuid[], %(change_keys)s::text[]) AS seen(id, change_key)
WHERE messages.tenant_id = %(tenant)s AND messages.id = ANY(%(ids)s::uuid[]) AND messages.id = seen.id;

-- name: insert_body
-- The body beside its message, replaced with it.
INSERT INTO message_bodies (tenant_id, message_id, text, renderer, segments, body_type, source_body)
VALUES (%(tenant)s, %(message_id)s, %(text)s, %(renderer)s, %(segments)s, %(body_type)s, %(source_body)s)
ON CONFLICT (tenant_id, message_id) DO UPDATE SET
    text = excluded.text, renderer = excluded.renderer, segments = excluded.segments, body_type = excluded.body_type,
    source_body = excluded.source_body;

-- name: insert_places
-- Where messages were seen; only those that the record has.
INSERT INTO message_places (tenant_id, account_id, message_id, folder_id)
SELECT %(tenant)s, %(account)s, seen.message_id, seen.folder_id
FROM unnest(%(message_ids)s::uuid[], %(folder_ids)s::text[]) AS seen(message_id, folder_id)
JOIN messages ON messages.tenant_id = %(tenant)s AND messages.id = seen.message_id
WHERE messages.id = ANY(%(message_ids)s::uuid[])
ON CONFLICT DO NOTHING;

-- name: drop_other_places
-- In a mailbox where a message lies in one folder only, a new place ends the old one.
DELETE FROM message_places place
USING unnest(%(message_ids)s::uuid[], %(folder_ids)s::text[]) AS seen(message_id, folder_id)
WHERE place.tenant_id = %(tenant)s AND place.message_id = ANY(%(message_ids)s::uuid[])
  AND place.message_id = seen.message_id AND place.folder_id <> seen.folder_id;

-- name: insert_entities
-- What the rules found in a page of messages.
INSERT INTO discovered_entities (tenant_id, id, job_id, message_id, entity_type, name, properties)
SELECT %(tenant)s, id, %(job)s, message_id, entity_type, name, properties
FROM jsonb_to_recordset(%(rows)s) AS found(id uuid, message_id uuid, entity_type text, name text, properties jsonb)
ON CONFLICT DO NOTHING;

-- name: drop_entities
-- Findings of messages that have changed; the answer lowers the counters of the jobs that made them.
WITH gone AS (
    DELETE FROM discovered_entities WHERE tenant_id = %(tenant)s AND message_id = ANY(%(ids)s) RETURNING job_id
)
SELECT job_id, count(*)::integer AS entities FROM gone GROUP BY job_id ORDER BY job_id;

-- name: insert_failures
-- One row for each item that cannot be read, never beside its message.
INSERT INTO failures (tenant_id, id, account_id, job_id, source_id, message_id, folder_id, received_at, subject, stage,
                      error_code, error)
SELECT %(tenant)s, id, %(account)s, %(job)s, source_id, message_id, folder_id, received_at, subject, stage, error_code, error
FROM jsonb_to_recordset(%(rows)s) AS failed(id uuid, source_id text, message_id uuid, folder_id text,
    received_at timestamptz, subject text, stage text, error_code text, error text)
WHERE NOT EXISTS (SELECT FROM messages WHERE messages.tenant_id = %(tenant)s AND messages.id = ANY(%(message_ids)s::uuid[])
                    AND messages.id = failed.message_id)
ORDER BY id
ON CONFLICT (tenant_id, account_id, source_id) DO UPDATE SET
    job_id = excluded.job_id, stage = excluded.stage, error_code = excluded.error_code, error = excluded.error,
    folder_id = excluded.folder_id, received_at = excluded.received_at, subject = excluded.subject,
    attempts = failures.attempts + 1, last_at = atom_now();

-- name: count_failures
-- How many of these items this job counts among its failures.
SELECT count(*)::integer AS failures FROM failures
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND job_id = %(job)s;

-- name: drop_failures
-- What has been read after all; the answer tells how many of them this job had counted as done.
WITH gone AS (
    DELETE FROM failures WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) RETURNING job_id
)
SELECT (count(*) FILTER (WHERE job_id = %(job)s))::integer AS failures FROM gone;

-- name: read_failures
-- Quarantined items of a job, oldest first.
SELECT id, source_id, folder_id, received_at
FROM failures
WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
ORDER BY first_at, id;

-- name: read_message
-- A message with its body.
SELECT message.*, body.text, body.renderer, body.segments, body.body_type
FROM messages message JOIN message_bodies body ON body.tenant_id = message.tenant_id AND body.message_id = message.id
WHERE message.tenant_id = %(tenant)s AND message.id = %(id)s;

-- name: find_messages
-- A message by id, or by the beginning of its id.
SELECT id FROM messages
WHERE tenant_id = %(tenant)s AND id BETWEEN %(least)s AND %(most)s
ORDER BY id LIMIT 2;

-- name: find_unread
-- A message that could not be read, by id or by the beginning of its id.
SELECT id, job_id FROM failures
WHERE tenant_id = %(tenant)s AND message_id BETWEEN %(least)s AND %(most)s
ORDER BY message_id LIMIT 1;

-- name: read_failures_of_message
-- What could not be done with a message.
SELECT id AS failure_id, job_id, stage, error_code, error, attempts, first_at, last_at FROM failures
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND source_id = %(source_id)s
ORDER BY first_at, id;

-- name: find_threads
-- A thread by id, or by the beginning of its id.
SELECT DISTINCT thread_id AS id FROM messages
WHERE tenant_id = %(tenant)s AND thread_id BETWEEN %(least)s AND %(most)s
ORDER BY thread_id LIMIT 2;

-- name: read_thread
-- The ids of a conversation in order.
SELECT id FROM messages WHERE tenant_id = %(tenant)s AND thread_id = %(thread)s ORDER BY received_at NULLS FIRST, id;

-- name: read_places
-- The folders, for people, that hold these messages.
SELECT place.message_id, coalesce(folder.path, place.folder_id) AS path
FROM message_places place
LEFT JOIN account_folders folder ON folder.tenant_id = place.tenant_id AND folder.account_id = place.account_id
     AND folder.folder_id = place.folder_id
WHERE place.tenant_id = %(tenant)s AND place.message_id = ANY(%(ids)s)
ORDER BY place.message_id, path;

-- name: find_places
-- The folders, as the source names them, that hold these messages.
SELECT message_id, folder_id FROM message_places WHERE tenant_id = %(tenant)s AND message_id = ANY(%(ids)s);

-- name: read_entities
-- What the rules found in a message.
SELECT id, entity_type, name, properties FROM discovered_entities
WHERE tenant_id = %(tenant)s AND message_id = %(id)s
ORDER BY properties->>'field', (properties->>'start')::integer NULLS FIRST, id;

-- name: read_headlines
-- What a search result shows of messages, without their bodies.
SELECT id, account_id, source_id, internet_message_id, thread_id, subject, from_name, from_address, received_at, web_link,
       generation, bulk
FROM messages
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s);
