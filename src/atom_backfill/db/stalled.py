"""Ends sessions of the product whose process was stopped in the middle of a transaction, with all the locks it holds.

PostgreSQL does so by itself where it waits for the next statement (`idle_in_transaction_session_timeout`). But none of
its limits runs while it waits for the rest of a pipeline, in which many rows are written: such a session would keep its
locks until its process goes on. Nor does that limit outlive a failed statement, since it is set for the transaction.
"""

from __future__ import annotations

from atom_backfill.db.pool import Database
from atom_backfill.db.scope import IDLE_LIMIT_S, Owner

STALLED_S = IDLE_LIMIT_S + 3.0
"""Later than the server's own limit, which says more in its log."""
_END_STALLED = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))::int AS ended
FROM pg_stat_activity
WHERE usename = session_user AND datname = current_database() AND pid <> pg_backend_pid()
  AND application_name = current_setting('application_name') AND state <> 'idle'
  AND wait_event_type = 'Client' AND wait_event = 'ClientRead'
  AND state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
"""


async def end_stalled(database: Database, seconds: float = STALLED_S) -> int:
    """End what has said nothing for so many seconds within a transaction; returns how many sessions those were.

    Whoever is at work, waits for a lock, or has no transaction open is left alone, and so is every other program.
    """
    async with database.transaction(Owner()) as transaction:
        return int(await transaction.fetch_value(_END_STALLED, {"seconds": seconds}))
