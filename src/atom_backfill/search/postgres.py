"""What the record covers, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database, Work
from atom_backfill.search.ports import Coverage, KnownFolder

SQL = load_queries(__package__)


class PostgresReach:
    """One tenant's folders and coverage; the Reach of the product."""

    def __init__(self, database: Database, tenant: UUID) -> None:
        self._database = database
        self._tenant = tenant

    async def folders(self, account: UUID | None) -> Sequence[KnownFolder]:
        """List the folders of one account, or of all."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            keys = {"tenant": self._tenant, "account": account}
            return await tx.fetch_all(SQL["list_folders"], keys, row=KnownFolder)

    async def coverage(self, account: UUID | None) -> Coverage:
        """Tell how far the record reaches."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            keys = {"tenant": self._tenant, "account": account}
            found = await tx.fetch_one(SQL["read_coverage"], keys, row=Coverage)
        return found or Coverage(None, None, complete=False, messages=0)
