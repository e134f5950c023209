"""A memory's epoch, and how it is made anew: how a memory is changed under pages that are being written.

A page is written to the memory first and counts in the record later. Whoever takes rows away, or puts others in their
place, ends the epoch: from then on, no page that was begun in it can count. Such a page is done again, in the new
epoch. So a row that the record does not know when an epoch has ended will never be known, and what the record knows
then is all that a new dataset has to hold. No lease has to be waited for, and a worker that was stopped for however
long changes nothing.

The swap of a rebuild is a commit of the memory's within a transaction of the record's, and the process may die between
the two. So it is announced first, in a transaction of its own: while it stands announced, no page counts, and whoever
finds it so, and nobody at it, looks which of both it came to and ends it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
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
WAIT_S = 1.0
"""After which a page is done again that met somebody who takes rows away or puts others in their place."""
LONGEST_SWAP_S = 600.0
"""For one statement of a swap; the longest names the generations of all messages anew."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A memory's epoch; the rebuild at work or dead, and while it swaps, how generations are named (see Naming)."""

    epoch: int = 0
    building: str | None = None
    swapping: list[str] | None = None


async def refuse_other_epoch(tx: Transaction, tenant: UUID, epoch: int) -> None:
    """Hold the memory as it is until the transaction ends.

    Raises RetryLaterError `memory_changed` where rows that were written in that epoch may be gone from it, or are
    about to be: that can take minutes, which no page waits for in a transaction.
    """
    held = await tx.fetch_value(SQL["share_memory"], {"tenant": tenant})
    # A statement of its own, since what is seen with the lock in hand is what it keeps.
    found = await _standing(tx, tenant)
    if not held or found.epoch != epoch or found.swapping:
        words = "The memory was swept or made anew meanwhile; the page is done again."
        raise RetryLaterError("memory_changed", words, after=None if held else WAIT_S, progress=True)


class PostgresMemories:
    """How one tenant's memory stands."""

    def __init__(self, database: Database, tenant: UUID) -> None:
        self._database = database
        self._tenant = tenant
        self._keys: Row = {"tenant": tenant}

    async def standing(self) -> Standing:
        """Tell how it stands now."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await _standing(tx, self._tenant)

    async def end_epoch(self) -> None:
        """See to it that no page which has been written by now and is not in the record yet can still count."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.fetch_one(SQL["hold_memory"], self._keys)
            await tx.execute(SQL["end_epoch"], self._keys)

    async def building(self, name: str) -> Building:
        """Return the rebuild that has been begun and not ended, whose process may have died, or a new one so named."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            found = await tx.fetch_one(SQL["begin_building"], self._keys | {"name": name}, row=Building)
        assert found is not None
        return found

    async def abandon(self, name: str, drop: Callable[[], Awaitable[None]]) -> None:
        """Give up a rebuild, and with `drop` delete what it has made; nothing of one that is given up or done already.

        Until that is deleted nobody begins another: what lies there then is that one's.
        """
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.fetch_one(SQL["hold_memory"], self._keys)
            if await tx.execute(SQL["abandon_building"], self._keys | {"name": name}):
                await drop()

    async def refuse_superseded(self, name: str, drop: Callable[[], Awaitable[None]]) -> None:
        """Raise RefusedError `rebuild_superseded` where somebody else has finished or given up a rebuild.

        What was made under its name since is deleted with `drop`, unless another is at work. Waits for a swap to end.
        """
        async with self._database.transaction(Work(self._tenant)) as tx:
            await tx.fetch_one(SQL["hold_memory"], self._keys)
            found = await tx.fetch_one(SQL["lock_memory"], self._keys, row=Standing) or Standing()
            if found.building is None:
                await drop()
            _refuse_superseded(found, name)

    async def mark(self) -> int:
        """Return a transaction such that whatever is not seen by now is that one's or a later one's."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return int(await tx.fetch_value(SQL["read_mark"]))

    @asynccontextmanager
    async def swapping(self, name: str, naming: Naming) -> AsyncIterator[Callable[[], Awaitable[int]]]:
        """Keep every page from counting while a rebuild's rows are put in place; at the block's end an epoch begins.

        What it yields is to be called now and then: PostgreSQL ends a transaction in which nothing happens for 15 s.
        `naming`: messages that were read by another cleaner or embedder get the generation of their remade passages.
        Raises RefusedError `rebuild_superseded` where somebody else has finished or given up this rebuild.
        """
        names: Row = {"name": name, "present": naming.present, "remade": naming.remade}
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=LONGEST_SWAP_S) as tx:
            await tx.fetch_one(SQL["hold_memory"], self._keys)
            _refuse_superseded(await _standing(tx, self._tenant), name)
            async with self._database.transaction(Work(self._tenant)) as announcing:
                await announcing.execute(SQL["begin_swap"], self._keys | names)
            # Before the rows are replaced, since it takes seconds in which search would find neither.
            await tx.execute(SQL["name_generations"], self._keys | names)

            async def stay() -> int:
                return int(await tx.fetch_value(SQL["read_mark"]))

            yield stay
            await tx.execute(SQL["end_swap"], self._keys | {"made": True})

    async def end_dead_swap(self, settle: Callable[[], Awaitable[str]], drop: Callable[[], Awaitable[None]]) -> None:
        """End a swap that nobody is at.

        `settle` sees to it that it stays as it is, should its process only have been stopped, and tells which rebuild
        has made the memory; `drop` deletes what lies beside it.
        """
        async with self._database.transaction(Work(self._tenant), statement_timeout_s=LONGEST_SWAP_S) as tx:
            if not await tx.fetch_value(SQL["try_memory"], self._keys):
                return
            found = await _standing(tx, self._tenant)
            if not found.swapping:
                return
            in_place = await settle() == found.building
            if in_place:
                present, remade = found.swapping
                await drop()
                await tx.execute(SQL["name_generations"], self._keys | {"present": present, "remade": remade})
            await tx.execute(SQL["end_swap"], self._keys | {"made": in_place})


async def _standing(tx: Transaction, tenant: UUID) -> Standing:
    return await tx.fetch_one(SQL["read_memory"], {"tenant": tenant}, row=Standing) or Standing()


def _refuse_superseded(found: Standing, name: str) -> None:
    if found.building != name:
        raise RefusedError("rebuild_superseded", "Another rebuild of this memory was quicker: nothing is left to do.")
