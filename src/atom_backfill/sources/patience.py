"""A mailbox for people who wait: what a worker would try again later is tried again here and now, for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from atom_backfill.clock import Clock
from atom_backfill.errors import RetryLaterError
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.ports import Folder, Link, MailboxIdentity, MailSource, Page, PlacePage, RawItem, Window

ATTEMPTS = 6
LONGEST_WAIT_S = 120.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PatientSource:
    """A MailSource whose calls are tried again, up to six times without progress, before they raise.

    `waiting` is told the seconds and the reason before a wait of a second or more.
    """

    source: MailSource
    clock: Clock
    waiting: Callable[[float, str], None]

    async def folders(self) -> tuple[Folder, ...]:
        """As MailSource."""
        return await self._patiently(self.source.folders)

    async def count(self, folder: FolderId, window: Window) -> int | None:
        """As MailSource."""
        return await self._patiently(lambda: self.source.count(folder, window))

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        """As MailSource."""
        return await self._patiently(lambda: self.source.page(folder, window, size=size, link=link))

    async def places(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> PlacePage:
        """As MailSource."""
        return await self._patiently(lambda: self.source.places(folder, window, size=size, link=link))

    async def message(self, source_id: SourceId) -> RawItem:
        """As MailSource."""
        return await self._patiently(lambda: self.source.message(source_id))

    async def identify(self) -> MailboxIdentity:
        """As MailSource."""
        return await self._patiently(self.source.identify)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        failed = 0
        while True:
            try:
                return await call()
            except RetryLaterError as error:
                failed = 0 if error.progress else failed + 1
                wait = 2.0**failed if error.after is None else error.after
                if failed >= ATTEMPTS or wait > LONGEST_WAIT_S:
                    raise
                if wait >= 1:
                    self.waiting(wait, error.message)
                await self.clock.sleep(wait)
