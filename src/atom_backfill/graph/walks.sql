-- name: step
-- The edges of nodes and of all that are one with them, the heaviest first, so many of each node in each direction. Ends
-- are what stands for them; `joined` says that one of them is not the node of the edge itself.
WITH member AS (
    SELECT id FROM unnest(%(ids)s::uuid[]) AS asked(id)
    UNION ALL
    SELECT node_id FROM graph_heads WHERE tenant_id = %(tenant)s AND head_id = ANY(%(ids)s)
), met AS (
    SELECT away.* FROM member CROSS JOIN LATERAL (
        SELECT * FROM graph_edges
        WHERE tenant_id = %(tenant)s AND source_node_id = member.id ORDER BY heft DESC, id LIMIT %(most)s) away
    UNION
    SELECT toward.* FROM member CROSS JOIN LATERAL (
        SELECT * FROM graph_edges
        WHERE tenant_id = %(tenant)s AND target_node_id = member.id ORDER BY heft DESC, id LIMIT %(most)s) toward
)
SELECT met.id, coalesce(one.head_id, met.source_node_id) AS source, coalesce(other.head_id, met.target_node_id) AS target,
       met.relationship_type, met.ordinal, met.weight, met.valid_from, met.invalid_at,
       one.head_id IS NOT NULL OR other.head_id IS NOT NULL AS joined
FROM met
CROSS JOIN LATERAL (SELECT (SELECT head_id FROM graph_heads
                            WHERE tenant_id = %(tenant)s AND node_id = met.source_node_id) AS head_id) one
CROSS JOIN LATERAL (SELECT (SELECT head_id FROM graph_heads
                            WHERE tenant_id = %(tenant)s AND node_id = met.target_node_id) AS head_id) other
ORDER BY met.weight DESC, met.id;

-- name: read_dated
-- The edges of a node and of all that are one with it: what a model read before what headers show, the heaviest first.
WITH met AS (
    SELECT edge.*, edge.relationship_type = ANY(%(headers)s) AS header FROM graph_edges edge
    WHERE tenant_id = %(tenant)s AND source_node_id = ANY(%(ids)s)
    UNION
    SELECT edge.*, edge.relationship_type = ANY(%(headers)s) FROM graph_edges edge
    WHERE tenant_id = %(tenant)s AND target_node_id = ANY(%(ids)s)
    ORDER BY header, heft DESC, id LIMIT %(most)s
)
SELECT met.id, coalesce(one.head_id, met.source_node_id) AS source, coalesce(other.head_id, met.target_node_id) AS target,
       met.relationship_type, met.ordinal, met.weight, met.valid_from, met.invalid_at,
       one.head_id IS NOT NULL OR other.head_id IS NOT NULL AS joined
FROM met
CROSS JOIN LATERAL (SELECT (SELECT head_id FROM graph_heads
                            WHERE tenant_id = %(tenant)s AND node_id = met.source_node_id) AS head_id) one
CROSS JOIN LATERAL (SELECT (SELECT head_id FROM graph_heads
                            WHERE tenant_id = %(tenant)s AND node_id = met.target_node_id) AS head_id) other
ORDER BY met.valid_from, met.id;

-- name: read_group_mentions
-- All that is said of relations that hold for one target at a time, by groups: of which group, by which mail.
SELECT asked.source, asked.relationship, coalesce(other.head_id, edge.target_node_id) AS target, edge.id AS edge_id,
       evidence.id AS evidence_id, coalesce(message.received_at, message.sent_at) AS at
FROM unnest(%(sources)s::uuid[], %(relations)s::text[]) AS asked(source, relationship)
CROSS JOIN LATERAL (
    SELECT asked.source AS id
    UNION ALL SELECT node_id FROM graph_heads WHERE tenant_id = %(tenant)s AND head_id = asked.source) member
JOIN graph_edges edge ON edge.tenant_id = %(tenant)s AND edge.source_node_id = member.id
     AND edge.relationship_type = asked.relationship
JOIN graph_evidence evidence ON evidence.tenant_id = %(tenant)s AND evidence.edge_id = edge.id
JOIN messages message ON message.tenant_id = %(tenant)s AND message.id = evidence.message_id
LEFT JOIN graph_heads other ON other.tenant_id = %(tenant)s AND other.node_id = edge.target_node_id
ORDER BY asked.source, asked.relationship, evidence.id;

-- name: read_edge_evidence
-- Where mails say so: a few places of each edge.
SELECT asked.id AS edge_id, told.message_id, told.quote, told.start_offset, told.end_offset
FROM unnest(%(ids)s::uuid[]) AS asked(id)
CROSS JOIN LATERAL (
    SELECT id, message_id, quote, start_offset, end_offset FROM graph_evidence
    WHERE tenant_id = %(tenant)s AND edge_id = asked.id ORDER BY id LIMIT %(most)s) told
