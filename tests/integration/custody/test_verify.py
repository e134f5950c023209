"""Record and memory compared row by row: each difference is found, told and mended, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import lancedb
import pytest

from atom_backfill.custody import verify as verifying
from atom_backfill.custody.postgres import PostgresRecord
from atom_backfill.custody.verify import Report, Tools, sweep, verify
from atom_backfill.memory.lance import LancePassages
from atom_backfill.memory.postgres import PostgresMemories
from copies import Copy, Original, an_original
from databases import TestServer
from fakes.embedder import HashEmbedder
from mainjob import Mail, Office, an_office, some_mails, write_mails
from passages import a_row
from worlds import World

LONG = Mail("Inbox", "Long", "\n\n".join(f"The crane of berth {n} creaks." * 9 for n in range(40)), "Ines", "Odo", None)
QUOTED = replace(some_mails(1, first=50)[0], body="> Number 7 came in.\n> Please confirm by noon.")
MAILS = [*some_mails(12), replace(LONG, received_at=some_mails(1)[0].received_at), QUOTED]


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
def office(copy: Copy) -> Office:
    """A mailbox that was read."""
    return copy.office


def table(office: Office) -> Any:
    return lancedb.connect(office.memory / str(office.tenant)).open_table("passages")


def rows(office: Office) -> dict[str, dict[str, Any]]:
    """Everything in the memory, past the product."""
    found = table(office).search().limit(None).to_arrow().to_pylist()
    return {row["id"]: row for row in found}


def memories(office: Office) -> PostgresMemories:
    return PostgresMemories(office.database, office.tenant)


async def compared(office: Office, *, repair: bool = False) -> Report:
    assert isinstance(office.index, LancePassages)
    tools = Tools(HashEmbedder(), memories(office).end_epoch) if repair else None
    return await verify(office.index, PostgresRecord(office.database, office.tenant), tools)


async def swept(office: Office) -> Report:
    assert isinstance(office.index, LancePassages)
    tools = Tools(HashEmbedder(), memories(office).end_epoch)
    return await sweep(office.index, PostgresRecord(office.database, office.tenant), tools)


def stripped(kept: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows without their fences: what was mended was written under no lease."""
    return {identity: {name: value for name, value in row.items() if name != "fence"} for identity, row in kept.items()}


async def test_what_was_read_is_what_the_record_gives(office: Office) -> None:
    report = await compared(office)
    assert (report.verified, report.compared) == (True, len(rows(office)))
    assert report.differences == ()
    assert (await swept(office)).verified


FLIPS = {
    "text": "'other'",
    "words": "'other'",
    "subject": "'other'",
    "thread_id": "'other'",
    "content_hash": "'00'",
    "from_address": "'eve@lumen.example'",
    "to_addresses": "['eve@lumen.example']",
    "folder_ids": "['elsewhere']",
    "has_attachments": "true",
    "start": "3",
    "end": "4",
    "received_at": "timestamp '2001-01-01T00:00:00Z'",
    "account_id": "'nobody'",
}


async def test_a_flipped_bit_is_found_and_mended_whatever_the_column(office: Office) -> None:
    before = rows(office)
    victims = dict(zip(sorted(before), FLIPS, strict=False))
    assert len(victims) == len(FLIPS)
    for victim, column in victims.items():
        table(office).update(where=f"id = '{victim}'", values_sql={column: FLIPS[column]})
    report = await compared(office)
    assert not report.verified
    assert {(each.kind, each.passage_id) for each in report.differences} == {("differs", each) for each in victims}
    mended = await compared(office, repair=True)
    assert (mended.verified, mended.repaired) == (True, len(FLIPS))
    assert stripped(rows(office)) == stripped(before)
    assert (await compared(office)).verified


async def test_a_vector_that_no_embedder_makes_is_made_anew(office: Office) -> None:
    before = rows(office)
    for victim, length in zip(sorted(before), (0.0, 2.0), strict=False):
        table(office).update(where=f"id = '{victim}'", values={"vector": [length] * 32})
    assert (await compared(office)).counts["differs"] == 2
    assert (await compared(office, repair=True)).verified
    assert stripped(rows(office)) == stripped(before)


async def test_a_row_under_a_wrong_name_goes_and_the_right_one_comes_back(office: Office) -> None:
    before = rows(office)
    odd, lost, older = sorted(before)[:3]
    table(office).update(where=f"id = '{odd}'", values={"id": "odd"})
    table(office).update(where=f"id = '{lost}'", values={"message_id": "nobody"})
    table(office).update(where=f"id = '{older}'", values={"generation": "older"})
    report = await compared(office)
    assert {(each.kind, each.passage_id) for each in report.differences} == {
        *(("foreign", "odd"), ("missing", odd)),
        *(("foreign", lost), ("missing", lost)),
        ("differs", older),
    }
    assert (await compared(office, repair=True)).verified
    assert stripped(rows(office)) == stripped(before)


