"""MailSource over local files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from atom_backfill.clock import Clock
from atom_backfill.errors import BugError, NotFoundError, RetryLaterError, SkipItemError
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.mbox.builder import IndexBuilder, Progress
from atom_backfill.sources.mbox.index import Key, MailIndex, Row, moment_of
from atom_backfill.sources.mbox.scan import read_bytes
from atom_backfill.sources.mbox.view import FileView
from atom_backfill.sources.paths import PathNames
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

SCAN_SECONDS = 20.0
FRESH_SECONDS = 60.0
PAGE_BYTES = 64 * 2**20

_PREFIX = "eml-"
_REASONS = {
    "item_too_large": "The message is larger than the limit.",
    "unreadable_file": "The file cannot be read.",
}
T = TypeVar("T")


class MboxSource:
    """Mail in files below a path; the contract is MailSource's.

    The same content in two places is one message: each folder lists it once, `places` tells the later ones as
    duplicates, and `message` reads the first. While the files are being scanned for the first time, calls raise
    RetryLaterError `indexing` after 20 s each, and the next goes on where the last one stopped.
    """

    def __init__(
        self,
        path: Path,
        cache: Path,
        clock: Clock,
        *,
        address: str = "",
        message_bytes: int = Limits().message_bytes,
    ) -> None:
        """`cache`: a folder for the index, which may be lost. Messages larger than `message_bytes` are unreadable."""
        self._root = path.expanduser().resolve()
        name = hashlib.sha256(os.fsencode(self._root)).hexdigest()[:32]
        self._identity = f"files-{name}"
        self._index = MailIndex(cache / f"mail-index-1-{name}.sqlite3")
        self._builder = IndexBuilder(self._index, self._root, message_bytes=message_bytes)
        self._clock = clock
        self._address = address or self._root.name
        self._building = asyncio.Lock()
        self._walk = _WalkState()

    async def prepare(self, seconds: float = SCAN_SECONDS, *, anew: bool = False) -> Progress:
        """Bring the index up to date, for about so many seconds; call again until `done`. `anew`: walk the files.

        What a walk has found is scanned to its end before the next walk, and answers whoever had waited for it: files
        that change all the time would be scanned for ever.
        """
        async with self._building:
            if self._walk.is_due(self._clock.monotonic(), anew=anew):
                self._walk.made = await _in_thread(self._builder.walk)
                self._walk.built_at = None
            until = self._clock.monotonic() + seconds
            progress = await _in_thread(
                lambda stopped: self._builder.scan(lambda: not stopped() and self._clock.monotonic() < until)
            )
            self._walk.scanned(self._clock.monotonic(), done=progress.done, anew=anew)
            return progress

    async def folders(self) -> tuple[Folder, ...]:
        """List every folder."""
        await self._ready(anew=True)
        names = PathNames()
        return tuple(
            Folder(FolderId(row.folder_id), names.free("/".join(row.segments)), row.well_known, row.messages)
            for row in await asyncio.to_thread(self._index.folders)
        )

    async def count(self, folder: FolderId, window: Window) -> int | None:
        """Count the messages of a folder in a window."""
        await self._ready()
        return await asyncio.to_thread(self._index.count, folder, window)

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        """Read a page of whole messages, newest first, of at most 64 MB and one message."""
        await self._ready()
        await self._check_folder(folder)
        after = _key(link)
        rows = await asyncio.to_thread(self._index.messages, folder, window, after, size)
        read, after = await asyncio.to_thread(self._read_some, rows, after)
        items = tuple(item for item in read if isinstance(item, RawItem))
        unreadable = tuple(item for item in read if isinstance(item, Unreadable))
        more = len(read) < len(rows) or len(rows) == size
        return Page(items, _link(after) if more else None, unreadable)

    async def places(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> PlacePage:
        """Read a page of places, newest first."""
        await self._ready(anew=link is None)
        await self._check_folder(folder)
        rows = await asyncio.to_thread(self._index.places, folder, window, _key(link), size)
        places = tuple(
            Place(
                SourceId(_PREFIX + row.key.digest.hex()),
                folder,
                moment_of(row.key.received),
                duplicate=row.duplicate,
            )
            for row in rows
        )
        return PlacePage(places, _link(rows[-1].key) if len(rows) == size else None)

    async def message(self, source_id: SourceId) -> RawItem:
        """Read one message from its first place."""
        await self._ready()
        try:
            digest = bytes.fromhex(source_id.removeprefix(_PREFIX))
        except ValueError:
            digest = b""
        row = await asyncio.to_thread(self._index.find, digest) if source_id.startswith(_PREFIX) else None
        if row is None:
            raise NotFoundError("not_found", "The local files do not hold this message any more.")
        return await asyncio.to_thread(self._read, row)

    async def identify(self) -> MailboxIdentity:
        """Tell which files these are. Raises NeedsOwnerError, with what was found, where they hold no mail."""
        await self.prepare(0.0, anew=True)
        return MailboxIdentity(self._identity, self._address)

    async def _ready(self, *, anew: bool = False) -> None:
        progress = await self.prepare(anew=anew)
        if not progress.done:
            percent = progress.scanned * 100 // max(progress.total, 1)
            raise RetryLaterError(
                "indexing", f"The local files are being scanned: {percent} % so far.", after=0.0, progress=True
            )

    async def _check_folder(self, folder: FolderId) -> None:
        if not await asyncio.to_thread(self._index.has_folder, folder):
            raise NotFoundError("not_found", "The local files do not hold this folder any more.")

    def _read_some(self, rows: list[Row], after: Key) -> tuple[list[RawItem | Unreadable], Key]:
        """Read until a page's bytes are full; blocking. Returns the key of the last one read."""
        read: list[RawItem | Unreadable] = []
        room = PAGE_BYTES
        for row in rows:
            if room <= 0:
                break
            try:
                read.append(self._read(row))
                room -= row.length
            except SkipItemError as error:
                read.append(Unreadable(_id(row), FolderId(row.folder_id), row.received_at, error.code, error.message))
            after = row.key
        return read, after

    def _read(self, row: Row) -> RawItem:
        if row.problem:
            raise SkipItemError(row.problem, _REASONS[row.problem])
        try:
            with (self._root / os.fsdecode(row.path)).open("rb", buffering=0) as file:
                payload = read_bytes(FileView(file, ahead=0), row.start, row.length, quoted=row.quoted)
        except FileNotFoundError:
            payload = b""
        except OSError as error:
            raise SkipItemError("unreadable_file", _REASONS["unreadable_file"]) from error
        if hashlib.sha256(payload).digest() != row.key.digest:
            self._index.distrust(row.path)
            self._walk.made = False
            raise RetryLaterError(
                "file_changed", "A mail file changed while it was read; it is scanned anew.", after=0.0
            )
        return RawItem(_id(row), FolderId(row.folder_id), row.received_at, row.key.digest.hex(), payload)


