"""The main job whole, on local files: everything once in record and memory, whatever the mailbox does meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from atom_backfill.backfill.reading import Reading
from atom_backfill.clock import SystemClock
from atom_backfill.errors import LeaseLost, NotFoundError, RetryLaterError, SkipItemError
from atom_backfill.jobs.job import Lease
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.ports import Page, RawItem, Unreadable, Window
from mainjob import NEWEST, Mail, Office, an_office, assert_all_there, passages, some_mails, write_mails
from pages import assert_counters
from wayward import wayward
from worlds import World

MAILS = some_mails(60)


@pytest.fixture
async def office(world: World, tmp_path: Path) -> AsyncIterator[Office]:
    write_mails(tmp_path / "mail", MAILS)
    tenant = await world.tenant()
    async with an_office(world.database, tenant, world.account(tenant), tmp_path / "mail", tmp_path) as office:
        yield office


async def run(office: Office, world: World, **about: Any) -> dict[str, Any]:
    """Start a job of small pages and work until it is done; return its row."""
    first = not world.rows("SELECT FROM messages WHERE tenant_id = %(t)s", t=office.tenant)
    job = await office.start(**({"chunk_size": 7} | about))
    async with asyncio.timeout(30):
        await office.work()
    assert_counters(world, job, first=first)
    return world.job_row(job)


def assert_whole(office: Office, world: World, mails: Sequence[Mail] = MAILS) -> None:
    assert_all_there(world.rows, office, mails)


async def test_a_mailbox_becomes_record_and_memory(office: Office, world: World) -> None:
    row = await run(office, world)
    assert_whole(office, world)
    assert (row["status"], row["records_processed"], row["messages_done"]) == ("completed", 60, 60)
    assert (row["progress_percentage"], row["total_records_estimate"], row["error_count"]) == (100, 60, 0)
    assert row["completed_chunks"] == row["total_chunks"] == 1 + 3 + 3
    assert row["entities_extracted"] > 120


async def test_pages_of_the_demanded_size_are_asked_for_and_none_twice(office: Office, world: World) -> None:
    source = wayward(office)
    await run(office, world)
    assert source.pages == -(-36 // 7) + 2 * -(-12 // 7)


async def test_a_second_job_finds_nothing_to_read(office: Office, world: World) -> None:
    await run(office, world)
    source, embedded = wayward(office), office.embedder.embedded
    row = await run(office, world)
    assert (row["status"], row["records_processed"], row["entities_extracted"]) == ("completed", 0, 0)
    assert office.embedder.embedded == embedded
    assert source.pages <= 3, "only what has come since is looked at"
    assert_whole(office, world)


async def test_a_wider_range_reads_the_gap_alone(office: Office, world: World) -> None:
    middle = NEWEST - timedelta(hours=30)
    first = await run(office, world, since=middle)
    assert 0 < first["records_processed"] < 60
    source = wayward(office)
    second = await run(office, world)
    assert first["records_processed"] + second["records_processed"] == 60
    assert second["messages_done"] == second["records_processed"], "what was there before is not progress"
    assert source.pages < -(-36 // 7) + 2 * -(-12 // 7)
    assert_whole(office, world)


async def test_reading_everything_again_adds_nothing(office: Office, world: World) -> None:
    await run(office, world)
    before = sorted(row["id"] for row in passages(office)), world.rows("SELECT id FROM messages ORDER BY id")
    row = await run(office, world, again=True)
    assert (row["records_processed"], row["messages_done"]) == (0, 60)
    after = sorted(row["id"] for row in passages(office)), world.rows("SELECT id FROM messages ORDER BY id")
    assert after == before
    assert_whole(office, world)


async def test_what_cannot_be_read_again_stays_as_it_was_and_is_told(office: Office, world: World) -> None:
    await run(office, world)
    before = {row["id"] for row in passages(office)}
    source = wayward(office)
    spoiled = set[str]()

    def page_of(number: int, folder: FolderId, window: Window, page: Page) -> Page:
        if not page.items:
            return page
        first, *others = page.items
        spoiled.add(first.source_id)
        gone = Unreadable(first.source_id, first.folder_id, first.received_at, "bad_item", "It cannot be read.")
        return replace(page, items=tuple(others), unreadable=(gone,))

    source.page_of = page_of
    with capture_logs() as logs:
        row = await run(office, world, again=True)
    assert (row["status"], row["messages_done"]) == ("completed", 60)
    told = [log for log in logs if log["event"] == "older copies kept"]
    assert {log["error_code"] for log in told} == {"not_read_again"}
    assert 0 < sum(log["messages"] for log in told) <= len(spoiled)
    assert {row["id"] for row in passages(office)} == before
    theirs = "SELECT count(*) FROM failures WHERE tenant_id <> %(neighbour)s"
    assert world.value(theirs, neighbour=world.neighbour) == 0
    assert_whole(office, world)


@pytest.mark.parametrize("whim", ["lost", "broken", "empty"])
async def test_links_that_fail_cost_no_mail(office: Office, world: World, whim: str) -> None:
    source = wayward(office)

    def page_of(number: int, folder: FolderId, window: Window, page: Page) -> Page:
        if number % 3 or page.next is None:
            return page
        match whim:
            case "lost":
                return replace(page, next=None)
            case "broken":
                return replace(page, next=None, broken_link=True)
            case _:
                return Page((), None, broken_link=True)

    source.page_of = page_of
    row = await run(office, world)
    assert row["status"] == "completed"
    assert_whole(office, world)


async def test_what_the_windows_miss_the_check_brings_in(office: Office, world: World) -> None:
    """Pages that leave out every third mail, as if it had been moved or backdated meanwhile."""
    source = wayward(office)
    source.page_of = lambda number, folder, window, page: replace(page, items=page.items[::3])
    row = await run(office, world)
    assert (row["status"], row["records_processed"]) == ("completed", 60)
    assert_whole(office, world)


def dying(world: World, kind: str) -> Callable[[str], Awaitable[None]]:
    """A fault point at which chunks of a kind lose their worker after every page that brought something."""
    stored = [0]

    async def dies(point: str) -> None:
        chunk = structlog.contextvars.get_contextvars()["chunk"]
        lapse = "UPDATE sync_chunks SET lease_until = '-infinity' WHERE id = %(id)s AND kind = %(kind)s"
        stored.append(world.value("SELECT count(*) FROM messages"))
        if stored[-1] > stored[-2] and world.run(lapse, id=chunk, kind=kind):
            raise LeaseLost

    return dies


@pytest.mark.long
async def test_a_window_that_dies_after_every_page_is_still_read_page_by_page(office: Office, world: World) -> None:
    source = wayward(office)

    def never(source_id: str) -> None:
        raise AssertionError("nothing is left for the check to fetch singly")

    source.before_message = never
    office.reached = dying(world, "window")
    row = await run(office, world)
    assert (row["status"], row["error_count"]) == ("completed", 0)
    assert_whole(office, world)


@pytest.mark.long
async def test_a_check_that_dies_after_every_page_of_new_mail_loses_nothing(office: Office, world: World) -> None:
    """Its pages list 36 ids and are fetched in batches of 7; the position must not pass what is still missing.

    The folders say that they are too large to be walked once more without dates, which would find it anyway.
    """
    source = wayward(office)
    source.page_of = lambda number, folder, window, page: replace(page, items=())
    source.large = True
    office.reached = dying(world, "check")
    row = await run(office, world)
    assert (row["status"], row["records_processed"]) == ("completed", 60)
    assert_whole(office, world)


async def test_mail_without_a_date_is_found(office: Office, world: World, tmp_path: Path) -> None:
    undated = Mail("Inbox", "When was this", "Nobody knows when.", "Ines Halloran", "Tomasz Reyl", None)
    write_mails(tmp_path / "mail", [undated])
    await run(office, world)
    assert_whole(office, world, [*MAILS, undated])


async def test_windows_that_cannot_be_read_are_listed_and_their_mail_is_read_singly(
    office: Office, world: World
) -> None:
    source = wayward(office)

    def page_of(number: int, folder: FolderId, window: Window, page: Page) -> Page:
        raise SkipItemError("window_broken", "This window cannot be read.")

    source.page_of = page_of
    row = await run(office, world)
    assert (row["status"], row["last_error_code"]) == ("completed", "window_broken")
    assert_whole(office, world)
    lost = world.rows("SELECT error FROM sync_chunks WHERE job_id = %(j)s AND state = 'quarantined'", j=row["id"])
    assert lost == [{"error": "This window cannot be read."}] * 3


async def test_an_item_that_cannot_be_read_is_listed_and_can_be_retried(office: Office, world: World) -> None:
    source = wayward(office)
    victims: list[RawItem] = []

    def page_of(number: int, folder: FolderId, window: Window, page: Page) -> Page:
        if number != 1:
            return page
        # Pages of several folders are on the way at once, and the first asked for need not be the first to come.
        victims.append(page.items[0])
        return replace(page, items=page.items[1:], unreadable=(_corrupt(page.items[0]),))

    def refuse(source_id: str) -> None:
        if source_id == victims[0].source_id:
            raise SkipItemError("item_corrupt", "Corrupt.")

    source.page_of, source.before_message = page_of, refuse
    row = await run(office, world)
    assert (row["status"], row["records_processed"], row["messages_done"]) == ("completed", 59, 60)
    failure = world.one("SELECT error_code, source_id, attempts FROM failures WHERE job_id = %(j)s", j=row["id"])
    assert failure == {"error_code": "item_corrupt", "source_id": victims[0].source_id, "attempts": 1}

    await world.control(office.tenant).retry(row["id"])
    await office.work()
    assert world.value("SELECT attempts FROM failures WHERE job_id = %(j)s", j=row["id"]) == 2

    source.before_message = lambda source_id: None
    await world.control(office.tenant).retry(row["id"])
    await office.work()
    assert world.rows("SELECT id FROM failures WHERE job_id = %(j)s", j=row["id"]) == []
    after = world.job_row(row["id"])
    assert (after["status"], after["records_processed"], after["completed_at"]) == (
        "completed",
        60,
        row["completed_at"],
    )
    assert_counters(world, row["id"])
    assert_whole(office, world)


async def test_a_failed_item_that_has_left_the_mailbox_stays_listed_as_gone(office: Office, world: World) -> None:
    source = wayward(office)
    source.page_of = lambda number, folder, window, page: (
        replace(page, items=page.items[1:], unreadable=(_corrupt(page.items[0]),)) if number == 1 else page
    )
    row = await run(office, world)

    def gone(source_id: str) -> None:
        raise NotFoundError("not_found", "Not here.")

    source.before_message = gone
    await world.control(office.tenant).retry(row["id"])
    await office.work()
    assert world.value("SELECT error_code FROM failures WHERE job_id = %(j)s", j=row["id"]) == "gone"


def _corrupt(item: RawItem) -> Unreadable:
    return Unreadable(item.source_id, item.folder_id, item.received_at, "item_corrupt", "Corrupt.")


async def test_a_folder_that_goes_meanwhile_is_no_failure(office: Office, world: World, tmp_path: Path) -> None:
    job = await office.start(chunk_size=7)
    lease = await world.claim()
    await world.store.settle(lease, await _run_once(office, lease))
    shutil.rmtree(tmp_path / "mail" / "Projects")
    await office.work()
    assert world.job_row(job)["status"] == "completed"
    assert world.rows("SELECT error FROM sync_chunks WHERE job_id = %(j)s AND state <> 'done'", j=job) == []
    assert_whole(office, world, [mail for mail in MAILS if mail.folder != "Projects/Atlas"])


async def test_a_mailbox_that_goes_meanwhile_is_no_empty_mailbox(office: Office, world: World, tmp_path: Path) -> None:
    job = await office.start(chunk_size=7)
    lease = await world.claim()
    await world.store.settle(lease, await _run_once(office, lease))
    shutil.rmtree(tmp_path / "mail")
    await office.work()
    row = world.job_row(job)
    assert row["status"] == "failed"
    assert row["last_error"].endswith(".")
    assert world.rows("SELECT id FROM messages WHERE tenant_id = %(t)s", t=office.tenant) == []


async def _run_once(office: Office, lease: Lease) -> Any:
    from atom_backfill.backfill.handler import ingest_handler

    class Never:
        stopping = False

    return await ingest_handler(office.parts())(lease, Never())


async def test_drafts_are_left_out_and_do_not_keep_a_walk_from_its_end(office: Office, world: World) -> None:
    """A page whose every item is a draft, and whose link is broken, brings nothing to the record each time."""
    read = office.read

    async def all_drafts(lease: Lease, items: Sequence[RawItem]) -> list[Reading | SkipItemError]:
        return [_as_draft(reading) for reading in await read(lease, items)]

    office.read = all_drafts  # type: ignore[method-assign]
    source = wayward(office)
    source.page_of = lambda number, folder, window, page: replace(page, next=None, broken_link=True)
    row = await run(office, world)
    assert (row["status"], row["records_processed"]) == ("completed", 0)
    assert passages(office) == []


def _as_draft(reading: Reading | SkipItemError) -> Reading | SkipItemError:
    if isinstance(reading, SkipItemError):
        return reading
    return replace(reading, digest=replace(reading.digest, message=replace(reading.digest.message, is_draft=True)))


async def test_a_page_that_always_fails_is_given_up_and_does_not_hold_up_the_job(office: Office, world: World) -> None:
    """The page before it is done again by each try; that is no progress."""
    source = wayward(office)

    def page_of(number: int, folder: FolderId, window: Window, page: Page) -> Page:
        if page.next is None and page.items:
            raise RetryLaterError("server_error", "It fails.")
        return page

    source.page_of = page_of
    job = await office.start(chunk_size=7)
    world.run(
        "CREATE FUNCTION at_once() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF new.state = ''ready'' THEN new.run_at = atom_now(); END IF; RETURN new; END'"
    )
    world.run("CREATE TRIGGER at_once BEFORE UPDATE ON sync_chunks FOR EACH ROW EXECUTE FUNCTION at_once()")
    try:
        await office.work()
    finally:
        world.run("DROP TRIGGER at_once ON sync_chunks")
        world.run("DROP FUNCTION at_once")
    row = world.job_row(job)
    assert (row["status"], row["last_error_code"]) == ("completed", "server_error")
    assert_whole(office, world)


async def test_operators_find_their_words_and_nobody_finds_mail_in_the_log(
    office: Office, world: World, tmp_path: Path
) -> None:
    secret = Mail("Inbox", "TELLTALE subject", "TELLTALE body", "Telltale Person", "Ines Halloran", NEWEST)
    write_mails(tmp_path / "mail", [secret])
    (tmp_path / "mail" / "Inbox" / "TELLTALE.eml").write_bytes(b"Subject: TELLTALE\n\n" + b"TELLTALE " * 300_000)
    office.source = MboxSource(tmp_path / "mail", tmp_path / "cache", SystemClock(), message_bytes=1_000_000)
    read = office.read

    async def chokes(lease: Lease, items: Sequence[RawItem]) -> list[Reading | SkipItemError]:
        if any(b"TELLTALE" in item.payload for item in items) and not choked:
            choked.append(True)
            raise ValueError(items[0].payload)
        return await read(lease, items)

    choked: list[bool] = []
    office.read = chokes  # type: ignore[method-assign]
    with capture_logs() as logs:
        job = await office.start(chunk_size=100)
        worker = asyncio.create_task(office.work())
        await world.until(lambda: choked)
        await world.until(lambda: world.rows("SELECT FROM sync_chunks WHERE error_code = 'bug' AND state = 'ready'"))
        await world.hasten()
        await worker
    row = world.job_row(job)
    assert row["status"] == "completed"
    events = [event["event"] for event in logs]
    for words in ("ROLE=worker Starting", "Loaded service", "dequeue", "Fetched ", "Persisting ", "LanceDB upserted "):
        assert any(event.startswith(words) for event in events), words
    assert any(event.endswith(" entities") for event in events)
    assert any(event.endswith(" relationships") for event in events)
    assert all("error_code" in event for event in logs if event["log_level"] in ("warning", "error"))
    told = repr(logs) + repr(world.rows("SELECT error, error_code FROM sync_chunks"))
    told += repr(world.rows("SELECT last_error FROM historical_sync_jobs")) + repr(
        world.rows("SELECT error FROM failures")
    )
    assert "telltale" not in told.lower().replace("telltale.eml", "")
    assert world.value("SELECT count(*) FROM failures WHERE job_id = %(j)s", j=job) == 1
