"""The memory made anew from the record, in a dataset beside the one in use, whose rows it replaces in one commit.

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
from atom_backfill.errors import NeedsOperatorError, NeedsOwnerError, RefusedError, RetryLaterError
from atom_backfill.memory.embed import embed_rows
from atom_backfill.memory.ports import Building, Embedder, PassageRow, PassageStore
from atom_backfill.memory.rows import Naming
from atom_backfill.memory.still import Still, while_allowed
from atom_backfill.memory.upkeep import upkeep

AT_ONCE = 100
"""Messages written at a time: 40 MB of text where each is as long as may be."""
OWED_A_PAGE = 5000
CHANGED_A_PAGE = 50_000
FEW = 200
"""Changed messages that are left to the swap, in which no page can count."""
MOST_ROUNDS = 20


class Standing(Protocol):
    """How the memory stands: which rebuild of it has been begun, and its epoch."""

    async def building(self, name: str) -> Building:
        """Return the rebuild that has been begun and not ended, whose process may have died, or a new one so named."""
        ...

    async def abandon(self, name: str, drop: Callable[[], Awaitable[None]]) -> None:
        """Give up a rebuild and `drop` what it has made, before anybody begins another; nothing if it is over."""
        ...

    async def refuse_superseded(self, name: str, drop: Callable[[], Awaitable[None]]) -> None:
        """Raise RefusedError where somebody else has finished or given up this rebuild; `drop` deletes what is left."""
        ...

    async def mark(self) -> int:
        """Return a transaction such that whatever is not seen by now is that one's or a later one's."""
        ...

    def swapping(self, name: str, naming: Naming) -> AbstractAsyncContextManager[Still]:
        """Keep every page from counting while a rebuild's rows are put in place; at the block's end an epoch begins.

        What it yields is to be called now and then. Raises RefusedError where somebody else has finished the rebuild.
        """
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
    """What a rebuild works with.

    `beside` opens the dataset beside the memory, made under a rebuild's name if there is none; `drop_beside` deletes
    it; `replace` puts its rows in the memory's place in one commit. `memory` opens the memory. `progress` is told how
    many messages are done, and of how many.
    """

    standing: Standing
    record: Record
    embedder: Embedder
    naming: Naming
    beside: Callable[[str], Awaitable[PassageStore]]
    drop_beside: Callable[[], Awaitable[None]]
    replace: Callable[[Still], Awaitable[None]]
    memory: Callable[[], Awaitable[PassageStore]]
    new_name: Callable[[], str]
    progress: Callable[[int, int], None]
    reached: FaultPoint


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A memory made anew: its messages, and of them those that an earlier rebuild had written."""

    messages: int
    resumed: int


async def rebuild(tools: Tools) -> Rebuilt:
    """Make the memory anew and put it in use. Raises RefusedError where another rebuild of it was quicker."""
    begun, store = await _begin(tools)
    await tools.reached("rebuild_begun")
    try:
        with closing(Findings()) as written:
            build = _Build(tools, begun, store, written)
            await build.whole()
    except (NeedsOwnerError, RetryLaterError, RefusedError):
        # Whoever was quicker has taken away what was built, and this one may have begun it again since.
        await tools.standing.refuse_superseded(begun.name, tools.drop_beside)
        raise
    await tools.reached("rebuild_swapped")
    await (await tools.memory()).upkeep()  # the word index; until then search looks for words in all rows
    return Rebuilt(build.done, build.resumed)


async def _begin(tools: Tools) -> tuple[Building, PassageStore]:
    """Take up what an earlier rebuild has begun, or begin anew where that is of no use now."""
    while True:
        begun = await tools.standing.building(tools.new_name())
        # In a database restored from a backup, transactions are counted from an earlier number.
        if begun.mark <= await tools.standing.mark():
            try:
                store = await tools.beside(begun.name)
            except NeedsOperatorError:
                raise
            except NeedsOwnerError:  # of another embedder, or damaged
                pass
            else:
                if store.made == begun.name:
                    return begun, store
        await tools.standing.abandon(begun.name, tools.drop_beside)


@dataclass(slots=True)
class _Build:
    """One rebuild on its way. `done` counts messages, `resumed` those of them that were there before."""

    tools: Tools
    begun: Building
    store: PassageStore
    written: Findings
    done: int = 0
    resumed: int = 0

    async def whole(self) -> None:
        """Build, make up for what changes meanwhile, and put it in place."""
        tools, name = self.tools, self.begun.name
        await self.all()
        await tools.reached("rebuild_built")
        mark = await self.make_up()
        await tools.reached("rebuild_made_up")
        async with tools.standing.swapping(name, tools.naming) as still:
            await self.changed_since(mark, still)
            await tools.reached("rebuild_swapping")
            await tools.replace(still)
            await tools.reached("rebuild_replaced")
            await still()  # by now, what lies beside may be another's
            await tools.drop_beside()

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
            mark = await self.tools.standing.mark()
            changed, since = await self.changed_since(since), mark
            if changed <= FEW:
                break
        return since

    async def changed_since(self, mark: int, still: Still | None = None) -> int:
        """Write what was changed by a transaction or a later one; returns how many messages that were."""
        changed, after = 0, None
        while page := await self.tools.record.changed(mark, after, CHANGED_A_PAGE):
            after, changed = page[-1].id, changed + len(page)
            for start in range(0, len(page), AT_ONCE):
                ids = [each.id for each in page[start : start + AT_ONCE]]
                if still is None:
                    await self._write(ids)
                else:  # to embed long mails, or by an endpoint that asks to wait, takes longer than may pass in silence
                    await while_allowed(self._write(ids, tidy=False), still)
                    await still()
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
