"""The memory made anew beside the one in use: whole, whatever is read meanwhile."""

from __future__ import annotations

import shutil

import pytest

from atom_backfill.custody import rebuild as rebuilding
from atom_backfill.mail.clean import CLEANER
from atom_backfill.memory.rows import naming
from fakes.embedder import HashEmbedder
from mainjob import Office
from passages import EVERYTHING
from rebuilds import Keeping, folders, passages, read
from worlds import World


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


async def test_mail_that_moved_meanwhile_lies_where_it_lies(keeping: Keeping, office: Office, world: World) -> None:
    async def reached(name: str) -> None:
        if name == "rebuild_built":
            world.run("UPDATE message_places SET folder_id = 'moved' WHERE tenant_id = %(t)s", t=office.tenant)

    await keeping.rebuild(reached)
    assert (await keeping.verified()).verified
    assert {frozenset({"moved"})} == {placed for _, placed in (await keeping.rows()).values()}


@pytest.mark.long
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