ORDER BY asked.id, told.id;

-- name: read_named_evidence
-- The places of these evidence rows.
SELECT id, message_id, quote, start_offset, end_offset FROM graph_evidence
WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) ORDER BY id;

-- name: read_nodes
-- Nodes by id.
SELECT id, type, key, name FROM graph_nodes WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s) ORDER BY id;

-- name: read_group
-- What stands for a node, and all that are one with it.
WITH head AS (
    SELECT coalesce((SELECT head_id FROM graph_heads WHERE tenant_id = %(tenant)s AND node_id = %(node)s),
                    %(node)s::uuid) AS id
)
SELECT node.id, node.type, node.key, node.name, node.id = head.id AS head,
       (SELECT count(*) FROM graph_evidence evidence
        WHERE evidence.tenant_id = %(tenant)s AND evidence.node_id = node.id) AS mentions
FROM head, graph_nodes node
WHERE node.tenant_id = %(tenant)s AND node.id = ANY(ARRAY(
    SELECT id FROM head
    UNION ALL SELECT node_id FROM graph_heads WHERE tenant_id = %(tenant)s AND head_id = (SELECT id FROM head)))
ORDER BY node.id <> head.id, node.id;

-- name: read_group_merges
-- The merges that make a group.
SELECT id AS merge_id, node_id, into_id, rule, score, evidence, made_at FROM graph_merges
WHERE tenant_id = %(tenant)s AND (node_id = ANY(%(ids)s) OR into_id = ANY(%(ids)s)) ORDER BY made_at, id;

-- name: read_group_evidence
-- The newest mails that show a node or one of its group.
SELECT evidence.message_id, evidence.quote, evidence.start_offset, evidence.end_offset, message.received_at
FROM graph_evidence evidence
JOIN messages message ON message.tenant_id = %(tenant)s AND message.id = evidence.message_id
WHERE evidence.tenant_id = %(tenant)s AND evidence.node_id = ANY(%(ids)s)
ORDER BY evidence.generation_id IS NULL, message.received_at DESC NULLS LAST, evidence.id LIMIT %(most)s;

-- name: read_suggestions
-- Pairs that may be one: of these nodes, or of all.
SELECT node_id, other_id, rule, score, evidence FROM graph_suggestions
WHERE tenant_id = %(tenant)s AND (%(ids)s::uuid[] IS NULL OR node_id = ANY(%(ids)s) OR other_id = ANY(%(ids)s))
ORDER BY score DESC, node_id, other_id LIMIT %(most)s;

-- name: find_by_id
-- Nodes by the beginning of their id.
SELECT id FROM graph_nodes WHERE tenant_id = %(tenant)s AND id BETWEEN %(least)s AND %(most)s ORDER BY id LIMIT 2;

-- name: find_by_name
-- Nodes by name or key, letter for letter before in part; what stands for them, with how much shows it.
SELECT found.id, bool_or(found.whole) AS whole, max(found.mentions) AS mentions
FROM (
    SELECT coalesce(head.head_id, node.id) AS id, lower(node.name) = %(name)s OR node.key = %(name)s AS whole,
           (SELECT count(*) FROM graph_evidence evidence
            WHERE evidence.tenant_id = %(tenant)s AND evidence.node_id = node.id) AS mentions
    FROM graph_nodes node
    LEFT JOIN graph_heads head ON head.tenant_id = %(tenant)s AND head.node_id = node.id
    WHERE node.tenant_id = %(tenant)s
      AND (strpos(lower(node.name), %(name)s) > 0 OR strpos(node.key, %(name)s) > 0)
    LIMIT 500
) found
GROUP BY found.id ORDER BY whole DESC, mentions DESC, found.id LIMIT %(most)s;

-- name: read_told_entities
-- What a model found in a message, each with its places; what stands for them.
SELECT node.id, node.type, node.name, told.places
FROM (SELECT coalesce(head.head_id, evidence.node_id) AS id,
             jsonb_agg(jsonb_build_object('quote', quote, 'start', start_offset, 'end', end_offset)
                       ORDER BY start_offset, evidence.id) AS places
      FROM graph_evidence evidence
      LEFT JOIN graph_heads head ON head.tenant_id = %(tenant)s AND head.node_id = evidence.node_id
      WHERE evidence.tenant_id = %(tenant)s AND evidence.message_id = %(message)s AND evidence.node_id IS NOT NULL
        AND evidence.generation_id IS NOT NULL
      GROUP BY 1) told
JOIN graph_nodes node ON node.tenant_id = %(tenant)s AND node.id = told.id
ORDER BY node.type, node.name, node.id;
