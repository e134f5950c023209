-- name: pick_turn
-- The fairest job with claimable work: of the tenant with the fewest chunks at work, among equals of the one that was
-- served longest ago, the job that was. Tenants are looked into in that order and no further than the first that will
-- do, so a claim costs the same however many jobs there are; the order is that of `fair`, since look-ups that lock are
-- made row by row. The turn and its account are locked, so that no two claims pass the limit of a mailbox at once; what
-- another claim has locked is left to it, so claims wait for nobody. With `one_each` a tenant whose best job another
-- claim has, or has just had, is left out as well: of claims made at once each serves another tenant.
-- A chunk whose lease lapsed is claimable: no rescuer is needed for progress, the reaper only counts and reports.
WITH load AS (
    SELECT tenant_id, count(*) AS running
    FROM sync_chunks
    WHERE state = 'leased' AND lane = ANY(%(lanes)s) AND lease_until >= atom_now()
    GROUP BY tenant_id
)
SELECT found.tenant_id, found.job_id, found.lane
FROM (
    SELECT turn.tenant_id
    FROM job_turns turn LEFT JOIN load ON load.tenant_id = turn.tenant_id
    WHERE turn.lane = ANY(%(lanes)s)
    GROUP BY turn.tenant_id, load.running
    ORDER BY coalesce(load.running, 0), max(turn.last_claimed_at)
) fair
CROSS JOIN LATERAL (
    SELECT turn.tenant_id, turn.job_id, turn.lane, turn.last_claimed_at, job.account_id
    FROM (SELECT * FROM job_turns WHERE tenant_id = fair.tenant_id AND lane = ANY(%(lanes)s) ORDER BY last_claimed_at) turn
    -- OFFSET 0: one look-up a turn, however many jobs there have been.
    CROSS JOIN LATERAL (SELECT * FROM historical_sync_jobs WHERE id = turn.job_id OFFSET 0) job
    CROSS JOIN LATERAL (SELECT * FROM accounts WHERE id = job.account_id OFFSET 0) account
    WHERE CASE turn.lane WHEN 'graph' THEN job.graph_status IN ('pending', 'running', 'completed')
          ELSE job.status IN ('pending', 'running', 'completed') END
      AND (turn.lane <> 'ingest' OR account.throttled_until <= atom_now() AND account.status <> 'disconnected')
      AND (SELECT count(*) FROM sync_chunks busy
           WHERE busy.account_id = job.account_id AND busy.state = 'leased' AND busy.lease_until >= atom_now()
             AND busy.lane = turn.lane) < job.max_parallel
      AND EXISTS (
          SELECT FROM sync_chunks chunk
          WHERE chunk.job_id = turn.job_id AND chunk.lane = turn.lane AND chunk.state IN ('ready', 'leased')
            AND chunk.stage = (SELECT min(stage) FROM sync_chunks lower
                               WHERE lower.job_id = turn.job_id AND lower.lane = turn.lane
                                 AND lower.state IN ('ready', 'leased'))
            AND (chunk.state = 'ready' AND chunk.run_at <= atom_now()
                 OR chunk.state = 'leased' AND chunk.lease_until < atom_now())
          OFFSET 0)
    ORDER BY turn.last_claimed_at
    LIMIT CASE WHEN %(one_each)s THEN 1 END
) best
CROSS JOIN LATERAL (
    SELECT turn.tenant_id, turn.job_id, turn.lane
    FROM job_turns turn CROSS JOIN accounts account
    WHERE turn.tenant_id = best.tenant_id AND turn.job_id = best.job_id AND turn.lane = best.lane
      AND (NOT %(one_each)s OR turn.last_claimed_at = best.last_claimed_at)
      AND account.id = best.account_id
      AND (turn.lane <> 'ingest' OR account.throttled_until <= atom_now() AND account.status <> 'disconnected')
    FOR NO KEY UPDATE OF turn, account SKIP LOCKED
) found
LIMIT 1;

