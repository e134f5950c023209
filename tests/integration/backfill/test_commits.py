"""The one transaction in which a page counts: after each, counters equal counts, whatever the page held."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from atom_backfill.backfill.ports import Batch, Pace
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.db.pool import Database, RowRefusedError
from atom_backfill.errors import LeaseLost
from atom_backfill.identity import message_id
from atom_backfill.jobs.job import Again, Done, Lease
from atom_backfill.mail.message import Address, FolderId
from pages import a_failed, a_stored, assert_counters, commit, record, some_stored
from worlds import World

INES, TOMASZ = Address("Ines Halloran", "ines@lumen.example"), Address("Tomasz Reyl", "tomasz@lumen.example")
GUEST = Address("A Guest", "guest@harbour.example")


async def next_job(world: World, lease: Lease, **about: bool) -> Lease:
    """Complete a job and claim the first window of the mailbox's next one."""
    await world.store.settle(lease, Done())
    await world.settle_all()
    await world.job(lease.tenant_id, lease.account_id, **about)
    return await world.claim()


async def test_a_page_of_new_messages(world: World) -> None:
    lease = await world.lease()
    committed = await commit(world, lease, *some_stored(lease, 1, 20), has_more=False)
    assert (committed.messages, committed.failures) == (20, 0)
    assert committed.entities > 20
    assert committed.relationships > 20
    assert set(record(world, lease.account_id)) == {f"m-{n}" for n in range(1, 21)}
    chunk = world.chunk_row(lease.chunk_id)
    assert (chunk["messages_done"], chunk["has_more"]) == (20, False)
    assert chunk["position"] == {"at": "2024-06-01T00:00:00+00:00"}


async def test_the_same_page_again_adds_nothing(world: World) -> None:
    lease = await world.lease()
    page = some_stored(lease, 1, 20)
    await commit(world, lease, *page)
    before = world.rows_of(lease.tenant_id)
    committed = await commit(world, lease, *page)
    assert (committed.messages, committed.entities, committed.relationships) == (0, 0, 0)
    after = world.rows_of(lease.tenant_id)
    for table in ("messages", "discovered_entities", "graph_nodes", "graph_edges", "graph_evidence", "message_places"):
        assert after[table] == before[table]


async def test_a_message_that_is_listed_twice_in_a_page_counts_once(world: World) -> None:
    lease = await world.lease()
    committed = await commit(world, lease, a_stored(lease), a_stored(lease, subject="Lease, corrected"))
    assert committed.messages == 1
    assert world.value("SELECT subject FROM messages WHERE tenant_id = %(t)s", t=lease.tenant_id) == "Lease, corrected"


async def test_a_changed_message_shows_what_it_shows_now(world: World) -> None:
    lease = await world.lease()
    await commit(
        world, lease, a_stored(lease, from_=INES, to=(TOMASZ,)), a_stored(lease, "m-2", from_=INES, to=(GUEST,))
    )
    await commit(world, lease, a_stored(lease, from_=INES, to=(GUEST,), change_key="k-2"))
    weights = {
        (row["source"], row["target"]): row["weight"]
        for row in world.rows(
            "SELECT source.key AS source, target.key AS target, weight FROM graph_edges edge"
            " JOIN graph_nodes source ON source.id = source_node_id"
            " JOIN graph_nodes target ON target.id = target_node_id"
            " WHERE relationship_type = 'writes_to' AND edge.tenant_id = %(t)s",
            t=lease.tenant_id,
        )
    }
    assert weights == {("ines@lumen.example", "guest@harbour.example"): 2}
    keys = {row["key"] for row in world.rows("SELECT key FROM graph_nodes WHERE tenant_id = %(t)s", t=lease.tenant_id)}
    assert "tomasz@lumen.example" not in keys, "whom nothing shows any more is gone"
    assert (
        world.value("SELECT change_key FROM messages WHERE source_id = 'm-1' AND tenant_id = %(t)s", t=lease.tenant_id)
        == "k-2"
    )


async def test_a_change_found_by_a_later_job_lowers_the_earlier_ones_counters(world: World) -> None:
    first = await world.lease()
    await commit(world, first, *some_stored(first, 1, 10))
    second = await next_job(world, first)
    page = [replace(message, content_hash="new") for message in some_stored(second, 1, 4)]
    committed = await commit(world, second, *page)
    assert (committed.messages, committed.failures) == (0, 0)
    assert committed.entities > 0
    assert world.job_row(second.job_id)["messages_done"] == 4
    row = world.job_row(first.job_id)
    counted = world.value("SELECT count(*) FROM discovered_entities WHERE job_id = %(j)s", j=first.job_id)
    counted += world.value("SELECT count(node_id) FROM graph_evidence WHERE job_id = %(j)s", j=first.job_id)
    assert (row["records_processed"], row["entities_extracted"]) == (10, counted)
    assert set(record(world, first.account_id).values()) == {first.job_id}, "who brought a message in stays"


