"""What the main job needs from a mailbox; tests/conformance/test_mail_source.py holds every source to it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType, Protocol
from uuid import UUID

from atom_backfill.errors import ThrottledError
from atom_backfill.mail.message import FolderId, SourceId

Link = NewType("Link", str)
"""An opaque continuation, to be handed back verbatim to the source that gave it, within one process."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open range [start, end) of received times, on whole seconds, in UTC; None is open."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Folder:
    """A place that holds mail. `path` is for people (`Projects/Atlas`); `well_known` is inbox, junkemail, … or "".

    `messages_hint` may be too high or too low. `search` marks a saved search, whose mail lies elsewhere. `hidden`: the
    mailbox hides it from people.
    """

    folder_id: FolderId
    path: str
    well_known: str = ""
    messages_hint: int | None = None
    hidden: bool = False
    search: bool = False


@dataclass(frozen=True, slots=True)
class RawItem:
    """One message as the source holds it (`payload`: Graph JSON or RFC 822 bytes), not yet read.

    `received_at` is None where the source gives no usable date. `change_key` changes when the item does.
    """

    source_id: SourceId
    folder_id: FolderId
    received_at: datetime | None
    change_key: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """An item of an ids-only walk. `draft` where the source says so.

    `duplicate`: the same content lies in a place that comes first, and is one message with it (local files only).
    """

    source_id: SourceId
    folder_id: FolderId
    received_at: datetime | None
    draft: bool = False
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item that the source lists but cannot give: becomes a failure. `code` and `reason` as in SkipItemError."""

    source_id: SourceId
    folder_id: FolderId
    received_at: datetime | None
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """Items newest first (at most the size asked for, maybe none), and the link to more, None where there is no more.

    `broken_link`: the source gave a continuation that cannot be followed (a foreign host, one already followed); the
    walk goes on from its position instead.
    """

    items: tuple[RawItem, ...]
    next: Link | None
    unreadable: tuple[Unreadable, ...] = ()
    broken_link: bool = False


@dataclass(frozen=True, slots=True)
class PlacePage:
    """A page of an ids-only walk; `next` and `broken_link` as in Page."""

    places: tuple[Place, ...]
    next: Link | None
    broken_link: bool = False


@dataclass(frozen=True, slots=True)
class MailboxIdentity:
    """Who the mailbox is: `identity` never changes for the same mailbox; `address` is for people."""

    identity: str
    address: str


class MailSource(Protocol):
    """A mailbox, read-only. Every call is bounded in time and size.

    Raises RetryLaterError (ThrottledError when asked to wait), NeedsOwnerError and SignInNeededError when only the
    owner can help, NotFoundError for a folder or message that is gone.
    """

    async def folders(self) -> tuple[Folder, ...]:
        """List every folder, found recursively, hidden ones and saved searches included and marked."""
        ...

    async def count(self, folder: FolderId, window: Window) -> int | None:
        """Count the messages of a folder in a window. A hint: may be wrong either way; None where it cannot be had."""
        ...

    async def page(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> Page:
        """Read a page of whole messages, newest first; `link` goes on where an earlier page of the same window stopped.

        An item that breaks its page comes back in `unreadable`, its neighbours in `items`. Windows with both ends None
        also list what has no date.
        """
        ...

    async def places(self, folder: FolderId, window: Window, *, size: int, link: Link | None = None) -> PlacePage:
        """Read a page of ids only, newest first. Dates outside every window are listed with both ends None."""
        ...

    async def message(self, source_id: SourceId) -> RawItem:
        """Read one message. Raises SkipItemError where this message alone cannot be given."""
        ...

    async def identify(self) -> MailboxIdentity:
        """Tell which mailbox this is, proving that it can be read."""
        ...


class Permits(Protocol):
    """Requests in flight for one mailbox, limited over all workers."""

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Take part in the limit while one request is in flight.

        Waits until there is room and until the mailbox's Retry-After has passed; raises ThrottledError where that is
        further away than it wants to wait.
        """
        ...

    async def throttled(self, error: ThrottledError) -> None:
        """Store for the whole mailbox that the service asked to wait; every worker's `hold` honours it."""
        ...


@dataclass(frozen=True, slots=True)
class CachedTokens:
    """A sign-in library's own cache, as text that holds secrets; `version` rises with each store, 0 for none yet."""

    text: str = field(repr=False)
    version: int


class TokenCache(Protocol):
    """One account's tokens, shared by every worker and sealed at rest."""

    async def load(self) -> CachedTokens:
        """Read the newest cache."""
        ...

    def refreshing(self) -> AbstractAsyncContextManager[CachedTokens]:
        """Hold the account's only right to refresh, and yield the newest cache, read after the right was won.

        Waits while another worker holds it; a right whose worker died lapses after a minute, which is longer than two
        calls may take. Raises RetryLaterError where it cannot be had.
        """
        ...

    async def store(self, text: str, *, version: int) -> bool:
        """Replace the cache of that version. False, and nothing stored, where another version is there by now."""
        ...


class Sealer(Protocol):
    """Seals an account's secrets so that they open only in the row they were sealed for."""

    def seal(self, tenant: UUID, row: str, plain: bytes) -> bytes:
        """Seal a secret for its row."""
        ...

    def open(self, tenant: UUID, row: str, sealed: bytes) -> bytes:
        """Return the secret. Raises NeedsOwnerError where it was sealed for another row or with another key."""
        ...
