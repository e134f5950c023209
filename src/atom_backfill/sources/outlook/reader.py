"""Reads a window page by page, and gets past what breaks a page: heavy items, corrupt ones, links that lead nowhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from atom_backfill.clock import Clock
from atom_backfill.errors import AtomError, NotFoundError, RetryLaterError, SkipItemError
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.outlook.client import ATTEMPTS, FIRST_PAUSE, GraphClient
from atom_backfill.sources.outlook.items import (
    MESSAGE_FIELDS,
    PLACE_FIELDS,
    could_be_id,
    read_item,
    refused,
    usable_id,
)
from atom_backfill.sources.outlook.walk import Position, Walks, read_link, write_link
from atom_backfill.sources.ports import Link, RawItem, Unreadable, Window

PATIENCE_SECONDS = 120.0

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


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed: a window of a folder, `asked` items at once. `whole`: with bodies, not ids only."""

    folder: FolderId
    window: Window
    asked: int
    whole: bool

    @property
    def key(self) -> tuple[object, ...]:
        """What tells one walk from another."""
        return self.folder, self.window, self.whole


@dataclass(frozen=True, slots=True)
class Batch:
    """Items as the service gave them, in its order; the rest as in Page."""

    items: list[Any]
    next: Link | None
    unreadable: tuple[Unreadable, ...] = ()
    broken: bool = False


