-- name: read_members
-- Every node that stands for itself or for a group.
SELECT node.id, node.name, node.type IN ('person', 'shared_address') AS person FROM graph_nodes node
WHERE node.tenant_id = %(tenant)s
  AND NOT EXISTS (SELECT FROM graph_heads head WHERE head.tenant_id = %(tenant)s AND head.node_id = node.id);

-- name: read_ties
-- Which nodes are related, and by how much mail, between what stands for them.
SELECT coalesce(one.head_id, edge.source_node_id) AS source, coalesce(other.head_id, edge.target_node_id) AS target,
       edge.weight
FROM graph_edges edge
LEFT JOIN graph_heads one ON one.tenant_id = %(tenant)s AND one.node_id = edge.source_node_id
LEFT JOIN graph_heads other ON other.tenant_id = %(tenant)s AND other.node_id = edge.target_node_id
WHERE edge.tenant_id = %(tenant)s;

-- name: read_earlier
-- The communities of the last run.
SELECT community.id, community.level, array_agg(member.node_id) AS members
FROM graph_communities community
JOIN graph_community_members member ON member.tenant_id = %(tenant)s AND member.community_id = community.id
WHERE community.tenant_id = %(tenant)s GROUP BY community.id, community.level;

-- name: drop_other_communities
-- Those that are no more.
DELETE FROM graph_communities WHERE tenant_id = %(tenant)s AND NOT id = ANY(%(ids)s);

-- name: write_communities
-- Those that there are.
INSERT INTO graph_communities (tenant_id, id, level, parent_id, name, size)
SELECT %(tenant)s, id, level, parent_id, name, size
FROM jsonb_to_recordset(%(rows)s) AS found(id uuid, level smallint, parent_id uuid, name text, size integer)
ON CONFLICT (tenant_id, id) DO UPDATE
    SET parent_id = excluded.parent_id, name = excluded.name, size = excluded.size
    WHERE (graph_communities.parent_id, graph_communities.name, graph_communities.size)
          IS DISTINCT FROM (excluded.parent_id, excluded.name, excluded.size);

-- name: write_community_members
-- Who lies in which; nodes may have gone meanwhile.
WITH wanted AS (
    SELECT told.node_id, told.level, told.community_id
    FROM unnest(%(nodes)s::uuid[], %(levels)s::smallint[], %(communities)s::uuid[]) AS told(node_id, level, community_id)
    JOIN graph_nodes node ON node.tenant_id = %(tenant)s AND node.id = told.node_id
), gone AS (
    DELETE FROM graph_community_members old WHERE tenant_id = %(tenant)s
      AND NOT EXISTS (SELECT FROM wanted WHERE wanted.node_id = old.node_id AND wanted.level = old.level)
)
INSERT INTO graph_community_members (tenant_id, node_id, level, community_id)
SELECT %(tenant)s, node_id, level, community_id FROM wanted
ON CONFLICT (tenant_id, node_id, level) DO UPDATE SET community_id = excluded.community_id
    WHERE graph_community_members.community_id <> excluded.community_id;

-- name: list_communities
-- The communities of a level, or those within one; the largest first, each with the nodes that most mail is about.
SELECT community.id AS community_id, community.level, community.parent_id, community.name, community.size, community.made_at,
       coalesce(first.members, '[]') AS members
FROM graph_communities community
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('node_id', id, 'type', type, 'name', name, 'key', key) ORDER BY mentions DESC, id)
           AS members
    FROM (SELECT node.id, node.type, node.name, node.key,
                 (SELECT count(*) FROM (SELECT FROM graph_evidence evidence WHERE evidence.tenant_id = %(tenant)s
                                        AND evidence.node_id = node.id LIMIT 1000) shown) AS mentions
          FROM (SELECT node_id FROM graph_community_members WHERE tenant_id = %(tenant)s
                AND community_id = community.id LIMIT 1000) member
          JOIN graph_nodes node ON node.tenant_id = %(tenant)s AND node.id = member.node_id
          ORDER BY mentions DESC, node.id LIMIT %(members)s) most
) first
WHERE community.tenant_id = %(tenant)s
  AND CASE WHEN %(within)s::uuid IS NULL THEN community.level = 0 ELSE community.parent_id = %(within)s OR
      community.id = %(within)s END
ORDER BY community.level, community.size DESC, community.id LIMIT %(most)s;

-- name: find_communities
-- Communities by the beginning of their id.
SELECT id FROM graph_communities WHERE tenant_id = %(tenant)s AND id BETWEEN %(least)s AND %(last)s ORDER BY id LIMIT 2;
