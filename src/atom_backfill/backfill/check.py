"""Complete means walked: after the windows, each folder's ids are walked once more, and what is missing is fetched.

This finds mail that was moved or backdated meanwhile, that a wrong count or a lost link hid, and what has no date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from atom_backfill.backfill.chunk import refuse_unless_gone
from atom_backfill.backfill.page import Parts, Sorted, store_page
from atom_backfill.backfill.ports import Batch, Work
from atom_backfill.backfill.walk import DEEPEST_SKIP, Walk
from atom_backfill.errors import NotFoundError, SkipItemError
from atom_backfill.jobs.job import Done, Lease, Outcome, Yielded
from atom_backfill.jobs.ports import Watch
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.ports import MailSource, Place, RawItem, Unreadable, Window

PLACES_A_PAGE = 500
PLACES = "places"
"""Of a position: [source id, folder, date] of each item to be read."""
_SINGLY_AT_ONCE = 4
_EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)
_DATED_DONE = {"undated": True}


async def run_check(lease: Lease, watch: Watch, parts: Parts) -> Outcome:
    """Walk a folder's ids, dated ones first, and bring in what is in neither record nor failures."""
    check = await _opened(lease, watch, parts)
    work = check.work
    try:
        if work.position != _DATED_DONE:
            if not await check.walk(Walk(work.window, work.position, work.messages_hint, thorough=True)):
                return Yielded()
            await parts.ledger.commit(lease, Batch(position=_DATED_DONE), one_place=work.one_place)
        rest = await check.rest()
        if rest is not None and not await check.walk(rest, of_rest=True):
            return Yielded()
    except NotFoundError:
        await refuse_unless_gone(check.source, work.folder_id)
    return Done()


async def run_retry(lease: Lease, watch: Watch, parts: Parts) -> Outcome:
    """Read quarantined items again, one by one; what is gone from the mailbox stays listed, with that for a reason.

    Or read what a balance has found to be missing, where the chunk names places; what is gone by now is not missing.
    """
    check = await _opened(lease, watch, parts)
    if named_places := check.work.position.get(PLACES):
        return await check.fetch_places(places_from(named_places))
    named = [UUID(failure) for failure in check.work.position.get("failures", ())]
    waiting = await parts.ledger.failures(lease, named or None)
    places = [Place(SourceId(source_id), folder or FolderId(""), date) for source_id, folder, date in waiting]
    for batch in _batches(places, check.work.chunk_size):
        await check.bring_in(batch, check.work.position, gone_is_failure=True)
        if watch.stopping:
            return Yielded()
    return Done()


def position_of(places: Sequence[Place]) -> dict[str, Any]:
    """Return the position of a `retry` chunk that reads these places."""
    return {PLACES: [[p.source_id, p.folder_id, p.received_at and p.received_at.isoformat()] for p in places]}


def places_from(named: Sequence[Sequence[Any]]) -> list[Place]:
    """Return the places that a position names."""
    return [
        Place(SourceId(source_id), FolderId(folder), datetime.fromisoformat(date) if date else None)
        for source_id, folder, date in named
    ]


async def _opened(lease: Lease, watch: Watch, parts: Parts) -> _Check:
    work = await parts.ledger.open(lease)
    return _Check(lease, watch, parts, work, await parts.source(lease))


