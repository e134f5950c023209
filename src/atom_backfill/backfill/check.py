"""Complete means walked: after the windows, each folder's ids are walked once more, and what is missing is fetched singly.

This finds mail that was moved or backdated meanwhile, that a wrong count or a lost link hid, and what has no date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from atom_backfill.backfill.page import Parts, Sorted, store_page
from atom_backfill.backfill.ports import Batch, Work
from atom_backfill.backfill.walk import DEEPEST_SKIP, Walk
from atom_backfill.errors import NotFoundError, SkipItemError
from atom_backfill.jobs.job import Done, Lease, Outcome, Yielded
from atom_backfill.jobs.ports import Watch
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.ports import MailSource, Place, RawItem, Unreadable, Window

PLACES_A_PAGE = 500
_SINGLY_AT_ONCE = 4
_EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)


async def run_check(lease: Lease, watch: Watch, parts: Parts) -> Outcome:
    """Walk a folder's ids, dated ones first, and bring in what is in neither record nor failures."""
    work = await parts.ledger.open(lease)
    source = await parts.source(lease)
    if not work.position.get("undated"):
        if not await _walk_places(lease, watch, parts, work, source, work.window, undated=False):
            return Yielded()
        await _note(lease, parts, work, {"undated": True})
    if work.messages_hint is None or work.messages_hint <= DEEPEST_SKIP or await _hides_some(source, work):
        everything = Window(None, None)
        if not await _walk_places(lease, watch, parts, work, source, everything, undated=True):
            return Yielded()
    return Done()


async def run_retry(lease: Lease, watch: Watch, parts: Parts) -> Outcome:
    """Read quarantined items again, one by one."""
    work = await parts.ledger.open(lease)
    named = work.position.get("failures") or None
    source = await parts.source(lease)
    waiting = await parts.ledger.failures(lease, named)
    places = [Place(SourceId(source_id), folder or FolderId(""), date) for source_id, folder, date in waiting]
    for start in range(0, len(places), work.chunk_size):
        await _bring_in(lease, parts, work, source, places[start : start + work.chunk_size], work.position)
        if watch.stopping:
            return Yielded()
    return Done()


async def _walk_places(
    lease: Lease, watch: Watch, parts: Parts, work: Work, source: MailSource, window: Window, *, undated: bool
) -> bool:
    """Walk one pass; False when the worker wants to stop."""
    position = {} if undated else {key: value for key, value in work.position.items() if key == "at"}
    walk = Walk(window, position, None if undated else work.messages_hint)
    while not walk.over:
        within, link = walk.request
        page = await source.places(work.folder_id, within, size=PLACES_A_PAGE, link=link)
        missing, seen = await _missing(lease, parts, work, page.places, undated=undated)
        dates = [place.received_at for place in page.places if place.received_at is not None]
        walk.learn(len(page.places), len(missing), min(dates, default=None), page.next, page.broken_link)
        position = {"undated": True} if undated else walk.position
        if missing:
            await _bring_in(lease, parts, work, source, missing, position, seen)
        elif seen:
            await store_page(lease, work, Sorted((), tuple(seen), ()), parts, position=position, has_more=True)
        if watch.stopping:
            return False
    return True


async def _missing(
    lease: Lease, parts: Parts, work: Work, places: Sequence[Place], *, undated: bool
) -> tuple[list[Place], list[RawItem]]:
    """Part the places that are due into those that the record lacks and those that it has."""
    due = [place for place in places if _is_due(place, work, undated=undated)]
    settled = await parts.ledger.settled(lease, [(place.source_id, "") for place in due], again=work.again)
    missing = [place for place in due if place.source_id not in settled]
    return missing, [_as_item(place) for place in due if place.source_id in settled]


def _is_due(place: Place, work: Work, *, undated: bool) -> bool:
    if place.draft and not work.draft_folder:
        return False
    return place.received_at is None if undated else _within(place.received_at, work)


def _within(date: datetime | None, work: Work) -> bool:
    if date is None:
        return False
    return (work.job_start is None or date >= work.job_start) and date < work.job_end


def _as_item(place: Place) -> RawItem:
    return RawItem(place.source_id, place.folder_id, place.received_at, "", b"")


async def _note(lease: Lease, parts: Parts, work: Work, position: dict[str, Any]) -> None:
    await parts.ledger.commit(lease, Batch(position=position), one_place=work.one_place)


async def _hides_some(source: MailSource, work: Work) -> bool:
    """Tell whether a folder too large to be walked without a filter may hold mail without a date."""
    in_all = await source.count(work.folder_id, Window(None, None))
    dated = await source.count(work.folder_id, Window(_EARLIEST, None))
    return in_all is None or dated is None or in_all != dated


async def _bring_in(
    lease: Lease,
    parts: Parts,
    work: Work,
    source: MailSource,
    missing: Sequence[Place],
    position: dict[str, Any],
    seen: Sequence[RawItem] = (),
) -> None:
    """Fetch messages singly and make them count; one that has left the mailbox meanwhile is nobody's loss."""
    began = parts.clock.monotonic()
    found = await _fetch_singly(source, missing)
    items = tuple(item for item in found if isinstance(item, RawItem))
    unreadable = tuple(item for item in found if isinstance(item, Unreadable))
    seconds = parts.clock.monotonic() - began
    page = Sorted(items, tuple(seen), unreadable)
    await store_page(lease, work, page, parts, position=position, has_more=True, fetch_s=seconds)


async def _fetch_singly(source: MailSource, missing: Sequence[Place]) -> list[RawItem | Unreadable | None]:
    room = asyncio.Semaphore(_SINGLY_AT_ONCE)

    async def fetch(place: Place) -> RawItem | Unreadable | None:
        async with room:
            try:
                return await source.message(place.source_id)
            except NotFoundError:
                return None
            except SkipItemError as error:
                return Unreadable(place.source_id, place.folder_id, place.received_at, error.code, error.message)

    try:
        async with asyncio.TaskGroup() as group:
            fetching = [group.create_task(fetch(place)) for place in missing]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None  # one is enough to know what comes next
    return [task.result() for task in fetching]
