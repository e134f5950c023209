"""The moment at which a rebuilt memory takes the old one's place: pages, deaths and waits in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from atom_backfill.db.pool import Work
from atom_backfill.errors import RetryLaterError
from atom_backfill.memory import still
from atom_backfill.memory.lance import replace as replace_rows
from atom_backfill.memory.ports import Vectors
from atom_backfill.memory.postgres import PostgresMemories, refuse_other_epoch
from atom_backfill.memory.rows import Naming
from fakes.embedder import HashEmbedder
from mainjob import Office
from rebuilds import DiedError, Keeping, folders, passages, read
from worlds import World


async def test_a_page_that_is_being_written_at_the_swap_is_written_to_the_new_memory(
    keeping: Keeping, office: Office, world: World
) -> None:
    """It waits between memory and record while the memory is replaced."""
    keeping.follow()
    remembered, swapped = asyncio.Event(), asyncio.Event()

    async def page_reached(name: str) -> None:
        if name == "remembered" and not remembered.is_set():
            remembered.set()
            await swapped.wait()

    office.reached = page_reached
    reading = asyncio.create_task(read(office, first=200))
    await asyncio.wait_for(remembered.wait(), 60)
    await keeping.rebuild()
    swapped.set()
    await asyncio.wait_for(reading, 60)
    report = await keeping.verified()
    assert (report.verified, report.compared) == (True, 24)
    assert world.value("SELECT count(*) FROM messages WHERE tenant_id = %(t)s", t=office.tenant) == 24


async def test_a_page_does_not_count_while_the_memory_is_swapped(keeping: Keeping, office: Office) -> None:
    keeping.follow()
    reading: list[asyncio.Task[None]] = []
    remembered = asyncio.Event()

    async def page_reached(name: str) -> None:
        if name == "remembered":
            remembered.set()

    office.reached = page_reached

    async def reached(name: str) -> None:
        if name == "rebuild_swapping":
            reading.append(asyncio.create_task(read(office, first=300)))
            await asyncio.wait_for(remembered.wait(), 60)

    await keeping.rebuild(reached)
    await asyncio.wait_for(reading[0], 60)
    assert (await keeping.verified()).verified
    assert len(await keeping.rows()) == 24


async def test_a_page_does_not_wait_for_a_swap_in_its_transaction(keeping: Keeping, office: Office) -> None:
    """It can take longer than a statement may; nor is that a failure that counts."""
    keeping.follow()
    refused: list[RetryLaterError] = []

    async def reached(name: str) -> None:
        if name == "rebuild_swapping":
            with pytest.raises(RetryLaterError) as caught:
                async with office.database.transaction(Work(office.tenant), statement_timeout_s=0.5) as tx:
                    await refuse_other_epoch(tx, office.tenant, 0)
            refused.append(caught.value)

    await keeping.rebuild(reached)
    assert [(error.code, error.progress) for error in refused] == [("memory_changed", True)]


@pytest.mark.parametrize("point", ["rebuild_swapping", "rebuild_replaced"])
@pytest.mark.parametrize("dim", [32, 48])
async def test_a_swap_that_died_is_ended_by_whoever_comes_next(
    keeping: Keeping, office: Office, point: str, dim: int
) -> None:
    """A page that waits between memory and record all the while does not count without its rows."""
    keeping.follow()
    remembered, died = asyncio.Event(), asyncio.Event()

    async def page_reached(name: str) -> None:
        if name == "remembered" and not remembered.is_set():
            remembered.set()
            await died.wait()

    async def dies(name: str) -> None:
        if name == point:
            raise DiedError

    office.reached = page_reached
    reading = asyncio.create_task(read(office, first=200))
    await asyncio.wait_for(remembered.wait(), 60)
    rebuilder = Keeping(office, HashEmbedder(dim=dim))
    with pytest.raises(DiedError):
        await rebuilder.rebuild(dies)
    assert (await keeping.standing.standing()).swapping
    in_place = point == "rebuild_replaced"
    if in_place and dim == 48:  # its workers have the new embedder, too
        reading.cancel()
        reader = rebuilder
    else:
        died.set()
        await asyncio.wait_for(reading, 60)
        reader = keeping
        assert len(await keeping.rows()) == 24
    assert (await reader.verified()).verified
    standing = await keeping.standing.standing()
    assert (standing.swapping, standing.building is None) == (None, in_place)
    assert folders(office) == {"passages.lance"} | (set() if in_place else {"anew"})


async def test_a_stopped_rebuild_replaces_nothing_once_it_was_given_up(keeping: Keeping, office: Office) -> None:
    """It is stopped before its commit, its transaction ends, somebody else ends its swap, and it goes on."""
    put: list[asyncio.Task[None]] = []

    async def reached(name: str) -> None:
        if name == "rebuild_swapping":
            going, stopped = asyncio.Event(), asyncio.Event()

            async def still() -> None:
                if put and not going.is_set():
                    stopped.set()
                    await going.wait()
                elif going.is_set():
                    raise DiedError

            put.append(asyncio.create_task(replace_rows(str(office.memory), office.tenant, still)))
            await asyncio.wait_for(stopped.wait(), 60)
            waiting.append(going)
            raise DiedError

    waiting: list[asyncio.Event] = []
    before = passages(office).schema.metadata
    with pytest.raises(DiedError):
        await keeping.rebuild(reached)
    assert (await keeping.verified()).verified
    waiting[0].set()
    with pytest.raises(DiedError):
        await asyncio.wait_for(put[0], 60)
    assert passages(office).schema.metadata == before


class Waiting(HashEmbedder):
    """Answers, from the swap on, only when the swap's transaction has been heard of since."""

    def __init__(self) -> None:
        super().__init__()
        self.swapping = False
        self.asked = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.swapping:
            await asyncio.wait_for(self.asked.wait(), 30)
        return await super().embed(texts)


class Heard(PostgresMemories):
    """Notes when the swap's transaction is kept alive."""

    def __init__(self, keeping: Keeping, asked: asyncio.Event) -> None:
        super().__init__(keeping.office.database, keeping.office.tenant)
        self._asked = asked

    @asynccontextmanager
    async def swapping(self, name: str, naming: Naming) -> AsyncIterator[Callable[[], Awaitable[int]]]:
        async with super().swapping(name, naming) as stay:

            async def heard() -> int:
                self._asked.set()
                return await stay()

            yield heard


async def test_a_swap_is_kept_alive_while_it_waits_for_vectors(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL ends a transaction in which nothing happens for 15 s."""
    monkeypatch.setattr(still, "STILL_EVERY_S", 0.05)
    embedder = Waiting()

    class Followed(Keeping):
        standing = property(lambda self: Heard(self, embedder.asked))

    keeping = Followed(office, embedder)
    keeping.follow()

    async def reached(name: str) -> None:
        if name == "rebuild_made_up":
            await read(office, first=600)
            embedder.swapping = True

    await keeping.rebuild(reached)
    assert (await keeping.verified()).verified
