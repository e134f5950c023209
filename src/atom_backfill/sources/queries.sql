-- name: list_accounts
-- Accounts with how much of each is in the record.
SELECT account.id AS account_id, account.kind, account.identity, account.address, account.status, account.status_detail,
       account.config, account.updated_at AS changed_at,
       (SELECT count(*) FROM messages WHERE messages.tenant_id = account.tenant_id AND messages.account_id = account.id)
           AS messages
FROM accounts account
WHERE account.tenant_id = %(tenant)s
ORDER BY account.created_at, account.id;

-- name: save_account
-- The same mailbox of a tenant is one account; connecting it again sets it right.
INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)
VALUES (%(tenant)s, %(account)s, %(kind)s, %(identity)s, %(address)s, 'connected', %(config)s)
ON CONFLICT (tenant_id, kind, identity) DO UPDATE SET address = excluded.address, status = 'connected', status_detail = '',
    config = excluded.config, updated_at = atom_now()
RETURNING id;

-- name: move_account
-- The same mail in another place: what is stored stays this account's.
UPDATE accounts SET identity = %(identity)s WHERE tenant_id = %(tenant)s AND id = %(account)s;

-- name: disconnect_account
-- The memory stays; jobs stop being claimed.
UPDATE accounts SET status = 'disconnected', updated_at = atom_now() WHERE tenant_id = %(tenant)s AND id = %(account)s;

-- name: read_account
-- One account, for opening its mailbox.
SELECT id AS account_id, kind, identity, address, status, status_detail, config, updated_at AS changed_at, 0 AS messages
FROM accounts WHERE tenant_id = %(tenant)s AND id = %(account)s;

-- name: save_secret
-- Sealed, replacing what was there.
INSERT INTO secrets (tenant_id, owner_id, name, sealed) VALUES (%(tenant)s, %(owner)s, %(name)s, %(sealed)s)
ON CONFLICT (tenant_id, owner_id, name) DO UPDATE SET sealed = excluded.sealed, version = secrets.version + 1,
    updated_at = atom_now();

-- name: read_secret
-- Sealed; the vault opens it.
SELECT sealed, version FROM secrets WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s AND name = %(name)s;

-- name: drop_other_secrets
-- A connection keeps its own secrets only.
DELETE FROM secrets WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s AND name <> ALL(%(names)s::text[]);

-- name: drop_secrets
-- Credentials are forgotten.
DELETE FROM secrets WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s;

-- name: replace_secret
-- Only the version that was read is replaced.
UPDATE secrets SET sealed = %(sealed)s, version = version + 1, updated_at = atom_now()
WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s AND name = %(name)s AND version = %(version)s
RETURNING version;

-- name: add_secret
-- The first of its name; somebody else's first wins. What a disconnected account has forgotten does not come back: the
-- lock waits for a disconnection that is being made.
INSERT INTO secrets (tenant_id, owner_id, name, sealed)
SELECT tenant_id, id, %(name)s, %(sealed)s
FROM accounts WHERE tenant_id = %(tenant)s AND id = %(owner)s AND status <> 'disconnected' FOR SHARE
ON CONFLICT DO NOTHING
RETURNING version;

-- name: hold_secret
-- The right to refresh, for one worker at a time; it lapses if its holder dies.
UPDATE secrets SET held_by = %(holder)s, held_until = atom_now() + interval '60 seconds'
WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s AND name = %(name)s
  AND (held_by = %(holder)s OR held_until < atom_now())
RETURNING sealed, version;

-- name: release_secret
-- Given back early.
UPDATE secrets SET held_until = '-infinity', held_by = NULL
WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s AND name = %(name)s AND held_by = %(holder)s;

-- name: add_permits
-- The slots of a scope, once; a lower limit leaves the higher slots unused.
INSERT INTO request_permits (scope, slot) SELECT %(scope)s, slot FROM generate_series(1, %(most)s) AS slot
ON CONFLICT DO NOTHING;

-- name: take_permit
-- A free slot, unless the mailbox has been asked to wait; a slot whose holder died is free after its time. The choice
-- stands apart, so that it is made once: inside a join it may be made anew for each slot, and take them all.
WITH free AS MATERIALIZED (
    SELECT slot FROM request_permits
    WHERE scope = %(scope)s AND slot <= %(most)s AND held_until < atom_now()
    ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE request_permits permit
SET holder = %(holder)s, held_until = atom_now() + %(held_s)s * interval '1 second'
FROM free
WHERE permit.scope = %(scope)s AND permit.slot = free.slot;

-- name: free_permit
-- Given back after the request, or when its taker was stopped before knowing that it has one.
UPDATE request_permits SET holder = NULL, held_until = '-infinity' WHERE scope = %(scope)s AND holder = %(holder)s;

-- name: read_throttle
-- Seconds until the mailbox may be asked again.
SELECT greatest(0, extract(epoch FROM CASE WHEN isfinite(throttled_until) THEN throttled_until - atom_now()
           ELSE interval '0' END))::float8 AS wait_s
FROM accounts WHERE id = %(account)s;

-- name: throttle_account
-- The service asked to wait; an earlier, longer wait stands. The difference counts as time spent throttled.
WITH before AS (
    SELECT throttled_until FROM accounts WHERE id = %(account)s FOR NO KEY UPDATE
), after AS (
    UPDATE accounts SET throttled_until = greatest(accounts.throttled_until, atom_now() + %(wait_s)s * interval '1 second')
    FROM before WHERE accounts.id = %(account)s
    RETURNING accounts.throttled_until
)
UPDATE historical_sync_jobs job
SET throttled_s = job.throttled_s + greatest(0, extract(epoch FROM after.throttled_until
        - greatest(CASE WHEN isfinite(before.throttled_until) THEN before.throttled_until ELSE atom_now() END, atom_now())))
FROM before, after
WHERE job.account_id = %(account)s AND job.status IN ('pending', 'running');

-- name: drop_slot
-- Too many in flight: the highest slot in use goes, for ten minutes.
UPDATE request_permits SET holder = NULL, held_until = atom_now() + interval '10 minutes'
WHERE scope = %(scope)s
  AND slot = (SELECT max(slot) FROM request_permits
              WHERE scope = %(scope)s AND slot BETWEEN 2 AND %(most)s
                AND held_until < atom_now() + interval '5 minutes');
