"""A database that is slow to return after a commit: for what happens to whoever is cancelled just then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from atom_backfill.db.pool import Database, Transaction
from atom_backfill.db.scope import Scope


class Lingering:
    """Stands before a database. After the first commit at which `at` holds, a transaction does not return by itself."""

    def __init__(self, database: Database, *, at: Callable[[], bool]) -> None:
        self._database = database
        self._at = at
        self.lingers = asyncio.Event()

    @asynccontextmanager
    async def transaction(self, scope: Scope, **about: Any) -> AsyncIterator[Transaction]:
        async with self._database.transaction(scope, **about) as transaction:
            yield transaction
        if not self.lingers.is_set() and self._at():
            self.lingers.set()
            await asyncio.Event().wait()
