"""The memory made anew beside the one in use: whole at the moment of the swap, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from atom_backfill.custody import rebuild as rebuilding
from atom_backfill.errors import RefusedError
from atom_backfill.mail.clean import CLEANER
from atom_backfill.memory import still
from atom_backfill.memory.lance import LancePassages
from atom_backfill.memory.lance import replace as replace_rows
from atom_backfill.memory.ports import Vectors
from atom_backfill.memory.postgres import PostgresMemories
from atom_backfill.memory.rows import Naming, naming
from copies import Copy, Original, an_original
from databases import TestServer
from fakes.embedder import HashEmbedder
from mainjob import Office, some_mails, write_mails
from passages import EVERYTHING
from rebuilds import Keeping, passages
from worlds import World

MAILS = some_mails(20)


@pytest.fixture(scope="module")
def original(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    place = tmp_path_factory.mktemp("read")
    write_mails(place / "mail", MAILS)
    with an_original(postgres, place) as original:
        yield original


@pytest.fixture
def world(copy: Copy) -> World:
    """The database of `office`."""
    return copy.world


@pytest.fixture
def office(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A mailbox that was read; a rebuild of it takes several batches."""
    monkeypatch.setattr(rebuilding, "AT_ONCE", 6)
    monkeypatch.setattr(rebuilding, "OWED_A_PAGE", 7)
    return copy.office


@pytest.fixture
def keeping(office: Office) -> Keeping:
    return Keeping(office, HashEmbedder())


class DiedError(Exception):
    """The process has ended here."""


def folders(office: Office) -> set[str]:
    return {path.name for path in (office.memory / str(office.tenant)).iterdir()}


async def read(office: Office, first: int, count: int = 4) -> None:
    """Let new mail come, and read it to the end."""
    newest = max(mail.received_at for mail in MAILS if mail.received_at) + timedelta(days=1)
    write_mails(office.memory.parents[1] / "mail", [
        replace(mail, received_at=newest) for mail in some_mails(count, first=first)
    ])  # fmt: skip
    await office.start()
    await office.work()


async def test_a_rebuilt_memory_is_what_the_old_one_was(keeping: Keeping) -> None:
    before = await keeping.rows()
    told: list[tuple[int, int]] = []
    made = await keeping.rebuild(progress=lambda done, total: told.append((done, total)))
    assert (made.messages, made.resumed) == (20, 0)
    assert await keeping.rows() == before
    assert (await keeping.verified()).verified
    assert told == sorted(told)
    assert told[-1] == (20, 20)


async def test_whoever_opens_the_tenants_table_sees_what_was_made_anew(office: Office) -> None:
    """The path and the table that the contract names; and who has it open reads on until he opens it anew."""
    before = passages(office)
    other = Keeping(office, HashEmbedder(dim=48))
    await other.rebuild()
    now = passages(office)
    assert now.schema.field("vector").type.list_size == 48
    assert now.schema.field("id").metadata == {b"lance-schema:unenforced-primary-key": b"true"}
    assert [(index.name, index.columns) for index in now.list_indices()] == [("words_idx", ["words"])]
    assert (now.count_rows(), before.count_rows()) == (20, 20)
    assert len(before.to_arrow()["vector"][0]) == 32
    assert folders(office) == {"passages.lance"}


async def test_what_was_damaged_in_the_old_one_is_not_taken_over(keeping: Keeping, office: Office) -> None:
    before = await keeping.rows()
    passages(office).update(values={"vector": [1.0] + [0.0] * 31, "text": "damaged"})
    await keeping.rebuild()
    assert await keeping.rows() == before
    [vector] = (await (await keeping.index()).known_vectors([(await _a_hash(keeping))])).values()
    assert vector[0] != 1.0


async def _a_hash(keeping: Keeping) -> str:
    entries = [entry async for some in (await keeping.index()).entries() for entry in some]
    return entries[0].content_hash


@pytest.mark.parametrize("lost", ["all", "manifest", "nothing"])
async def test_a_lost_memory_is_made_anew_for_another_embedder(office: Office, world: World, lost: str) -> None:
    dataset = office.memory / str(office.tenant) / "passages.lance"
    if lost == "all":
        shutil.rmtree(dataset)
    elif lost == "manifest":
        shutil.rmtree(dataset / "_versions")
    other = Keeping(office, HashEmbedder(dim=48))
    await other.rebuild()
    report = await other.verified()
    assert (report.verified, report.compared) == (True, 20)
    for row in world.rows("SELECT generation, content_hash FROM messages WHERE tenant_id = %(t)s", t=office.tenant):
        # As Python names them, so does the database.
        names = naming(CLEANER, other.embedder.identity)
        assert row["generation"] == names.generation("", row["content_hash"])
    await other.rebuild()
    assert (await other.verified()).verified
    back = Keeping(office, HashEmbedder())
    await back.rebuild()
    assert (await back.verified()).verified


async def test_search_works_all_the_while(keeping: Keeping) -> None:
    open_before = await keeping.index()
    found = []

    async def reached(_: str) -> None:
        indexes = (await keeping.index(), open_before)
        found.extend([len(await each.search_words("harbour workshop depot", EVERYTHING, 50)) for each in indexes])

    await keeping.rebuild(reached)
    await reached("after")
    assert len(found) > 10
    assert set(found) == {20}


POINTS = ["rebuild_begun", "rebuild_written", "rebuild_built", "rebuild_made_up"]


