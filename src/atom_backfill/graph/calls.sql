-- name: add_purse
-- What the tenant has spent, from its first call on.
INSERT INTO graph_spending (tenant_id) VALUES (%(tenant)s) ON CONFLICT DO NOTHING;

-- name: reserve
-- The most that a call may cost is set aside before it is made, or it is not made: within the job's budget and the
-- tenant's cap, while the lane goes on, the slot's lease holds, and the key is the one that was read. One statement: the
-- rows are locked, and what is asked of them is asked again of what they have become meanwhile.
WITH room AS (
    SELECT lane.tenant_id, lane.job_id
    FROM graph_lanes lane
    JOIN graph_spending purse ON purse.tenant_id = lane.tenant_id
    JOIN historical_sync_jobs job ON job.tenant_id = lane.tenant_id AND job.id = lane.job_id
    WHERE lane.tenant_id = %(tenant)s AND lane.job_id = %(job)s
      AND (job.budget_usd IS NULL OR lane.usd + lane.usd_reserved + %(usd)s::numeric <= job.budget_usd)
      AND (%(cap)s::numeric IS NULL OR purse.usd + purse.usd_reserved + %(usd)s::numeric <= %(cap)s::numeric)
      AND job.graph_status IN ('pending', 'running', 'completed')
      AND EXISTS (SELECT FROM sync_chunks slot WHERE slot.tenant_id = lane.tenant_id AND slot.id = %(chunk)s
                  AND slot.fence = %(fence)s AND slot.state = 'leased')
      AND EXISTS (SELECT FROM model_keys key WHERE key.tenant_id = lane.tenant_id AND key.name = %(key_name)s
                  AND key.version = %(key_version)s AND key.status IN ('untested', 'works'))
    FOR NO KEY UPDATE OF lane, purse
), lane AS (
    UPDATE graph_lanes SET usd_reserved = usd_reserved + coalesce(%(usd)s::numeric, 0), calls = calls + 1
    FROM room WHERE graph_lanes.tenant_id = room.tenant_id AND graph_lanes.job_id = room.job_id
), purse AS (
    UPDATE graph_spending SET usd_reserved = usd_reserved + coalesce(%(usd)s::numeric, 0)
    FROM room WHERE graph_spending.tenant_id = room.tenant_id
)
INSERT INTO graph_calls (tenant_id, id, job_id, chunk_id, fence, units, attempt, model, usd_reserved)
SELECT %(tenant)s, %(call)s, %(job)s, %(chunk)s, %(fence)s, %(units)s, %(attempt)s, %(model)s, %(usd)s FROM room
RETURNING id;

-- name: why_not_reserved
-- What stood in the way. `in_flight`: calls of this tenant whose lease still holds will give some of it back.
SELECT job.graph_status, key.version AS key_version, key.status AS key_status,
       coalesce(slot.fence = %(fence)s AND slot.state = 'leased', false) AS held,
       EXISTS (SELECT FROM graph_calls call
               JOIN sync_chunks busy ON busy.tenant_id = call.tenant_id AND busy.id = call.chunk_id
               WHERE call.tenant_id = lane.tenant_id AND call.state = 'open' AND busy.fence = call.fence
                 AND busy.state = 'leased' AND busy.lease_until >= atom_now()) AS in_flight
FROM graph_lanes lane
JOIN historical_sync_jobs job ON job.tenant_id = lane.tenant_id AND job.id = lane.job_id
LEFT JOIN sync_chunks slot ON slot.tenant_id = lane.tenant_id AND slot.id = %(chunk)s
LEFT JOIN model_keys key ON key.tenant_id = lane.tenant_id AND key.name = %(key_name)s
WHERE lane.tenant_id = %(tenant)s AND lane.job_id = %(job)s;

-- name: lock_call
-- Before the lane's row is changed for it.
SELECT state, usd_reserved FROM graph_calls WHERE tenant_id = %(tenant)s AND id = %(call)s FOR UPDATE;

-- name: settle_call
-- What it was in the end, also of one that was taken for lost.
UPDATE graph_calls
SET state = 'settled', outcome = %(outcome)s, usd = %(usd)s, input_tokens = %(input_tokens)s,
    output_tokens = %(output_tokens)s, latency_ms = %(latency_ms)s, settled_at = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(call)s;

-- name: spend
-- The lane and the tenant, by the same amounts.
WITH purse AS (
    UPDATE graph_spending SET usd = usd + %(usd)s, usd_reserved = usd_reserved - %(released)s WHERE tenant_id = %(tenant)s
)
UPDATE graph_lanes
SET usd = usd + %(usd)s, usd_reserved = usd_reserved - %(released)s, input_tokens = input_tokens + %(input_tokens)s,
    output_tokens = output_tokens + %(output_tokens)s, unpriced = unpriced OR %(unpriced)s
WHERE tenant_id = %(tenant)s AND job_id = %(job)s
RETURNING usd;

-- name: spread_cost
-- What a call cost, in equal parts on its units.
UPDATE graph_units SET usd = usd + %(usd)s WHERE tenant_id = %(tenant)s AND id = ANY(%(units)s::uuid[]);

-- name: find_lost_calls
-- Calls of earlier leases of this slot that nobody can settle any more.
SELECT id, coalesce(usd_reserved, 0) AS usd, usd_reserved IS NULL AS unpriced FROM graph_calls
WHERE tenant_id = %(tenant)s AND chunk_id = %(chunk)s AND state = 'open' AND fence <> %(fence)s
ORDER BY id FOR UPDATE;

-- name: lose_calls
-- Counted at the most that they may have cost.
UPDATE graph_calls SET state = 'lost', usd = usd_reserved, settled_at = atom_now()
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::uuid[]);

-- name: lock_pace
-- One worker at a time changes how fast a key is used.
SELECT version, requests, tokens, requests_left, tokens_left, at, blocked_until, raised_at, told, atom_now() AS now
FROM key_paces WHERE tenant_id = %(tenant)s AND name = %(name)s FOR UPDATE;

-- name: add_pace
-- Of a key that was not used yet. No row: it is there, or the key is gone.
INSERT INTO key_paces (tenant_id, name, version, requests, tokens, requests_left, tokens_left, at, blocked_until,
                       raised_at, told)
SELECT key.tenant_id, key.name, 0, 1, 1, 0, 0, atom_now(), atom_now(), atom_now(), false
FROM model_keys key WHERE key.tenant_id = %(tenant)s AND key.name = %(name)s
ON CONFLICT DO NOTHING;

-- name: save_pace
-- As it is now.
UPDATE key_paces
SET version = %(version)s, requests = %(requests)s, tokens = %(tokens)s, requests_left = %(requests_left)s,
    tokens_left = %(tokens_left)s, at = %(at)s, blocked_until = %(blocked_until)s, raised_at = %(raised_at)s,
    told = %(told)s
WHERE tenant_id = %(tenant)s AND name = %(name)s;