async def test_reading_everything_anew_keeps_ids_and_first_jobs(world: World) -> None:
    first = await world.lease()
    await commit(world, first, *some_stored(first, 1, 10))
    ids = world.rows("SELECT id, created_at FROM messages ORDER BY id")
    second = await next_job(world, first, again=True)
    committed = await commit(world, second, *some_stored(second, 1, 12))
    assert committed.messages == 2
    assert world.job_row(second.job_id)["messages_done"] == 12
    assert [row for row in world.rows("SELECT id, created_at FROM messages ORDER BY id") if row in ids] == ids


async def test_a_row_that_the_database_refuses_costs_itself_alone(world: World) -> None:
    lease = await world.lease()
    page = list(some_stored(lease, 1, 12))
    poisoned = page[6]
    page[6] = replace(
        poisoned, digest=replace(poisoned.digest, message=replace(poisoned.digest.message, subject="a\0b"))
    )
    committed = await commit(world, lease, *page)
    assert (committed.messages, committed.failures) == (11, 1)
    (failure,) = world.rows("SELECT * FROM failures WHERE tenant_id = %(t)s", t=lease.tenant_id)
    assert (failure["source_id"], failure["stage"], failure["error_code"]) == ("m-7", "store", "row_refused")
    assert "a\0b" not in failure["error"]
    assert "m-7" not in record(world, lease.account_id)


async def test_every_row_of_a_page_may_be_refused(world: World) -> None:
    lease = await world.lease()
    page = [replace(stored, content_hash="\ud800") for stored in some_stored(lease, 1, 3)]
    committed = await commit(world, lease, *page)
    assert (committed.messages, committed.failures) == (0, 3)


async def test_a_failure_that_is_mended_is_a_message_and_no_failure(world: World) -> None:
    lease = await world.lease()
    committed = await commit(world, lease, failed=(a_failed(lease, "m-1"), a_failed(lease, "m-2")))
    assert committed.failures == 2
    assert world.job_row(lease.job_id)["messages_done"] == 2
    committed = await commit(world, lease, a_stored(lease, "m-1"))
    assert (committed.messages, committed.failures) == (1, 0)
    assert world.job_row(lease.job_id)["messages_done"] == 2, "it was done before, and is done now"


async def test_a_failure_that_fails_again_is_one_row_with_its_last_reason(world: World) -> None:
    lease = await world.lease()
    await commit(world, lease, failed=(a_failed(lease),))
    committed = await commit(world, lease, failed=(a_failed(lease, code="gone"),))
    assert committed.failures == 0
    row = world.one("SELECT error_code, attempts FROM failures WHERE tenant_id = %(t)s", t=lease.tenant_id)
    assert row == {"error_code": "gone", "attempts": 2}


async def test_an_unreadable_item_that_is_listed_twice_is_one_failure(world: World) -> None:
    lease = await world.lease()
    committed = await commit(world, lease, a_stored(lease, "m-8"), failed=(a_failed(lease), a_failed(lease)))
    assert committed.failures == 1


async def test_an_item_that_is_listed_as_readable_and_not_is_a_message(world: World) -> None:
    lease = await world.lease()
    committed = await commit(world, lease, a_stored(lease, "m-9"), failed=(a_failed(lease, "m-9"),))
    assert (committed.messages, committed.failures) == (1, 0)


async def test_a_message_that_can_no_longer_be_read_stays_as_it_was_and_is_met(world: World) -> None:
    first = await world.lease()
    await commit(world, first, a_stored(first))
    second = await next_job(world, first, again=True)
    committed = await commit(world, second, failed=(a_failed(second, "m-1"), a_failed(second, "m-2")))
    assert (committed.failures, committed.kept) == (1, 1)
    assert world.job_row(second.job_id)["messages_done"] == 2
    ledger = PostgresLedger(world.database)
    assert await ledger.settled(second, [("m-1", "")], again=True) == {"m-1"}, "it is not tried for ever"


