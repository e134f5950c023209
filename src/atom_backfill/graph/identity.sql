-- name: read_nodes
-- The nodes that rules look at, each with how headers write it, and how often. A name that a model read is the node's.
SELECT node.id, node.type, node.key, node.name, coalesce(seen.uses, 0)::bigint AS uses, coalesce(seen.names, '{}') AS names
FROM graph_nodes node
LEFT JOIN (
    SELECT node_id, sum(uses) AS uses, jsonb_object_agg(quote, uses) FILTER (WHERE headers) AS names
    FROM (SELECT node_id, generation_id IS NULL AS headers,
                 CASE WHEN generation_id IS NULL THEN quote ELSE '' END AS quote, count(*) AS uses
          FROM graph_evidence WHERE tenant_id = %(tenant)s AND node_id IS NOT NULL GROUP BY 1, 2, 3) written
    GROUP BY node_id
) seen ON seen.node_id = node.id
WHERE node.tenant_id = %(tenant)s AND node.type = ANY(%(types)s)
ORDER BY node.id;

-- name: read_pinned
-- Things of which a person has said something.
SELECT node.id, node.type, node.key, node.name, 0::bigint AS uses, '{}'::jsonb AS names FROM graph_nodes node
WHERE node.tenant_id = %(tenant)s AND node.id = ANY(%(ids)s) AND NOT node.type = ANY(%(types)s)
ORDER BY node.id;

-- name: read_mentioned
-- In which threads people are named without an address; a few of many are enough to tell.
SELECT node.id, told.threads
FROM unnest(%(ids)s::uuid[]) AS node(id)
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT message.thread_id) AS threads
    FROM (SELECT message_id FROM graph_evidence
          WHERE tenant_id = %(tenant)s AND node_id = node.id ORDER BY id LIMIT %(most)s) shown
    JOIN messages message ON message.tenant_id = %(tenant)s AND message.id = shown.message_id
) told
WHERE told.threads IS NOT NULL;

-- name: read_thread_people
-- Who writes or is written to in threads, and the organisations of these.
SELECT message.thread_id, array_agg(DISTINCT evidence.node_id) AS people
FROM messages message
JOIN graph_evidence evidence ON evidence.tenant_id = %(tenant)s AND evidence.message_id = message.id
     AND evidence.node_id IS NOT NULL AND evidence.generation_id IS NULL
WHERE message.tenant_id = %(tenant)s AND message.thread_id = ANY(%(threads)s)
GROUP BY message.thread_id;

-- name: read_side_by_side
-- Which of these pairs were written to by one mail.
SELECT pair.a, pair.b FROM unnest(%(a)s::uuid[], %(b)s::uuid[]) AS pair(a, b)
WHERE EXISTS (
    SELECT FROM graph_edges one
    JOIN graph_evidence told ON told.tenant_id = %(tenant)s AND told.edge_id = one.id
    JOIN graph_evidence beside ON beside.tenant_id = %(tenant)s AND beside.message_id = told.message_id
    JOIN graph_edges other ON other.tenant_id = %(tenant)s AND other.id = beside.edge_id
    WHERE one.tenant_id = %(tenant)s AND one.target_node_id = pair.a AND other.target_node_id = pair.b
      AND one.relationship_type IN ('writes_to', 'copies') AND other.relationship_type IN ('writes_to', 'copies')
);

-- name: read_correspondents
-- With whom people write: each with as many as are asked for at most, so that those who have more are known as such.
SELECT node.id, others.ids
FROM unnest(%(ids)s::uuid[]) AS node(id)
CROSS JOIN LATERAL (
    SELECT array_agg(id) AS ids FROM (
        SELECT DISTINCT id FROM (
            SELECT target_node_id AS id FROM graph_edges
            WHERE tenant_id = %(tenant)s AND source_node_id = node.id AND relationship_type IN ('writes_to', 'copies')
            UNION ALL
            SELECT source_node_id FROM graph_edges
            WHERE tenant_id = %(tenant)s AND target_node_id = node.id AND relationship_type IN ('writes_to', 'copies')
        ) either LIMIT %(most)s
    ) known
) others
WHERE others.ids IS NOT NULL;

-- name: read_pins
-- What persons have said.
SELECT node_id, into_id, same FROM graph_pins WHERE tenant_id = %(tenant)s ORDER BY node_id, into_id;

-- name: write_pins
-- The last word of a person on two nodes counts.
INSERT INTO graph_pins (tenant_id, node_id, into_id, same)
SELECT %(tenant)s, node_id, into_id, same
FROM jsonb_to_recordset(%(rows)s) AS pin(node_id uuid, into_id uuid, same boolean)
ON CONFLICT (tenant_id, node_id, into_id) DO UPDATE SET same = excluded.same, made_at = atom_now();

