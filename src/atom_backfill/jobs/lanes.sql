-- name: lock_lane
-- A job's graph lane, before its slots and its job. No row: it is not wanted.
SELECT units_total, units_done FROM graph_lanes WHERE tenant_id = %(tenant)s AND job_id = %(job)s FOR NO KEY UPDATE;

-- name: insert_lane
-- Every job has one unless its graph lane is off.
INSERT INTO graph_lanes (tenant_id, job_id)
SELECT tenant_id, id FROM historical_sync_jobs WHERE tenant_id = %(tenant)s AND id = %(job)s AND graph_status <> 'off'
ON CONFLICT DO NOTHING;

-- name: add_units
-- Units that were made, or that are asked for anew (then fewer are done).
UPDATE graph_lanes SET units_total = units_total + %(total)s, units_done = units_done + %(done)s
WHERE tenant_id = %(tenant)s AND job_id = %(job)s;

-- name: insert_slots
-- Once, when the lane goes on and has something to do for the first time.
INSERT INTO sync_chunks (tenant_id, id, job_id, account_id, lane, kind, stage, seq)
SELECT job.tenant_id, slot.id, job.id, job.account_id, 'graph', 'extract', 1, slot.seq
FROM historical_sync_jobs job CROSS JOIN unnest(%(slots)s::uuid[]) WITH ORDINALITY AS slot(id, seq)
WHERE job.tenant_id = %(tenant)s AND job.id = %(job)s AND job.graph_status IN ('pending', 'running', 'completed')
ON CONFLICT DO NOTHING;

-- name: reopen_slots
-- Slots that had nothing left to do, of a lane that goes on.
UPDATE sync_chunks slot SET state = 'ready', fence = fence + 1, run_at = atom_now(), attempts = 0, finished_at = NULL
WHERE slot.tenant_id = %(tenant)s AND slot.job_id = %(job)s AND slot.lane = 'graph' AND slot.state = 'done'
  AND EXISTS (SELECT FROM historical_sync_jobs job WHERE job.tenant_id = slot.tenant_id AND job.id = slot.job_id
              AND job.graph_status IN ('pending', 'running', 'completed'));

-- name: open_graph_turn
-- Claims look at the lane while it goes on by itself, or has something to try again.
INSERT INTO job_turns (tenant_id, job_id, lane)
SELECT tenant_id, id, 'graph' FROM historical_sync_jobs
WHERE tenant_id = %(tenant)s AND id = %(job)s AND graph_status IN ('pending', 'running', 'completed')
ON CONFLICT DO NOTHING;

-- name: count_slots
-- What is left of the lane's slots, and what was given up.
SELECT count(*) FILTER (WHERE state IN ('ready', 'leased')) AS unfinished,
       count(*) FILTER (WHERE state = 'done')               AS done
FROM sync_chunks WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND lane = 'graph';

-- name: complete_lane
-- Once the mailbox is read and every unit has ended.
WITH ended AS (
    UPDATE historical_sync_jobs SET graph_status = 'completed'
    WHERE tenant_id = %(tenant)s AND id = %(job)s AND ingest_done_at IS NOT NULL AND graph_status IN ('pending', 'running')
    RETURNING tenant_id, id
)
UPDATE graph_lanes SET percent = 100 FROM ended WHERE graph_lanes.tenant_id = ended.tenant_id AND job_id = ended.id;

-- name: begin_lane
-- Somebody works on it.
UPDATE historical_sync_jobs SET graph_status = 'running'
WHERE tenant_id = %(tenant)s AND id = %(job)s AND graph_status = 'pending';

-- name: leave_lane
-- It goes on no more by itself, for a reason that people are told.
UPDATE historical_sync_jobs
SET graph_status = %(status)s, last_error_code = coalesce(%(code)s, last_error_code),
    last_error = coalesce(%(error)s, last_error), error_count = error_count + (%(code)s::text IS NOT NULL)::integer
WHERE tenant_id = %(tenant)s AND id = %(job)s AND graph_status IN ('pending', 'running');

-- name: refuse_lanes
-- A key that is refused, or has no credit, is so for all jobs of the tenant.
UPDATE historical_sync_jobs
SET graph_status = %(status)s, last_error_code = %(code)s, last_error = %(error)s, error_count = error_count + 1
WHERE tenant_id = %(tenant)s AND graph_status IN ('pending', 'running')
RETURNING id;

-- name: find_waiting
-- Lanes that wait for a key, now that the tenant has one that may work.
SELECT id FROM historical_sync_jobs
WHERE tenant_id = %(tenant)s AND graph_status IN ('waiting_for_key', 'key_rejected')
  AND EXISTS (SELECT FROM model_keys key WHERE key.tenant_id = %(tenant)s AND key.name = %(key)s
              AND key.status IN ('untested', 'works'))
ORDER BY id;

-- name: wake_lane
-- It goes on with what is stored.
UPDATE historical_sync_jobs SET graph_status = 'pending'
WHERE tenant_id = %(tenant)s AND id = %(job)s AND graph_status IN ('waiting_for_key', 'key_rejected');

-- name: find_without_key
-- Lanes that would go on, where the key is gone.
SELECT id FROM historical_sync_jobs
WHERE tenant_id = %(tenant)s AND graph_status IN ('pending', 'running')
  AND NOT EXISTS (SELECT FROM model_keys key WHERE key.tenant_id = %(tenant)s AND key.name = %(key)s)
ORDER BY id;

-- name: count_progress
-- Units that have ended. The share never falls, and is whole only once the lane is completed; the pace decays with a time
-- constant of 20 s.
UPDATE graph_lanes
SET units_done = units_done + %(done)s, units_total = units_total + %(more)s,
    percent = greatest(percent, least(99, floor(100.0 * (units_done + %(done)s) / greatest(units_total + %(more)s, 1)))),
    pace_units = %(done)s + pace_units * exp(greatest(-600, extract(epoch FROM pace_at - atom_now()) / 20)),
    pace_at = atom_now()
WHERE tenant_id = %(tenant)s AND job_id = %(job)s;

-- name: hold_slot
-- The slot's lease, kept from being claimed until the commit. No row: it has moved on.
SELECT attempts FROM sync_chunks
WHERE tenant_id = %(tenant)s AND id = %(chunk)s AND fence = %(fence)s AND state = 'leased'
FOR SHARE;

-- name: note_slot_progress
-- An answer ends a series of failures.
UPDATE sync_chunks SET attempts = 0
WHERE tenant_id = %(tenant)s AND id = %(chunk)s AND fence = %(fence)s AND attempts > 0;

-- name: retry_units
-- Tried again from the beginning: what was given up of the job, or what is named of it.
UPDATE graph_units SET state = 'queued', attempts = 0, troubles = 0, reason = NULL, finished_at = NULL
WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND state IN ('failed', 'refused')
  AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
RETURNING id;
