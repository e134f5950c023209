"""Lease renewal in PostgreSQL, for the heartbeat's thread."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.errors import AtomError
from atom_backfill.jobs.heartbeat import LEASE_S
from atom_backfill.jobs.job import Lease
from atom_backfill.jobs.ports import Standing

SQL = load_queries(__package__)


class PostgresRenewals:
    """Renewals over a blocking connection that belongs to the heartbeat thread."""

    def __init__(self, connection: RenewalConnection, *, lease_s: float = LEASE_S) -> None:
        self._connection = connection
        self._lease_s = lease_s

    def renew(self, leases: Iterable[Lease]) -> dict[Lease, Standing]:
        """Extend each lease that still holds; one that is missing from the answer is lost."""
        held = list(leases)
        by_right = {(lease.chunk_id, lease.fence): lease for lease in held}
        keys = {"chunks": [lease.chunk_id for lease in held], "fences": [lease.fence for lease in held]}
        rows = self._connection.fetch_all(SQL["renew_leases"], {**keys, "lease_s": self._lease_s})
        working = list({row["job_id"] for row in rows if not row["stopped"]})
        if working:
            with suppress(AtomError):  # the leases stand; this is for people to see
                self._connection.fetch_all(SQL["beat_jobs"], {"jobs": working})
        standings = {
            (row["chunk_id"], row["fence"]): Standing.STOPPED if row["stopped"] else Standing.HELD for row in rows
        }
        return {by_right[right]: standing for right, standing in standings.items()}

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
