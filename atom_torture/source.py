"""The mailbox of a schedule as a source of mail: what it lists is true, what its calls meet is the schedule's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from atom_backfill.errors import NotFoundError, RetryLaterError, SkipItemError, ThrottledError
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.ports import (
    Folder,
    Link,
    MailboxIdentity,
    Page,
    Place,
    PlacePage,
    RawItem,
    Unreadable,
    Window,
)
from atom_torture.clock import Time
from atom_torture.schedule import Call
from atom_torture.truth import Mail

THROTTLED_S = 7.0
SLOW_S = 8.0


class TortureSource:
    """One mailbox, shared by all workers: calls of a sort are counted over all of them."""

    def __init__(self, mails: Sequence[Mail], calls: Sequence[Call], time: Time) -> None:
        self.mails = mails
        self._sorted = sorted(mails, key=_newest_first)
        self._calls = {(call.on, call.nth): call.kind for call in calls}
        self._time = time
        self.asked = Counter[str]()
        self.fired = Counter[str]()

    async def folders(self) -> tuple[Folder, ...]:
        """List the folders, one of which is the inbox."""
        await self._meet("folders")
        names = sorted({mail.folder for mail in self._sorted})
        return tuple(
            Folder(FolderId(name), name.title(), "inbox" if number == 0 else "", self._count(name, Window(None, None)))
            for number, name in enumerate(names)
        )

    async def count(self, folder: FolderId, window: Window) -> int | None:
        """Count the messages of a window."""
        await self._meet("count")
        return self._count(folder, window)

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        """Read a page of whole messages, unless the schedule has something else for this call."""
        kind = await self._meet("page")
        mails = self._of(folder, window)
        at = _offset(folder, window, link)
        if kind == "empty":
            return Page((), _link(folder, window, at))
        here = mails[at : at + size]
        more = _link(folder, window, at + size) if at + size < len(mails) else None
        page = Page(
            tuple(_raw(mail) for mail in here if mail.poison != "unreadable"),
            more,
            tuple(_unreadable(mail) for mail in here if mail.poison == "unreadable"),
        )
        spoilt = _spoilt(page, kind, [_raw(mail) for mail in mails[:at] if mail.poison != "unreadable"])
        if spoilt != page:  # a last page has no link to lose
            self.fired[f"page/{kind}"] += 1
        return spoilt

    async def places(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> PlacePage:
        """Read a page of ids."""
        kind = await self._meet("places")
        mails = self._of(folder, window)
        at = _offset(folder, window, link)
        if kind == "empty":
            return PlacePage((), _link(folder, window, at))
        more = _link(folder, window, at + size) if at + size < len(mails) else None
        return PlacePage(tuple(_place(mail) for mail in mails[at : at + size]), more)

    async def message(self, source_id: SourceId) -> RawItem:
        """Read one message."""
        await self._meet("message")
        mail = next((mail for mail in self._sorted if mail.source_id == source_id), None)
        if mail is None:
            raise NotFoundError("no_such_message", "There is no such message.")
        if mail.poison == "unreadable":
            raise SkipItemError("item_corrupt", "The mailbox cannot give it.", stage="fetch")
        return _raw(mail)

    async def identify(self) -> MailboxIdentity:
        """Tell which mailbox this is."""
        return MailboxIdentity("torture", "ines@lumen.example")

    async def _meet(self, on: str) -> str:
        """Count a call and let it meet what it must; returns what is left for the caller to do."""
        self.asked[on] += 1
        kind = self._calls.get((on, self.asked[on]), "")
        if kind in ("unavailable", "throttled", "slow", "empty"):
            self.fired[f"{on}/{kind}"] += 1
        if kind == "unavailable":
            raise RetryLaterError("torture", "The mailbox does not answer.")
        if kind == "throttled":
            raise ThrottledError("torture", "The mailbox asks to wait.", after=THROTTLED_S)
        if kind == "slow":
            await self._time.sleep(SLOW_S)
        return kind

    def _of(self, folder: FolderId, window: Window) -> list[Mail]:
        if not any(mail.folder == folder for mail in self._sorted):
            raise NotFoundError("no_such_folder", "There is no such folder.")
        return [mail for mail in self._sorted if mail.folder == folder and _within(mail, window)]

    def _count(self, folder: str, window: Window) -> int:
        return sum(mail.folder == folder and _within(mail, window) for mail in self._sorted)


def _spoilt(page: Page, kind: str, before: Sequence[RawItem]) -> Page:
    """Change a page as told; `before`: what the pages before it have listed."""
    match kind:
        case "twice":
            return replace(page, items=(*page.items, *before[-3:]))
        case "shuffled":
            return replace(page, items=page.items[::-1])
        case "lost_next":
            return replace(page, next=None)
        case "broken_link":
            return replace(page, next=None, broken_link=page.next is not None)
        case _:
            return page


def _newest_first(mail: Mail) -> tuple[float, str]:
    return (-mail.received_at.timestamp() if mail.received_at else 0.0, mail.source_id)


def _within(mail: Mail, window: Window) -> bool:
    if mail.received_at is None:
        return window.start is None and window.end is None
    after = window.start is None or mail.received_at >= window.start
    return after and (window.end is None or mail.received_at < window.end)


def _link(folder: str, window: Window, at: int) -> Link:
    return Link(f"{folder}|{window.start}|{window.end}|{at}")


def _offset(folder: str, window: Window, link: Link | None) -> int:
    if link is None:
        return 0
    at = int(link.rpartition("|")[2])
    assert link == _link(folder, window, at), "a link was followed in another window than its own"
    return at


def _raw(mail: Mail) -> RawItem:
    return RawItem(SourceId(mail.source_id), FolderId(mail.folder), mail.received_at, "k-1", mail.payload)


def _place(mail: Mail) -> Place:
    return Place(SourceId(mail.source_id), FolderId(mail.folder), mail.received_at)


def _unreadable(mail: Mail) -> Unreadable:
    item = SourceId(mail.source_id), FolderId(mail.folder), mail.received_at
    return Unreadable(*item, "item_corrupt", "The mailbox cannot give it.")
