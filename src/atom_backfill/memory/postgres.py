"""Which dataset is a tenant's memory, and its epoch: how a memory is changed under pages that are being written.

A page is written to the memory first and counts in the record later. Whoever takes rows away, or puts another dataset
in the place of the one in use, ends the epoch: from then on, no page that was begun in it can count. Such a page is
done again, in the new epoch. So a row that the record does not know when an epoch has ended will never be known, and
what the record knows then is all that a new dataset has to hold. No lease has to be waited for, and a worker that was
stopped for however long changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Work
from atom_backfill.db.transaction import Row, Transaction
from atom_backfill.errors import RefusedError, RetryLaterError
from atom_backfill.memory.ports import Building
from atom_backfill.memory.rows import Naming

SQL = load_queries(__package__)
LONGEST_SWAP_S = 600.0
"""For one statement of a swap; the longest names the generations of all messages anew."""


@dataclass(frozen=True, slots=True)
class InUse:
    """A tenant's memory: its dataset's name ("" is the first one's), and the epoch."""

    dataset: str = ""
    epoch: int = 0


async def refuse_other_epoch(tx: Transaction, tenant: UUID, epoch: int) -> None:
    """Hold the memory as it is until the transaction ends.

    Raises RetryLaterError `memory_changed` where rows that were written in that epoch may be gone from it.
    """
    await tx.fetch_one(SQL["share_memory"], {"tenant": tenant})
    # A statement of its own, since one that waited for the lock would still see what was there before.
    if (await _in_use(tx, tenant)).epoch != epoch:
        raise RetryLaterError(
            "memory_changed", "The memory was swept or made anew meanwhile; the page is done again.", progress=True
        )


class PostgresMemories:
    """One tenant's memory and the datasets beside it."""

    def __init__(self, database: Database, tenant: UUID) -> None:
        self._database = database
        self._tenant = tenant
        self._keys: Row = {"tenant": tenant}

    async def in_use(self) -> InUse:
        """Tell which dataset is the memory now."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await _in_use(tx, self._tenant)

    async def end_epoch(self) -> None:
        """See to it that no page which has been written by now and is not in the record yet can still count."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.fetch_one(SQL["hold_memory"], self._keys)
            found = await _in_use(tx, self._tenant)
            await tx.fetch_one(SQL["end_epoch"], self._keys | {"dataset": found.dataset})

    async def building(self, name: str) -> Building:
        """Return the dataset that is being built: one whose builder has died, or a new one of this name."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.execute(SQL["begin_dataset"], self._keys | {"dataset": name})
            found = await tx.fetch_one(SQL["read_building"], self._keys, row=Building)
        if found is None:
            raise _superseded()
        return found

    async def abandon(self, dataset: str) -> None:
        """Give up what was being built."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.execute(SQL["abandon_building"], self._keys | {"dataset": dataset})

    async def mark(self) -> int:
        """Return a transaction such that whatever is not seen by now is that one's or a later one's."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return int(await tx.fetch_value(SQL["read_mark"]))

    @asynccontextmanager
    async def swapping(self, dataset: str, naming: Naming | None) -> AsyncIterator[Callable[[], Awaitable[int]]]:
        """Keep every page from counting; at the block's end a dataset becomes the memory, and a new epoch begins.

        What it yields is to be called now and then: PostgreSQL ends a transaction in which nothing happens for 15 s.
        `naming`: messages that were read by another cleaner or embedder get the generation of their remade passages.
        Raises RefusedError `rebuild_superseded` where somebody else has finished or given up this dataset.
        """
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=LONGEST_SWAP_S) as tx:
            await tx.fetch_one(SQL["hold_memory"], self._keys)

            async def stay() -> int:
                return int(await tx.fetch_value(SQL["read_mark"]))

            yield stay
            if await tx.fetch_one(SQL["end_building"], self._keys | {"dataset": dataset}) is None:
                raise _superseded()
            before = await _in_use(tx, self._tenant)
            await tx.execute(SQL["retire_replaced"], self._keys | {"dataset": before.dataset})
            await tx.fetch_one(SQL["end_epoch"], self._keys | {"dataset": dataset})
            if naming is not None:
                names = {"present": naming.present, "remade": naming.remade}
                await tx.execute(SQL["name_generations"], self._keys | names)

    async def droppable(self, live_s: float) -> Sequence[str]:
        """Return datasets that were replaced so long ago, or were given up."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["read_dropping"], self._keys | {"live_s": live_s})
        return [row["dataset"] for row in rows]

    async def forget(self, dataset: str) -> None:
        """Note that a retired dataset's files are gone."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.execute(SQL["forget_dataset"], self._keys | {"dataset": dataset})


async def _in_use(tx: Transaction, tenant: UUID) -> InUse:
    return await tx.fetch_one(SQL["read_memory"], {"tenant": tenant}, row=InUse) or InUse()


def _superseded() -> RefusedError:
    return RefusedError("rebuild_superseded", "Another rebuild of this memory was quicker: nothing is left to do.")