@pytest.mark.parametrize("how", ["claimed by another", "rescued", "settled"])
async def test_a_lease_that_has_moved_on_cannot_commit_and_leaves_no_trace(world: World, how: str) -> None:
    zombie = await world.lease()
    await commit(world, zombie, a_stored(zombie, "m-0"))
    world.lapse(zombie)
    match how:
        case "claimed by another":
            await world.claim("w-2")
        case "rescued":
            await world.store.rescue()
        case _:
            await world.store.settle(zombie, Done())
    before = world.rows_of(zombie.tenant_id)
    page = Batch(stored=some_stored(zombie, 1, 5), failed=(a_failed(zombie),), position={"at": "x"})
    with pytest.raises(LeaseLost):
        await PostgresLedger(world.database).commit(zombie, page, one_place=True)
    assert world.rows_of(zombie.tenant_id) == before


async def test_a_lapsed_lease_that_nobody_took_may_still_commit(world: World) -> None:
    lease = await world.lease()
    world.lapse(lease)
    assert (await commit(world, lease, a_stored(lease))).messages == 1


async def test_an_error_in_the_middle_leaves_no_trace(world: World) -> None:
    lease = await world.lease()
    before = world.rows_of(lease.tenant_id)
    poison = replace(a_failed(lease), error_code="\0")
    with pytest.raises(RowRefusedError):
        page = Batch(stored=some_stored(lease, 1, 5), failed=(poison,), position={"at": "x"})
        await PostgresLedger(world.database).commit(lease, page, one_place=True)
    assert world.rows_of(lease.tenant_id) == before


async def test_a_page_that_gets_nowhere_does_not_end_a_series_of_failures(world: World) -> None:
    """Else a chunk whose second page always fails would be tried for ever."""
    lease = await world.lease()
    page = some_stored(lease, 1, 3)
    await commit(world, lease, *page)
    for attempts in range(3):
        assert lease.attempts == attempts
        await commit(world, lease, *page)
        await world.store.settle(lease, Again(0.0, "away", "Away.", counts=True))
        lease = await world.claim()


@pytest.mark.parametrize("gets", ["further down", "something new", "to its end", "nowhere"])
async def test_getting_further_ends_a_series_of_failures(world: World, gets: str) -> None:
    lease = await world.lease()
    await commit(world, lease, a_stored(lease), position={"at": "b"})
    await world.store.settle(lease, Again(0.0, "away", "Away.", counts=True))
    lease = await world.claim()
    match gets:
        case "further down":
            await commit(world, lease, position={"at": "a"})
        case "something new":
            await commit(world, lease, a_stored(lease, "m-2"), position={"at": "b"})
        case "to its end":
            await commit(world, lease, position={"at": "b"}, has_more=False)
        case _:
            await commit(world, lease, position={"at": "b"})
    assert world.chunk_row(lease.chunk_id)["attempts"] == (1 if gets == "nowhere" else 0)


async def test_where_messages_lie(world: World) -> None:
    lease = await world.lease()
    one, two = message_id(lease.account_id, "m-1"), message_id(lease.account_id, "m-2")

    def places() -> set[tuple[str, str]]:
        rows = world.rows("SELECT message_id, folder_id FROM message_places WHERE tenant_id = %(t)s", t=lease.tenant_id)
        return {("m-1" if row["message_id"] == one else "m-2", row["folder_id"]) for row in rows}

    await commit(world, lease, a_stored(lease, "m-1"), a_stored(lease, "m-2"), seen=((uuid4(), "inbox"),))
    assert places() == {("m-1", "inbox"), ("m-2", "inbox")}
    await commit(world, lease, seen=((one, "archive"),), one_place=False)
    assert places() == {("m-1", "inbox"), ("m-1", "archive"), ("m-2", "inbox")}
    await commit(world, lease, seen=((one, "archive"), (two, "inbox")), one_place=True)
    assert places() == {("m-1", "archive"), ("m-2", "inbox")}
    await commit(world, lease, a_stored(lease, "m-2", folder_id=FolderId("later")), one_place=True)
    assert places() == {("m-1", "archive"), ("m-2", "later")}


async def test_what_a_window_meets_is_done_and_what_a_check_meets_was_done_before(world: World) -> None:
    first = await world.lease()
    await commit(world, first, *some_stored(first, 1, 4))
    second = await next_job(world, first)
    seen = tuple((message_id(second.account_id, f"m-{n}"), "inbox") for n in (1, 2))
    await commit(world, second, seen=seen)
    assert world.job_row(second.job_id)["messages_done"] == 2
    await commit(world, second, seen=seen)
    assert world.job_row(second.job_id)["messages_done"] == 2
    check = replace(second, kind="check")
    rest = tuple((message_id(second.account_id, f"m-{n}"), "inbox") for n in (3, 4))
    await PostgresLedger(world.database).commit(check, Batch(seen=rest), one_place=True)
    assert world.job_row(second.job_id)["messages_done"] == 2


