-- name: share_memory
-- A page that counts holds the tenant's memory as it is until it is committed; many may at once. Ends with the
-- transaction, so poolers may be between.
SELECT pg_advisory_xact_lock_shared(hashtextextended('memory ' || %(tenant)s::text, 0));

-- name: hold_memory
-- Whoever ends an epoch waits until every page that is being committed is, and keeps others from it meanwhile.
SELECT pg_advisory_xact_lock(hashtextextended('memory ' || %(tenant)s::text, 0));

-- name: read_memory
-- The dataset in use, and its epoch. No row: the first of both.
SELECT dataset, epoch FROM memories WHERE tenant_id = %(tenant)s;

-- name: end_epoch
-- What was written before and is not in the record yet will not get there.
INSERT INTO memories (tenant_id, dataset, epoch) VALUES (%(tenant)s, %(dataset)s, 1)
ON CONFLICT (tenant_id) DO UPDATE SET dataset = excluded.dataset, epoch = memories.epoch + 1
RETURNING epoch;

-- name: read_building
-- The dataset that is being built, or whose builder has died.
SELECT dataset, mark FROM memory_datasets WHERE tenant_id = %(tenant)s AND retired_at IS NULL;

-- name: begin_dataset
-- Before there is anything of it, so that what a crash leaves has a name. Of two at once, the first one's is built by
-- both.
INSERT INTO memory_datasets (tenant_id, dataset, mark)
VALUES (%(tenant)s, %(dataset)s, pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
ON CONFLICT DO NOTHING;

-- name: read_mark
-- Every transaction that is not seen now is this one or a later one.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS mark;

-- name: end_building
-- It is in use from now on. No row: somebody else has finished it, or given it up.
DELETE FROM memory_datasets WHERE tenant_id = %(tenant)s AND dataset = %(dataset)s AND retired_at IS NULL
RETURNING dataset;

-- name: abandon_building
-- What was begun is of no use; nobody has it open, or will find out when it is done.
UPDATE memory_datasets SET retired_at = '-infinity'
WHERE tenant_id = %(tenant)s AND dataset = %(dataset)s AND retired_at IS NULL;

-- name: retire_replaced
-- What was in use until now.
INSERT INTO memory_datasets (tenant_id, dataset, mark, retired_at) VALUES (%(tenant)s, %(dataset)s, 0, atom_now())
ON CONFLICT (tenant_id, dataset) DO UPDATE SET retired_at = excluded.retired_at;

-- name: read_dropping
-- What nobody can have open any more.
SELECT dataset FROM memory_datasets
WHERE tenant_id = %(tenant)s AND retired_at < atom_now() - %(live_s)s * interval '1 second'
ORDER BY dataset;

-- name: forget_dataset
-- Its files are gone.
DELETE FROM memory_datasets WHERE tenant_id = %(tenant)s AND dataset = %(dataset)s AND retired_at IS NOT NULL;

-- name: name_generations
-- Messages whose passages were remade by another embedder than they were read with, in a generation that says so.
UPDATE messages SET generation = left(encode(sha256(convert_to(%(remade)s || content_hash, 'UTF8')), 'hex'), 16)
WHERE tenant_id = %(tenant)s
  AND generation NOT IN (left(encode(sha256(convert_to(%(present)s || content_hash, 'UTF8')), 'hex'), 16),
                         left(encode(sha256(convert_to(%(remade)s || content_hash, 'UTF8')), 'hex'), 16));
