"""One chunk, the whole story: walk its window page by page, and make each page count before the next is believed."""

from __future__ import annotations

import asyncio

from atom_backfill.backfill.page import Fetched, Parts, sort_page, store_page
from atom_backfill.backfill.ports import Batch, Work
from atom_backfill.backfill.walk import Walk
from atom_backfill.errors import NotFoundError, RetryLaterError
from atom_backfill.jobs.job import Done, Lease, Outcome, Yielded
from atom_backfill.jobs.ports import Watch
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Link, MailSource, Page, Window

TRUSTING_AFTER = 2
"""Failures in a row at the same place, after which an empty page that claims more is believed to be the end."""


async def run_chunk(lease: Lease, watch: Watch, parts: Parts) -> Outcome:
    """Read a window to its end, or to the page boundary at which the worker wants to stop."""
    work = await parts.ledger.open(lease)
    if not work.has_more:
        return Done()
    source = await parts.source(lease)
    expected = None if work.messages_hint is None else work.messages_hint - work.messages_done
    walk = Walk(work.window, work.position, expected, trusting=lease.attempts >= TRUSTING_AFTER)
    ahead = _Ahead(source, work, parts)
    try:
        while not walk.over:
            await parts.reached("claimed")
            fetched, page = await ahead.fetch(*walk.request)
            ahead.prefetch(walk.request[0], page)
            sorted_page = await sort_page(lease, work, fetched, parts.ledger)
            new = len(sorted_page.new) + len(sorted_page.unreadable)
            walk.learn((*page.items, *page.unreadable), new, page.next, broken=page.broken_link)
            position, has_more = walk.position, not walk.over
            await store_page(lease, work, sorted_page, parts, position=position, has_more=has_more)
            if watch.stopping and not walk.over:
                return Yielded()
    except NotFoundError:
        await refuse_unless_gone(source, work.folder_id)
        await parts.ledger.commit(lease, Batch(position=walk.position, has_more=False), one_place=work.one_place)
    finally:
        await ahead.close()
    return Done()


async def refuse_unless_gone(source: MailSource, folder: FolderId) -> None:
    """Make sure that a folder which was not found is gone from a mailbox which is there.

    Raises RetryLaterError `folder_unsteady` where the folder is there, and whatever the mailbox says for itself.
    """
    await source.identify()
    if any(each.folder_id == folder for each in await source.folders()):
        raise RetryLaterError("folder_unsteady", "The mailbox lists a folder that it does not find.")


class _Ahead:
    """Fetches the next page while the present one is worked on."""

    def __init__(self, source: MailSource, work: Work, parts: Parts) -> None:
        self._source = source
        self._work = work
        self._clock = parts.clock
        self._request: tuple[Window, Link | None] | None = None
        self._task: asyncio.Task[tuple[Fetched, Page]] | None = None

    async def fetch(self, window: Window, link: Link | None) -> tuple[Fetched, Page]:
        """Return the page asked for, which may be on its way already."""
        if self._task is not None and self._request == (window, link):
            task, self._task = self._task, None
            return await task
        await self.close()
        return await self._fetch(window, link)

    def prefetch(self, window: Window, page: Page) -> None:
        """Ask for the page after this one, as far as its link can be followed."""
        if page.next is not None and not page.broken_link:
            self._request = (window, page.next)
            self._task = asyncio.create_task(self._fetch(window, page.next))

    async def close(self) -> None:
        """Drop a page that nobody will ask for."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            # Not awaited itself: its cancellation would be taken for this one's, and this one's for its.
            await asyncio.gather(task, return_exceptions=True)

    async def _fetch(self, window: Window, link: Link | None) -> tuple[Fetched, Page]:
        began = self._clock.monotonic()
        page = await self._source.page(self._work.folder_id, window, size=self._work.chunk_size, link=link)
        return Fetched(page.items, page.unreadable, self._clock.monotonic() - began), page
