-- name: share_memory
-- A page that counts holds the tenant's memory as it is until it is committed, unless somebody changes it just now; many
-- pages may at once. Ends with the transaction, so poolers may be between.
SELECT pg_try_advisory_xact_lock_shared(hashtextextended('memory ' || %(tenant)s::text, 0)) AS held;

-- name: hold_memory
-- Whoever ends an epoch waits until every page that is being committed is, and keeps others from it meanwhile.
SELECT pg_advisory_xact_lock(hashtextextended('memory ' || %(tenant)s::text, 0));

-- name: try_memory
-- The same, if nobody has it.
SELECT pg_try_advisory_xact_lock(hashtextextended('memory ' || %(tenant)s::text, 0)) AS held;

-- name: read_memory
-- Its epoch, and what is being made anew. No row: the first one, and nothing.
SELECT epoch, building, swapping FROM memories WHERE tenant_id = %(tenant)s;

-- name: lock_memory
-- The same; nobody begins a rebuild meanwhile.
SELECT epoch, building, swapping FROM memories WHERE tenant_id = %(tenant)s FOR UPDATE;

-- name: end_epoch
-- What was written before and is not in the record yet will not get there.
INSERT INTO memories (tenant_id, epoch) VALUES (%(tenant)s, 1)
ON CONFLICT (tenant_id) DO UPDATE SET epoch = memories.epoch + 1;

-- name: begin_building
-- Before there is anything of it. Of two at once, the first one's is built by both.
INSERT INTO memories AS memory (tenant_id, building, mark)
VALUES (%(tenant)s, %(name)s, pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
ON CONFLICT (tenant_id) DO UPDATE
SET building = coalesce(memory.building, excluded.building), mark = coalesce(memory.mark, excluded.mark)
RETURNING building AS name, mark;

-- name: abandon_building
-- What was begun is of no use.
UPDATE memories SET building = NULL, mark = NULL, swapping = NULL, epoch = epoch + 1
WHERE tenant_id = %(tenant)s AND building = %(name)s;

-- name: read_mark
-- Every transaction that is not seen now is this one or a later one.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS mark;

-- name: begin_swap
-- Committed before anything is replaced: until the swap has ended, or is found to have died, no page counts.
UPDATE memories SET swapping = ARRAY[%(present)s, %(remade)s] WHERE tenant_id = %(tenant)s AND building = %(name)s;

-- name: end_swap
-- What it has made is the memory, or, where it died before, is still being built.
UPDATE memories
SET epoch = epoch + 1, swapping = NULL,
    building = CASE WHEN %(made)s THEN NULL ELSE building END, mark = CASE WHEN %(made)s THEN NULL ELSE mark END
WHERE tenant_id = %(tenant)s;

-- name: name_generations
-- Messages whose passages were remade by another embedder than they were read with, in a generation that says so.
UPDATE messages SET generation = left(encode(sha256(convert_to(%(remade)s || content_hash, 'UTF8')), 'hex'), 16)
WHERE tenant_id = %(tenant)s
  AND generation NOT IN (left(encode(sha256(convert_to(%(present)s || content_hash, 'UTF8')), 'hex'), 16),
                         left(encode(sha256(convert_to(%(remade)s || content_hash, 'UTF8')), 'hex'), 16));