async def test_missing_rows_are_found_and_written_again(office: Office) -> None:
    before = rows(office)
    table(office).delete("subject = 'Long' AND seq IN (0, 2)")
    report = await compared(office)
    assert ({each.kind for each in report.differences}, report.counts["missing"]) == ({"missing"}, 2)
    assert {each.passage_id for each in report.differences} == before.keys() - rows(office).keys()
    assert (await compared(office, repair=True)).repaired == 2
    assert stripped(rows(office)) == stripped(before)


async def test_foreign_rows_are_found_and_taken_away(office: Office) -> None:
    before = rows(office)
    known = next(iter(before.values()))
    strange = [
        a_row(1),
        a_row(2, message_id=UUID(known["message_id"]), generation="older"),
        a_row(3, message_id=UUID(known["message_id"]), generation=known["generation"], seq=9),
    ]
    await office.index.upsert(strange, await HashEmbedder().embed([row.embedded for row in strange]))
    report = await compared(office)
    assert {(each.kind, each.passage_id) for each in report.differences} == {("foreign", row.id) for row in strange}
    assert (await compared(office, repair=True)).repaired == 3
    assert rows(office) == before


async def test_a_memory_that_is_gone_is_written_anew(office: Office) -> None:
    before = rows(office)
    table(office).delete("true")
    assert (await compared(office)).counts["missing"] == len(before)
    assert (await compared(office, repair=True)).verified
    assert stripped(rows(office)) == stripped(before)


async def test_a_sweep_finds_by_ids_what_is_missing_and_what_is_foreign(office: Office) -> None:
    before = rows(office)
    table(office).delete("seq = 1")
    await office.index.upsert([a_row(1)], await HashEmbedder().embed(["x"]))
    report = await swept(office)
    lost = sum(row["seq"] == 1 for row in before.values())
    assert (report.verified, report.counts["missing"], report.counts["foreign"]) == (True, lost, 1)
    assert stripped(rows(office)) == stripped(before)


async def test_rows_of_a_page_that_is_being_written_are_no_difference(office: Office, world: World) -> None:
    """And while its lease is alive they stay."""
    await world.job(office.tenant, office.account)
    await world.claim()
    written = a_row(1, account_id=office.account)
    await office.index.upsert([written], await HashEmbedder().embed(["x"]))
    report = await compared(office, repair=True)
    assert (report.verified, report.counts["unsettled"], report.counts["foreign"]) == (True, 1, 0)
    assert "p-1" in rows(office)


async def test_a_page_whose_rows_were_swept_is_done_again(world: World, tmp_path: Path) -> None:
    """Its lease has lapsed when the sweeper comes, and it goes on all the same: the worst case."""
    write_mails(tmp_path / "mail", MAILS)
    tenant = await world.tenant("swept")
    root, home = tmp_path / "mail", tmp_path / "home"
    async with an_office(world.database, tenant, world.account(tenant), root, home) as office:
        job = await office.start()
        swept_rows = []

        async def reached(point: str) -> None:
            if point == "remembered" and not swept_rows:
                world.run("UPDATE sync_chunks SET lease_until = atom_now() - interval '1 s' WHERE state = 'leased'")
                swept_rows.append((await swept(office)).repaired)

        office.reached = reached
        await office.work(concurrency=1)
        assert swept_rows[0] > 0
        assert world.job_row(job)["status"] == "completed"
        assert world.job_row(job)["records_processed"] == len(MAILS)
        assert (await compared(office)).verified


async def test_a_page_of_an_ended_epoch_does_not_count(office: Office, world: World) -> None:
    await office.start(again=True)
    ended = []

    async def reached(point: str) -> None:
        if point == "embedded" and not ended:
            ended.append(True)
            await memories(office).end_epoch()

    office.reached = reached
    epoch = (await memories(office).standing()).epoch
    await office.work()
    assert (await memories(office).standing()).epoch == epoch + 1
    assert (await compared(office)).verified
    assert world.value("SELECT count(*) FROM sync_chunks WHERE attempts > 0") == 0


async def test_a_comparison_holds_a_bounded_number_of_texts(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "AT_ONCE", 2)
    monkeypatch.setattr(verifying, "OWED_A_PAGE", 3)
    table(office).delete("seq = 0")
    held: list[int] = []

    class Counting(PostgresRecord):
        async def recorded(self, ids: Any) -> Any:
            held.append(len(ids))
            return await super().recorded(ids)

    assert isinstance(office.index, LancePassages)
    tools = Tools(HashEmbedder(), memories(office).end_epoch)
    report = await verify(office.index, Counting(office.database, office.tenant), tools)
    assert report.verified
    assert max(held) == 2
    assert (await compared(office)).verified
