"""The memory made anew from the record, beside the one in use, and put in its place in one transaction.

What has changed since the build began is made up for in rounds, each shorter than the one before, and the rest of it
while no page can count. The swap ends the epoch (memory/postgres.py): a page that was written to the old memory and
does not count yet is done again, and written to the new one. So the new one has all that the record has, at the moment
at which it comes into use. A rebuild that has died leaves the old memory in use; the next one goes on where it stood.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from atom_backfill.backfill.ports import FaultPoint
from atom_backfill.custody.findings import Findings
from atom_backfill.custody.recorded import Recorded, rows_from
from atom_backfill.custody.verify import Owed
from atom_backfill.errors import NeedsOperatorError, NeedsOwnerError
from atom_backfill.memory.embed import embed_rows
from atom_backfill.memory.ports import Building, Embedder, PassageRow, PassageStore
from atom_backfill.memory.rows import Naming
from atom_backfill.memory.upkeep import upkeep

AT_ONCE = 100
"""Messages written at a time: 40 MB of text where each is as long as may be."""
OWED_A_PAGE = 5000
CHANGED_A_PAGE = 50_000
FEW = 200
"""Changed messages that are left to the swap, in which no page can count."""
MOST_ROUNDS = 20
LIVE_S = 3600.0
"""For which a dataset that was replaced stays: longer than any reader or writer has it open."""


class Datasets(Protocol):
    """Which dataset is the memory, which lie beside it, and their files."""

    async def building(self, name: str) -> Building:
        """Return the dataset that is being built: one whose builder has died, or a new one of this name."""
        ...

    async def abandon(self, dataset: str) -> None:
        """Give up what was being built."""
        ...

    async def mark(self) -> int:
        """Return a transaction such that whatever is not seen by now is that one's or a later one's."""
        ...

    def swapping(
        self, dataset: str, naming: Naming | None
    ) -> AbstractAsyncContextManager[Callable[[], Awaitable[object]]]:
        """Keep every page from counting; at the block's end a dataset becomes the memory, and a new epoch begins.

        What it yields is to be called now and then. Raises RefusedError where somebody else has finished it.
        """
        ...

    async def droppable(self, live_s: float) -> Sequence[str]:
        """Return datasets that were replaced so long ago, or were given up."""
        ...

    async def forget(self, dataset: str) -> None:
        """Note that a retired dataset's files are gone."""
        ...


