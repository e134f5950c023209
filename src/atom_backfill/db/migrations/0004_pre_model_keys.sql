-- The tenants' own keys for models, by name. The value lies sealed in `secrets`, with the tenant as its owner; the base
-- URL and the model belong to it, so that no key is ever sent to a server that it was not given for.

CREATE TABLE model_keys (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    name       text NOT NULL CHECK (name ~ '^[A-Z][A-Z0-9_]{0,63}$'),
    base_url   text NOT NULL,
    model      text NOT NULL,
    status     text NOT NULL DEFAULT 'untested' CHECK (status IN ('untested', 'works', 'rejected', 'quota_used_up')),
    form       text,
    version    bigint NOT NULL DEFAULT 1,
    tested_at  timestamptz,
    created_at timestamptz NOT NULL DEFAULT atom_now(),
    updated_at timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON COLUMN model_keys.form IS 'To which form of answers the endpoint can be held; null: not found out yet.';
COMMENT ON COLUMN model_keys.version IS 'Rises when the key is set; what was learnt of an earlier one is not noted.';

ALTER TABLE model_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY work ON model_keys TO atom_work USING (tenant_id = atom_tenant()) WITH CHECK (tenant_id = atom_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON model_keys TO atom_work;
CREATE POLICY operator ON model_keys FOR SELECT TO atom_operator USING (true);
GRANT SELECT ON model_keys TO atom_operator;
