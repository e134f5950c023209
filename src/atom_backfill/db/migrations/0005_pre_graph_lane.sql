-- The graph lane: units of new text, the calls that a model is paid for, its answers, and how fast a key may be used.
--
-- A job's slots are chunks of the lane `graph`: whoever has the lease of one works on the job's units. A unit that is
-- running belongs to a slot under a fence, so what lapses, is rescued or comes too late is decided in one place.
-- Locks: the graph, the lane's row, the slot, the job.

ALTER TABLE historical_sync_jobs ADD COLUMN ingest_done_at timestamptz;
COMMENT ON COLUMN historical_sync_jobs.ingest_done_at IS
    'When the last folder was walked to its end; the job is completed when its graph lane does not go on by itself.';
UPDATE historical_sync_jobs SET ingest_done_at = completed_at WHERE status = 'completed';

ALTER TABLE sync_chunks DROP CONSTRAINT sync_chunks_kind_check;
ALTER TABLE sync_chunks ADD CONSTRAINT sync_chunks_kind_check
    CHECK (kind IN ('plan', 'window', 'check', 'retry', 'extract'));

-- One a job whose graph lane is wanted. `usd` is what was spent, that of lost calls included; `usd_reserved` is what
-- calls in flight may cost at most.
CREATE TABLE graph_lanes (
    tenant_id     uuid NOT NULL,
    job_id        uuid NOT NULL,
    units_total   integer NOT NULL DEFAULT 0,
    units_done    integer NOT NULL DEFAULT 0,
    percent       numeric(5, 2) NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    calls         integer NOT NULL DEFAULT 0,
    input_tokens  bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    usd           numeric(14, 6) NOT NULL DEFAULT 0,
    usd_reserved  numeric(14, 6) NOT NULL DEFAULT 0,
    unpriced      boolean NOT NULL DEFAULT false,
    pace_at       timestamptz,
    pace_units    double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, job_id),
    FOREIGN KEY (tenant_id, job_id) REFERENCES historical_sync_jobs ON DELETE CASCADE
);
INSERT INTO graph_lanes (tenant_id, job_id) SELECT tenant_id, id FROM historical_sync_jobs WHERE graph_status <> 'off';

-- What all jobs of a tenant have spent, for its cap.
CREATE TABLE graph_spending (
    tenant_id    uuid PRIMARY KEY REFERENCES tenants,
    usd          numeric(14, 6) NOT NULL DEFAULT 0,
    usd_reserved numeric(14, 6) NOT NULL DEFAULT 0
);

-- What made facts: prompt and schema (`definition`), and the model.
CREATE TABLE graph_generations (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    id         uuid NOT NULL,
    definition text NOT NULL,
    model      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id)
);

