-- The whole first schema. Roles atom_engine, atom_work and atom_operator are made by migrate.py before this runs.
--
-- Every table of a tenant has tenant_id in its key and forced row-level security: the work role sees one tenant, named
-- per transaction; the engine sees jobs, chunks, accounts and leases of all tenants and nothing of their mail; the
-- operator reads everything but bodies and secrets.

CREATE FUNCTION atom_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT clock_timestamp()';
COMMENT ON FUNCTION atom_now() IS
    'The clock that decides. Declared stable so that comparisons with it can use an index.';

CREATE FUNCTION atom_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT nullif(current_setting('atom.tenant', true), '')::uuid $$;
COMMENT ON FUNCTION atom_tenant() IS 'The tenant of this transaction; null sees nothing.';

CREATE TABLE tenants (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (name ~ '^[^[:cntrl:]]{1,64}$'),
    created_at timestamptz NOT NULL DEFAULT atom_now()
);
CREATE UNIQUE INDEX tenants_name ON tenants (lower(name));

CREATE TABLE accounts (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    id              uuid NOT NULL UNIQUE,
    kind            text NOT NULL,
    identity        text NOT NULL,
    address         text NOT NULL,
    status          text NOT NULL CHECK (status IN ('connected', 'sign_in_needed', 'disconnected')),
    status_detail   text NOT NULL DEFAULT '',
    config          jsonb NOT NULL,
    throttled_until timestamptz NOT NULL DEFAULT '-infinity',
    created_at      timestamptz NOT NULL DEFAULT atom_now(),
    updated_at      timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, identity)
);

CREATE TABLE account_folders (
    tenant_id     uuid NOT NULL,
    account_id    uuid NOT NULL,
    folder_id     text NOT NULL,
    path          text NOT NULL,
    well_known    text NOT NULL,
    hidden        boolean NOT NULL,
    search        boolean NOT NULL,
    messages_hint integer,
    PRIMARY KEY (tenant_id, account_id, folder_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);

-- Sealed by access/vault.py with associated data of tenant, table, row and column. `owner_id` is an account or the tenant.
CREATE TABLE secrets (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    owner_id   uuid NOT NULL,
    name       text NOT NULL,
    sealed     bytea NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    held_by    uuid,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    updated_at timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, owner_id, name)
);

