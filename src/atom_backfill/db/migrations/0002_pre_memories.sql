-- Which dataset of a tenant is its memory, and which lie beside it. A tenant without a row has the first one, '', at
-- epoch 0. A page that was written in an earlier epoch cannot be committed any more: see memory/postgres.py.

CREATE TABLE memories (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,
    dataset   text NOT NULL DEFAULT '',
    epoch     bigint NOT NULL DEFAULT 0
);

-- Datasets that are being built (retired_at is null), or that have been replaced and are to be deleted. `mark`: every
-- transaction that the builder may not have seen is this one or a later one.
CREATE TABLE memory_datasets (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    dataset    text NOT NULL,
    mark       bigint NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT atom_now(),
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, dataset)
);
CREATE UNIQUE INDEX memory_datasets_one_building ON memory_datasets (tenant_id) WHERE retired_at IS NULL;

CREATE FUNCTION job_counts(tenant uuid, job uuid, OUT records bigint, OUT entities bigint, OUT relationships bigint)
    LANGUAGE sql STABLE AS $$
    SELECT (SELECT count(*) FROM messages WHERE tenant_id = tenant AND first_job_id = job),
           (SELECT count(*) FROM discovered_entities WHERE tenant_id = tenant AND job_id = job)
           + (SELECT count(*) FROM graph_evidence WHERE tenant_id = tenant AND job_id = job AND node_id IS NOT NULL),
           (SELECT count(*) FROM graph_evidence WHERE tenant_id = tenant AND job_id = job AND edge_id IS NOT NULL)
    $$;
COMMENT ON FUNCTION job_counts(uuid, uuid) IS 'What the counters of a job must be.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['memories', 'memory_datasets'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY work ON %I TO atom_work USING (tenant_id = atom_tenant()) '
                       'WITH CHECK (tenant_id = atom_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO atom_work', name);
        EXECUTE format('CREATE POLICY operator ON %I FOR SELECT TO atom_operator USING (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO atom_operator', name);
    END LOOP;
END $$;
