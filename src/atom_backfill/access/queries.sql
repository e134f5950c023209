-- name: add_tenant
-- Names are unique by lower(name); two that add one at once, and one of them gets no row.
INSERT INTO tenants (id, name) VALUES (%(id)s, %(name)s) ON CONFLICT DO NOTHING;

-- name: list_tenants
-- For people, the oldest first.
SELECT id, name FROM tenants ORDER BY created_at, id;

-- name: find_tenant
-- By id, as scripts name them.
SELECT id, name FROM tenants WHERE id = %(id)s;

-- name: find_tenant_named
-- By name, as people name them; by the expression of the unique index.
SELECT id, name FROM tenants WHERE lower(name) = lower(%(name)s);

-- name: list_keys
-- Without their values.
SELECT name, base_url, model, status, form, version, tested_at, updated_at
FROM model_keys WHERE tenant_id = %(tenant)s ORDER BY name;

-- name: find_key
-- With its sealed value; the vault opens it.
SELECT key.name, key.base_url, key.model, key.status, key.form, key.version, key.tested_at, key.updated_at, secret.sealed
FROM model_keys key
JOIN secrets secret ON secret.tenant_id = key.tenant_id AND secret.owner_id = key.tenant_id AND secret.name = key.name
WHERE key.tenant_id = %(tenant)s AND key.name = %(name)s;

-- name: save_key
-- What was known of the value before says nothing of this one.
INSERT INTO model_keys (tenant_id, name, base_url, model) VALUES (%(tenant)s, %(name)s, %(base_url)s, %(model)s)
ON CONFLICT (tenant_id, name) DO UPDATE SET base_url = excluded.base_url, model = excluded.model, status = 'untested',
    form = NULL, tested_at = NULL, version = model_keys.version + 1, updated_at = atom_now()
RETURNING name, base_url, model, status, form, version, tested_at, updated_at;

-- name: save_key_value
-- Sealed, replacing what was there.
INSERT INTO secrets (tenant_id, owner_id, name, sealed) VALUES (%(tenant)s, %(tenant)s, %(name)s, %(sealed)s)
ON CONFLICT (tenant_id, owner_id, name) DO UPDATE SET sealed = excluded.sealed, version = secrets.version + 1,
    updated_at = atom_now();

-- name: note_key
-- Only of the value that was tried.
UPDATE model_keys SET status = %(status)s, form = %(form)s, tested_at = atom_now()
WHERE tenant_id = %(tenant)s AND name = %(name)s AND version = %(version)s;

-- name: delete_key
-- The value goes first.
WITH value AS (
    DELETE FROM secrets WHERE tenant_id = %(tenant)s AND owner_id = %(tenant)s AND name = %(name)s
)
DELETE FROM model_keys WHERE tenant_id = %(tenant)s AND name = %(name)s;