class WindowReader:
    """Reads listings. A page that keeps failing is halved down to one item; then that item is read alone.

    An item is `unreadable` where the service blames it, or answers for its place and not for it. A read gives up after
    two minutes with the error that it met, and the next one goes on with the smaller size.
    """

    def __init__(self, client: GraphClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._walks = Walks()

    async def read(self, listing: Listing, link: Link | None) -> Batch:
        """Read the page at `link`, or the window's first."""
        if link is None:
            self._walks.begin(listing.key)
        at = Position(listing.window, listing.asked) if link is None else read_link(link)
        until = self._clock.monotonic() + PATIENCE_SECONDS
        tries = self._walks.tries(listing.key, ATTEMPTS)
        return await self._page_or_less(listing, self._walks.limited(listing.key, at), until, tries)

    async def message(self, source_id: SourceId) -> RawItem:
        """Read one message. Raises SkipItemError where it alone cannot be given."""
        if not could_be_id(source_id):
            raise NotFoundError("not_found", "The mailbox does not know this id.")
        try:
            item = await self._item(source_id)
        except RetryLaterError as error:
            if error.code == "answer_too_large":
                raise SkipItemError("item_too_large", "The message is larger than the limit.") from None
            _of_size(error)
            await self._client.get("message", ("messages", source_id), {"$select": "id"}, tries=1)
            raise _to_blame(error.code) from None
        read = read_item(item, FolderId(""))
        if isinstance(read, Unreadable):
            raise SkipItemError(read.code, read.reason)
        return read

    async def _page_or_less(self, listing: Listing, at: Position, until: float, tries: int) -> Batch:
        try:
            return await self._page(listing, at, tries)
        except (RetryLaterError, SkipItemError) as error:
            failure = _of_size(error)
        while at.size > 1:
            if self._clock.monotonic() > until:
                self._walks.remember_size(listing.key, at.size)
                raise failure
            corrupt = failure.code in ("server_error", "item_corrupt")
            self._walks.suspect(listing.key, corrupt=corrupt)
            if not corrupt:  # overload wants time, a corrupt item does not
                await self._clock.sleep(FIRST_PAUSE)
            at = at.smaller()
            try:
                return await self._page(listing, at, tries=1)
            except (RetryLaterError, SkipItemError) as error:
                failure = _of_size(error)
        try:
            return await self._alone(listing, at, failure)
        except RetryLaterError as error:
            return await self._narrower(listing, at, until, _of_size(error))

    async def _page(self, listing: Listing, at: Position, tries: int) -> Batch:
        if at.url:
            answer = await self._client.get("messages", at.url, tries=tries)
        else:
            answer = await self._ask(listing, at, MESSAGE_FIELDS if listing.whole else PLACE_FIELDS, tries)
        listed = _items(answer)
        self._walks.remember_size(listing.key, None)
        items = _distinct(listed)
        if (over := len(items) - at.size) > 0:
            return Batch(items[: at.size], write_link(at.past(at.size - over if over < at.size else at.size)))
        url = answer.get("@odata.nextLink")
        if url and not self._can_follow(listing, url, at.url):
            return self._without_link(listing, at, items, len(listed))
        return Batch(items, self._next(listing, at, len(listed), url or ""))

    def _without_link(self, listing: Listing, at: Position, items: list[Any], listed: int) -> Batch:
        """Leave it to the walk to go on by dates; where those do not lead on, count until nothing is listed."""
        counted = at.counted(listed) if _has_no_dates(listing.window) else None
        if counted is None or counted.skip == 0:
            return Batch(items, None, broken=True)
        return Batch(items, write_link(counted) if items else None)

    async def _ask(self, listing: Listing, at: Position, fields: str, tries: int) -> dict[str, Any]:
        params = {"$select": fields, "$orderby": "receivedDateTime desc", "$top": str(at.size)}
        if text := filter_of(at.within):
            params["$filter"] = text
        if at.skip:
            params["$skip"] = str(at.skip)
        return await self._client.get("messages", ("mailFolders", listing.folder, "messages"), params, tries=tries)

    def _can_follow(self, listing: Listing, url: object, came_from: str) -> bool:
        if not isinstance(url, str) or not self._client.is_home(url):
            return False
        return not self._walks.loops(listing.key, url, came_from)

    def _next(self, listing: Listing, at: Position, listed: int, url: str) -> Link | None:
        if url or listed >= at.size:  # a full page without a link: one more request finds a link that was lost
            return write_link(at.after(listed, url, listing.asked))
        older = at.older(listing.window, listing.asked)
        return write_link(older) if older else None

    async def _alone(self, listing: Listing, at: Position, failure: AtomError) -> Batch:
        """Read the one item at a place by itself. Raises RetryLaterError where not even its id can be had."""
        if not listing.whole:
            raise failure
        listed = _items(await self._ask(listing, at, PLACE_FIELDS, ATTEMPTS))[:1]
        self._walks.suspect(listing.key, corrupt=False)
        items: list[Any] = []
        unreadable: list[Unreadable] = []
        for entry in listed:
            try:
                items.append(await self._whole(listing, at, entry))
            except NotFoundError:
                continue
            except SkipItemError as error:
                unreadable.append(refused(entry, listing.folder, error.code, error.message))
        return Batch(items, self._next(listing, at, len(listed), ""), tuple(unreadable))

    async def _whole(self, listing: Listing, at: Position, entry: Any) -> dict[str, Any]:
        source_id = usable_id(entry)
        if source_id is None:
            raise SkipItemError("id_missing", "The mailbox lists an item without a usable id.")
        try:
            return await self._item(source_id)
        except RetryLaterError as error:
            _of_size(error)
            code = "item_too_large" if error.code == "answer_too_large" else error.code
            await self._ask(listing, at, PLACE_FIELDS, tries=1)
            raise _to_blame(code) from None

    async def _item(self, source_id: SourceId) -> dict[str, Any]:
        """Ask for one item. Raises SkipItemError for JSON that is no item: under a made-up id it would fail twice."""
        item = await self._client.get("message", ("messages", source_id), {"$select": MESSAGE_FIELDS})
        if usable_id(item) is None:
            raise SkipItemError("bad_answer", "Microsoft answers for the item with what is no message.")
        return item

    async def _narrower(self, listing: Listing, at: Position, until: float, failure: AtomError) -> Batch:
        """Go on with the newest part of the window that answers, or tell the walk to go on from its position."""
        if at.skip and self._walks.gives_up_first(listing.key):
            return Batch([], None, broken=True)
        while (narrow := at.narrower()) and self._clock.monotonic() <= until:
            at = narrow
            try:
                await self._ask(listing, at, PLACE_FIELDS, tries=1)
            except RetryLaterError as error:
                failure = _of_size(error)
                await self._clock.sleep(FIRST_PAUSE)
            else:
                return await self._page_or_less(listing, replace(at, size=listing.asked), until, tries=1)
        raise failure


def _to_blame(code: str) -> SkipItemError:
    """Blame an item for what went wrong, once the service has answered for everything about it but its content."""
    return SkipItemError(code, "Microsoft answers for the item's place, but not for the item.")


def _has_no_dates(window: Window) -> bool:
    """Tell whether a window is everything, or no longer than a second."""
    if window.start is None or window.end is None:
        return window.start is window.end
    return window.end - window.start <= timedelta(seconds=1)


def filter_of(window: Window) -> str:
    """Write the window as an OData filter; "" for everything, undated items included."""
    bounds = (("ge", window.start), ("lt", window.end))
    return " and ".join(f"receivedDateTime {op} {_utc(moment)}" for op, moment in bounds if moment)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def _items(answer: dict[str, Any]) -> list[Any]:
    value = answer.get("value")
    if not isinstance(value, list):
        raise RetryLaterError("bad_answer", "Microsoft Graph sent a list that cannot be read.")
    return value


def _distinct(items: list[Any]) -> list[Any]:
    """Drop what the service repeats within a page."""
    seen: set[str] = set()
    distinct = []
    for item in items:
        source_id = usable_id(item)
        if source_id is None or source_id not in seen:
            distinct.append(item)
        if source_id is not None:
            seen.add(source_id)
    return distinct


def _of_size(error: AtomError) -> AtomError:
    """Return the error if a smaller page may not have it, else raise it."""
    if isinstance(error, SkipItemError) or error.code in SIZE_CODES:
        return error
    raise error
