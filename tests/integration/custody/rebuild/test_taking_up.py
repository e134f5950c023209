"""Rebuilds that have died are taken up, or given up where they are of no use; of two at once one is enough."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field

import pytest

from atom_backfill.errors import RefusedError
from atom_backfill.memory.lance import LancePassages
from fakes.embedder import HashEmbedder
from mainjob import Office
from rebuilds import DiedError, Keeping, folders, read
from worlds import World

pytestmark = pytest.mark.long


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


async def test_who_comes_when_another_has_ended_leaves_nothing_beside(keeping: Keeping, office: Office) -> None:
    slow = Slow(office, HashEmbedder())
    second = asyncio.create_task(slow.rebuild())
    await asyncio.wait_for(slow.come.wait(), 60)
    await keeping.rebuild()
    slow.go.set()
    with pytest.raises(RefusedError) as raised:
        await second
    assert raised.value.code == "rebuild_superseded"
    assert folders(office) == {"passages.lance"}
    assert (await keeping.verified()).verified
