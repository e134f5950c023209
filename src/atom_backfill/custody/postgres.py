"""What the ledger and the comparison with the memory read of the record, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from atom_backfill.custody.balance import JobRange, Settled
from atom_backfill.custody.recorded import Recorded
from atom_backfill.custody.verify import Owed
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Work
from atom_backfill.jobs.job import AccountId, ChunkId, JobId, TenantId

SQL = load_queries(__package__)
_BEFORE_ALL = UUID(int=0)
CHANGED_S = 300.0
"""For finding what has changed, which reads all messages' headers and places."""


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
        return [JobRange(row["start"], row["end"], tuple(row["folders"]), row["made_at"]) for row in rows]

    async def latest_job(self, account: AccountId) -> JobId | None:
        """Return the account's latest job."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["find_latest_job"], {"tenant": self._tenant, "account": account})
        return JobId(row["id"]) if row else None

    async def unfinished(self, chunks: Sequence[ChunkId]) -> int:
        """Count those of some chunks that a worker has or may claim."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return int(await tx.fetch_value(SQL["count_unfinished"], {"tenant": self._tenant, "chunks": list(chunks)}))

    async def count_messages(self) -> tuple[int, int]:
        """Count the tenant's messages, and the passages that the memory must have of them."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["count_messages"], {"tenant": self._tenant})
        return (row["messages"], row["passages"]) if row else (0, 0)

    async def count_units(self) -> dict[str, int]:
        """Count the units of the tenant's graph lanes: all, done, failed, waiting."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["count_units"], {"tenant": self._tenant})
        return dict(row or {})

    async def generations(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """Return the current generation of messages; those that the record does not know are left out."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["read_generations"], {"tenant": self._tenant, "ids": list(ids)})
        return {row["id"]: row["generation"] for row in rows}


class PostgresRecord:
    """One tenant's record as it is compared with its memory; the Record of the product."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self._database = database
        self._tenant = tenant

    async def recorded(self, ids: Collection[UUID]) -> tuple[frozenset[UUID], Mapping[UUID, Recorded]]:
        """Return the accounts with live leases, then the messages; those that the record does not know are left out."""
        if not ids:
            return frozenset(), {}
        keys = {"tenant": self._tenant, "ids": list(ids)}
        async with self._database.transaction(Work(self._tenant)) as tx:
            busy = await tx.fetch_all(SQL["read_busy"], keys)
            found = await tx.fetch_all(SQL["read_recorded"], keys, row=Recorded)
        return frozenset(row["account_id"] for row in busy), {each.id: each for each in found}

    async def owed(self, after: UUID | None, limit: int, account: AccountId | None = None) -> Sequence[Owed]:
        """Return messages in the order of their ids, from behind one of them; of one account or of all."""
        keys = {"tenant": self._tenant, "account": account, "after": after or _BEFORE_ALL, "limit": limit}
        query = SQL["read_owed"] if account is None else SQL["read_owed_of_account"]
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await tx.fetch_all(query, keys, row=Owed)

    async def changed(self, mark: int, after: UUID | None, limit: int) -> Sequence[Owed]:
        """Return messages that were written, or moved, by the transaction `mark` or a later one, by their ids."""
        keys = {"tenant": self._tenant, "mark": mark, "after": after or _BEFORE_ALL, "limit": limit}
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=CHANGED_S) as tx:
            return await tx.fetch_all(SQL["read_changed"], keys, row=Owed)

    async def count(self, account: AccountId | None = None) -> int:
        """Count the messages, of one account or of all."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return int(await tx.fetch_value(SQL["count_recorded"], {"tenant": self._tenant, "account": account}))

    async def count_units(self) -> dict[str, int]:
        """Count the units of the tenant's graph lanes: all, done, failed, waiting."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            row = await tx.fetch_one(SQL["count_units"], {"tenant": self._tenant})
        return dict(row or {})

    async def generations(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return the current generation of messages; those that the record does not know are left out."""
        return await PostgresBalance(self._database, self._tenant).generations(ids)


class PostgresCounters:
    """One tenant's counters, which equal counts over the tables at every commit."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self._database = database
        self._tenant = tenant

    async def mend(self) -> int:
        """Count anew where a counter is another than the tables say; returns of how many jobs."""
        keys = {"tenant": self._tenant}
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=CHANGED_S) as tx:
            wrong = await tx.fetch_all(SQL["find_miscounted"], keys)
        mended = 0
        for row in wrong:
            job = {"account": row["account_id"], "job": row["id"]}
            async with self._database.transaction(Work(self._tenant), statement_timeout_s=CHANGED_S) as tx:
                await tx.fetch_one(SQL["lock_record"], job)
                mended += await tx.execute(SQL["count_anew"], keys | job)
        return mended
