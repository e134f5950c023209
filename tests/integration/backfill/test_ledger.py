"""What the ledger tells a handler, and how a job is planned in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atom_backfill.backfill.ports import Batch, Planned
from atom_backfill.backfill.postgres import PostgresLedger
from atom_backfill.backfill.reader import JobReader
from atom_backfill.errors import LeaseLost
from atom_backfill.identity import failure_id
from atom_backfill.jobs.job import Again, Done, Lease, Quarantine, Yielded
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Folder, Window
from pages import a_failed, a_stored, commit
from worlds import END, START, World, a_check, a_window

INBOX, DRAFTS = Folder(FolderId("inbox"), "Inbox", "inbox", 7), Folder(FolderId("drafts"), "Drafts", "drafts")


@pytest.fixture
def ledger(world: World) -> PostgresLedger:
    return PostgresLedger(world.database)


async def test_a_chunk_opens_with_what_it_is_about(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease(chunks=[a_window(messages_hint=50)], folders=("inbox",), again=True, chunk_size=25)
    work = await ledger.open(lease)
    assert (work.folder_id, work.window) == ("inbox", Window(START, END))
    assert (work.position, work.has_more, work.messages_hint, work.messages_done) == ({}, True, 50, 0)
    assert (work.chunk_size, work.again, work.folders) == (25, True, ("inbox",))
    assert (work.job_start, work.job_end) == (START, END)
    assert (work.draft_folder, work.one_place) == (False, False)


async def test_a_later_claim_opens_where_the_earlier_one_stopped(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease()
    await commit(world, lease, a_stored(lease), position={"at": "x"}, has_more=False)
    await world.store.settle(lease, Yielded())
    work = await ledger.open(await world.claim())
    assert (work.position, work.has_more, work.messages_done) == ({"at": "x"}, False, 1)


async def test_drafts_count_in_their_folder_and_when_they_are_retried(world: World, ledger: PostgresLedger) -> None:
    tenant = await world.tenant()
    chunks = [a_window(0, kind="plan"), a_window(1, folder_id="drafts"), a_window(2, kind="retry", folder_id=None)]
    await world.job(tenant, world.account(tenant, kind="outlook"), chunks)
    plan, drafts, retry = await world.claim(), await world.claim(), await world.claim()
    await ledger.plan(plan, Planned((INBOX, DRAFTS), (), None, {}))
    assert (await ledger.open(drafts)).draft_folder
    assert (await ledger.open(retry)).draft_folder
    assert (await ledger.open(drafts)).one_place


async def test_whoever_has_lost_the_lease_opens_and_plans_nothing(world: World, ledger: PostgresLedger) -> None:
    zombie = await world.lease()
    world.lapse(zombie)
    await world.claim("w-2")
    before = world.rows_of(zombie.tenant_id)
    with pytest.raises(LeaseLost):
        await ledger.open(zombie)
    with pytest.raises(LeaseLost):
        await ledger.plan(zombie, Planned((INBOX,), (a_window(),), 9, {}))
    assert world.rows_of(zombie.tenant_id) == before


async def test_a_step_of_the_planning_counts_once_with_its_note(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease(chunks=[a_window(kind="plan")])
    chunks = (a_window(1), a_window(2), a_check())
    for _ in range(2):
        await ledger.plan(lease, Planned((INBOX,), chunks, 70, {"planned": ["inbox"]}))
    row = world.job_row(lease.job_id)
    assert (row["total_chunks"], row["total_records_estimate"]) == (4, 70)
    assert world.chunk_row(lease.chunk_id)["position"] == {"planned": ["inbox"]}
    folders = world.rows(
        "SELECT path, well_known, messages_hint FROM account_folders WHERE tenant_id = %(t)s", t=lease.tenant_id
    )
    assert folders == [{"path": "Inbox", "well_known": "inbox", "messages_hint": 7}]


async def test_a_folder_that_was_renamed_is_the_same_folder(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease(chunks=[a_window(kind="plan")])
    await ledger.plan(lease, Planned((INBOX,), (), None, {}))
    await ledger.plan(lease, Planned((replace(INBOX, path="Posteingang"),), (), None, {}))
    folders = world.rows("SELECT path FROM account_folders WHERE tenant_id = %(t)s", t=lease.tenant_id)
    assert folders == [{"path": "Posteingang"}]


async def test_only_windows_walked_to_their_end_by_earlier_jobs_are_covered(
    world: World, ledger: PostgresLedger
) -> None:
    tenant = await world.tenant()
    account = world.account(tenant)
    middle = START + timedelta(days=9)
    windows = [
        a_window(0, window_start=START, window_end=middle),
        a_window(1, window_start=None, window_end=START),
        a_window(2, folder_id="other"),
        a_window(3),
        a_check(),
    ]
    first = await world.job(tenant, account, windows)
    for outcome in (Done(), Done(), Done(), Quarantine("gone", "Gone.")):
        await world.store.settle(await world.claim(), outcome)
    await world.control(tenant).cancel(first)
    await world.job(tenant, account, [a_window()])
    lease = await world.claim()
    covered = await ledger.covered(lease, FolderId("inbox"))
    assert sorted(covered, key=str) == sorted([Window(START, middle), Window(None, START)], key=str)


SETTLED = {
    # (change key known, change key listed, read anew, met by this job) → settled
    "unchanged": (("k-1", "k-1", False, False), True),
    "changed": (("k-1", "k-2", False, False), False),
    "listed without its change key": (("k-1", "", False, False), True),
    "unchanged, but everything is read anew": (("k-1", "k-1", True, False), False),
    "read anew by this job already": (("k-1", "k-1", True, True), True),
    "changed since this job read it": (("k-1", "k-2", True, True), False),
}


@pytest.mark.parametrize("case", SETTLED)
async def test_what_need_not_be_read_again(world: World, ledger: PostgresLedger, case: str) -> None:
    (known, listed, again, met), settled = SETTLED[case]
    lease = await world.lease()
    await commit(world, lease, a_stored(lease, "m-1", change_key=known))
    if not met:
        lease = await _next(world, lease)
    found = await ledger.settled(lease, [("m-1", listed), ("m-unknown", "")], again=again)
    assert found == ({"m-1"} if settled else frozenset())


async def test_what_this_job_could_not_read_is_settled_and_what_an_earlier_one_could_not_is_not(
    world: World, ledger: PostgresLedger
) -> None:
    lease = await world.lease()
    await commit(world, lease, failed=(a_failed(lease, "m-1"),))
    assert await ledger.settled(lease, [("m-1", "k")], again=False) == {"m-1"}
    assert await ledger.settled(await _next(world, lease), [("m-1", "k")], again=False) == frozenset()


async def test_the_same_source_id_in_another_mailbox_is_another_message(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease()
    await commit(world, lease, a_stored(lease, "m-1"))
    tenant = await world.tenant()
    await world.job(tenant, world.account(tenant, "other@lumen.example"))
    assert await ledger.settled(await world.claim(), [("m-1", "")], again=False) == frozenset()
    assert await ledger.settled(lease, [], again=False) == frozenset()


async def test_failures_are_given_all_or_by_name(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease()
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    failed = [replace(a_failed(lease, f"m-{n}"), received_at=moment) for n in range(3)]
    await commit(world, lease, failed=tuple(failed))
    assert {item[0] for item in await ledger.failures(lease, None)} == {"m-0", "m-1", "m-2"}
    named = [failure_id(lease.account_id, "m-1")]
    assert await ledger.failures(lease, named) == [("m-1", "inbox", moment)]


async def test_people_see_jobs_and_failures_of_their_tenant_alone(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease(chunks=2)
    await commit(world, lease, a_stored(lease), failed=(a_failed(lease),))
    await world.store.settle(lease, Quarantine("window_broken", "This window cannot be read."))
    reader = JobReader(world.database, lease.tenant_id)
    (job,) = await reader.jobs()
    assert (job["job_id"], job["status"], job["failures"]) == (str(lease.job_id), "running", 2)
    assert job["ingest"]["messages_done"] == 2
    assert [row["error_code"] for row in await reader.failures(lease.job_id)] == ["window_broken", "item_corrupt"]
    stranger = JobReader(world.database, await world.tenant("stranger"))
    assert await stranger.jobs() == []
    assert await stranger.failures(lease.job_id) == []


async def test_a_mailbox_that_was_throttled_says_so_while_it_is(world: World) -> None:
    lease = await world.lease()
    throttle = "UPDATE accounts SET throttled_until = atom_now() + %(s)s * interval '1 second' WHERE id = %(id)s"
    for seconds, limit in ((60, "mailbox_throttle"), (0, None)):
        world.run(throttle, s=seconds, id=lease.account_id)
        (job,) = await JobReader(world.database, lease.tenant_id).jobs()
        assert job["ingest"]["limited_by"] == limit


async def test_a_job_whose_work_waits_after_an_error_says_so_and_does_not_ask_for_a_worker(world: World) -> None:
    lease = await world.lease(chunks=2)
    later = "UPDATE sync_chunks SET stage = stage + 1, run_at = atom_now() - interval '1 minute' WHERE state = 'ready'"
    world.run(later)
    await world.store.settle(lease, Again(60.0, "memory_unwritable", "It cannot be written.", counts=True))
    reader = JobReader(world.database, lease.tenant_id)
    (waiting,) = await reader.jobs()
    assert (waiting["ingest"]["limited_by"], waiting["ingest"]["held_up"]) == (None, True)
    assert waiting["last_error"] == "It cannot be written."
    world.run("UPDATE sync_chunks SET run_at = atom_now() WHERE id = %(id)s", id=lease.chunk_id)
    assert (await reader.jobs())[0]["ingest"]["limited_by"] is None
    world.run("UPDATE sync_chunks SET run_at = atom_now() - interval '11 s' WHERE id = %(id)s", id=lease.chunk_id)
    assert (await reader.jobs())[0]["ingest"]["limited_by"] == "no_worker"


async def _next(world: World, lease: Lease) -> Lease:
    """The first window of the mailbox's next job."""
    await world.store.settle(lease, Done())
    await world.job(lease.tenant_id, lease.account_id)
    return await world.claim()


async def test_a_page_of_nothing_commits_its_position(world: World, ledger: PostgresLedger) -> None:
    lease = await world.lease()
    await ledger.commit(lease, Batch(position={"at": "y"}), one_place=True)
    assert world.chunk_row(lease.chunk_id)["position"] == {"at": "y"}
