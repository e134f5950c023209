-- name: list_folders
-- Folders that a search can be narrowed to.
SELECT folder_id, path, well_known FROM account_folders
WHERE tenant_id = %(tenant)s AND (%(account)s::uuid IS NULL OR account_id = %(account)s)
ORDER BY account_id, path;

-- name: read_coverage
-- Each account by itself, so that its oldest and newest mail are one look into an index each. Messages are counted by the
-- jobs that first read them: their counters equal counts over the tables at every commit.
SELECT min(reach.oldest) AS start, max(reach.newest) AS "end", coalesce(bool_and(reach.complete), false) AS complete,
       coalesce(sum(reach.messages), 0)::bigint AS messages
FROM accounts account CROSS JOIN LATERAL (
    SELECT (SELECT min(received_at) FROM messages
            WHERE tenant_id = account.tenant_id AND account_id = account.id) AS oldest,
           (SELECT max(received_at) FROM messages
            WHERE tenant_id = account.tenant_id AND account_id = account.id) AS newest,
           (SELECT sum(records_processed) FROM historical_sync_jobs
            WHERE tenant_id = account.tenant_id AND account_id = account.id) AS messages,
           coalesce((SELECT job.status = 'completed'
                        AND NOT EXISTS (SELECT FROM sync_chunks chunk WHERE chunk.tenant_id = job.tenant_id
                                        AND chunk.job_id = job.id AND chunk.state = 'quarantined')
                     FROM historical_sync_jobs job
                     WHERE job.tenant_id = account.tenant_id AND job.account_id = account.id
                     ORDER BY job.created_at DESC LIMIT 1), false)
           AND NOT EXISTS (SELECT FROM failures
                           WHERE failures.tenant_id = account.tenant_id AND failures.account_id = account.id) AS complete
) reach
WHERE account.tenant_id = %(tenant)s AND (%(account)s::uuid IS NULL OR account.id = %(account)s);