CREATE TABLE historical_sync_jobs (
    tenant_id               uuid NOT NULL REFERENCES tenants,
    id                      uuid NOT NULL UNIQUE,
    account_id              uuid NOT NULL,
    status                  text NOT NULL
        CHECK (status IN ('pending', 'running', 'paused', 'failed', 'cancelled', 'completed')),
    graph_status            text NOT NULL CHECK (graph_status IN ('pending', 'running', 'paused', 'failed', 'cancelled',
                                'completed', 'off', 'waiting_for_key', 'key_rejected', 'budget_reached')),
    start_date              timestamptz,
    end_date                timestamptz NOT NULL,
    folders                 text[] NOT NULL,
    again                   boolean NOT NULL,
    budget_usd              numeric,
    chunk_size              integer NOT NULL,
    max_parallel            integer NOT NULL,
    total_chunks            integer NOT NULL DEFAULT 0,
    completed_chunks        integer NOT NULL DEFAULT 0,
    total_records_estimate  integer,
    messages_done           integer NOT NULL DEFAULT 0,
    records_processed       integer NOT NULL DEFAULT 0,
    entities_extracted      integer NOT NULL DEFAULT 0,
    relationships_extracted integer NOT NULL DEFAULT 0,
    progress_percentage     numeric(5, 2) NOT NULL DEFAULT 0 CHECK (progress_percentage BETWEEN 0 AND 100),
    last_error_code         text,
    last_error              text,
    error_count             integer NOT NULL DEFAULT 0,
    retry_count             integer NOT NULL DEFAULT 0,
    throttled_s             double precision NOT NULL DEFAULT 0,
    pace_at                 timestamptz,
    pace_messages           double precision NOT NULL DEFAULT 0,
    pace_fetch              double precision NOT NULL DEFAULT 0,
    pace_embed              double precision NOT NULL DEFAULT 0,
    pace_store              double precision NOT NULL DEFAULT 0,
    last_heartbeat          timestamptz,
    created_at              timestamptz NOT NULL DEFAULT atom_now(),
    started_at              timestamptz,
    completed_at            timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
CREATE UNIQUE INDEX historical_sync_jobs_one_active ON historical_sync_jobs (tenant_id, account_id)
    WHERE status IN ('pending', 'running', 'paused');
CREATE INDEX historical_sync_jobs_created ON historical_sync_jobs (created_at DESC);

-- The row that claims lock, so that page commits, which raise the job's counters, never make a claim skip the job.
CREATE TABLE job_turns (
    tenant_id       uuid NOT NULL,
    job_id          uuid NOT NULL,
    lane            text NOT NULL,
    last_claimed_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (tenant_id, job_id, lane),
    FOREIGN KEY (tenant_id, job_id) REFERENCES historical_sync_jobs ON DELETE CASCADE
);

CREATE TABLE sync_chunks (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL UNIQUE,
    job_id        uuid NOT NULL,
    account_id    uuid NOT NULL,
    lane          text NOT NULL CHECK (lane IN ('ingest', 'graph')),
    kind          text NOT NULL CHECK (kind IN ('plan', 'window', 'check', 'retry')),
    stage         smallint NOT NULL,
    seq           bigint NOT NULL,
    folder_id     text,
    window_start  timestamptz,
    window_end    timestamptz,
    messages_hint integer,
    state         text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'leased', 'done', 'quarantined')),
    run_at        timestamptz NOT NULL DEFAULT atom_now(),
    fence         bigint NOT NULL DEFAULT 0,
    worker        text,
    lease_until   timestamptz,
    claims        integer NOT NULL DEFAULT 0,
    attempts      integer NOT NULL DEFAULT 0,
    position      jsonb NOT NULL DEFAULT '{}',
    messages_done integer NOT NULL DEFAULT 0,
    has_more      boolean NOT NULL DEFAULT true,
    error_code    text,
    error         text,
    created_at    timestamptz NOT NULL DEFAULT atom_now(),
    finished_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, job_id) REFERENCES historical_sync_jobs ON DELETE CASCADE,
    CHECK ((state = 'leased') = (lease_until IS NOT NULL))
);
COMMENT ON COLUMN sync_chunks.stage IS 'A chunk is claimable when none of a lower stage of its job and lane is unfinished.';
CREATE INDEX sync_chunks_unfinished ON sync_chunks (job_id, lane, stage, seq) WHERE state IN ('ready', 'leased');
CREATE INDEX sync_chunks_leased ON sync_chunks (lane, lease_until) WHERE state = 'leased';
CREATE INDEX sync_chunks_leased_of_account ON sync_chunks (account_id) WHERE state = 'leased';
CREATE INDEX sync_chunks_of_job ON sync_chunks (tenant_id, job_id, kind, state);
CREATE INDEX sync_chunks_coverage ON sync_chunks (tenant_id, account_id, folder_id) WHERE kind = 'window' AND state = 'done';

-- Requests in flight, counted across workers: a slot is free when its time has passed. `scope` is a mailbox or an app.
CREATE TABLE request_permits (
    scope      text NOT NULL,
    slot       integer NOT NULL,
    holder     uuid,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (scope, slot)
);

-- What is done by any one worker at a time: reaping, upkeep, schedules.
CREATE TABLE duties (
    name        text PRIMARY KEY,
    fence       bigint NOT NULL DEFAULT 0,
    worker      text,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    due_at      timestamptz NOT NULL DEFAULT '-infinity',
    done_at     timestamptz
);

