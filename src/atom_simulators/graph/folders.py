"""The folder tree of a mailbox."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import ids, schema

SEARCH_FOLDER = "#microsoft.graph.mailSearchFolder"
_SEARCH_KEYS = ("isSupported", "filterQuery", "includeNestedFolders", "sourceFolderIds")


class FoldersError(ValueError):
    """The folders of a mailbox cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder. `claimed_total` and `claimed_unread` are the file's counts, None where it has none."""

    id: str
    name: str
    parent: str
    hidden: bool = False
    well_known: str = ""
    size: int | None = None
    claimed_total: int | None = None
    claimed_unread: int | None = None
    search: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_search(self) -> bool:
        """Whether its messages are found in other folders."""
        return bool(self.search)


class FolderTree:
    """The folders of one mailbox, in the order of their file, under a root that is made up where it is absent."""

    def __init__(self, mailbox: str, folders: Iterable[Folder]) -> None:
        listed = {folder.id: folder for folder in folders}
        known = [folder for folder in listed.values() if folder.well_known == "msgfolderroot"]
        # Files often leave the root out: it is then the parent that most folders name and no folder is.
        strays = Counter(f.parent for f in listed.values() if f.parent not in listed and not f.is_search)
        root_id = strays.most_common(1)[0][0] if strays else _made_id(mailbox, "root")
        self.root = (
            known[0]
            if known
            else Folder(root_id, "Top of Information Store", _made_id(mailbox, "store"), False, "msgfolderroot")
        )
        self._folders: dict[str, Folder] = {self.root.id: self.root, **listed}
        inbox = [folder for folder in listed.values() if folder.well_known == "inbox"]
        self.fallback = inbox[0] if inbox else next(iter(listed.values()), self.root)

    def find(self, folder_id: str) -> Folder | None:
        """A folder by its id."""
        return self._folders.get(folder_id)

    def named(self, name: str) -> Folder | None:
        """A folder by well-known name (any case) or by id."""
        for spelling in ids.alternatives(name):
            if spelling in self._folders:
                return self._folders[spelling]
        if name.lower() in schema.WELL_KNOWN:
            return next((f for f in self._folders.values() if f.well_known == name.lower()), None)
        return None

    def called(self, name: str) -> Folder | None:
        """A folder by well-known name, id or display name."""
        found = self.named(name)
        return found or next((f for f in self._folders.values() if f.name.lower() == name.lower()), None)

    def children(self, folder: Folder, *, hidden: bool) -> list[Folder]:
        """The folders right below, those marked hidden only when wanted.

        Search folders stand below the root in lists, whatever parent they name.
        """
        return [
            child
            for child in self._folders.values()
            if child.id != folder.id and self._is_child(child, folder) and (hidden or not child.hidden)
        ]

    def all(self) -> list[Folder]:
        """Every folder but the root."""
        return [folder for folder in self._folders.values() if folder.id != self.root.id]

    def below(self, folder: Folder) -> list[Folder]:
        """A folder and all that lie under it."""
        found = [folder]
        for parent in found:
            found += [f for f in self._folders.values() if f.parent == parent.id and f not in found]
        return found

    def put(self, folder: Folder) -> None:
        """Add a folder or give it new properties."""
        self._folders[folder.id] = folder

    def _is_child(self, child: Folder, parent: Folder) -> bool:
        if child.is_search or (child.parent not in self._folders and child.id != self.root.id):
            return parent.id == self.root.id
        return child.parent == parent.id


def parse_folders(document: object) -> list[Folder]:
    """Read a folders file: a list of mailFolders, or an object with one under `value`. Raises FoldersError."""
    items = document.get("value") if isinstance(document, dict) else document
    if not isinstance(items, list):
        raise FoldersError("the folders file must hold a list of folders, or an object with one as its value")
    return [parse_folder(item, number) for number, item in enumerate(items, 1)]


def parse_folder(item: object, number: int) -> Folder:
    """Read one mailFolder. Raises FoldersError."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise FoldersError(f"folder {number} is not an object with an id")
    search = {key: item[key] for key in _SEARCH_KEYS if key in item}
    return Folder(
        id=item["id"],
        name=str(item.get("displayName", "")),
        parent=str(item.get("parentFolderId", "")),
        hidden=item.get("isHidden") is True,
        well_known=str(item.get("wellKnownName") or "").lower(),
        size=_whole(item.get("sizeInBytes")),
        claimed_total=_whole(item.get("totalItemCount")),
        claimed_unread=_whole(item.get("unreadItemCount")),
        search={"isSupported": True, **search} if item.get("@odata.type") == SEARCH_FOLDER else {},
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _made_id(mailbox: str, what: str) -> str:
    digest = hashlib.shake_256(f"{mailbox}/{what}".encode()).digest(87)
    return ids.folder_id(digest)
