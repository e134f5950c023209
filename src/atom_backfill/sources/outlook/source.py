"""MailSource over Microsoft Graph."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from atom_backfill.clock import Clock
from atom_backfill.errors import BugError, NeedsOwnerError, NotFoundError, RetryLaterError, SkipItemError
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.outlook.client import GraphClient
from atom_backfill.sources.outlook.folders import find_folders
from atom_backfill.sources.outlook.items import read_item, read_place, usable_id
from atom_backfill.sources.outlook.reader import SIZE_CODES, Listing, WindowReader, filter_of
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

PLACES_LIMIT = 500

_CONTEXT_USER = re.compile(
    r"users\('([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})'\)", re.IGNORECASE | re.ASCII
)

_OUTLINES_ONLY = (
    "This sign-in may list messages but not read them (Mail.ReadBasic): under App registrations → API permissions add"
    " Mail.Read, have it granted, and connect again."
)
_WRONG_ACCOUNT = (
    "The sign-in was made with another account than the one that --user names: connect again and choose that account,"
    " or use app-only sign-in with a client secret for a mailbox that is not your own."
)


class OutlookSource:
    """One Outlook mailbox; the contract is MailSource's."""

    def __init__(self, client: GraphClient, clock: Clock, *, address: str) -> None:
        """`address`: the mailbox that the user named; "" where the sign-in decides."""
        self._client = client
        self._reader = WindowReader(client, clock)
        self._address = address

    async def folders(self) -> tuple[Folder, ...]:
        """List every folder, found recursively, hidden ones and saved searches included and marked."""
        return await find_folders(self._client)

    async def count(self, folder: FolderId, window: Window) -> int | None:
        """Count the messages of a folder in a window; a hint. None where the service does not say."""
        params = {"$filter": bounds} if (bounds := filter_of(window)) else None
        try:
            text = await self._client.get_text("count", ("mailFolders", folder, "messages", "$count"), params)
        except RetryLaterError as error:
            if error.code not in SIZE_CODES:
                raise
            return None
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        """Read a page of whole messages, newest first, and the link to more."""
        batch = await self._reader.read(Listing(folder, window, size, whole=True), link)
        items: dict[SourceId, RawItem] = {}
        unreadable = {item.source_id: item for item in batch.unreadable}
        for entry in batch.items:
            read = read_item(entry, folder)
            if isinstance(read, Unreadable):
                unreadable.setdefault(read.source_id, read)
            else:
                items.setdefault(read.source_id, read)
        newest_first = sorted(items.values(), key=lambda item: _age(item.received_at))
        return Page(tuple(newest_first), batch.next, tuple(unreadable.values()), batch.broken)

    async def places(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> PlacePage:
        """Read a page of ids only, newest first, at most 500."""
        batch = await self._reader.read(Listing(folder, window, min(size, PLACES_LIMIT), whole=False), link)
        places = {place.source_id: place for place in (read_place(entry, folder) for entry in batch.items)}
        newest_first = sorted(places.values(), key=lambda place: _age(place.received_at))
        return PlacePage(tuple(newest_first), batch.next, batch.broken)

    async def message(self, source_id: SourceId) -> RawItem:
        """Read one message, wherever it lies."""
        return await self._reader.message(source_id)

    async def identify(self) -> MailboxIdentity:
        """Tell whose mailbox this is, by reading of one message. Raises NeedsOwnerError where it is another's."""
        listed = await self._first_messages()
        context = listed.get("@odata.context")
        user = _CONTEXT_USER.search(context) if isinstance(context, str) else None
        identity = user[1].lower() if user else await self._root_id()
        return MailboxIdentity(identity, await self._signed_in_address())

    async def _first_messages(self) -> dict[str, Any]:
        """List a few messages. Raises NeedsOwnerError where the sign-in may see that they exist, and no more."""
        try:
            listed = await self._few("id,bodyPreview")
            if _lacks(listed, "bodyPreview") and _lacks(await self._few("id,body"), "body"):
                raise NeedsOwnerError("access_denied", _OUTLINES_ONLY)
        except (SkipItemError, RetryLaterError) as error:
            if isinstance(error, RetryLaterError) and error.code not in SIZE_CODES:
                raise
            return await self._few("id")
        return listed

    async def _few(self, fields: str) -> dict[str, Any]:
        return await self._client.get("messages", ("messages",), {"$top": "5", "$select": fields})

    async def _root_id(self) -> str:
        root = usable_id(await self._client.get("folders", ("mailFolders", "msgfolderroot"), {"$select": "id"}))
        if root is None:
            raise RetryLaterError("bad_answer", "Microsoft Graph does not say which mailbox this is.")
        return root

    async def _signed_in_address(self) -> str:
        """Return the address to show; for a delegated sign-in, that of the user who signed in."""
        if not self._client.delegated:
            return self._address
        mine = await self._mine({})
        if self._address and mine and self._address.casefold() not in _folded(mine):
            aliases = await self._mine({"$select": "proxyAddresses"})
            if self._address.casefold() not in _folded(aliases):
                raise NeedsOwnerError("wrong_account", _WRONG_ACCOUNT)
        return self._address or (mine[0] if mine else "")

    async def _mine(self, params: dict[str, str]) -> list[str]:
        """Read the addresses of whoever signed in; none where the sign-in does not allow to."""
        try:
            return _addresses(await self._client.get("user", (), params))
        except (NeedsOwnerError, NotFoundError, BugError):  # User.Read was not granted, or the property is not known
            return []


def _folded(addresses: list[str]) -> set[str]:
    return {address.casefold() for address in addresses}


def _lacks(listed: dict[str, Any], field: str) -> bool:
    items = listed.get("value")
    return isinstance(items, list) and bool(items) and not any(isinstance(i, dict) and field in i for i in items)


def _addresses(profile: dict[str, Any]) -> list[str]:
    named = [profile.get("mail"), profile.get("userPrincipalName")]
    proxies = profile.get("proxyAddresses")
    if isinstance(proxies, list):
        named += [proxy[5:] for proxy in proxies[:500] if isinstance(proxy, str) and proxy[:5].casefold() == "smtp:"]
    return [address[:320] for address in named if isinstance(address, str) and "@" in address]


def _age(moment: datetime | None) -> float:
    return -moment.timestamp() if moment else float("inf")