CREATE TABLE messages (
    tenant_id           uuid NOT NULL,
    id                  uuid NOT NULL UNIQUE,
    account_id          uuid NOT NULL,
    first_job_id        uuid NOT NULL,
    last_job_id         uuid NOT NULL,
    source_id           text NOT NULL,
    internet_message_id text NOT NULL,
    conversation_id     text NOT NULL,
    thread_id           uuid NOT NULL,
    subject             text NOT NULL,
    received_at         timestamptz,
    sent_at             timestamptz,
    from_name           text NOT NULL,
    from_address        text NOT NULL,
    participants        jsonb NOT NULL,
    kind                text NOT NULL,
    bulk                boolean NOT NULL,
    machine             boolean NOT NULL,
    is_draft            boolean NOT NULL,
    has_attachments     boolean NOT NULL,
    attachments         jsonb NOT NULL,
    importance          text NOT NULL,
    web_link            text NOT NULL,
    change_key          text NOT NULL,
    content_hash        text NOT NULL,
    generation          text NOT NULL,
    passages            integer NOT NULL,
    notes               text[] NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT atom_now(),
    updated_at          timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, account_id, source_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts,
    FOREIGN KEY (tenant_id, first_job_id) REFERENCES historical_sync_jobs
);
CREATE INDEX messages_of_job ON messages (tenant_id, first_job_id);
CREATE INDEX messages_of_thread ON messages (tenant_id, thread_id, received_at);
CREATE INDEX messages_copies ON messages (tenant_id, internet_message_id);
CREATE INDEX messages_by_date ON messages (tenant_id, account_id, received_at);

-- Bodies apart, so that lists never touch them. `source_body` is zlib of UTF-8.
CREATE TABLE message_bodies (
    tenant_id   uuid NOT NULL,
    message_id  uuid NOT NULL,
    text        text NOT NULL,
    renderer    integer NOT NULL,
    segments    jsonb NOT NULL,
    body_type   text NOT NULL,
    source_body bytea NOT NULL,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages ON DELETE CASCADE
);
ALTER TABLE message_bodies ALTER COLUMN source_body SET STORAGE EXTERNAL;

-- Where a message lies. Local files may hold the same content twice: one message, two places.
CREATE TABLE message_places (
    tenant_id  uuid NOT NULL,
    account_id uuid NOT NULL,
    message_id uuid NOT NULL,
    folder_id  text NOT NULL,
    PRIMARY KEY (tenant_id, message_id, folder_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX message_places_of_folder ON message_places (tenant_id, account_id, folder_id);

CREATE TABLE discovered_entities (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    job_id      uuid NOT NULL,
    message_id  uuid NOT NULL,
    entity_type text NOT NULL,
    name        text NOT NULL,
    properties  jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX discovered_entities_of_message ON discovered_entities (tenant_id, message_id);
CREATE INDEX discovered_entities_of_job ON discovered_entities (tenant_id, job_id);

CREATE TABLE graph_nodes (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    id         uuid NOT NULL,
    type       text NOT NULL,
    key        text NOT NULL,
    name       text NOT NULL,
    properties jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT atom_now(),
    updated_at timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, type, key)
);
CREATE INDEX graph_nodes_created ON graph_nodes (tenant_id, created_at);

-- `weight` is the number of evidence rows, set from them in the transaction that adds any.
CREATE TABLE graph_edges (
    tenant_id         uuid NOT NULL,
    id                uuid NOT NULL,
    source_node_id    uuid NOT NULL,
    target_node_id    uuid NOT NULL,
    relationship_type text NOT NULL,
    weight            integer NOT NULL DEFAULT 0,
    properties        jsonb NOT NULL DEFAULT '{}',
    valid_from        timestamptz,
    invalid_at        timestamptz,
    created_at        timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, source_node_id, relationship_type, target_node_id),
    FOREIGN KEY (tenant_id, source_node_id) REFERENCES graph_nodes,
    FOREIGN KEY (tenant_id, target_node_id) REFERENCES graph_nodes
);
CREATE INDEX graph_edges_into ON graph_edges (tenant_id, target_node_id);

CREATE TABLE graph_evidence (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    job_id       uuid NOT NULL,
    node_id      uuid,
    edge_id      uuid,
    message_id   uuid NOT NULL,
    quote        text NOT NULL,
    start_offset integer,
    end_offset   integer,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, node_id) REFERENCES graph_nodes,
    FOREIGN KEY (tenant_id, edge_id) REFERENCES graph_edges,
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages ON DELETE CASCADE,
    CHECK ((node_id IS NULL) <> (edge_id IS NULL))
);
CREATE INDEX graph_evidence_of_node ON graph_evidence (tenant_id, node_id) WHERE node_id IS NOT NULL;
CREATE INDEX graph_evidence_of_edge ON graph_evidence (tenant_id, edge_id) WHERE edge_id IS NOT NULL;
CREATE INDEX graph_evidence_of_message ON graph_evidence (tenant_id, message_id);
CREATE INDEX graph_evidence_of_job ON graph_evidence (tenant_id, job_id);

