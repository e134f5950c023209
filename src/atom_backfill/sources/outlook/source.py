"""MailSource over Microsoft Graph: windows read in pages, newest first, whatever the service does on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atom_backfill.clock import Clock
from atom_backfill.errors import (
    AtomError,
    NeedsOwnerError,
    NotFoundError,
    RetryLaterError,
    SignInNeededError,
    SkipItemError,
    ThrottledError,
)
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.outlook.client import GraphClient
from atom_backfill.sources.outlook.folders import find_folders
from atom_backfill.sources.outlook.items import (
    MESSAGE_FIELDS,
    PLACE_FIELDS,
    read_item,
    read_place,
    refused,
    usable_id,
)
from atom_backfill.sources.outlook.walk import Position, Walks, read_link, write_link
from atom_backfill.sources.ports import (
    Folder,
    Link,
    MailboxIdentity,
    Page,
    PlacePage,
    RawItem,
    Unreadable,
    Window,
)

PATIENCE_SECONDS = 120.0
PLACES_LIMIT = 500

SIZE_CODES = frozenset(
    {
        "timeout",
        "gateway_timeout",
        "server_error",
        "bad_gateway",
        "unavailable",
        "answer_too_large",
        "bad_answer",
        "connection_lost",
    }
)
"""Failures that a smaller page may not have. A host that cannot be reached at all is not among them."""


class OutlookSource:
    """One Outlook mailbox. See MailSource for the contract.

    A page that keeps failing is read again at half the size, down to one item; then that item is read alone, and is
    `unreadable` where its neighbours answer and it does not. A call gives up after about two minutes with the error
    that it met, and the next call goes on with the smaller size.
    """

    def __init__(self, client: GraphClient, clock: Clock, *, address: str) -> None:
        """`address`: the mailbox that the user named; empty where the sign-in decides."""
        self._client = client
        self._clock = clock
        self._address = address
        self._walks = Walks()

    async def folders(self) -> tuple[Folder, ...]:
        """List every folder, found recursively, hidden ones and saved searches included and marked."""
        return await find_folders(self._client)

    async def count(self, folder: FolderId, window: Window) -> int | None:
        """Count the messages of a folder in a window; a hint. None where the service does not say."""
        params = {"$filter": text} if (text := _filter(window)) else None
        try:
            text = await self._client.get_text("count", ("mailFolders", folder, "messages", "$count"), params)
        except ThrottledError:
            raise
        except RetryLaterError as error:
            if error.code in SIZE_CODES:
                return None
            raise
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        """Read a page of whole messages, newest first, and the link to more."""
        listing = _Listing("messages", MESSAGE_FIELDS, folder, window, size)
        found = await self._read(listing, link)
        items: dict[SourceId, RawItem] = {}
        unreadable: dict[SourceId, Unreadable] = {}
        for read in found.entries:
            if isinstance(read, Unreadable):
                unreadable.setdefault(read.source_id, read)
            else:
                items.setdefault(read.source_id, read)
        newest_first = sorted(items.values(), key=lambda item: _age(item.received_at))
        return Page(tuple(newest_first), found.next, tuple(unreadable.values()), found.broken)

    async def places(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> PlacePage:
        """Read a page of ids only, newest first, at most 500."""
        listing = _Listing("places", PLACE_FIELDS, folder, window, min(size, PLACES_LIMIT))
        found = await self._read(listing, link)
        places = sorted(found.places(folder), key=lambda place: _age(place.received_at))
        return PlacePage(tuple(places), found.next, found.broken)

    async def message(self, source_id: SourceId) -> RawItem:
        """Read one message, wherever it lies."""
        try:
            item = await self._client.get("message", ("messages", source_id), {"$select": MESSAGE_FIELDS})
        except RetryLaterError as error:
            if error.code != "answer_too_large":
                raise
            raise SkipItemError("item_too_large", "The message is larger than the limit.") from None
        read = read_item(item, FolderId(""))
        if isinstance(read, Unreadable):
            raise SkipItemError(read.code, read.reason)
        return read