-- name: take_chunk
-- A second statement, since it sees what was committed meanwhile; the counts in pick_turn's snapshot could be stale. A
-- lapsed lease counts as a failure: nobody knows what its worker died of.
WITH room AS (
    UPDATE job_turns turn SET last_claimed_at = atom_now()
    FROM historical_sync_jobs job
    WHERE turn.tenant_id = %(tenant)s AND turn.job_id = %(job)s AND turn.lane = %(lane)s AND job.id = turn.job_id
      AND CASE turn.lane WHEN 'graph' THEN job.graph_status IN ('pending', 'running', 'completed')
          ELSE job.status IN ('pending', 'running', 'completed') END
      AND (SELECT count(*) FROM sync_chunks busy
           WHERE busy.account_id = job.account_id AND busy.state = 'leased' AND busy.lease_until >= atom_now()
             AND busy.lane = turn.lane) < job.max_parallel
    RETURNING turn.job_id
), pick AS (
    SELECT chunk.id, chunk.worker, CASE WHEN chunk.state = 'leased' THEN atom_now() - chunk.lease_until END AS late
    FROM sync_chunks chunk
    WHERE EXISTS (SELECT FROM room) AND chunk.job_id = %(job)s AND chunk.lane = %(lane)s
      AND chunk.state IN ('ready', 'leased')
      AND chunk.stage = (SELECT min(stage) FROM sync_chunks lower
                         WHERE lower.job_id = %(job)s AND lower.lane = %(lane)s AND lower.state IN ('ready', 'leased'))
      AND (chunk.state = 'ready' AND chunk.run_at <= atom_now() OR chunk.state = 'leased' AND chunk.lease_until < atom_now())
    ORDER BY chunk.seq
    LIMIT 1
    FOR UPDATE OF chunk SKIP LOCKED
)
UPDATE sync_chunks chunk
SET state = 'leased', fence = chunk.fence + 1, claims = chunk.claims + 1, worker = %(worker)s,
    attempts = chunk.attempts + (chunk.state = 'leased')::integer,
    lease_until = atom_now() + %(lease_s)s * interval '1 second'
FROM pick
WHERE chunk.id = pick.id
RETURNING chunk.tenant_id, chunk.job_id, chunk.account_id, chunk.id AS chunk_id, chunk.lane, chunk.kind, chunk.fence,
          chunk.attempts, pick.worker AS lapsed_from, extract(epoch FROM pick.late)::float8 AS lapsed_s;

-- name: begin_job
-- The first claim sets a job going; later ones change nothing and lock nothing. Where somebody holds the job's row, the
-- heartbeat sets it going instead.
UPDATE historical_sync_jobs job
SET status = 'running', started_at = coalesce(started_at, atom_now()), last_heartbeat = atom_now()
FROM (SELECT tenant_id, id FROM historical_sync_jobs
      WHERE tenant_id = %(tenant)s AND id = %(job)s AND status = 'pending' FOR NO KEY UPDATE SKIP LOCKED) begun
WHERE job.tenant_id = begun.tenant_id AND job.id = begun.id;

-- name: renew_leases
-- A chunk that is not in the answer has been claimed by another: stop, write nothing. One whose row is locked is in the
-- middle of a commit, in which nobody can take it: it must not keep the others waiting. What the job and its account
-- have become comes along, so that pause, cancel and disconnect are noticed between pages.
WITH held AS (
    SELECT chunk_id, fence FROM unnest(%(chunks)s::uuid[], %(fences)s::bigint[]) AS held(chunk_id, fence)
), free AS (
    SELECT chunk.id
    FROM sync_chunks chunk JOIN held ON held.chunk_id = chunk.id AND held.fence = chunk.fence
    WHERE chunk.state = 'leased'
    ORDER BY chunk.id
    FOR NO KEY UPDATE OF chunk SKIP LOCKED
), renewed AS (
    UPDATE sync_chunks chunk
    SET lease_until = atom_now() + %(lease_s)s * interval '1 second'
    FROM free WHERE chunk.id = free.id
)
SELECT chunk.id AS chunk_id, chunk.fence, chunk.job_id,
       CASE chunk.lane WHEN 'graph' THEN job.graph_status NOT IN ('pending', 'running', 'completed')
            ELSE job.status IN ('paused', 'cancelled', 'failed') OR account.status = 'disconnected' END AS stopped
FROM held
JOIN sync_chunks chunk ON chunk.id = held.chunk_id AND chunk.fence = held.fence AND chunk.state = 'leased'
JOIN historical_sync_jobs job ON job.id = chunk.job_id
JOIN accounts account ON account.id = chunk.account_id;