-- Messages that were looked at for units, each once; `left_out` says why one is in none.
CREATE TABLE graph_mails (
    tenant_id  uuid NOT NULL,
    message_id uuid NOT NULL,
    left_out   text CHECK (left_out IN ('bulk', 'short', 'duplicate')),
    text_hash  bytea,
    PRIMARY KEY (tenant_id, message_id),
    FOREIGN KEY (tenant_id, message_id) REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX graph_mails_of_text ON graph_mails (tenant_id, text_hash) WHERE text_hash IS NOT NULL;

-- `mails` has the messages with the spans of their text; `carried` who takes part from earlier parts of the thread.
CREATE TABLE graph_units (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    account_id    uuid NOT NULL,
    job_id        uuid NOT NULL,
    thread_id     uuid NOT NULL,
    ordinal       integer NOT NULL,
    latest_at     timestamptz NOT NULL,
    characters    integer NOT NULL,
    mails         jsonb NOT NULL,
    carried       jsonb NOT NULL,
    state         text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'done', 'empty', 'split', 'refused', 'failed', 'skipped')),
    alone         boolean NOT NULL DEFAULT false,
    chunk_id      uuid,
    fence         bigint,
    attempts      integer NOT NULL DEFAULT 0,
    troubles      integer NOT NULL DEFAULT 0,
    reason        text,
    usd           numeric(14, 6) NOT NULL DEFAULT 0,
    answer_key    bytea,
    generation_id uuid,
    dropped       jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT atom_now(),
    finished_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, job_id) REFERENCES historical_sync_jobs ON DELETE CASCADE,
    CHECK ((state = 'running') = (chunk_id IS NOT NULL AND fence IS NOT NULL))
);
COMMENT ON COLUMN graph_units.alone IS 'It shares no call: an answer about it and others could not be used.';
COMMENT ON COLUMN graph_units.attempts IS 'Answers about it alone that could not be used.';
COMMENT ON COLUMN graph_units.troubles IS 'Calls about it that the server did not answer, while it answered others.';
CREATE INDEX graph_units_queued ON graph_units (tenant_id, job_id, latest_at DESC, id) WHERE state = 'queued';
CREATE INDEX graph_units_running ON graph_units (tenant_id, chunk_id) WHERE state = 'running';
CREATE INDEX graph_units_given_up ON graph_units (tenant_id, job_id) WHERE state IN ('failed', 'refused');
CREATE INDEX graph_units_of_thread ON graph_units (tenant_id, thread_id);

-- Every call, no text. An open one is in flight, or was when its worker died: then whoever comes next finds it lost.
CREATE TABLE graph_calls (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    job_id        uuid NOT NULL,
    chunk_id      uuid NOT NULL,
    fence         bigint NOT NULL,
    units         uuid[] NOT NULL,
    attempt       integer NOT NULL,
    model         text NOT NULL,
    state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled', 'lost')),
    outcome       text,
    usd_reserved  numeric(14, 6),
    usd           numeric(14, 6),
    input_tokens  integer,
    output_tokens integer,
    latency_ms    integer,
    created_at    timestamptz NOT NULL DEFAULT atom_now(),
    settled_at    timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, job_id) REFERENCES historical_sync_jobs ON DELETE CASCADE
);
CREATE INDEX graph_calls_of_job ON graph_calls (tenant_id, job_id, created_at);
CREATE INDEX graph_calls_open ON graph_calls (tenant_id, chunk_id) WHERE state = 'open';

-- What a model has said of a unit, by all that shaped the question. It quotes mail, so operators do not see it.
CREATE TABLE graph_answers (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    key        bytea NOT NULL,
    answer     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, key)
);

-- How fast a tenant's key may be used, by all workers together: llm/pace.py.
CREATE TABLE key_paces (
    tenant_id     uuid NOT NULL,
    name          text NOT NULL,
    version       bigint NOT NULL,
    requests      double precision NOT NULL,
    tokens        double precision NOT NULL,
    requests_left double precision NOT NULL,
    tokens_left   double precision NOT NULL,
    at            timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL,
    raised_at     timestamptz NOT NULL,
    told          boolean NOT NULL,
    PRIMARY KEY (tenant_id, name),
    FOREIGN KEY (tenant_id, name) REFERENCES model_keys ON DELETE CASCADE
);

DO $$
DECLARE
    of_tenant text[] := ARRAY['graph_lanes', 'graph_spending', 'graph_generations', 'graph_mails', 'graph_units',
        'graph_calls', 'graph_answers', 'key_paces'];
    name text;
BEGIN
    FOREACH name IN ARRAY of_tenant LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY work ON %I TO atom_work USING (tenant_id = atom_tenant()) '
                       'WITH CHECK (tenant_id = atom_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO atom_work', name);
        IF name <> 'graph_answers' THEN
            EXECUTE format('CREATE POLICY operator ON %I FOR SELECT TO atom_operator USING (true)', name);
            EXECUTE format('GRANT SELECT ON %I TO atom_operator', name);
        END IF;
    END LOOP;
END $$;
CREATE POLICY engine ON graph_lanes TO atom_engine USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON graph_lanes TO atom_engine;
