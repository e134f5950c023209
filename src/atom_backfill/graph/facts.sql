-- name: insert_entities
-- What mails name, once each. Of several spellings the same one is kept, whichever came first.
INSERT INTO graph_nodes (tenant_id, id, type, key, name)
SELECT %(tenant)s, id, type, key, name
FROM jsonb_to_recordset(%(rows)s) AS node(id uuid, type text, key text, name text)
ORDER BY id
ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, updated_at = atom_now()
    WHERE excluded.name <> graph_nodes.key
      AND (graph_nodes.name = graph_nodes.key OR excluded.name > graph_nodes.name COLLATE "C");

-- name: date_messages
-- When mails came, for what they show.
SELECT id, coalesce(received_at, sent_at) AS at FROM messages WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s);

-- name: read_mentions
-- All that is said of relations that hold for one target at a time: of which target, by which mail, in which period.
SELECT edge.source_node_id AS source, edge.relationship_type AS relationship, edge.target_node_id AS target,
       edge.id AS edge_id, evidence.id AS evidence_id, coalesce(message.received_at, message.sent_at) AS at
FROM unnest(%(sources)s::uuid[], %(relations)s::text[]) AS asked(source, relationship)
JOIN graph_edges edge ON edge.tenant_id = %(tenant)s AND edge.source_node_id = asked.source
     AND edge.relationship_type = asked.relationship
JOIN graph_evidence evidence ON evidence.tenant_id = %(tenant)s AND evidence.edge_id = edge.id
JOIN messages message ON message.tenant_id = %(tenant)s AND message.id = evidence.message_id
ORDER BY edge.source_node_id, edge.relationship_type, evidence.id;

-- name: write_periods
-- The periods of such relations, each an edge. A weight is the number of its evidence rows.
INSERT INTO graph_edges (tenant_id, id, source_node_id, target_node_id, relationship_type, ordinal, weight, valid_from,
                         invalid_at)
SELECT %(tenant)s, id, source, target, relationship, ordinal, weight, valid_from, invalid_at
FROM jsonb_to_recordset(%(rows)s) AS period(id uuid, source uuid, target uuid, relationship text, ordinal integer,
                                            weight integer, valid_from timestamptz, invalid_at timestamptz)
ORDER BY id
ON CONFLICT (tenant_id, id) DO UPDATE
    SET weight = excluded.weight, valid_from = excluded.valid_from, invalid_at = excluded.invalid_at
    WHERE (graph_edges.weight, graph_edges.valid_from, graph_edges.invalid_at)
          IS DISTINCT FROM (excluded.weight, excluded.valid_from, excluded.invalid_at);

-- name: move_evidence
-- Evidence belongs to the period in which its mail was written. The rows are named beside, lest all be read.
UPDATE graph_evidence evidence SET edge_id = moved.edge_id
FROM unnest(%(ids)s::uuid[], %(edges)s::uuid[]) AS moved(id, edge_id)
WHERE evidence.tenant_id = %(tenant)s AND evidence.id = moved.id AND evidence.id = ANY(%(ids)s);

-- name: drop_other_periods
-- Periods that have become part of others.
DELETE FROM graph_edges edge USING unnest(%(sources)s::uuid[], %(relations)s::text[]) AS asked(source, relationship)
WHERE edge.tenant_id = %(tenant)s AND edge.source_node_id = asked.source
  AND edge.relationship_type = asked.relationship AND NOT edge.id = ANY(%(ids)s);

-- name: find_single_valued
-- Which of these edges are of relations that hold for one target at a time.
SELECT DISTINCT source_node_id AS source, relationship_type AS relationship FROM graph_edges
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) AND relationship_type = ANY(%(relations)s);
