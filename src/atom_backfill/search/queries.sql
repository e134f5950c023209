-- name: list_folders
-- Folders that a search can be narrowed to.
SELECT folder_id, path, well_known FROM account_folders
WHERE tenant_id = %(tenant)s AND (%(account)s::uuid IS NULL OR account_id = %(account)s)
ORDER BY account_id, path;

-- name: read_coverage
-- Each account by itself, so that its oldest and newest mail are one look into an index each. Messages are counted by the
-- jobs that first read them: their counters equal counts over the tables at every commit. Not complete: a job that is at
-- work or has failed, or was cancelled with some of it read, unless a later one has read what it was asked for.
WITH job AS (
    SELECT account_id, created_at, start_date, end_date, folders,
           status = 'completed' AND NOT EXISTS (
               SELECT FROM sync_chunks chunk WHERE chunk.tenant_id = historical_sync_jobs.tenant_id
               AND chunk.job_id = historical_sync_jobs.id AND chunk.state = 'quarantined') AS whole,
           status <> 'cancelled' OR messages_done > 0 AS begun
    FROM historical_sync_jobs
    WHERE tenant_id = %(tenant)s AND (%(account)s::uuid IS NULL OR account_id = %(account)s)
)
SELECT min(reach.oldest) AS start, max(reach.newest) AS "end", coalesce(bool_and(reach.complete), false) AS complete,
       coalesce(sum(reach.messages), 0)::bigint AS messages
FROM accounts account CROSS JOIN LATERAL (
    SELECT (SELECT min(received_at) FROM messages
            WHERE tenant_id = account.tenant_id AND account_id = account.id) AS oldest,
           (SELECT max(received_at) FROM messages
            WHERE tenant_id = account.tenant_id AND account_id = account.id) AS newest,
           (SELECT sum(records_processed) FROM historical_sync_jobs
            WHERE tenant_id = account.tenant_id AND account_id = account.id) AS messages,
           EXISTS (SELECT FROM job WHERE job.account_id = account.id)
           AND NOT EXISTS (SELECT FROM job WHERE job.account_id = account.id AND NOT whole AND begun
                           AND NOT EXISTS (SELECT FROM job later
                                           WHERE later.account_id = account.id AND later.whole
                                             AND later.created_at > job.created_at
                                             AND (later.start_date IS NULL OR later.start_date <= job.start_date)
                                             AND later.end_date >= job.end_date
                                             AND (later.folders = '{}'
                                                  OR job.folders <> '{}' AND later.folders @> job.folders)))
           AND NOT EXISTS (SELECT FROM failures
                           WHERE failures.tenant_id = account.tenant_id AND failures.account_id = account.id) AS complete
) reach
WHERE account.tenant_id = %(tenant)s AND (%(account)s::uuid IS NULL OR account.id = %(account)s);