@dataclass(frozen=True, slots=True)
class _Check:
    """One claim of a chunk that looks for single messages."""

    lease: Lease
    watch: Watch
    parts: Parts
    work: Work
    source: MailSource

    async def walk(self, walk: Walk, *, of_rest: bool = False) -> bool:
        """Walk one pass; False when the worker wants to stop."""
        while not walk.over:
            before = walk.position
            within, link = walk.request
            page = await self.source.places(self.work.folder_id, within, size=PLACES_A_PAGE, link=link)
            missing, seen = await self._part(page.places, of_rest=of_rest)
            walk.learn(page.places, len(page.places), page.next, broken=page.broken_link)
            *earlier, last = _batches(missing, self.work.chunk_size) or [()]
            for batch in earlier:
                await self.bring_in(batch, _DATED_DONE if of_rest else before)
            # The position moves with the last of what is missing, so that a crash between skips nothing.
            if last or seen:
                await self.bring_in(last, _DATED_DONE if of_rest else walk.position, seen)
            if self.watch.stopping:
                return False
        return True

    async def fetch_places(self, places: Sequence[Place]) -> Outcome:
        """Read those places whose items the record and the failures still lack."""
        for batch in _batches(places, self.work.chunk_size):
            wanted = [(place.source_id, "") for place in batch]
            known = await self.parts.ledger.settled(self.lease, wanted, again=False)
            await self.bring_in([place for place in batch if place.source_id not in known], self.work.position)
            if self.watch.stopping:
                return Yielded()
        return Done()

    async def bring_in(
        self,
        missing: Sequence[Place],
        position: dict[str, Any],
        seen: tuple[Place, ...] = (),
        *,
        gone_is_failure: bool = False,
    ) -> None:
        """Fetch messages singly and make them count. What has left the mailbox is no loss, unless it is asked for."""
        began = self.parts.clock.monotonic()
        found = await self._fetch(missing, gone_is_failure=gone_is_failure)
        page = Sorted(
            new=tuple(item for item in found if isinstance(item, RawItem)),
            seen=seen,
            unreadable=tuple(item for item in found if isinstance(item, Unreadable)),
            fetch_s=self.parts.clock.monotonic() - began,
        )
        await store_page(self.lease, self.work, page, self.parts, position=position, has_more=True)

    async def rest(self) -> Walk | None:
        """Return the walk for what no range of dates lists: mail without a date, or with one that cannot be true yet.

        It goes without a filter, and so brings in what a filter hid, too. In a folder too large for that, filters find
        what is dated in the future.
        """
        if await self._may_hide_some():
            return Walk(Window(None, None), {}, 0, dated=False)
        return Walk(Window(self.work.untrue_from, None), {}, 0) if self.work.untrue_from else None

    async def _may_hide_some(self) -> bool:
        """Tell whether a folder may hold mail without a date; one too large to be walked without a filter is asked."""
        if self.work.messages_hint is None or self.work.messages_hint <= DEEPEST_SKIP:
            return True
        in_all = await self.source.count(self.work.folder_id, Window(None, None))
        dated = await self.source.count(self.work.folder_id, Window(_EARLIEST, None))
        return in_all is None or dated is None or in_all != dated

    async def _part(self, places: Sequence[Place], *, of_rest: bool) -> tuple[list[Place], tuple[Place, ...]]:
        """Part the places that are due, each once, into those that the record lacks and those it has, met for the first
        time.
        """
        due = {place.source_id: place for place in places if self._is_due(place, of_rest=of_rest)}
        wanted = [(source_id, "") for source_id in due]
        known = await self.parts.ledger.settled(self.lease, wanted, again=self.work.again)
        missing = [place for place in due.values() if place.source_id not in known]
        met = [place for place in due.values() if place.source_id in known]
        return missing, tuple(place for place in met if not (of_rest and self._in_range(place)))

    def _is_due(self, place: Place, *, of_rest: bool) -> bool:
        if place.draft and not self.work.draft_folder:
            return False
        date, untrue_from = place.received_at, self.work.untrue_from
        untrue = date is not None and untrue_from is not None and date >= untrue_from
        return date is None or self._in_range(place) or (of_rest and untrue)

    def _in_range(self, place: Place) -> bool:
        work, date = self.work, place.received_at
        return date is not None and (work.job_start is None or date >= work.job_start) and date < work.job_end

    async def _fetch(self, missing: Sequence[Place], *, gone_is_failure: bool) -> list[RawItem | Unreadable | None]:
        room = asyncio.Semaphore(_SINGLY_AT_ONCE)

        async def fetch(place: Place) -> RawItem | Unreadable | None:
            async with room:
                try:
                    item = await self.source.message(place.source_id)
                    return item if item.folder_id else replace(item, folder_id=place.folder_id)
                except NotFoundError:
                    gone = _unreadable(place, "gone", "The mailbox does not hold it any more.")
                    return gone if gone_is_failure else None
                except SkipItemError as error:
                    return _unreadable(place, error.code, error.message)

        try:
            async with asyncio.TaskGroup() as group:
                fetching = [group.create_task(fetch(place)) for place in missing]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # one is enough to know what comes next
        return [task.result() for task in fetching]


def _batches(places: Sequence[Place], size: int) -> list[Sequence[Place]]:
    return [places[start : start + size] for start in range(0, len(places), size)]


def _unreadable(place: Place, code: str, reason: str) -> Unreadable:
    return Unreadable(place.source_id, place.folder_id, place.received_at, code, reason)