-- name: beat_jobs
-- Shows people that somebody is at work. Waits for nobody: the next beat is soon.
UPDATE historical_sync_jobs job
SET status = 'running', started_at = coalesce(started_at, atom_now()), last_heartbeat = atom_now()
FROM (SELECT id FROM historical_sync_jobs
      WHERE id = ANY(%(jobs)s::uuid[]) AND status IN ('pending', 'running') FOR NO KEY UPDATE SKIP LOCKED) free
WHERE job.id = free.id
RETURNING job.id;

-- name: settle_done
-- No row: the fence has moved on.
UPDATE sync_chunks
SET state = 'done', lease_until = NULL, worker = NULL, has_more = false, finished_at = atom_now(),
    error_code = NULL, error = NULL
WHERE tenant_id = %(tenant)s AND id = %(chunk)s AND fence = %(fence)s AND state = 'leased'
RETURNING id;

-- name: settle_again
-- The fence is raised as well, so that nothing of this claim can commit any more.
UPDATE sync_chunks
SET state = 'ready', fence = fence + 1, lease_until = NULL, worker = NULL,
    run_at = atom_now() + %(after)s * interval '1 second', attempts = attempts + %(failures)s,
    error_code = coalesce(%(code)s, error_code), error = coalesce(%(error)s, error)
WHERE tenant_id = %(tenant)s AND id = %(chunk)s AND fence = %(fence)s AND state = 'leased'
RETURNING id;

-- name: settle_quarantined
-- Kept aside with its reason; the job goes on without it.
UPDATE sync_chunks
SET state = 'quarantined', fence = fence + 1, lease_until = NULL, worker = NULL, finished_at = atom_now(),
    attempts = attempts + 1, error_code = %(code)s, error = %(error)s
WHERE tenant_id = %(tenant)s AND id = %(chunk)s AND fence = %(fence)s AND state = 'leased'
RETURNING id;

-- name: note_error
-- The latest error of a job, for people.
UPDATE historical_sync_jobs
SET last_error_code = %(code)s, last_error = %(error)s, error_count = error_count + 1,
    retry_count = retry_count + %(retries)s
WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: lock_job
-- Settling workers queue here, so that the last of them sees that it is the last.
SELECT status FROM historical_sync_jobs WHERE tenant_id = %(tenant)s AND id = %(job)s FOR NO KEY UPDATE;

-- name: count_chunks
-- What is left of a job, and what was given up.
SELECT count(*) FILTER (WHERE state IN ('ready', 'leased') AND lane = %(lane)s)                      AS unfinished_in_lane,
       count(*) FILTER (WHERE state IN ('done', 'quarantined') AND kind NOT IN ('retry', 'extract')) AS finished,
       count(*) FILTER (WHERE kind NOT IN ('retry', 'extract'))                                      AS total,
       count(*) FILTER (WHERE state = 'quarantined' AND kind IN ('plan', 'check'))                   AS unwalked
FROM sync_chunks
WHERE tenant_id = %(tenant)s AND job_id = %(job)s;

-- name: count_finished_chunks
-- The counters that operators read.
UPDATE historical_sync_jobs SET completed_chunks = %(finished)s, total_chunks = %(total)s
WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: end_ingest
-- Once: every folder has been walked to its end.
UPDATE historical_sync_jobs
SET ingest_done_at = coalesce(ingest_done_at, atom_now()), progress_percentage = 100, last_heartbeat = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(job)s AND status IN ('pending', 'running');

-- name: complete_job
-- Once, when the mailbox is read and the graph lane does not go on by itself; a job that was paused or cancelled
-- meanwhile stays as it is.
UPDATE historical_sync_jobs
SET status = 'completed', completed_at = atom_now(), last_heartbeat = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(job)s AND status IN ('pending', 'running') AND ingest_done_at IS NOT NULL
  AND graph_status NOT IN ('pending', 'running');

-- name: fail_job
-- Only the owner can set it going again.
UPDATE historical_sync_jobs
SET status = 'failed', last_error_code = %(code)s, last_error = %(error)s
WHERE tenant_id = %(tenant)s AND id = %(job)s AND status IN ('pending', 'running', 'paused');