async def test_an_edge_is_valid_from_the_first_mail_that_shows_it(world: World) -> None:
    lease = await world.lease()
    moments = [datetime(2024, month, 1, tzinfo=UTC) for month in (5, 3, 4)]
    for number, moment in enumerate(moments):
        await commit(world, lease, a_stored(lease, f"m-{number}", from_=INES, to=(GUEST,), received_at=moment))
    await commit(world, lease, a_stored(lease, "undated", from_=INES, to=(GUEST,), received_at=None))
    valid = world.rows("SELECT DISTINCT valid_from FROM graph_edges WHERE tenant_id = %(t)s", t=lease.tenant_id)
    assert valid == [{"valid_from": min(moments)}]


async def test_the_percentage_rises_with_the_pages_and_is_never_full_before_the_end(world: World) -> None:
    lease = await world.lease()
    world.run("UPDATE historical_sync_jobs SET total_records_estimate = 40 WHERE id = %(id)s", id=lease.job_id)
    seen = []
    for first in range(0, 80, 8):
        await commit(world, lease, *some_stored(lease, first, first + 7))
        if first == 32:
            world.run("UPDATE historical_sync_jobs SET total_records_estimate = 400 WHERE id = %(id)s", id=lease.job_id)
        seen.append(world.job_row(lease.job_id)["progress_percentage"])
    assert seen == sorted(seen)
    assert seen[0] == 20
    assert seen[-1] == 99
    await world.store.settle(lease, Done())
    assert world.job_row(lease.job_id)["progress_percentage"] == 100


async def test_the_pace_is_kept_with_the_job(world: World) -> None:
    lease = await world.lease()
    await commit(world, lease, *some_stored(lease, 1, 8), pace=Pace(2.0, 0.5, 0.25))
    row = world.job_row(lease.job_id)
    assert (row["pace_messages"], row["pace_fetch"], row["pace_embed"], row["pace_store"]) == (8, 2.0, 0.5, 0.25)
    world.run(
        "UPDATE historical_sync_jobs SET pace_at = atom_now() - interval '20 s' WHERE id = %(id)s", id=lease.job_id
    )
    await commit(world, lease, *some_stored(lease, 9, 16))
    assert 8 + 8 / 2.8 < world.job_row(lease.job_id)["pace_messages"] < 8 + 8 / 2.7


async def test_two_pages_that_share_messages_count_each_once(world: World) -> None:
    one = await world.lease(chunks=2)
    other = await world.claim()
    for number in range(10):
        first = number * 20
        await asyncio.gather(
            commit_only(world.database, one, first, first + 14),
            commit_only(world.database, other, first + 5, first + 19),
        )
        assert_counters(world, one.job_id)
    assert world.job_row(one.job_id)["records_processed"] == 200


async def test_two_pages_that_fail_at_the_same_items_count_each_once(world: World) -> None:
    one = await world.lease(chunks=2)
    other = await world.claim()
    ledger = PostgresLedger(world.database)
    pages = [Batch(failed=tuple(a_failed(lease, f"m-{n}") for n in range(30))) for lease in (one, other)]
    await asyncio.gather(ledger.commit(one, pages[0], one_place=True), ledger.commit(other, pages[1], one_place=True))
    assert_counters(world, one.job_id)
    assert world.job_row(one.job_id)["messages_done"] == 30


@pytest.mark.long
async def test_pages_of_four_mailboxes_with_the_same_people_never_deadlock(world: World) -> None:
    """Thirty rounds of commits that meet the same nodes and edges, over two pools; some change what others count, and
    some have a poisoned row, for which its page is tried message by message.
    """
    tenant = await world.tenant()
    for number in range(4):
        await world.job(tenant, world.account(tenant, f"m{number}@lumen.example"))
    leases = [await world.claim() for _ in range(4)]
    async with await Database.open(world.fresh.url) as other:
        for number in range(30):
            await asyncio.gather(
                *(
                    commit_only(other if n % 2 else world.database, lease, number, number + 5, poison=number + n)
                    for n, lease in enumerate(leases)
                )
            )
    for lease in leases:
        assert_counters(world, lease.job_id)


async def commit_only(database: Database, lease: Lease, first: int, last: int, poison: int = -1) -> None:
    """Commit messages, some of them changed each time; with `poison` a multiple of five one of them is refused."""
    page = [
        replace(stored, content_hash=f"{stored.content_hash}/{first // 3}")
        for stored in some_stored(lease, first, last)
    ]
    if poison >= 0 and poison % 5 == 0:
        page[3] = replace(page[3], content_hash="\ud800")
    await PostgresLedger(database).commit(lease, Batch(stored=tuple(page)), one_place=True)
