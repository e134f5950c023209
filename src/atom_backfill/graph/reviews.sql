-- name: read_evidence_count
-- How much evidence the graph has, which is what its jobs have counted: it differs when the graph does.
SELECT coalesce(sum(entities_extracted + relationships_extracted), 0)::bigint AS evidence
FROM historical_sync_jobs WHERE tenant_id = %(tenant)s;

-- name: read_review
-- When the graph was last looked over for a purpose; `rested`: the pause that its length asks for is over.
SELECT evidence, atom_now() >= at + greatest(%(pause_s)s, took_s * %(share)s) * interval '1 second' AS rested
FROM graph_reviews WHERE tenant_id = %(tenant)s AND purpose = %(purpose)s;

-- name: write_review
-- It has been looked over.
INSERT INTO graph_reviews (tenant_id, purpose, evidence, took_s)
VALUES (%(tenant)s, %(purpose)s, %(evidence)s, %(took_s)s)
ON CONFLICT (tenant_id, purpose) DO UPDATE
    SET evidence = excluded.evidence, took_s = excluded.took_s, at = atom_now();

-- name: read_evidence_counts
-- How much evidence each tenant's graph has. The engine's jobs tell it, and nothing else of the graph.
SELECT tenant_id, sum(entities_extracted + relationships_extracted)::bigint AS evidence
FROM historical_sync_jobs GROUP BY tenant_id ORDER BY tenant_id;
