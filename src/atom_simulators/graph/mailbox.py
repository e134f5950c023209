"""One mailbox: its folders and messages, held compactly, and what changed in it since it was opened.

A message is kept as the bytes of its JSON line and parsed when it is asked for; beside it stand only the
properties that lists are cut by. Every change gets the next number of the mailbox's clock (`version`), which is
what delta compares.
"""

import bisect
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import dates, ids, schema
from .conditions import Literal, comparable
from .folders import Folder, FolderTree

JsonObject = dict[str, Any]
_INDEXED = {
    "receivedDateTime": "received",
    "isRead": "is_read",
    "isDraft": "is_draft",
    "hasAttachments": "has_attachments",
    "internetMessageId": "internet_message_id",
    "conversationId": "conversation_id",
    "parentFolderId": "folder",
}
# Sorts before every date.
_NO_DATE = -(1 << 62)


class MailboxError(ValueError):
    """The data of a mailbox cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message: its line, and what lists are cut by. `received` is in seconds, None where there is no date."""

    ordinal: int
    id: str
    raw: bytes
    folder: str
    received: int | None
    is_read: bool | None
    is_draft: bool | None
    has_attachments: bool | None
    internet_message_id: str | None
    conversation_id: str | None
    moves: int = 0
    changed: int = 0
    created: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """Order by date, then by place in the file."""
        return (_NO_DATE if self.received is None else self.received, self.ordinal)

    def value(self, path: str) -> Literal:
        """What the message has at a property path; dates as seconds, None where there is nothing to compare."""
        indexed = _INDEXED.get(path)
        if indexed is not None:
            found: Literal = getattr(self, indexed)
            return found
        return comparable(self.parsed(), path, schema.MESSAGES)

    def parsed(self) -> JsonObject:
        """The message as its file has it, with its present folder."""
        message: JsonObject = json.loads(self.raw)
        if self.moves:
            message["parentFolderId"] = self.folder
        return message


@dataclass(frozen=True, slots=True)
class Removal:
    """A message that left a folder, by a move (`changed`) or for good (`deleted`)."""

    version: int
    folder: str
    entry: Entry
    reason: str


