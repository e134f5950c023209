-- name: insert_nodes
-- People and things, once each; in id order, so that two commits cannot deadlock. A name replaces a bare address.
INSERT INTO graph_nodes (tenant_id, id, type, key, name)
SELECT %(tenant)s, id, type, key, name
FROM jsonb_to_recordset(%(rows)s) AS node(id uuid, type text, key text, name text)
ORDER BY id
ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, updated_at = atom_now()
    WHERE graph_nodes.name = graph_nodes.key AND excluded.name <> excluded.key;

-- name: insert_edges
-- Relations, once each. The update locks the edge, so that its evidence is counted by one transaction at a time.
INSERT INTO graph_edges (tenant_id, id, source_node_id, target_node_id, relationship_type, valid_from)
SELECT %(tenant)s, id, source, target, relationship, valid_from
FROM jsonb_to_recordset(%(rows)s) AS edge(id uuid, source uuid, target uuid, relationship text, valid_from timestamptz)
ORDER BY id
ON CONFLICT (tenant_id, id) DO UPDATE SET valid_from = least(graph_edges.valid_from, excluded.valid_from);

-- name: insert_evidence
-- What shows a node or an edge; the answer counts what is new, for the job's counters.
WITH added AS (
    INSERT INTO graph_evidence (tenant_id, id, job_id, node_id, edge_id, message_id, quote, start_offset, end_offset)
    SELECT %(tenant)s, id, %(job)s, node_id, edge_id, message_id, quote, NULL, NULL
    FROM jsonb_to_recordset(%(rows)s) AS evidence(id uuid, node_id uuid, edge_id uuid, message_id uuid, quote text)
    ON CONFLICT DO NOTHING
    RETURNING node_id
)
SELECT count(node_id)::integer AS nodes, (count(*) - count(node_id))::integer AS edges FROM added;

-- name: drop_evidence
-- Evidence of messages that have changed: counters to lower, and edges to weigh anew.
WITH gone AS (
    DELETE FROM graph_evidence WHERE tenant_id = %(tenant)s AND message_id = ANY(%(ids)s) RETURNING job_id, edge_id
)
SELECT job_id, count(*) FILTER (WHERE edge_id IS NULL)::integer AS entities,
       count(edge_id)::integer AS relationships,
       coalesce(array_agg(DISTINCT edge_id) FILTER (WHERE edge_id IS NOT NULL), '{}') AS edges
FROM gone GROUP BY job_id ORDER BY job_id;

-- name: lock_edges
-- In id order, before their evidence changes.
SELECT id FROM graph_edges WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE;

-- name: weigh_edges
-- A statement of its own after the locks, so that it counts what others committed before.
UPDATE graph_edges edge
SET weight = (SELECT count(*) FROM graph_evidence evidence
              WHERE evidence.tenant_id = edge.tenant_id AND evidence.edge_id = edge.id)
WHERE edge.tenant_id = %(tenant)s AND edge.id = ANY(%(ids)s);
