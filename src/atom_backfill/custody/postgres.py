"""What the ledger reads of the record, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from atom_backfill.custody.balance import JobRange, Settled
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Work
from atom_backfill.jobs.job import AccountId, TenantId

SQL = load_queries(__package__)


class PostgresBalance:
    """One tenant's record as the ledger needs it; the BalanceRecord of the product."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self._database = database
        self._tenant = tenant

    async def settled(self, account: AccountId, source_ids: Collection[str]) -> Settled:
        """Find which of these are in the record, and which among the failures."""
        keys = {"tenant": self._tenant, "account": account, "source_ids": list(source_ids)}
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["find_settled"], keys)
        return Settled(frozenset(row["stored"]), frozenset(row["failed"])) if row else Settled(frozenset(), frozenset())

    async def ranges(self, account: AccountId) -> Sequence[JobRange]:
        """Tell what the account's jobs were asked to read."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["read_ranges"], {"tenant": self._tenant, "account": account})
        return [JobRange(row["start"], row["end"], tuple(row["folders"])) for row in rows]

    async def count_messages(self) -> tuple[int, int]:
        """Count the tenant's messages, and the passages that the memory must have of them."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["count_messages"], {"tenant": self._tenant})
        return (row["messages"], row["passages"]) if row else (0, 0)

    async def generations(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """Return the current generation of messages; those that the record does not know are left out."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["read_generations"], {"tenant": self._tenant, "ids": list(ids)})
        return {row["id"]: row["generation"] for row in rows}