@dataclass(slots=True)
class _WalkState:
    """Whether what the last walk found can answer. `built_at`: when it was scanned to its end, None before that.

    `owed`: somebody who wanted a walk was sent away until it is scanned.
    """

    made: bool = False
    built_at: float | None = None
    asked_at: float = -math.inf
    owed: bool = False

    def is_due(self, now: float, *, anew: bool) -> bool:
        """Tell whether to walk, now that somebody asks."""
        if self.made and now - self.asked_at <= FRESH_SECONDS:
            if self.built_at is None or (anew and self.owed):
                return False
            if not anew and now - self.built_at <= FRESH_SECONDS:
                return False
        self.owed = False
        return True

    def scanned(self, now: float, *, done: bool, anew: bool) -> None:
        """Take note of how far the scan came for whoever asked."""
        self.asked_at = now
        if done and self.built_at is None:
            self.built_at = now
        if anew:
            self.owed = not done


async def _in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run blocking work in a thread; it is told when the caller was cancelled, so that it ends soon after."""
    stopped = threading.Event()
    try:
        return await asyncio.to_thread(work, stopped.is_set)
    finally:
        stopped.set()


def _id(row: Row) -> SourceId:
    return SourceId(_PREFIX + row.key.digest.hex())


def _link(key: Key) -> Link:
    return Link(json.dumps([key.received, key.digest.hex(), key.id]))


def _key(link: Link | None) -> Key:
    if link is None:
        return Key()
    try:
        received, digest, number = json.loads(link)
        return Key(int(received), bytes.fromhex(digest), int(number))
    except (ValueError, TypeError) as error:
        raise BugError("bad_link", "A link is none that this source gave.") from error