-- name: fail_account
-- The next sign-in sets it right.
UPDATE accounts SET status = 'sign_in_needed', status_detail = %(error)s, updated_at = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(account)s AND status = 'connected';

-- name: end_turn
-- A job without a turn is never looked at by claims. May wait for a claim, never the other way round.
DELETE FROM job_turns WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND lane = %(lane)s;

-- name: is_idle
-- Also chunks that wait for a later time count as work; those of paused jobs and disconnected accounts do not.
SELECT NOT EXISTS (
    SELECT FROM job_turns turn
    CROSS JOIN LATERAL (SELECT * FROM historical_sync_jobs WHERE id = turn.job_id OFFSET 0) job
    JOIN accounts account ON account.id = job.account_id
    JOIN sync_chunks chunk ON chunk.job_id = turn.job_id AND chunk.lane = turn.lane AND chunk.state IN ('ready', 'leased')
    WHERE turn.lane = ANY(%(lanes)s)
      AND CASE turn.lane WHEN 'graph' THEN job.graph_status IN ('pending', 'running', 'completed')
          ELSE job.status IN ('pending', 'running', 'completed') END
      AND (turn.lane = 'graph' OR account.status <> 'disconnected')) AS idle;

-- name: rescue_lapsed
-- Only leases that have lapsed by the database's clock; the fence goes up, so the late owner cannot commit.
WITH lapsed AS (
    SELECT id, worker, atom_now() - lease_until AS late
    FROM sync_chunks
    WHERE state = 'leased' AND lease_until < atom_now()
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE sync_chunks chunk
SET state = 'ready', fence = chunk.fence + 1, lease_until = NULL, worker = NULL, run_at = atom_now(),
    attempts = chunk.attempts + 1
FROM lapsed
WHERE chunk.id = lapsed.id
RETURNING chunk.tenant_id, chunk.job_id, chunk.account_id, chunk.id AS chunk_id, chunk.lane, chunk.kind, chunk.fence,
          chunk.attempts, lapsed.worker AS lapsed_from, extract(epoch FROM lapsed.late)::float8 AS lapsed_s;

-- name: notify_work
-- Wakes idle workers; polling is the fallback.
SELECT pg_notify('atom_work', %(lane)s);

-- name: notify_control
-- Tells workers to look at once whether a job of theirs was paused or cancelled.
SELECT pg_notify('atom_control', %(job)s::text);

-- name: read_status
-- Operations are decided under this lock.
SELECT status, graph_status, account_id
FROM historical_sync_jobs WHERE tenant_id = %(tenant)s AND id = %(job)s FOR NO KEY UPDATE;

-- name: set_status
-- The move that states.py allowed.
UPDATE historical_sync_jobs SET status = %(status)s WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: set_graph_status
-- The move of the graph lane that states.py allowed.
UPDATE historical_sync_jobs SET graph_status = %(status)s WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: set_budget
-- The spending limit of the graph lane.
UPDATE historical_sync_jobs SET budget_usd = %(budget_usd)s WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: reopen_chunks
-- What was quarantined is tried again, with its attempts forgotten: all of the job, or the chunks named.
UPDATE sync_chunks
SET state = 'ready', fence = fence + 1, attempts = 0, run_at = atom_now(), finished_at = NULL
WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND lane = %(lane)s AND state = 'quarantined'
  AND (%(chunks)s::uuid[] IS NULL OR id = ANY(%(chunks)s::uuid[]));

-- name: join_retry
-- A retry that no worker has taken yet takes in what is asked for now; without names it is all of the job. What is locked
-- is being taken.
UPDATE sync_chunks chunk
SET run_at = least(run_at, atom_now()), attempts = 0, position = jsonb_build_object('failures',
    CASE WHEN '[]' IN (chunk.position -> 'failures', %(failures)s::jsonb) THEN '[]'
         ELSE (SELECT jsonb_agg(DISTINCT named)
               FROM jsonb_array_elements((chunk.position -> 'failures') || %(failures)s::jsonb) named) END)
FROM (SELECT id FROM sync_chunks
      WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND kind = 'retry' AND state = 'ready' AND position ? 'failures'
      ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) queued
WHERE chunk.id = queued.id
RETURNING chunk.id;

-- name: hasten_job
-- Resuming does not wait out an old backoff, nor count what failed before.
UPDATE sync_chunks SET run_at = least(run_at, atom_now()), attempts = 0
WHERE tenant_id = %(tenant)s AND job_id = %(job)s AND lane = %(lane)s AND state = 'ready'
  AND (run_at > atom_now() OR attempts > 0);

-- name: open_turn
-- Claims see the job from now on.
INSERT INTO job_turns (tenant_id, job_id, lane) VALUES (%(tenant)s, %(job)s, %(lane)s) ON CONFLICT DO NOTHING;

-- name: insert_job
-- A job, not yet begun. Mail of the present second may still be coming, so it is left to the next job.
INSERT INTO historical_sync_jobs (tenant_id, id, account_id, status, graph_status, start_date, end_date, folders, again,
                                  budget_usd, chunk_size, max_parallel)
VALUES (%(tenant)s, %(job)s, %(account)s, 'pending', %(graph_status)s, %(start)s,
        least(%(end)s::timestamptz, date_trunc('second', atom_now(), 'UTC')),
        %(folders)s, %(again)s, %(budget_usd)s, %(chunk_size)s, %(max_parallel)s)
RETURNING id;

-- name: find_active_job
-- An account has one active job at a time; a unique index holds that too.
SELECT id, status FROM historical_sync_jobs
WHERE tenant_id = %(tenant)s AND account_id = %(account)s AND status IN ('pending', 'running', 'paused');

-- name: insert_chunk
-- Once: the same chunk again changes nothing.
INSERT INTO sync_chunks (tenant_id, id, job_id, account_id, lane, kind, stage, seq, folder_id, window_start, window_end,
                         messages_hint)
VALUES (%(tenant)s, %(chunk)s, %(job)s, %(account)s, %(lane)s, %(kind)s, %(stage)s, %(seq)s, %(folder)s, %(start)s,
        %(end)s, %(hint)s)
ON CONFLICT DO NOTHING;

-- name: take_duty
-- A duty is done by one worker at a time, and not before it is due.
UPDATE duties
SET worker = %(worker)s, fence = fence + 1, lease_until = atom_now() + %(lease_s)s * interval '1 second'
WHERE name = %(name)s AND lease_until < atom_now() AND due_at <= atom_now()
RETURNING fence;

-- name: add_duty
-- A duty exists from when it is first asked for.
INSERT INTO duties (name) VALUES (%(name)s) ON CONFLICT DO NOTHING;

-- name: renew_duty
-- No row: somebody else has it.
UPDATE duties SET lease_until = atom_now() + %(lease_s)s * interval '1 second'
WHERE name = %(name)s AND fence = %(fence)s
RETURNING fence;

-- name: end_duty
-- Done, and due again later.
UPDATE duties
SET lease_until = '-infinity', done_at = atom_now(), due_at = atom_now() + %(every_s)s * interval '1 second'
WHERE name = %(name)s AND fence = %(fence)s
RETURNING fence;

-- name: set_position
-- What a retry is about.
UPDATE sync_chunks SET position = %(position)s WHERE tenant_id = %(tenant)s AND id = %(chunk)s;

-- name: find_stuck
-- Jobs at work without a chunk that is left to do, and jobs with one that no claim would look at. There are none, unless
-- somebody has changed rows by hand, or there is a mistake.
SELECT job.id
FROM historical_sync_jobs job JOIN accounts account ON account.tenant_id = job.tenant_id AND account.id = job.account_id
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id AND chunk.job_id = job.id
                   AND chunk.lane = 'ingest' AND chunk.state IN ('ready', 'leased')) AS unfinished,
           EXISTS (SELECT FROM job_turns turn WHERE turn.tenant_id = job.tenant_id AND turn.job_id = job.id
                   AND turn.lane = 'ingest') AS turn
) has
WHERE job.tenant_id = %(tenant)s AND account.status = 'connected'
  AND (job.status IN ('pending', 'running') AND NOT has.unfinished
       AND (job.ingest_done_at IS NULL OR job.graph_status NOT IN ('pending', 'running'))
       OR job.status IN ('pending', 'running', 'completed') AND has.unfinished AND NOT has.turn)
ORDER BY job.id
FOR NO KEY UPDATE OF job SKIP LOCKED;
