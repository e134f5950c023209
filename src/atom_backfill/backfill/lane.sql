-- name: read_budget
-- What the graph lane of a job may spend; null: no limit.
SELECT budget_usd FROM historical_sync_jobs WHERE tenant_id = %(tenant)s AND id = %(job)s;

-- name: raise_extracted
-- What units have added, in the transaction that makes it true.
UPDATE historical_sync_jobs
SET entities_extracted = entities_extracted + %(entities)s,
    relationships_extracted = relationships_extracted + %(relationships)s, last_heartbeat = atom_now()
WHERE tenant_id = %(tenant)s AND id = %(job)s;