class Record(Protocol):
    """What the memory is made from."""

    async def recorded(self, ids: Collection[UUID]) -> tuple[frozenset[UUID], Mapping[UUID, Recorded]]:
        """Return accounts at work, and messages; those that the record does not know are left out."""
        ...

    async def owed(self, after: UUID | None, limit: int) -> Sequence[Owed]:
        """Return messages in the order of their ids, from behind one of them."""
        ...

    async def changed(self, mark: int, after: UUID | None, limit: int) -> Sequence[Owed]:
        """Return messages that were written, or moved, by the transaction `mark` or a later one, by their ids."""
        ...

    async def count(self) -> int:
        """Count the messages."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What a rebuild works with. `open` opens a dataset by name, made if there is none; `drop` deletes its files.

    `progress` is told how many messages are done, and of how many.
    """

    datasets: Datasets
    record: Record
    embedder: Embedder
    naming: Naming
    open: Callable[[str], Awaitable[PassageStore]]
    drop: Callable[[str], Awaitable[None]]
    new_name: Callable[[], str]
    progress: Callable[[int, int], None]
    reached: FaultPoint


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A memory made anew: its dataset, its messages, and of them those that an earlier rebuild had written."""

    dataset: str
    messages: int
    resumed: int


async def rebuild(tools: Tools) -> Rebuilt:
    """Make the memory anew and put it in use. Raises RefusedError where another rebuild of it was quicker."""
    await drop_retired(tools.datasets, tools.drop)
    begun, store = await _begin(tools)
    await tools.reached("rebuild_begun")
    with closing(Findings()) as written:
        build = _Build(tools, begun, store, written)
        await build.all()
        await tools.reached("rebuild_built")
        mark = await build.make_up()
        await tools.reached("rebuild_made_up")
        async with tools.datasets.swapping(begun.dataset, tools.naming) as stay:
            await build.changed_since(mark, stay)
            await tools.reached("rebuild_swapping")
    await tools.reached("rebuild_swapped")
    await drop_retired(tools.datasets, tools.drop)
    return Rebuilt(begun.dataset, build.done, build.resumed)


async def drop_retired(
    datasets: Datasets, drop: Callable[[str], Awaitable[None]], live_s: float = LIVE_S
) -> Sequence[str]:
    """Delete the datasets that nobody can have open any more; returns their names."""
    dropped = await datasets.droppable(live_s)
    for dataset in dropped:
        await drop(dataset)
        await datasets.forget(dataset)
    return dropped


async def _begin(tools: Tools) -> tuple[Building, PassageStore]:
    """Take up what an earlier rebuild has begun, or begin anew where that is of no use now."""
    while True:
        begun = await tools.datasets.building(tools.new_name())
        # In a database restored from a backup, transactions are counted from an earlier number.
        if begun.mark <= await tools.datasets.mark():
            try:
                return begun, await tools.open(begun.dataset)
            except NeedsOperatorError:
                raise
            except NeedsOwnerError:  # of another embedder, or damaged
                pass
        await tools.datasets.abandon(begun.dataset)
        await drop_retired(tools.datasets, tools.drop)


@dataclass(slots=True)
class _Build:
    """One dataset on its way. `done` counts messages, `resumed` those of them that were there before."""

    tools: Tools
    begun: Building
    store: PassageStore
    written: Findings
    done: int = 0
    resumed: int = 0

    async def all(self) -> None:
        """Write every message of the record that is not there yet."""
        async for entries in self.store.entries():
            for entry in entries:
                self.written.see(entry.message_id, entry.id)
        total, after = await self.tools.record.count(), None
        while page := await self.tools.record.owed(after, OWED_A_PAGE):
            after = page[-1].id
            missing = [each for each in page if not self._is_there(each)]
            self.done += len(page) - len(missing)
            self.resumed += len(page) - len(missing)
            for start in range(0, len(missing), AT_ONCE):
                batch = missing[start : start + AT_ONCE]
                await self._write([each.id for each in batch])
                self.done += len(batch)
                self.tools.progress(self.done, max(total, self.done))

    async def make_up(self) -> int:
        """Write what has changed since the build began, until little changes meanwhile; returns from where on."""
        since = self.begun.mark
        for _ in range(MOST_ROUNDS):
            mark = await self.tools.datasets.mark()
            changed, since = await self.changed_since(since), mark
            if changed <= FEW:
                break
        return since

    async def changed_since(self, mark: int, stay: Callable[[], Awaitable[object]] | None = None) -> int:
        """Write what was changed by a transaction or a later one; returns how many messages that were."""
        changed, after = 0, None
        while page := await self.tools.record.changed(mark, after, CHANGED_A_PAGE):
            after, changed = page[-1].id, changed + len(page)
            for start in range(0, len(page), AT_ONCE):
                await self._write([each.id for each in page[start : start + AT_ONCE]], tidy=stay is None)
                if stay is not None:
                    await stay()
        return changed

    def _is_there(self, owed: Owed) -> bool:
        generation = self.tools.naming.generation(owed.generation, owed.content_hash)
        return self.written.seen_of(owed.id, generation) >= owed.rows

    async def _write(self, messages: Sequence[UUID], *, tidy: bool = True) -> None:
        _, known = await self.tools.record.recorded(messages)
        rows = await asyncio.to_thread(self._rows, known)
        if rows:
            # What this dataset has was made for it: from what is wrong with the old one nothing is taken over.
            await self.store.upsert(rows, await embed_rows(self.store, self.tools.embedder, rows))
            if tidy:
                await upkeep(self.store)
        await self.tools.reached("rebuild_written")

    def _rows(self, known: Mapping[UUID, Recorded]) -> list[PassageRow]:
        return [row for each in known.values() for row in rows_from(each, generation=self._generation(each))]

    def _generation(self, recorded: Recorded) -> str:
        return self.tools.naming.generation(recorded.generation, recorded.content_hash)