class Mailbox:
    """A user's mail. `name` is the part of the address before `@example.com`."""

    def __init__(self, name: str, tree: FolderTree) -> None:
        self.name = name
        self.address = f"{name}@example.com"
        self.user_id = ids.user_guid(name)
        self.tree = tree
        self.version = 0
        self.delta_generation = 1
        self.removals: list[Removal] = []
        self._by_id: dict[str, int] = {}
        self._entries: list[Entry | None] = []
        self._all: list[Entry] = []
        self._by_folder: dict[str, list[Entry]] = {}
        self._folder_changes: dict[str, int] = {}
        self._unread: Counter[str] = Counter()
        self._loaded: dict[str, tuple[int, int]] = {}

    # Reading

    def messages(self, folder: str | None = None) -> list[Entry]:
        """Oldest first, those without a date before all others; None: the whole mailbox. Not to be changed."""
        return self._all if folder is None else self._by_folder.get(folder, [])

    def between(self, folder: str | None, low: int | None, high: int | None) -> list[Entry]:
        """The messages received in [low, high), oldest first; without bounds all of them."""
        entries = self.messages(folder)
        if low is None and high is None:
            return entries
        start = bisect.bisect_left(entries, (_NO_DATE + 1 if low is None else low, -1), key=_key)
        stop = len(entries) if high is None else bisect.bisect_left(entries, (high, -1), key=_key)
        return entries[start:stop]

    def before(self, folder: str, low: int | None, key: tuple[int, int] | None, count: int) -> tuple[list[Entry], bool]:
        """The next `count` messages below a key, newest first, and whether there are more above `low`."""
        entries = self.between(folder, low, None)
        stop = len(entries) if key is None else bisect.bisect_left(entries, key, key=_key)
        start = max(0, stop - count)
        return entries[start:stop][::-1], start > 0

    def find(self, item_id: str) -> Entry | None:
        """A message by its immutable id or by its present derived id."""
        for spelling in ids.alternatives(item_id):
            ordinal = self._by_id.get(spelling)
            if ordinal is not None:
                return self._entries[ordinal]
            ordinal = ids.ordinal_of(self.name, spelling)
            if ordinal is not None and ordinal < len(self._entries):
                entry = self._entries[ordinal]
                return entry if entry is not None and self.rest_id(entry) == spelling else None
        return None

    def knew(self, item_id: str) -> bool:
        """Whether this has been an id of this mailbox at any time."""
        return item_id in self._by_id or ids.ordinal_of(self.name, item_id) is not None

    def rest_id(self, entry: Entry) -> str:
        """The derived id of a message where it lies now."""
        return ids.rest_id(self.name, entry.ordinal, entry.folder, entry.moves)

    def totals(self, folder: Folder) -> tuple[int, int]:
        """Items and unread items of a folder: what its file claims, and what has come and gone since."""
        total, unread = self._counted(folder.id)
        loaded_total, loaded_unread = self._loaded.get(folder.id, (0, 0))
        if folder.claimed_total is not None:
            total += folder.claimed_total - loaded_total
        if folder.claimed_unread is not None:
            unread += folder.claimed_unread - loaded_unread
        return max(0, total), max(0, unread)

    def _counted(self, folder: str) -> tuple[int, int]:
        return len(self.messages(folder)), self._unread[folder]

    def removals_since(self, folder: str, version: int) -> list[Removal]:
        """What left a folder after a point of the clock, oldest first."""
        return [gone for gone in self.removals if gone.version > version and gone.folder == folder]

    def folders_changed_since(self, version: int | None) -> list[Folder]:
        """The folders that were added or changed after a point of the clock; None: all of them."""
        return [f for f in self.tree.all() if version is None or self._folder_changes.get(f.id, 0) > version]

    # Changing

    def load(self, lines: Iterable[bytes]) -> None:
        """Take the messages of a file. Of several lines with one id the last counts. Raises MailboxError."""
        stripped = (line.strip() for line in lines)
        self.take((line, self._decoded(line, f"line {number}")) for number, line in enumerate(stripped, 1) if line)

    def take(self, messages: Iterable[tuple[bytes, JsonObject]]) -> None:
        """Take messages as bytes and as what they mean."""
        for raw, message in messages:
            self._place(self._entry(raw, message))
        entries = sorted((entry for entry in self._entries if entry is not None), key=_key)
        for entry in entries:
            self._by_folder.setdefault(entry.folder, []).append(entry)
            self._unread[entry.folder] += entry.is_read is False
        self._all = [entry for entry in entries if self._is_listed(entry.folder)]
        self._loaded = {folder: self._counted(folder) for folder in self._by_folder}

    def add(self, message: JsonObject) -> Entry:
        """A new message arrives; one with a known id takes the old one's place. Raises MailboxError."""
        raw = json.dumps(message).encode()
        entry = self._entry(raw, self._decoded(raw, "the new message"))
        old = self._entries[entry.ordinal] if entry.ordinal < len(self._entries) else None
        if old is not None:
            return self._replace(old, entry)
        self.version += 1
        entry = dataclasses.replace(entry, changed=self.version, created=self.version)
        self._place(entry)
        self._put_in(entry)
        return entry

    def _replace(self, old: Entry, fresh: Entry) -> Entry:
        current = self.move(old, fresh.folder) if fresh.folder != old.folder else old
        self.version += 1
        self._take_out(current)
        return self._settle(dataclasses.replace(fresh, moves=current.moves, created=current.created))

    def put_folder(self, folder: Folder) -> None:
        """A folder is made or changed."""
        self.version += 1
        self.tree.put(folder)
        self._folder_changes[folder.id] = self.version

    def delete(self, entry: Entry) -> None:
        """A message goes for good."""
        self.version += 1
        self._take_out(entry)
        self._entries[entry.ordinal] = None
        self.removals.append(Removal(self.version, entry.folder, entry, "deleted"))

    def move(self, entry: Entry, folder: str) -> Entry:
        """A message goes to another folder, under a new derived id."""
        self.version += 1
        self.removals.append(Removal(self.version, entry.folder, entry, "changed"))
        self._take_out(entry)
        # Two ticks, as leaving and arriving are two changes where both are in one folder.
        self.version += 1
        return self._settle(dataclasses.replace(entry, folder=folder, moves=entry.moves + 1))

    def update(self, entry: Entry, changes: JsonObject) -> Entry:
        """Properties of a message change in place. Raises MailboxError."""
        raw = json.dumps({**entry.parsed(), **changes, "id": entry.id}).encode()
        fresh = self._entry(raw, self._decoded(raw, "the changed message"))
        return self._replace(entry, dataclasses.replace(fresh, folder=entry.folder))

    def _settle(self, entry: Entry) -> Entry:
        entry = dataclasses.replace(entry, changed=self.version)
        self._entries[entry.ordinal] = entry
        self._put_in(entry)
        return entry

    def _decoded(self, line: bytes, where: str) -> JsonObject:
        try:
            message = json.loads(line)
        except ValueError as error:
            raise MailboxError(f"{self.name}: {where} is not JSON ({error})") from error
        if not isinstance(message, dict) or not isinstance(message.get("id"), str) or not message["id"]:
            raise MailboxError(f"{self.name}: {where} is not a message with an id")
        return message

    def _entry(self, raw: bytes, message: JsonObject) -> Entry:
        parent = message.get("parentFolderId")
        folder = self.tree.find(parent) if isinstance(parent, str) else None
        return Entry(
            ordinal=self._by_id.get(message["id"], len(self._entries)),
            id=message["id"],
            raw=raw,
            folder=(folder or self.tree.fallback).id,
            received=dates.seconds(message.get("receivedDateTime")),
            is_read=_boolean(message.get("isRead")),
            is_draft=_boolean(message.get("isDraft")),
            has_attachments=_boolean(message.get("hasAttachments")),
            internet_message_id=_string(message.get("internetMessageId")),
            conversation_id=_string(message.get("conversationId")),
        )

    def _place(self, entry: Entry) -> None:
        for spelling in ids.alternatives(entry.id):
            self._by_id[spelling] = entry.ordinal
        if entry.ordinal == len(self._entries):
            self._entries.append(entry)
        else:
            self._entries[entry.ordinal] = entry

    def _put_in(self, entry: Entry) -> None:
        self._unread[entry.folder] += entry.is_read is False
        bisect.insort(self._by_folder.setdefault(entry.folder, []), entry, key=_key)
        if self._is_listed(entry.folder):
            bisect.insort(self._all, entry, key=_key)

    def _take_out(self, entry: Entry | None) -> None:
        if entry is None:
            return
        self._unread[entry.folder] -= entry.is_read is False
        places = [self._by_folder[entry.folder]]
        if self._is_listed(entry.folder):
            places.append(self._all)
        for place in places:
            del place[bisect.bisect_left(place, entry.key, key=_key)]

    def _is_listed(self, folder: str) -> bool:
        # The whole-mailbox list has Deleted Items, Drafts and Junk, but not what only recovery can reach.
        found: Folder | None = self.tree.find(folder)
        return found is None or found.well_known != "recoverableitemsdeletions"


def _key(entry: Entry) -> tuple[int, int]:
    return entry.key


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _string(value: object) -> str | None:
    # The same conversation stands on many messages.
    return sys.intern(value) if isinstance(value, str) else None