-- What could not be read: one row for an item (or, with no source_id of its own, for a chunk).
CREATE TABLE failures (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    account_id  uuid NOT NULL,
    job_id      uuid NOT NULL,
    source_id   text NOT NULL,
    message_id  uuid NOT NULL,
    folder_id   text,
    received_at timestamptz,
    subject     text NOT NULL DEFAULT '',
    stage       text NOT NULL CHECK (stage IN ('fetch', 'parse', 'embed', 'store', 'extract')),
    error_code  text NOT NULL,
    error       text NOT NULL,
    attempts    integer NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL DEFAULT atom_now(),
    last_at     timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, account_id, source_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts
);
CREATE INDEX failures_of_job ON failures (tenant_id, job_id);

-- Grants and policies ---------------------------------------------------------------------------------------------

DO $$
DECLARE
    of_tenant text[] := ARRAY['accounts', 'account_folders', 'secrets', 'historical_sync_jobs', 'job_turns', 'sync_chunks',
        'messages', 'message_bodies', 'message_places', 'discovered_entities', 'graph_nodes', 'graph_edges',
        'graph_evidence', 'failures'];
    of_engine text[] := ARRAY['accounts', 'historical_sync_jobs', 'job_turns', 'sync_chunks'];
    for_operator text[] := ARRAY['account_folders', 'historical_sync_jobs', 'job_turns', 'sync_chunks', 'messages',
        'message_places', 'discovered_entities', 'graph_nodes', 'graph_edges', 'graph_evidence', 'failures'];
    name text;
BEGIN
    FOREACH name IN ARRAY of_tenant LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY work ON %I TO atom_work USING (tenant_id = atom_tenant()) '
                       'WITH CHECK (tenant_id = atom_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO atom_work', name);
    END LOOP;
    FOREACH name IN ARRAY of_engine LOOP
        EXECUTE format('CREATE POLICY engine ON %I TO atom_engine USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT, UPDATE ON %I TO atom_engine', name);
    END LOOP;
    GRANT DELETE ON job_turns TO atom_engine;
    FOREACH name IN ARRAY for_operator LOOP
        EXECUTE format('CREATE POLICY operator ON %I FOR SELECT TO atom_operator USING (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO atom_operator', name);
    END LOOP;
END $$;

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY work ON tenants TO atom_work USING (id = atom_tenant());
CREATE POLICY engine ON tenants TO atom_engine USING (true) WITH CHECK (true);
CREATE POLICY operator ON tenants FOR SELECT TO atom_operator USING (true);
GRANT SELECT ON tenants TO atom_work, atom_operator;
GRANT SELECT, INSERT ON tenants TO atom_engine;

CREATE POLICY operator ON accounts FOR SELECT TO atom_operator USING (true);
GRANT SELECT (tenant_id, id, kind, identity, address, status, status_detail, throttled_until, created_at, updated_at)
    ON accounts TO atom_operator;

GRANT SELECT, INSERT, UPDATE, DELETE ON request_permits, duties TO atom_engine;
GRANT SELECT ON request_permits, duties TO atom_operator;
GRANT EXECUTE ON FUNCTION atom_now(), atom_tenant() TO atom_engine, atom_work, atom_operator;
