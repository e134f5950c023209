-- What the graph needs for facts that a model read, and for people to look at it.

-- Which generation (prompt, schema, model) read a fact; null for what headers show.
ALTER TABLE graph_evidence ADD generation_id uuid;

-- A relation that holds for one target at a time may hold again later: each period is an edge of its own.
ALTER TABLE graph_edges ADD ordinal integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN graph_edges.ordinal IS 'Which period of this source, relation and target, from 0, the earliest first.';
ALTER TABLE graph_edges DROP CONSTRAINT graph_edges_tenant_id_source_node_id_relationship_type_targ_key;
ALTER TABLE graph_edges ADD UNIQUE (tenant_id, source_node_id, relationship_type, target_node_id, ordinal);

-- Walks take the heaviest edges of a node first. The logarithm changes seldom, so that most mails that add evidence
-- leave these indexes alone.
ALTER TABLE graph_edges ADD heft smallint NOT NULL GENERATED ALWAYS AS (floor(log(2, weight + 1))::smallint) STORED;
DROP INDEX graph_edges_into;
CREATE INDEX graph_edges_out ON graph_edges (tenant_id, source_node_id, heft DESC, id);
CREATE INDEX graph_edges_into ON graph_edges (tenant_id, target_node_id, heft DESC, id);

-- That two nodes are one. The rows are a forest: taken out of it, one leaves two parts as they were. No node is changed
-- by a merge, and `graph_heads`, which is made of these rows, says which node stands for a group in answers.
CREATE TABLE graph_merges (
    tenant_id uuid NOT NULL REFERENCES tenants,
    id        uuid NOT NULL,
    node_id   uuid NOT NULL,
    into_id   uuid NOT NULL,
    rule      text NOT NULL,
    score     double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    evidence  text NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, node_id) REFERENCES graph_nodes ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, into_id) REFERENCES graph_nodes ON DELETE CASCADE,
    CHECK (node_id <> into_id)
);
CREATE INDEX graph_merges_of_node ON graph_merges (tenant_id, node_id);
CREATE INDEX graph_merges_of_into ON graph_merges (tenant_id, into_id);

-- Every member of a group but its head.
CREATE TABLE graph_heads (
    tenant_id uuid NOT NULL REFERENCES tenants,
    node_id   uuid NOT NULL,
    head_id   uuid NOT NULL,
    PRIMARY KEY (tenant_id, node_id),
    FOREIGN KEY (tenant_id, node_id) REFERENCES graph_nodes ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, head_id) REFERENCES graph_nodes ON DELETE CASCADE,
    CHECK (node_id <> head_id)
);
CREATE INDEX graph_heads_of_head ON graph_heads (tenant_id, head_id);

-- What a person has said of two nodes. It names ids that are made of what they name, and outlives the nodes: read
-- again, the mail finds its correction waiting.
CREATE TABLE graph_pins (
    tenant_id uuid NOT NULL REFERENCES tenants,
    node_id   uuid NOT NULL,
    into_id   uuid NOT NULL,
    same      boolean NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, node_id, into_id),
    CHECK (node_id <> into_id)
);

-- Pairs that may be one, for a person to say.
CREATE TABLE graph_suggestions (
    tenant_id uuid NOT NULL REFERENCES tenants,
    node_id   uuid NOT NULL,
    other_id  uuid NOT NULL,
    rule      text NOT NULL,
    score     double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    evidence  text NOT NULL,
    PRIMARY KEY (tenant_id, node_id, other_id),
    FOREIGN KEY (tenant_id, node_id) REFERENCES graph_nodes ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, other_id) REFERENCES graph_nodes ON DELETE CASCADE
);
CREATE INDEX graph_suggestions_of_other ON graph_suggestions (tenant_id, other_id);

-- Groups of nodes that have much to do with one another. Level 0 are the largest; a community lies in one of the level
-- above it.
CREATE TABLE graph_communities (
    tenant_id uuid NOT NULL REFERENCES tenants,
    id        uuid NOT NULL,
    level     smallint NOT NULL,
    parent_id uuid,
    name      text NOT NULL,
    size      integer NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE graph_community_members (
    tenant_id    uuid NOT NULL,
    node_id      uuid NOT NULL,
    level        smallint NOT NULL,
    community_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, node_id, level),
    FOREIGN KEY (tenant_id, node_id) REFERENCES graph_nodes ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, community_id) REFERENCES graph_communities ON DELETE CASCADE
);
CREATE INDEX graph_community_members_of ON graph_community_members (tenant_id, community_id);

-- How much evidence the graph had when it was last looked over for a purpose, and how long that took.
CREATE TABLE graph_reviews (
    tenant_id uuid NOT NULL REFERENCES tenants,
    purpose   text NOT NULL CHECK (purpose IN ('identity', 'communities')),
    evidence  bigint NOT NULL,
    took_s    double precision NOT NULL,
    at        timestamptz NOT NULL DEFAULT atom_now(),
    PRIMARY KEY (tenant_id, purpose)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['graph_merges', 'graph_heads', 'graph_pins', 'graph_suggestions', 'graph_communities',
                                'graph_community_members', 'graph_reviews'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY work ON %I TO atom_work USING (tenant_id = atom_tenant()) '
                       'WITH CHECK (tenant_id = atom_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO atom_work', name);
        EXECUTE format('CREATE POLICY operator ON %I FOR SELECT TO atom_operator USING (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO atom_operator', name);
    END LOOP;
END $$;
