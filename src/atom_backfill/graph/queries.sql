-- name: lock_graph
-- One tenant's graph is written by one transaction at a time. Ends with the transaction, so poolers may be between.
SELECT pg_advisory_xact_lock(hashtextextended('graph ' || %(tenant)s::text, 0));

-- name: insert_nodes
-- People and things, once each. A name replaces a bare address.
INSERT INTO graph_nodes (tenant_id, id, type, key, name)
SELECT %(tenant)s, id, type, key, name
FROM jsonb_to_recordset(%(rows)s) AS node(id uuid, type text, key text, name text)
ORDER BY id
ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, updated_at = atom_now()
    WHERE graph_nodes.name = graph_nodes.key AND excluded.name <> excluded.key;

-- name: insert_edges
-- Relations, once each, valid from the first mail that shows them.
INSERT INTO graph_edges (tenant_id, id, source_node_id, target_node_id, relationship_type, valid_from)
SELECT %(tenant)s, id, source, target, relationship, valid_from
FROM jsonb_to_recordset(%(rows)s) AS edge(id uuid, source uuid, target uuid, relationship text, valid_from timestamptz)
ORDER BY id
ON CONFLICT (tenant_id, id) DO UPDATE SET valid_from = excluded.valid_from
    WHERE excluded.valid_from < coalesce(graph_edges.valid_from, 'infinity');

-- name: insert_evidence
-- What shows a node or an edge. An edge's weight rises by the rows that are new, in the statement that adds them, so it
-- is always their number; counting them anew each time would cost more with each mail. The edges are named
-- beside, lest the planner read all of the tenant's. The answer is for the job.
WITH added AS (
    INSERT INTO graph_evidence (tenant_id, id, job_id, node_id, edge_id, message_id, quote, start_offset, end_offset,
                                generation_id)
    SELECT %(tenant)s, id, %(job)s, node_id, edge_id, message_id, quote, start_offset, end_offset, generation_id
    FROM jsonb_to_recordset(%(rows)s) AS evidence(id uuid, node_id uuid, edge_id uuid, message_id uuid, quote text,
                                                  start_offset integer, end_offset integer, generation_id uuid)
    ON CONFLICT DO NOTHING
    RETURNING node_id, edge_id
), heavier AS (
    UPDATE graph_edges edge SET weight = edge.weight + more.evidence
    FROM (SELECT edge_id, count(*)::integer AS evidence FROM added WHERE edge_id IS NOT NULL GROUP BY edge_id) more
    WHERE edge.tenant_id = %(tenant)s AND edge.id = more.edge_id
      AND edge.id = ANY(ARRAY(SELECT edge_id FROM added WHERE edge_id IS NOT NULL))
)
SELECT count(node_id)::integer AS nodes, count(edge_id)::integer AS edges FROM added;

-- name: read_facts
-- The relations that a message is evidence of, each with the places where it says so, between what stands for their
-- ends. Evidence of nodes joins no edge. CASE, since row security lets no index see through coalesce.
SELECT edge.id AS edge_id, edge.relationship_type, edge.valid_from, edge.invalid_at,
       (SELECT jsonb_build_object('node_id', id, 'type', type, 'name', name) FROM graph_nodes
        WHERE tenant_id = %(tenant)s AND id = CASE WHEN one.head_id IS NULL THEN edge.source_node_id ELSE one.head_id END) AS source,
       (SELECT jsonb_build_object('node_id', id, 'type', type, 'name', name) FROM graph_nodes
        WHERE tenant_id = %(tenant)s AND id = CASE WHEN other.head_id IS NULL THEN edge.target_node_id ELSE other.head_id END) AS target,
       told.evidence
FROM (SELECT edge_id, jsonb_agg(jsonb_build_object('message_id', message_id, 'quote', quote, 'start', start_offset,
                                                   'end', end_offset) ORDER BY start_offset NULLS FIRST, id) AS evidence
      FROM graph_evidence
      WHERE tenant_id = %(tenant)s AND message_id = %(message)s GROUP BY edge_id) told
JOIN graph_edges edge ON edge.tenant_id = %(tenant)s AND edge.id = told.edge_id
LEFT JOIN graph_heads one ON one.tenant_id = %(tenant)s AND one.node_id = edge.source_node_id
LEFT JOIN graph_heads other ON other.tenant_id = %(tenant)s AND other.node_id = edge.target_node_id
ORDER BY edge.relationship_type, edge.id;

-- name: drop_evidence
-- Evidence of messages that have changed: weights and counters fall by it.
WITH gone AS (
    DELETE FROM graph_evidence WHERE tenant_id = %(tenant)s AND message_id = ANY(%(ids)s)
    RETURNING job_id, node_id, edge_id
), lighter AS (
    UPDATE graph_edges edge SET weight = edge.weight - less.evidence
    FROM (SELECT edge_id, count(*)::integer AS evidence FROM gone WHERE edge_id IS NOT NULL GROUP BY edge_id) less
    WHERE edge.tenant_id = %(tenant)s AND edge.id = less.edge_id
)
SELECT job_id, count(node_id)::integer AS entities, count(edge_id)::integer AS relationships,
       array_agg(DISTINCT coalesce(node_id, edge_id)) AS shown
FROM gone GROUP BY job_id ORDER BY job_id;

-- name: drop_bare_edges
-- No edge without evidence. Its ends may have been there for it alone.
WITH gone AS (
    DELETE FROM graph_edges WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND weight = 0
    RETURNING source_node_id, target_node_id
)
SELECT source_node_id AS id FROM gone UNION SELECT target_node_id FROM gone;

-- name: drop_bare_nodes
-- Nobody and nothing without evidence.
DELETE FROM graph_nodes node
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)
  AND NOT EXISTS (SELECT FROM graph_evidence evidence
                  WHERE evidence.tenant_id = node.tenant_id AND evidence.node_id = node.id)
  AND NOT EXISTS (SELECT FROM graph_edges edge
                  WHERE edge.tenant_id = node.tenant_id AND node.id = edge.source_node_id)
  AND NOT EXISTS (SELECT FROM graph_edges edge
                  WHERE edge.tenant_id = node.tenant_id AND node.id = edge.target_node_id);
