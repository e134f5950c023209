"""A mailbox with whims: what a test wants, between the main job and its source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Folder, Link, Page, PlacePage, RawItem, Window
from mainjob import Office

PageFilter = Callable[[Page], Awaitable[Page] | Page]


class Wayward:
    """Local files behind a service with whims: passes on what the real source says, changed by what a test wants."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.pages = 0
        self.page_of: Callable[[int, FolderId, Window, Page], Page] = lambda number, folder, window, page: page
        self.places_of: Callable[[FolderId, PlacePage], PlacePage] = lambda folder, page: page
        self.before_message: Callable[[str], None] = lambda source_id: None

        self.large = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    async def folders(self) -> tuple[Folder, ...]:
        folders: tuple[Folder, ...] = await self._source.folders()
        return tuple(replace(folder, messages_hint=9000) for folder in folders) if self.large else folders

    async def count(self, folder: FolderId, window: Window) -> int | None:
        found: int | None = await self._source.count(folder, window)
        return 9000 if self.large else found

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        self.pages += 1
        number = self.pages
        page = await self._source.page(folder, window, size=size, link=link)
        return self.page_of(number, folder, window, page)

    async def places(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> PlacePage:
        return self.places_of(folder, await self._source.places(folder, window, size=size, link=link))

    async def message(self, source_id: Any) -> RawItem:
        self.before_message(source_id)
        item: RawItem = await self._source.message(source_id)
        return item


def wayward(office: Office) -> Wayward:
    office.source = source = Wayward(office.source)  # type: ignore[assignment]
    return source