-- name: drop_pins
-- What a person has said of these pairs, taken back; in either order.
DELETE FROM graph_pins pin USING unnest(%(a)s::uuid[], %(b)s::uuid[]) AS pair(a, b)
WHERE pin.tenant_id = %(tenant)s AND pin.node_id IN (pair.a, pair.b) AND pin.into_id IN (pair.a, pair.b)
  AND pin.same = ANY(%(kinds)s);

-- name: drop_pins_between
-- What a person has said against joining two groups.
DELETE FROM graph_pins WHERE tenant_id = %(tenant)s AND NOT same
  AND ((node_id = ANY(%(a)s) AND into_id = ANY(%(b)s)) OR (node_id = ANY(%(b)s) AND into_id = ANY(%(a)s)));

-- name: drop_other_merges
-- Merges that no rule and no person stands for any more.
DELETE FROM graph_merges WHERE tenant_id = %(tenant)s AND NOT id = ANY(%(ids)s);

-- name: write_merges
-- Merges, whose nodes may have gone meanwhile.
INSERT INTO graph_merges (tenant_id, id, node_id, into_id, rule, score, evidence)
SELECT %(tenant)s, merge.id, node_id, into_id, rule, score, evidence
FROM jsonb_to_recordset(%(rows)s) AS merge(id uuid, node_id uuid, into_id uuid, rule text, score double precision,
                                           evidence text)
JOIN graph_nodes node ON node.tenant_id = %(tenant)s AND node.id = merge.node_id
JOIN graph_nodes stands ON stands.tenant_id = %(tenant)s AND stands.id = merge.into_id
ON CONFLICT (tenant_id, id) DO UPDATE
    SET node_id = excluded.node_id, into_id = excluded.into_id, rule = excluded.rule, score = excluded.score,
        evidence = excluded.evidence
    WHERE (graph_merges.node_id, graph_merges.rule, graph_merges.score, graph_merges.evidence)
          IS DISTINCT FROM (excluded.node_id, excluded.rule, excluded.score, excluded.evidence);

-- name: write_heads
-- Which node stands for each that is part of a group.
WITH wanted AS (
    SELECT head.node_id, head.head_id FROM unnest(%(nodes)s::uuid[], %(heads)s::uuid[]) AS head(node_id, head_id)
    JOIN graph_nodes node ON node.tenant_id = %(tenant)s AND node.id = head.node_id
    JOIN graph_nodes stands ON stands.tenant_id = %(tenant)s AND stands.id = head.head_id
), gone AS (
    DELETE FROM graph_heads WHERE tenant_id = %(tenant)s AND NOT node_id = ANY(%(nodes)s)
)
INSERT INTO graph_heads (tenant_id, node_id, head_id) SELECT %(tenant)s, node_id, head_id FROM wanted
ON CONFLICT (tenant_id, node_id) DO UPDATE SET head_id = excluded.head_id WHERE graph_heads.head_id <> excluded.head_id;

-- name: write_suggestions
-- What is for a person to say, as of now.
WITH wanted AS (
    SELECT told.* FROM jsonb_to_recordset(%(rows)s) AS told(node_id uuid, into_id uuid, rule text,
                                                            score double precision, evidence text)
    JOIN graph_nodes node ON node.tenant_id = %(tenant)s AND node.id = told.node_id
    JOIN graph_nodes other ON other.tenant_id = %(tenant)s AND other.id = told.into_id
), gone AS (
    DELETE FROM graph_suggestions old WHERE tenant_id = %(tenant)s
      AND NOT EXISTS (SELECT FROM wanted WHERE wanted.node_id = old.node_id AND wanted.into_id = old.other_id)
)
INSERT INTO graph_suggestions (tenant_id, node_id, other_id, rule, score, evidence)
SELECT %(tenant)s, node_id, into_id, rule, score, evidence FROM wanted
ON CONFLICT (tenant_id, node_id, other_id) DO UPDATE
    SET rule = excluded.rule, score = excluded.score, evidence = excluded.evidence
    WHERE (graph_suggestions.rule, graph_suggestions.score, graph_suggestions.evidence)
          IS DISTINCT FROM (excluded.rule, excluded.score, excluded.evidence);

-- name: read_merges
-- All merges.
SELECT id, node_id, into_id FROM graph_merges WHERE tenant_id = %(tenant)s ORDER BY id;

-- name: find_merges
-- Merges by the beginning of their id.
SELECT id, node_id, into_id FROM graph_merges
WHERE tenant_id = %(tenant)s AND id BETWEEN %(least)s AND %(most)s ORDER BY id LIMIT 2;

-- name: read_group
-- All nodes of a node's group, itself included.
WITH head AS (
    SELECT coalesce((SELECT head_id FROM graph_heads WHERE tenant_id = %(tenant)s AND node_id = %(node)s),
                    %(node)s::uuid) AS id
)
SELECT id FROM head
UNION SELECT node_id FROM graph_heads WHERE tenant_id = %(tenant)s AND head_id = (SELECT id FROM head);

-- name: read_types
-- What two nodes are.
SELECT type FROM graph_nodes WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s);