@pytest.mark.parametrize("point", POINTS)
async def test_mail_that_is_read_meanwhile_is_in_the_new_memory(keeping: Keeping, office: Office, point: str) -> None:
    keeping.follow()
    happened = []

    async def reached(name: str) -> None:
        if name == point and not happened:
            happened.append(name)
            await read(office, first=100)

    await keeping.rebuild(reached)
    assert happened
    report = await keeping.verified()
    assert (report.verified, report.compared) == (True, 24)


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


async def test_mail_that_moved_meanwhile_lies_where_it_lies(keeping: Keeping, office: Office, world: World) -> None:
    async def reached(name: str) -> None:
        if name == "rebuild_built":
            world.run("UPDATE message_places SET folder_id = 'moved' WHERE tenant_id = %(t)s", t=office.tenant)

    await keeping.rebuild(reached)
    assert (await keeping.verified()).verified
    assert {frozenset({"moved"})} == {placed for _, placed in (await keeping.rows()).values()}


async def test_the_rounds_of_making_up_end_in_the_swap(
    keeping: Keeping, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where more changes in each round than is left to the swap."""
    monkeypatch.setattr(rebuilding, "FEW", 0)
    monkeypatch.setattr(rebuilding, "MOST_ROUNDS", 3)
    keeping.follow()
    rounds = []

    async def reached(name: str) -> None:
        if name == "rebuild_written" and len(rounds) < 8:
            rounds.append(name)
            await read(office, first=400 + 10 * len(rounds), count=1)

    await keeping.rebuild(reached)
    report = await keeping.verified()
    assert (report.verified, report.compared) == (True, 28)


async def test_a_rebuild_that_died_is_taken_up(keeping: Keeping, office: Office) -> None:
    written = []

    async def dies(name: str) -> None:
        written.append(name)
        if written.count("rebuild_written") == 2:
            raise DiedError

    with pytest.raises(DiedError):
        await keeping.rebuild(dies)
    assert (await keeping.verified()).verified, "the old one is in use"
    embedded = keeping.embedder.embedded
    await read(office, first=500)
    made = await keeping.rebuild()
    assert made.resumed >= 6
    assert keeping.embedder.embedded - embedded <= 24 - made.resumed
    report = await keeping.verified()
    assert (report.verified, report.compared) == (True, 24)
    assert folders(office) == {"passages.lance"}


@pytest.mark.parametrize("damage", ["embedder", "files", "restored"])
async def test_what_is_of_no_use_any_more_is_dropped(
    keeping: Keeping, office: Office, world: World, damage: str
) -> None:
    async def dies(name: str) -> None:
        if name == "rebuild_built":
            raise DiedError

    half = Keeping(office, HashEmbedder(dim=48)) if damage == "embedder" else keeping
    with pytest.raises(DiedError):
        await half.rebuild(dies)
    assert folders(office) == {"passages.lance", "anew"}
    if damage == "files":
        shutil.rmtree(office.memory / str(office.tenant) / "anew" / "passages.lance" / "_versions")
    if damage == "restored":
        world.run("UPDATE memories SET mark = mark + 1000000 WHERE tenant_id = %(t)s", t=office.tenant)
    made = await keeping.rebuild()
    assert made.resumed == 0
    assert folders(office) == {"passages.lance"}
    assert (await keeping.verified()).verified


async def test_of_two_rebuilds_at_once_one_says_that_the_other_was_quicker(keeping: Keeping, office: Office) -> None:
    done = await asyncio.gather(keeping.rebuild(), keeping.rebuild(), return_exceptions=True)
    refused = [each for each in done if isinstance(each, RefusedError)]
    assert [each.code for each in refused] == ["rebuild_superseded"]
    assert (await keeping.verified()).verified
    assert folders(office) == {"passages.lance"}


@dataclass
class Slow(Keeping):
    """Opens what lies beside the memory when told to; `joined` once it has done so twice, and goes on when told to."""

    come: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    on: asyncio.Event = field(default_factory=asyncio.Event)
    opened: int = 0

    async def open(self, beside: str = "") -> LancePassages:
        if beside:
            self.come.set()
            await asyncio.wait_for(self.go.wait(), 60)
        found = await super().open(beside)
        self.opened += bool(beside)
        if self.opened == 2:
            self.joined.set()
            await asyncio.wait_for(self.on.wait(), 60)
        return found


async def test_what_another_rebuild_has_begun_is_not_dropped_for_what_lay_there_before(
    keeping: Keeping, office: Office
) -> None:
    """Both find a dead rebuild of another embedder; one is at work already when the other comes to drop it."""

    async def dies(name: str) -> None:
        if name == "rebuild_built":
            raise DiedError

    with pytest.raises(DiedError):
        await Keeping(office, HashEmbedder(dim=48)).rebuild(dies)
    slow = Slow(office, HashEmbedder())
    second = asyncio.create_task(slow.rebuild())
    await asyncio.wait_for(slow.come.wait(), 60)
    written = []

    async def reached(name: str) -> None:
        written.append(name)
        if written.count("rebuild_written") == 2 and not slow.go.is_set():
            slow.go.set()
            await asyncio.wait_for(slow.joined.wait(), 60)
        if name == "rebuild_swapped":
            slow.on.set()

    done = await asyncio.gather(keeping.rebuild(reached), second, return_exceptions=True)
    assert [each.code for each in done if isinstance(each, RefusedError)] == ["rebuild_superseded"]
    assert (await keeping.verified()).verified


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
