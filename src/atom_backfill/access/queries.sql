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
